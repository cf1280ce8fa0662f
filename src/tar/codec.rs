use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::zstd::ZstdDecoder;
use crate::error::{Error, IoContext, Result};

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
}

/// The uncompressed bytes of a layer.
pub struct Decoder<R: Read>(DecoderKind<R>);

enum DecoderKind<R: Read> {
    Plain(BufReader<R>),
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    Zstd(ZstdDecoder<R>),
}

impl<R: Read> Decoder<R> {
    /// Looks at the first bytes and decodes accordingly.
    ///
    /// # Errors
    /// Faults of `inner`.
    pub fn new(inner: R) -> Result<Self> {
        let mut inner = BufReader::with_capacity(128 << 10, inner);
        let start = inner.fill_buf().doing("read the layer")?;
        Ok(Decoder(match Compression::of(start) {
            Compression::None => DecoderKind::Plain(inner),
            Compression::Gzip => DecoderKind::Gzip(Box::new(MultiGzDecoder::new(inner))),
            Compression::Zstd => DecoderKind::Zstd(ZstdDecoder::new(inner).doing("start decompression")?),
        }))
    }

    /// The compressed side, wherever it is.
    pub fn into_inner(self) -> R {
        match self.0 {
            DecoderKind::Plain(inner) => inner.into_inner(),
            DecoderKind::Gzip(decoder) => decoder.into_inner().into_inner(),
            DecoderKind::Zstd(decoder) => decoder.into_inner().into_inner(),
        }
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

/// What a decoder says of its input; faults of reading the input pass as they are.
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
