use std::io::{Read, Write};
use std::path::Path;

use oci_spec::image::{Descriptor, Digest, MediaType};
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{ScannedLayer, ensure_plain_is_stated, scan};
use crate::crypto::digest::Sha512;
use crate::crypto::hex;
use crate::error::{Kind as Class, Result};
use crate::store::layout::Layout;
use crate::store::{Blob, Count, Extent, ImageEntry, Source, digest_of};
use crate::tar::{Compression, Decoder, EntryKind, Meta, Writer};

mod order;

/// One blob, in a local file or as a stream.
struct Stored {
    bytes: Vec<u8>,
    is_file: bool,
}

impl Source for Stored {
    fn name(&self) -> String {
        "stored".into()
    }

    fn bytes_read(&self) -> u64 {
        0
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        Ok(Vec::new())
    }

    fn open(&self, _descriptor: &Descriptor) -> Result<Blob> {
        if !self.is_file {
            return Ok(Blob::Stream(Box::new(std::io::Cursor::new(self.bytes.clone()))));
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&self.bytes).unwrap();
        Ok(Blob::Extent(Extent::new(file.into(), 0, self.bytes.len() as u64, Count::default())))
    }
}

fn archive() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let meta = Meta::new(0o644, 0);
    for (path, contents) in [("opt/a", &b""[..]), ("opt/b", b""), ("usr/c", &[1; 5000]), ("opt/d", &[2; 700])] {
        writer.header(path.as_bytes(), &EntryKind::File, &meta, contents.len() as u64).unwrap();
        writer.write_all(contents).unwrap();
    }
    let mut archive = writer.finish().unwrap();
    // GNU tar fills its last record.
    archive.resize(20 * 512 * 2, 0);
    archive
}

fn scan_as(bytes: &[u8], is_file: bool, diff_id: &Digest) -> Result<ScannedLayer> {
    let stored = Stored { bytes: bytes.to_vec(), is_file };
    let descriptor = Descriptor::new(media_type(Compression::of(bytes)), bytes.len() as u64, digest_of(bytes));
    let matters = |path: &[u8]| path.starts_with(b"opt");
    scan(&stored, &descriptor, diff_id, &std::env::temp_dir(), &matters)
}

