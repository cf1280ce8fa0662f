use std::io::{self, BufReader, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::error::{Error, IoContext, Result};

/// The largest zstd window that is accepted, as a power of two: 32 MiB, so that memory stays bounded. Image builders
/// use 8 MiB and less.
const MAX_ZSTD_WINDOW_LOG: u32 = 25;

/// How a layer is compressed. It is told by content: media types lie, and Docker's archives have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952), one member or several.
    Gzip,
    /// Zstandard (RFC 8878), one frame or several.
    Zstd,
}

impl Compression {
    /// Told by the first bytes of a layer.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // A skippable frame first: what zstd:chunked and seekable writers may begin with.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// What it is called in messages.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "not compressed",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }
}

/// The uncompressed bytes of a layer.
pub enum Decoder<R: Read> {
    /// As they are.
    Plain(BufReader<Peeked<R>>),
    /// From gzip.
    Gzip(Box<MultiGzDecoder<BufReader<Peeked<R>>>>),
    /// From zstd.
    Zstd(zstd::stream::read::Decoder<'static, BufReader<Peeked<R>>>),
}

impl<R: Read> Decoder<R> {
    /// Looks at the first bytes and decodes accordingly.
    ///
    /// # Errors
    /// Faults of `inner`.
    pub fn new(inner: R) -> Result<Self> {
        let peeked = Peeked::new(inner).doing("read the layer")?;
        let compression = Compression::of(peeked.start());
        let inner = BufReader::with_capacity(128 << 10, peeked);
        Ok(match compression {
            Compression::None => Decoder::Plain(inner),
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(inner))),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(inner).doing("start decompression")?;
                decoder.window_log_max(MAX_ZSTD_WINDOW_LOG).doing("start decompression")?;
                Decoder::Zstd(decoder)
            }
        })
    }

    /// How the input is compressed.
    pub fn compression(&self) -> Compression {
        match self {
            Decoder::Plain(_) => Compression::None,
            Decoder::Gzip(_) => Compression::Gzip,
            Decoder::Zstd(_) => Compression::Zstd,
        }
    }

    /// The compressed side, wherever it is.
    pub fn into_inner(self) -> R {
        match self {
            Decoder::Plain(inner) => inner.into_inner().inner,
            Decoder::Gzip(decoder) => decoder.into_inner().into_inner().inner,
            Decoder::Zstd(decoder) => decoder.finish().into_inner().inner,
        }
    }
}

/// A stream whose first bytes have been looked at.
pub struct Peeked<R> {
    start: [u8; 4],
    len: usize,
    read: usize,
    inner: R,
}

impl<R: Read> Peeked<R> {
    fn new(mut inner: R) -> io::Result<Self> {
        let (mut start, mut len) = ([0; 4], 0);
        // A slow stream may give them one by one.
        while len < start.len() {
            match inner.read(&mut start[len..]) {
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Peeked { start, len, read: 0, inner })
    }

    fn start(&self) -> &[u8] {
        &self.start[..self.len]
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = &self.start[self.read..self.len];
        if left.is_empty() {
            return self.inner.read(buffer);
        }
        let len = left.len().min(buffer.len());
        buffer[..len].copy_from_slice(&left[..len]);
        self.read += len;
        Ok(len)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Plain(inner) => inner.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer).map_err(damaged),
            Decoder::Zstd(decoder) => decoder.read(buffer).map_err(damaged),
        }
    }
}

/// What a decoder says of its input; faults of reading the input pass as they are.
fn damaged(error: io::Error) -> io::Error {
    let ours = error.get_ref().is_some_and(|inner| inner.is::<Error>());
    if ours || error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted {
        return error;
    }
    Error::malformed("the compressed data is damaged").because(error).into()
}

/// Compresses a layer, or does not.
pub enum Encoder<W: Write> {
    /// As it is.
    Plain(W),
    /// To gzip.
    Gzip(Box<GzEncoder<W>>),
}

impl<W: Write> Encoder<W> {
    /// Gzip for Docker schema 2 images, whose readers expect it; fast, because ciphertext does not shrink anyway.
    pub fn gzip(inner: W) -> Self {
        Encoder::Gzip(Box::new(GzEncoder::new(inner, flate2::Compression::fast())))
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// Input/output.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Encoder::Plain(inner) => Ok(inner),
            Encoder::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::Plain(inner) => inner.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::Plain(inner) => inner.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
        }
    }
}
