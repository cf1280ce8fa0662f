use std::io::{self, Read, Write};

use super::super::{EntryKind, Meta, PaxRecord, Reader, Sequential, Writer};
use super::{extended, header, octal, read_all, record, seal};
use crate::error::Kind as Class;

fn refused(archive: &[u8], what: &str, why: &str) {
    let error = read_all(archive).map(|entries| format!("{entries:?}")).expect_err(why);
    assert_eq!(error.kind(), Class::Malformed, "{why}: {error}");
    assert!(error.to_string().contains(what), "{why}: {error}");
}

fn global(name: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = header(name.as_bytes(), b'g', &octal(payload.len())).to_vec();
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn small_archive() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let pax: Box<[PaxRecord]> = [(b"SCHILY.xattr.user.a"[..].into(), b"value"[..].into())].into();
    let meta = Meta { pax, ..Meta::new(0o644, 0) };
    writer.header(b"dir", &EntryKind::Directory, &meta, 0).unwrap();
    writer.header(&[b'x'; 200], &EntryKind::File, &meta, 700).unwrap();
    writer.write_all(&[1; 700]).unwrap();
    writer.header(b"link", &EntryKind::HardLink([b'x'; 200].into()), &meta, 0).unwrap();
    writer.finish().unwrap()
}

#[test]
fn an_archive_cut_anywhere_ends_or_is_refused() {
    let archive = small_archive();
    let whole = read_all(&archive).unwrap();
    assert_eq!(whole.len(), 3);
    let mut refusals = 0;
    for len in 0..archive.len() {
        match read_all(&archive[..len]) {
            // What was read is right; the digest tells that something is missing.
            Ok(found) => assert!(whole.starts_with(&found), "cut at {len}: {found:?}"),
            Err(error) => {
                refusals += 1;
                assert_eq!(error.kind(), Class::Malformed, "cut at {len}: {error}");
            }
        }
    }
    assert!(refusals > archive.len() / 2, "only {refusals} of {}", archive.len());
}

#[test]
fn any_byte_may_be_wrong() {
    let archive = small_archive();
    for at in 0..archive.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut changed = archive.clone();
            changed[at] ^= bits;
            // Refused or not (contents are not summed): it must end, and in no other way.
            if let Err(error) = read_all(&changed) {
                assert_eq!(error.kind(), Class::Malformed, "byte {at}: {error}");
            }
        }
    }
}

