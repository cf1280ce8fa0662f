//! Headers that careful readers take differently are refused, and those that writers use are read.

use super::{extended, header, octal, read_all, record, seal};
use crate::error::{Kind, Result};
use crate::tar::EntryKind;

const END: [u8; 1024] = [0; 1024];

/// A file `x`, with other bytes at these places of its header.
fn with(fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut block = header(b"x", b'0', &octal(0));
    for (at, bytes) in fields {
        block[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    seal(&mut block);
    block.to_vec()
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    extended(b'x', &records.iter().flat_map(|(key, value)| record(key, value)).collect::<Vec<_>>())
}

/// The path of the first entry, or why it is refused.
fn first(parts: &[&[u8]]) -> Result<String> {
    let found = read_all(&[&parts.concat()[..], &END].concat())?;
    Ok(String::from_utf8_lossy(&found[0].0.path).into_owned())
}

/// A part of the expected message, and the parts of an archive.
type Case = (&'static str, Vec<Vec<u8>>);

fn odd_headers() -> Vec<Case> {
    let gnu: (usize, &[u8]) = (257, b"ustar  \0");
    let file = with(&[]);
    let kind = |typeflag: u8, name: &[u8]| with(&[(0, name), (156, &[typeflag])]);
    vec![
        ("invalid number", vec![with(&[(100, b"\x00004755\0")])]),
        ("invalid number", vec![with(&[(108, b"\x00001750\0")])]),
        ("invalid number", vec![with(&[(136, b"\x000000000000\0")])]),
        ("invalid number", vec![with(&[(124, b"0\x00000000000\0")])]),
        ("a negative number", vec![with(&[(108, &[0xff; 8])])]),
        ("more than 32 bits", vec![with(&[(108, &[0x80, 0, 0, 1, 0, 0, 0, 0])])]),
        ("more than 32 bits", vec![with(&[(116, &[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])])]),
        ("an unknown format", vec![with(&[(257, b"ustar ")])]),
        ("an unknown format", vec![with(&[(257, b"USTAR\x0000")])]),
        ("an unknown format", vec![with(&[(257, b"\0\0\0\0\0\0\0\0"), (345, b"prefix")])]),
        ("an unknown format", vec![with(&[(508, b"tar\0")])]),
        ("in place of a prefix", vec![with(&[gnu, (345, b"0000")])]),
        ("in place of a prefix", vec![with(&[gnu, (345, b"\0\0\0\0x")])]),
        ("in place of a prefix", vec![with(&[gnu, (345, b"pr\xc3\xa4fix")])]),
        ("in place of a prefix", vec![with(&[gnu, (345, b"14000000000\x0014000000000\x007")])]),
        ("with a slash at the end", vec![kind(b'0', b"d/")]),
        ("with a slash at the end", vec![kind(b'7', b"d/")]),
        ("with a slash at the end", vec![pax(&[("path", "d/")]), file.clone()]),
        ("with a slash at the end", vec![pax(&[("path", "d/")]), kind(0, b"d")]),
        ("with a slash at the end", vec![with(&[(0, b"l/"), (156, b"2"), (157, b"t")])]),
        ("with contents of 512 bytes", vec![with(&[(0, b"d/"), (156, b"\0"), (124, b"00000001000\0")]), vec![0; 512]]),
        ("with contents of 512 bytes", vec![with(&[(156, b"5"), (124, b"00000001000\0")])]),
        ("with contents of 512 bytes", vec![with(&[(156, b"1"), (157, b"t"), (124, b"00000001000\0")])]),
        ("of another file type", vec![with(&[(100, b"0040755\0")])]),
        ("of another file type", vec![with(&[(100, b"4000755\0")])]),
        ("without a name", vec![with(&[(0, b"\0")])]),
        ("the root of the archive is", vec![with(&[(0, b".")])]),
        ("a symbolic link without a target", vec![with(&[(156, b"2")])]),
        ("whose target ends with a slash", vec![with(&[(156, b"1"), (157, b"d/")])]),
        ("a hard link to itself", vec![with(&[(156, b"1"), (157, b"./x")])]),
        ("unknown type", vec![kind(b'D', b"d")]),
        ("unknown type", vec![kind(b'V', b"label")]),
        ("unknown type", vec![kind(b'X', b"x")]),
        ("a sparse file that is not a regular file", vec![kind(b'S', b"x")]),
    ]
}

fn odd_extensions() -> Vec<Case> {
    let file = with(&[]);
    vec![
        ("the name in a GNU header differs", vec![extended(b'L', b"a\0"), pax(&[("path", "b")]), file.clone()]),
        ("the name in a GNU header differs", vec![pax(&[("path", "b")]), extended(b'L', b"a\0"), file.clone()]),
        (
            "the link in a GNU header differs",
            vec![extended(b'K', b"a\0"), pax(&[("linkpath", "b")]), with(&[(156, b"2"), (157, b"c")])],
        ),
        ("an empty GNU name", vec![extended(b'L', b"\0"), file.clone()]),
        ("an empty GNU name", vec![extended(b'L', b""), file.clone()]),
        ("NUL byte", vec![extended(b'L', b"a\0b\0"), file.clone()]),
        ("beside a PAX size", vec![pax(&[("size", "0")]), extended(b'L', b"a\0"), file.clone()]),
        ("with the target of a link", vec![extended(b'K', b"a\0"), file.clone()]),
        ("with the target of a link", vec![pax(&[("linkpath", "a")]), file.clone()]),
        ("two extended", vec![pax(&[("path", "a")]), pax(&[("path", "a")]), file.clone()]),
        ("two extended", vec![extended(b'L', b"a\0"), extended(b'L', b"a\0"), file.clone()]),
        ("`path` twice", vec![pax(&[("path", "a"), ("path", "a")]), file.clone()]),
        ("`path` without a value", vec![pax(&[("path", "")]), file.clone()]),
        ("`uid` without a value", vec![pax(&[("uid", "")]), file.clone()]),
        ("`mtime` without a value", vec![pax(&[("mtime", "")]), file.clone()]),
        ("invalid time", vec![pax(&[("atime", "soon")]), file.clone()]),
        ("invalid number", vec![pax(&[("uid", "-1")]), file.clone()]),
        ("more than 32 bits", vec![pax(&[("gid", "4294967295")]), file.clone()]),
        ("gives the size 512", vec![pax(&[("size", "512")]), file.clone(), vec![0; 512]]),
        ("gives the size 0", vec![pax(&[("size", "0")]), with(&[(124, b"00000001000\0")]), vec![0; 512]]),
        ("a malformed PAX header", vec![extended(b'x', b"010 a=bcd\n"), file.clone()]),
        ("a malformed PAX header", vec![extended(b'x', b"+9 a=bcd\n"), file.clone()]),
        ("a malformed PAX header", vec![extended(b'x', b"6 =bc\n"), file.clone()]),
        ("a malformed PAX header", vec![extended(b'x', b"8 a=bc\n\0\0"), file.clone()]),
        ("`hdrcharset`", vec![pax(&[("hdrcharset", "KOI8-R")]), file.clone()]),
        ("`GNU.dumpdir`", vec![pax(&[("GNU.dumpdir", "x")]), file.clone()]),
        ("`SCHILY.realsize`", vec![pax(&[("SCHILY.realsize", "1")]), file.clone()]),
        ("not in a form of GNU tar", vec![pax(&[("GNU.sparse.name", "b")]), file.clone()]),
        ("not in a form of GNU tar", vec![pax(&[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")]), file.clone()]),
        ("before a global one", vec![pax(&[("path", "a")]), header(b"pax_global_header", b'g', &octal(0)).to_vec()]),
        ("at the end of the archive", vec![extended(b'L', b"a\0")]),
        ("at the end of the archive", vec![pax(&[("path", "a")])]),
        ("after the end", vec![file.clone(), END.to_vec(), file.clone()]),
        ("after the end", vec![file.clone(), vec![0; 512], file.clone()]),
        ("after the end", vec![file.clone(), END.to_vec(), vec![0; 70_000], b"x".to_vec()]),
    ]
}

#[test]
fn what_readers_take_differently_is_refused() {
    for (what, parts) in odd_headers().into_iter().chain(odd_extensions()) {
        let archive = [&parts.concat()[..], &END].concat();
        let shown = format!("{what}: {}", archive[..archive.len().min(600)].escape_ascii());
        let error = read_all(&archive).map(|found| format!("{found:?}")).expect_err(&shown);
        assert_eq!(error.kind(), Kind::Malformed, "{shown}: {error}");
        assert!(error.to_string().contains(what), "{shown}: {error}");
    }
}

#[test]
fn what_writers_use_is_read() {
    let gnu: (usize, &[u8]) = (257, b"ustar  \0");
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("x", vec![with(&[(257, &[0; 8])])]),
        ("x", vec![with(&[gnu])]),
        ("p/x", vec![with(&[(345, b"p")])]),
        // Docker up to 17.03, as Go and so all engines read it.
        ("p/q/x", vec![with(&[gnu, (345, b"p/q")])]),
        ("x", vec![with(&[gnu, (345, b"14000000000\x0014000000000\0")])]),
        ("x", vec![with(&[(124, b"          0\0"), (100, b"000644 \0"), (108, b"     0\0 ")])]),
        ("x", vec![with(&[(124, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), (329, &[0; 16])])]),
        ("x", vec![with(&[(100, b"0100644\0")])]),
        ("long", vec![extended(b'L', b"long\0"), with(&[gnu])]),
        ("long", vec![extended(b'L', b"long\0"), pax(&[("path", "long")]), with(&[gnu])]),
        ("long", vec![pax(&[("path", "long"), ("hdrcharset", "BINARY"), ("comment", "")]), with(&[])]),
        ("x", vec![pax(&[("size", "0"), ("SCHILY.xattr.user.a", ""), ("SCHILY.dev", "1")]), with(&[])]),
        ("d", vec![with(&[(0, b"./d/"), (156, b"\0")])]),
        ("", vec![with(&[(0, b"./"), (156, b"5")])]),
        ("x", vec![with(&[]), END.to_vec(), vec![0; 20 * 512]]),
    ];
    for (path, parts) in cases {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        assert_eq!(first(&parts).unwrap(), path, "{}", parts.concat().escape_ascii());
    }
    // umoci leaves out the padding after the last file.
    let cut = [&with(&[(124, b"00000000005\0")])[..], b"hello"].concat();
    assert_eq!(read_all(&cut).unwrap()[0].1, b"hello");
    // Without an end, with half of one, and with a link that only a longer header has room for.
    for end in [0, 512] {
        assert_eq!(read_all(&[&with(&[])[..], &vec![0; end]].concat()).unwrap().len(), 1);
    }
    let found = read_all(&[&extended(b'K', b"target\0")[..], &with(&[(156, b"2"), gnu])].concat()).unwrap();
    assert_eq!(found[0].0.kind, EntryKind::Symlink(b"target"[..].into()));
}
