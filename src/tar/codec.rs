use std::io::{self, BufReader, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::zstd::ZstdDecoder;
use crate::error::{Error, IoContext, Result};

/// The compression of a layer, detected by content: media types lie, and Docker's archives have none.
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

    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "not compressed",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }
}

/// The uncompressed bytes of a layer.
pub struct Decoder<R: Read>(DecoderKind<R>);

enum DecoderKind<R: Read> {
    Plain(BufReader<Peeked<R>>),
    Gzip(Box<MultiGzDecoder<BufReader<Peeked<R>>>>),
    Zstd(ZstdDecoder<Peeked<R>>),
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
        Ok(Decoder(match compression {
            Compression::None => DecoderKind::Plain(inner),
            Compression::Gzip => DecoderKind::Gzip(Box::new(MultiGzDecoder::new(inner))),
            Compression::Zstd => DecoderKind::Zstd(ZstdDecoder::new(inner).doing("start decompression")?),
        }))
    }

    /// The compression of the input.
    pub fn compression(&self) -> Compression {
        match self.0 {
            DecoderKind::Plain(_) => Compression::None,
            DecoderKind::Gzip(_) => Compression::Gzip,
            DecoderKind::Zstd(_) => Compression::Zstd,
        }
    }

    /// The compressed side, wherever it is.
    pub fn into_inner(self) -> R {
        match self.0 {
            DecoderKind::Plain(inner) => inner.into_inner().inner,
            DecoderKind::Gzip(decoder) => decoder.into_inner().into_inner().inner,
            DecoderKind::Zstd(decoder) => decoder.into_inner().into_inner().inner,
        }
    }
}

/// A stream whose first bytes have been looked at.
struct Peeked<R> {
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
        match &mut self.0 {
            DecoderKind::Plain(inner) => inner.read(buffer),
            DecoderKind::Gzip(decoder) => decoder.read(buffer).map_err(damaged),
            DecoderKind::Zstd(decoder) => decoder.read(buffer).map_err(damaged),
        }
    }
}

/// A decoder's error about its input; errors of reading the input pass as they are.
fn damaged(error: io::Error) -> io::Error {
    let ours = error.get_ref().is_some_and(|inner| inner.is::<Error>());
    if ours || error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted {
        return error;
    }
    Error::malformed("the compressed data is damaged").because(error).into()
}

/// Compresses a layer, or does not.
pub struct Encoder<W: Write>(EncoderKind<W>);

enum EncoderKind<W: Write> {
    Plain(W),
    Gzip(Box<GzEncoder<W>>),
}

impl<W: Write> Encoder<W> {
    /// No compression.
    pub fn plain(inner: W) -> Self {
        Encoder(EncoderKind::Plain(inner))
    }

    /// Gzip for Docker schema 2 images, whose readers expect it; fast, because ciphertext does not shrink anyway.
    pub fn gzip(inner: W) -> Self {
        Encoder(EncoderKind::Gzip(Box::new(GzEncoder::new(inner, flate2::Compression::fast()))))
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// Input/output.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            EncoderKind::Plain(inner) => Ok(inner),
            EncoderKind::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            EncoderKind::Plain(inner) => inner.write(bytes),
            EncoderKind::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            EncoderKind::Plain(inner) => inner.flush(),
            EncoderKind::Gzip(encoder) => encoder.flush(),
        }
    }
}
