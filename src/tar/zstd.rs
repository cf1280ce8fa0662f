//! Zstandard (RFC 8878): any number of frames, and skippable ones between them. By libzstd; by `ruzstd`, which takes no C
//! compiler, in builds without the feature `zstd`.

use std::io;

use crate::error::Error;

/// The largest window that is accepted, as a power of two: 32 MiB, so that memory stays bounded. Image builders use
/// 8 MiB and less.
const MAX_WINDOW_LOG: u32 = 25;

/// The fault of a frame with a larger window.
fn too_large() -> io::Error {
    let what = format!("its Zstandard window is larger than {} MiB, the most that is read", 1 << (MAX_WINDOW_LOG - 20));
    Error::malformed(what).hint("compress it anew by zstd without its long and ultra modes").into()
}

#[cfg(feature = "zstd")]
pub(super) use native::ZstdDecoder;
#[cfg(not(feature = "zstd"))]
pub(super) use portable::ZstdDecoder;

#[cfg(feature = "zstd")]
mod native {
    use std::io::{self, BufReader, Read};

    /// Decompresses by libzstd.
    pub(crate) struct ZstdDecoder<R: Read>(zstd::stream::read::Decoder<'static, BufReader<R>>);

    impl<R: Read> ZstdDecoder<R> {
        pub(in crate::tar) fn new(inner: BufReader<R>) -> io::Result<Self> {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(inner)?;
            decoder.window_log_max(super::MAX_WINDOW_LOG)?;
            Ok(ZstdDecoder(decoder))
        }

        /// The compressed side, wherever it is.
        pub(in crate::tar) fn into_inner(self) -> BufReader<R> {
            self.0.finish()
        }
    }

    impl<R: Read> Read for ZstdDecoder<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer).map_err(|error| {
                // libzstd tells its errors by text only.
                let is_window = error.raw_os_error().is_none() && error.to_string().contains("too much memory");
                if is_window { super::too_large() } else { error }
            })
        }
    }
}

#[cfg(any(test, not(feature = "zstd")))]
#[cfg_attr(feature = "zstd", allow(dead_code, reason = "the tests hold both against each other"))]
mod portable {
    use std::io::{self, BufRead, BufReader, ErrorKind, Read};

    use ruzstd::decoding::errors::{FrameDecoderError, FrameHeaderError, ReadFrameHeaderError};
    use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

    /// Decompresses by `ruzstd`, which knows one frame; what stands between frames is read here.
    pub(crate) struct ZstdDecoder<R: Read> {
        frame: Box<FrameDecoder>,
        in_frame: bool,
        source: FaultKeeper<BufReader<R>>,
    }

    impl<R: Read> ZstdDecoder<R> {
        pub(in crate::tar) fn new(inner: BufReader<R>) -> io::Result<Self> {
            let mut frame = Box::new(FrameDecoder::new());
            frame.set_max_window_size(1 << super::MAX_WINDOW_LOG);
            Ok(ZstdDecoder { frame, in_frame: false, source: FaultKeeper { inner, fault: None } })
        }

        /// The compressed side, wherever it is.
        pub(in crate::tar) fn into_inner(self) -> BufReader<R> {
            self.source.inner
        }