fn media_type(compression: Compression) -> MediaType {
    match compression {
        Compression::None => MediaType::ImageLayer,
        Compression::Gzip => MediaType::ImageLayerGzip,
        Compression::Zstd => MediaType::ImageLayerZstd,
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// A frame that decoders are to pass over (RFC 8878, skippable frames).
fn skippable() -> Vec<u8> {
    [&0x184D_2A53_u32.to_le_bytes()[..], &7_u32.to_le_bytes(), b"seeking"].concat()
}

/// Every form that the same layer may have.
fn forms(archive: &[u8]) -> Vec<(&'static str, Vec<u8>, Compression)> {
    let (first, rest) = archive.split_at(777);
    vec![
        ("plain", archive.to_vec(), Compression::None),
        ("gzip", gzip(archive), Compression::Gzip),
        ("gzip members", [gzip(first), gzip(b""), gzip(rest)].concat(), Compression::Gzip),
        ("zstd", zstd(archive), Compression::Zstd),
        ("zstd frames", [zstd(first), skippable(), zstd(rest)].concat(), Compression::Zstd),
        ("skippable first", [skippable(), zstd(archive)].concat(), Compression::Zstd),
    ]
}

#[test]
fn every_form_of_a_layer_reads_the_same() {
    let archive = archive();
    for (name, bytes, compression) in forms(&archive) {
        assert_eq!(Compression::of(&bytes), compression, "{name}");
        for is_file in [true, false] {
            let scanned = scan_as(&bytes, is_file, &digest_of(&archive)).unwrap();
            let read = |entry: &crate::tar::Entry| {
                let mut contents = Vec::new();
                scanned.contents.part(entry.offset, entry.size).reader().read_to_end(&mut contents).unwrap();
                (entry.path.to_vec(), contents, entry.position)
            };
            let expected = [
                (b"opt/a".to_vec(), vec![], 512),
                (b"opt/b".to_vec(), vec![], 1024),
                (b"opt/d".to_vec(), vec![2; 700], 7168),
            ];
            assert_eq!(scanned.entries.iter().map(read).collect::<Vec<_>>(), expected, "{name}, file {is_file}");
            assert_eq!(scanned.others, [Box::from(&b"usr/c"[..])], "{name}");
            // Only what is not hashed while it is read remains to be verified.
            assert_eq!(scanned.unverified.is_some(), is_file && compression == Compression::None, "{name}");
        }
    }
}

#[test]
fn a_layer_that_is_not_what_the_config_says_is_refused() {
    let archive = archive();
    let sha512 = |bytes: &[u8]| -> Digest { format!("sha512:{}", hex::encode(&Sha512::of(bytes))).parse().unwrap() };
    for (name, bytes, _) in forms(&archive) {
        for is_file in [true, false] {
            for (diff_id, right) in [
                (digest_of(&archive), true),
                (sha512(&archive), true),
                (digest_of(b"another layer"), false),
                (sha512(b"another layer"), false),
                // The digest of the blob: the usual mistake. Of a plain layer it is right.
                (digest_of(&bytes), name == "plain"),
            ] {
                let scanned = scan_as(&bytes, is_file, &diff_id).map(drop).map_err(|error| error.kind());
                assert_eq!(scanned, if right { Ok(()) } else { Err(Class::Malformed) }, "{name}: {diff_id}");
            }
        }
    }
}

#[test]
fn the_media_type_says_how_a_layer_is_packed() {
    let archive = archive();
    let docker = |end: &str| MediaType::from(format!("application/vnd.docker.image.rootfs.diff.tar{end}").as_str());
    let types = [MediaType::ImageLayer, MediaType::ImageLayerGzip, MediaType::ImageLayerZstd];
    let types = types.into_iter().chain(["", ".gzip", ".zstd"].map(docker));
    for (at, media_type) in types.enumerate() {
        for (name, bytes, found) in forms(&archive) {
            let stated = [Compression::None, Compression::Gzip, Compression::Zstd][at % 3];
            let plain = found == Compression::None;
            let fits = stated == found || stated == Compression::Gzip && plain;
            let descriptor = Descriptor::new(media_type.clone(), bytes.len() as u64, digest_of(&bytes));
            for is_file in [true, false] {
                let stored = Stored { bytes: bytes.clone(), is_file };
                let scanned = scan(&stored, &descriptor, &digest_of(&archive), &std::env::temp_dir(), &|_| true);
                assert_eq!(scanned.map(drop).is_ok(), fits, "{name} as {media_type}");
            }
            let strict = ensure_plain_is_stated(&descriptor, &digest_of(&archive));
            let fits = !plain || stated == Compression::None || media_type == docker(".gzip");
            assert_eq!(strict.is_ok(), fits, "{name} as {media_type}");
        }
    }
}

#[test]
fn damaged_compression_is_refused() {
    let archive = archive();
    let diff_id = digest_of(&archive);
    let refused = |bytes: &[u8], why: &str| {
        let error = scan_as(bytes, false, &diff_id).map(drop).expect_err(why);
        assert_eq!(error.kind(), Class::Malformed, "{why}: {error}");
    };
    for (name, bytes, compression) in forms(&archive) {
        // The descriptor is of the cut bytes: whoever cut the layer has described it anew.
        for len in (0..bytes.len()).step_by(if compression == Compression::None { 997 } else { 1 }) {
            refused(&bytes[..len], &format!("{name}, {len} of {} bytes", bytes.len()));
        }
        if compression != Compression::None {
            let mut changed = bytes.clone();
            let middle = bytes.len() / 2;
            changed[middle] ^= 0x55;
            refused(&changed, &format!("{name}, changed"));
            refused(&[&bytes[..], b"trailing garbage"].concat(), &format!("{name}, with garbage"));
        }
    }
    refused(&[&[0x1f, 0x8b][..], &zstd(&archive)].concat(), "looks like gzip");
    refused(&[&zstd(b"")[..4], &gzip(&archive)].concat(), "looks like zstd");
    refused(&gzip(&gzip(&archive)), "compressed twice");
    refused(&gzip(b"no archive at all, but long enough for a header".repeat(20).as_slice()), "no archive");
}

#[test]
fn windows_that_take_much_memory_are_refused() {
    // RFC 8878: the magic number, a frame header with a window descriptor, and one raw block, the last.
    let pack = |window: u8| {
        let bytes = archive();
        let block = u32::try_from(bytes.len() << 3 | 1).unwrap().to_le_bytes();
        [&[0x28, 0xb5, 0x2f, 0xfd, 0, (window - 10) << 3][..], &block[..3], &bytes].concat()
    };
    let unpack = |bytes: &[u8]| {
        let mut all = Vec::new();
        Decoder::new(bytes).unwrap().read_to_end(&mut all).map(|_| all)
    };
    assert_eq!(unpack(&pack(25)).unwrap(), archive());
    assert!(unpack(&pack(27)).is_err(), "128 MiB");
}

fn put(dir: &Path, bytes: &[u8]) -> Descriptor {
    let digest = digest_of(bytes);
    std::fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(dir.join("blobs/sha256").join(digest.digest()), bytes).unwrap();
    Descriptor::new(media_type(Compression::of(bytes)), bytes.len() as u64, digest)
}

#[test]
fn a_blob_that_is_cut_changed_or_absent_is_refused() {
    let archive = archive();
    let diff_id = digest_of(&archive);
    for (name, bytes, compression) in forms(&archive) {
        let dir = tempfile::tempdir().unwrap();
        let descriptor = put(dir.path(), &bytes);
        let path = dir.path().join("blobs/sha256").join(descriptor.digest().digest());
        let layout = Layout::open(dir.path()).unwrap();
        let read =
            || scan(&layout, &descriptor, &diff_id, dir.path(), &|_| true).map(drop).map_err(|error| error.kind());
        assert_eq!(read(), Ok(()), "{name}");
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(read(), Err(Class::Malformed), "{name}: cut");
        std::fs::write(&path, [&bytes[..], b"\0"].concat()).unwrap();
        assert_eq!(read(), Err(Class::Malformed), "{name}: grown");
        for at in [0, 20, 2500 % bytes.len(), bytes.len() / 2] {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            std::fs::write(&path, &changed).unwrap();
            // Contents of a plain layer are not read yet; its reader must verify what remains. Padding is.
            let unread = compression == Compression::None && at == 2500;
            assert_eq!(read(), if unread { Ok(()) } else { Err(Class::Verification) }, "{name}: byte {at}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(), Err(Class::Malformed), "{name}: absent");
        std::fs::create_dir(&path).unwrap();
        assert_eq!(read(), Err(Class::Malformed), "{name}: a directory");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_of_any_kind_end_in_an_answer(
        start in prop::sample::select(vec![&b""[..], &[0x1f, 0x8b, 8, 0], &[0x28, 0xb5, 0x2f, 0xfd]]),
        bytes in prop::collection::vec(any::<u8>(), 1..2000),
    ) {
        let bytes = [start, &bytes].concat();
        let error = scan_as(&bytes, true, &digest_of(&bytes)).map(drop).expect_err("no archive by accident");
        prop_assert_eq!(error.kind(), Class::Malformed);
    }
}
