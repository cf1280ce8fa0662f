use std::io::{self, BufRead, BufReader, Read, Write};

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
    Plain(BufReader<R>),
    /// From gzip.
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    /// From zstd.
    Zstd(zstd::stream::read::Decoder<'static, BufReader<R>>),
}

impl<R: Read> Decoder<R> {
    /// Looks at the first bytes and decodes accordingly.
    ///
    /// # Errors
    /// Faults of `inner`.
    pub fn new(inner: R) -> Result<Self> {
        let mut inner = BufReader::with_capacity(128 << 10, inner);
        let start = inner.fill_buf().doing("read the layer")?;
        Ok(match Compression::of(start) {
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
            Decoder::Plain(inner) => inner.into_inner(),
            Decoder::Gzip(decoder) => decoder.into_inner().into_inner(),
            Decoder::Zstd(decoder) => decoder.finish().into_inner(),
        }
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