#[test]
fn impossible_sizes() {
    let end = [0; 1024];
    let archive = |size: &[u8]| [&header(b"x", b'0', size)[..], &end].concat();
    refused(&archive(&[0xff; 12]), "impossible size", "-1");
    refused(&archive(b"-0000000001\0"), "invalid number in a tar header", "a minus sign");
    refused(&archive(b"0000000008\0\0"), "invalid number in a tar header", "not octal");
    refused(
        &archive(&[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        "invalid number",
        "88 bits",
    );
    refused(&archive(&[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "", "i64::MAX");
    for size in [u64::MAX, u64::MAX - 511, u64::MAX - 512, 1 << 63, i64::MAX as u64] {
        let pax = extended(b'x', &record("size", &size.to_string()));
        refused(&[&pax[..], &header(b"x", b'0', &octal(0)), &end].concat(), "", &format!("PAX size {size}"));
        let next = extended(b'x', &record("size", &size.to_string()));
        let first = [&header(b"first", b'0', &octal(512))[..], &[1; 512]].concat();
        refused(&[&first[..], &next, &header(b"x", b'0', &octal(0)), &end].concat(), "", &format!("then {size}"));
    }
    for size in ["18446744073709551616", "-1", "+1", "1.0", "", " 1"] {
        let pax = extended(b'x', &record("size", size));
        refused(&[&pax[..], &header(b"x", b'0', &octal(0)), &end].concat(), "", &format!("PAX size `{size}`"));
    }
    // A plain layer in a file is skipped over, not read: there the same.
    let pax = extended(b'x', &record("size", &u64::MAX.to_string()));
    let archive = [&pax[..], &header(b"x", b'0', &octal(0)), &end].concat();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&archive).unwrap();
    let extent = crate::store::Extent::new(file.into(), 0, archive.len() as u64, crate::store::Count::default());
    assert_eq!(extent.tar_reader().next_entry().unwrap_err().kind(), Class::Malformed);
}

#[test]
fn extended_headers_are_bounded() {
    let file = header(b"x", b'0', &octal(0));
    for kind in [b'x', b'g', b'L', b'K'] {
        // Without the payload: it is refused for what it says, before memory is set aside.
        let announced = header(b"pax_global_header", kind, &octal(10 << 20));
        refused(&announced, "an extended tar header of 10485760 bytes", "10 MiB");
    }
    let long = vec![b'n'; 64 << 10];
    refused(&[&extended(b'L', &long)[..], &file].concat(), "a path of 65536 bytes", "a GNU name of 64 KiB");
    let long = String::from_utf8(long).unwrap();
    refused(&[&extended(b'x', &record("path", &long))[..], &file].concat(), "a path of 65536 bytes", "PAX");
    let link = header(b"x", b'1', &octal(0));
    refused(&[&extended(b'x', &record("linkpath", &long))[..], &link].concat(), "a path of 65536", "a hard link");
    for records in
        ["5 a=b", "7 a=b\n", "4 a=b\n", "0 a=b\n", "99999999999999999999 a=b\n", "x", "6 abc\n", "1 \n", "\0\0"]
    {
        refused(&[&extended(b'x', records.as_bytes())[..], &file].concat(), "PAX header", records);
    }
    // Many of them take no more memory or stack than one, and of two some readers take the first.
    let one = extended(b'x', &record("comment", "again"));
    let entries = read_all(&[&one[..], &file, &[0; 1024]].concat()).unwrap();
    assert_eq!((entries.len(), entries[0].0.meta.pax.len()), (1, 1));
    refused(&[&one.repeat(20_000)[..], &file].concat(), "two extended tar headers", "many");
    let many = global("pax_global_header", &record("comment", "again")).repeat(20_000);
    assert_eq!(read_all(&[&many[..], &file, &[0; 1024]].concat()).unwrap().len(), 1);
}

#[test]
fn global_headers_comment_and_do_no_more() {
    let file = header(b"x", b'0', &octal(0));
    // As `git archive` and Python name it.
    for name in ["pax_global_header", "././@PaxHeader"] {
        let entries = read_all(&[&global(name, &record("comment", "a commit"))[..], &file].concat()).unwrap();
        assert_eq!((entries.len(), &*entries[0].0.path, entries[0].0.meta.pax.len()), (1, &b"x"[..], 0));
    }
    // Docker removes what has this name.
    refused(&[&global("etc/passwd", &record("comment", "x"))[..], &file].concat(), "the name of a file", "a name");
    for key in ["path", "linkpath", "size", "uid", "mtime", "SCHILY.xattr.user.a", "GNU.sparse.major"] {
        let archive = [&global("pax_global_header", &record(key, "1"))[..], &file].concat();
        refused(&archive, "a global PAX header sets", key);
    }
}

#[test]
fn paths_stay_inside() {
    let file = |name: &str| [&header(name.as_bytes(), b'0', &octal(0))[..], &[0; 1024]].concat();
    for name in ["../x", "opt/../../x", "/..", "..", "a/.."] {
        refused(&file(name), "`..`", name);
        let pax = extended(b'x', &record("path", name));
        refused(&[pax, file("harmless")].concat(), "`..`", name);
        let link = [&extended(b'K', name.as_bytes())[..], &header(b"link", b'1', &octal(0))].concat();
        refused(&link, "`..`", name);
    }
    // An absolute path is one in the image.
    assert_eq!(&*read_all(&file("/etc/passwd")).unwrap()[0].0.path, b"etc/passwd");
    refused(&[extended(b'x', &record("path", "a\0b")), file("harmless")].concat(), "NUL", "a NUL byte");
    // Symbolic links may say what they like: nobody follows them here.
    let link = [&extended(b'K', b"../../etc")[..], &header(b"link", b'2', &octal(0))].concat();
    assert_eq!(read_all(&link).unwrap()[0].0.kind, EntryKind::Symlink(b"../../etc"[..].into()));
}

#[test]
fn headers_are_summed() {
    let good = header(b"x", b'0', &octal(0));
    assert_eq!(read_all(&good).unwrap().len(), 1);
    // The last byte is a blank after the end of the sum: no one reads it.
    for at in (0..512).filter(|at| *at != 155) {
        let mut bad = good;
        bad[at] ^= 0x04;
        assert!(read_all(&bad).is_err(), "byte {at}");
    }
    // Historic writers summed signed bytes.
    let mut signed = header("ü".as_bytes(), b'0', &octal(0));
    signed[148..156].fill(b' ');
    let sum: i32 = signed.iter().map(|&byte| i32::from(byte.cast_signed())).sum();
    signed[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(&*read_all(&signed).unwrap()[0].0.path, "ü".as_bytes());
    let mut unknown = header(b"x", b'Z', &octal(0));
    refused(&unknown, "unknown type `Z`", "an unknown type");
    unknown[156] = b'7';
    seal(&mut unknown);
    assert_eq!(read_all(&unknown).unwrap()[0].0.kind, EntryKind::File, "a contiguous file is a file");
}

/// Gives one byte at a time, and is interrupted in between.
struct Slow<'a>(&'a [u8], bool);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buffer.len().min(1);
        self.0.read(&mut buffer[..len])
    }
}

#[test]
fn slow_readers_make_no_difference() {
    let archive = small_archive();
    let mut reader = Reader::new(Sequential(Slow(&archive, false)));
    for (expected, contents) in read_all(&archive).unwrap() {
        assert_eq!(reader.next_entry().unwrap(), Some(expected));
        let mut found = Vec::new();
        reader.read_to_end(&mut found).unwrap();
        assert_eq!(found, contents);
    }
    assert_eq!(reader.next_entry().unwrap(), None);
}

#[test]
fn a_slow_stream_is_unpacked_as_well() {
    let archive = small_archive();
    let mut encoder = crate::tar::Encoder::gzip(Vec::new());
    encoder.write_all(&archive).unwrap();
    for bytes in [
        archive.clone(),
        encoder.finish().unwrap(),
        ruzstd::encoding::compress_to_vec(&archive[..], ruzstd::encoding::CompressionLevel::Fastest),
    ] {
        let mut found = Vec::new();
        crate::tar::Decoder::new(Slow(&bytes, false)).unwrap().read_to_end(&mut found).unwrap();
        assert!(found == archive);
    }
}