        /// Goes on to the next frame; `false` if there is none.
        fn next_frame(&mut self) -> io::Result<bool> {
            while !self.source.inner.fill_buf()?.is_empty() {
                match self.frame.reset(&mut self.source) {
                    Ok(()) => {
                        self.in_frame = true;
                        return Ok(true);
                    }
                    Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                        length, ..
                    })) => {
                        let skipped = io::copy(&mut (&mut self.source.inner).take(length.into()), &mut io::sink())?;
                        if skipped < length.into() {
                            return Err(ErrorKind::UnexpectedEof.into());
                        }
                    }
                    Err(
                        FrameDecoderError::WindowSizeTooBig { .. }
                        | FrameDecoderError::FrameHeaderError(FrameHeaderError::WindowTooBig { .. }),
                    ) => return Err(super::too_large()),
                    Err(error) => return Err(self.source.fault_or(error)),
                }
            }
            Ok(false)
        }

        /// Decodes until there is something to hand out, or the frame ends.
        fn decode(&mut self) -> io::Result<()> {
            while self.frame.can_collect() == 0 && !self.frame.is_finished() {
                let decoded = self.frame.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| self.source.fault_or(error))?;
            }
            Ok(())
        }

        fn end_frame(&mut self) -> io::Result<()> {
            self.in_frame = false;
            let stored = self.frame.get_checksum_from_data();
            if stored.is_some() && stored != self.frame.get_calculated_checksum() {
                return Err(io::Error::new(ErrorKind::InvalidData, "the checksum of a frame differs"));
            }
            Ok(())
        }
    }

    impl<R: Read> Read for ZstdDecoder<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            while !buffer.is_empty() && (self.in_frame || self.next_frame()?) {
                self.decode()?;
                match self.frame.read(buffer)? {
                    0 => self.end_frame()?,
                    read => return Ok(read),
                }
            }
            Ok(0)
        }
    }

    /// Keeps a fault of reading apart from what the decoder makes of it.
    struct FaultKeeper<R> {
        inner: R,
        fault: Option<io::Error>,
    }

    impl<R> FaultKeeper<R> {
        fn fault_or(&mut self, error: FrameDecoderError) -> io::Error {
            self.fault.take().unwrap_or_else(|| io::Error::new(ErrorKind::InvalidData, error))
        }
    }

    impl<R: Read> Read for FaultKeeper<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.inner.read(buffer).map_err(|error| {
                let kind = error.kind();
                if kind != ErrorKind::Interrupted {
                    self.fault = Some(error);
                }
                kind.into()
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, BufReader, Read};

    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn portable(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        portable::ZstdDecoder::new(BufReader::with_capacity(7, bytes))?.read_to_end(&mut all)?;
        Ok(all)
    }

    #[cfg(feature = "zstd")]
    fn native(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        native::ZstdDecoder::new(BufReader::with_capacity(7, bytes))?.read_to_end(&mut all)?;
        Ok(all)
    }

    #[cfg(not(feature = "zstd"))]
    use portable as native;

    fn frame(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    /// RFC 8878, sections 3.1.1 and 3.1.2: a frame of one raw block, with this descriptor and window, and a skippable one.
    fn raw_frame(descriptor: u8, window_log: u8, checksum: &[u8]) -> Vec<u8> {
        let start = [0x28, 0xb5, 0x2f, 0xfd, descriptor, (window_log - 10) << 3];
        [&start[..], &[3 << 3 | 1, 0, 0], b"raw", checksum].concat()
    }

    fn skippable(length: u32) -> Vec<u8> {
        [&0x184d_2a5f_u32.to_le_bytes()[..], &length.to_le_bytes(), &[b'x'; 20]].concat()
    }

    #[test]
    fn both_decoders_read_the_same() {
        let long: Vec<u8> = (0..400_000_u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
        let read: [(&str, Vec<u8>, &[u8]); 7] = [
            ("a frame", frame(&long), &long),
            ("nothing in a frame", frame(b""), b""),
            ("frames", [frame(b"a"), frame(b""), frame(b"bc")].concat(), b"abc"),
            ("skippable frames", [skippable(20), frame(b"a"), skippable(20), skippable(20)].concat(), b"a"),
            ("only skippable", skippable(20), b""),
            ("a large window", raw_frame(0, 25, b""), b"raw"),
            ("a checksum", raw_frame(4, 20, &checksum(b"raw")), b"raw"),
        ];
        for (name, bytes, contents) in read {
            assert!(portable(&bytes).unwrap() == contents, "{name}");
            assert!(native(&bytes).unwrap() == contents, "{name}");
        }
        let cut = |bytes: &[u8]| bytes[..bytes.len() - 1].to_vec();
        let refused = [
            ("a cut frame", cut(&frame(&long))),
            ("a cut frame after another", cut(&[frame(b"a"), frame(b"b")].concat())),
            ("a cut skippable frame", cut(&skippable(20))),
            ("a skippable frame longer than the rest", skippable(u32::MAX)),
            ("garbage at the end", [frame(b"a"), b"garbage".to_vec()].concat()),
            ("a window that takes much memory", raw_frame(0, 27, b"")),
            ("a wrong checksum", raw_frame(4, 20, b"0000")),
        ];
        for (name, bytes) in refused {
            assert!(portable(&bytes).is_err(), "{name}");
            assert!(native(&bytes).is_err(), "{name}");
        }
    }

    /// The checksum that the encoder puts at the end of a frame of these bytes.
    fn checksum(bytes: &[u8]) -> [u8; 4] {
        let frame = frame(bytes);
        *frame.last_chunk().unwrap()
    }

    #[test]
    fn faults_of_reading_stay_what_they_are() {
        struct Broken<'a>(&'a [u8]);
        impl Read for Broken<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match self.0.read(buffer)? {
                    0 => Err(io::Error::from_raw_os_error(5)),
                    read => Ok(read),
                }
            }
        }
        let whole = frame(&[7; 1000]);
        for length in 1..whole.len() {
            let source = BufReader::with_capacity(1, Broken(&whole[..length]));
            let mut decoder = portable::ZstdDecoder::new(source).unwrap();
            let error = decoder.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(5), "{length}");
        }
    }
}
