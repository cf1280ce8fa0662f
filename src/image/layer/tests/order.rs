//! The orders of entries that a layer may have, and the entries allowed in the layers below it.

use std::io::Write;

use crate::error::{Error, Kind, Result};
use crate::image::layer::order::{ImpliedDirs, LayerOrder};
use crate::tar::{EntryKind, Meta, PaxRecord, Reader, Sequential, Writer};

/// Entries as `d PATH`, `f PATH`, `s PATH TARGET`, `l PATH TARGET`, `c PATH`; a mode may follow, as in `d:700 PATH`.
fn layer(text: &str) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for line in text.split(',').map(str::trim).filter(|line| !line.is_empty()) {
        let mut parts = line.split(' ');
        let (kind, path) = (parts.next().unwrap(), parts.next().unwrap());
        let target = || -> Box<[u8]> { parts.clone().next().unwrap().as_bytes().into() };
        let (kind, mode) = kind.split_once(':').unwrap_or((kind, "644"));
        let kind = match kind {
            "d" => EntryKind::Directory,
            "f" => EntryKind::File,
            "s" => EntryKind::Symlink(target()),
            "l" => EntryKind::HardLink(target()),
            "c" => EntryKind::Device { character: true, number: (0, 0) },
            other => panic!("{other}"),
        };
        writer.header(path.as_bytes(), &kind, &Meta::new(u32::from_str_radix(mode, 8).unwrap(), 0), 0).unwrap();
        writer.write_all(b"").unwrap();
    }
    writer.finish().unwrap()
}

/// Looks at layers from the bottom up, as they are given.
fn look(layers: &[&str]) -> Result<ImpliedDirs> {
    let mut implied = ImpliedDirs::default();
    for text in layers.iter().rev() {
        let bytes = layer(text);
        let mut order = LayerOrder::new(&implied);
        let mut reader = Reader::new(Sequential(&bytes[..]));
        while let Some(entry) = reader.next_entry()? {
            order.add(&entry)?;
        }
        implied = order.finish();
    }
    Ok(implied)
}

#[test]
fn what_engines_take_alike_is_read() {
    for layers in [
        &["d a, f a/x, d a/b, s a/b/y ../x, l a/z a/x"][..],
        &["f a/b/x, d a/b, d a"],
        &["d a, d a"],
        &["d ., d a"],
        &["f .wh..wh.aufs, d .wh..wh.plnk, f .wh..wh.plnk/1.2, d a, l a/x .wh..wh.plnk/1.2, l a/y .wh..wh.plnk/1.2"],
        &["s way /usr/bin"],
        &["d a, f a/.wh.b, f a/.wh..wh..opq, f a/x"],
        &["d a, f a/x, f a/.wh..wh..opq"],
        &["d a, f a/.wh.x, f a/x"],
        // A lower link that is replaced before anything is put into it, hidden, or another's.
        &["s way /usr/bin", "d way, f way/x"],
        &["s p/way /usr/bin", "d p, f p/.wh..wh..opq, f p/way/x"],
        &["s way /usr/bin", "f .wh.way", "f way/x"],
        &["s p/way /usr/bin", "f p/.wh..wh..opq", "f p/way/x"],
        &["s p /usr", "d p", "f p/bin/x"],
        &["s p /usr", "f q, d p", "f p/bin/x"],
        &["d way", "f way/x"],
        &["f a/x", "l b a/x"],
    ] {
        if let Err(error) = look(layers) {
            panic!("{layers:?}: {error}");
        }
    }
}

#[test]
fn what_engines_could_take_differently_is_refused() {
    let cases: &[(&[&str], &str)] = &[
        (&["s way /usr/bin, f way/x"], "which is not a directory in the same layer"),
        (&["s way /usr/bin, f way/x, f way"], "which is not a directory in the same layer"),
        (&["f way, d way/x"], "which is not a directory in the same layer"),
        (&["s p/way /usr/bin, f p/way/a/b/x, f p"], "which is not a directory in the same layer"),
        (&["s way /usr/bin, f way/.wh.x"], "which is not a directory in the same layer"),
        (&["s way /usr/bin, f way/.wh..wh..opq"], "which is not a directory in the same layer"),
        (&["d a, f a/x, f a"], "appears twice"),
        (&["f a/x, f a"], "comes after entries below it"),
        (&["d p/a, s p/a b"], "appears twice"),
        (&["s a b, d a"], "appears twice"),
        (&["s a b, s a c"], "appears twice"),
        (&["f a, f a"], "appears twice"),
        (&["d:700 a, d:755 a"], "appears twice"),
        (&["f a, f .wh.a"], "is both removed by a whiteout and present"),
        (&["f a/x, f .wh.a"], "is both removed by a whiteout"),
        (&["f .wh.a, d a"], "is both removed by a whiteout"),
        (&["f .wh.a, f a/x"], "is both removed by a whiteout"),
        (&["f .wh.a, f .wh.a"], "is both removed by a whiteout"),
        (&["d a, f a/.wh.."], "a whiteout without a name"),
        (&["d a, f a/.wh..."], "a whiteout without a name"),
        (&["d a, f a/.wh."], "a whiteout without a name"),
        (&["f .wh..wh..opq"], "an opaque whiteout of the root"),
        (&["c a"], "which some engines take for a whiteout"),
        (&["l b a, f a"], "comes after a hard link to it"),
        (&["d a, l b a"], "a hard link to the directory"),
        (&["s way /usr, l b way/x"], "a hard link through"),
        (&["f .wh.a, l b a"], "is both removed by a whiteout"),
        (&["f:644 a, l:4755 b a"], "another owner or mode"),
        (&["d a, l a/x .wh..wh.plnk/1, f .wh..wh.plnk/1"], "does not come before it"),
        (&["f .wh..wh.plnk/1, f .wh..wh.plnk/1"], "appears twice"),
        (&["f:644 .wh..wh.plnk/1, d a, l:4755 a/x .wh..wh.plnk/1"], "another owner or mode"),
        // Over layers.
        (&["f .wh..wh.plnk/1", "d a, l a/x .wh..wh.plnk/1"], "does not come before it"),
        (&["s way /usr/bin", "f way/x"], "is a symbolic link, but a layer above has entries below it"),
        (&["f way", "f way/x"], "is a regular file, but a layer above"),
        (&["s way /usr/bin", "f way/x", "f way"], "is a symbolic link"),
        (&["s way /usr/bin", "f way/x", "f .wh.way"], "is a symbolic link"),
        (&["s p/way /usr/bin", "f p/way/x", "d p, f p/.wh..wh..opq"], "is a symbolic link"),
        (&["s p/way /usr/bin", "d p, f p/way/x, f p/.wh..wh..opq"], "is a symbolic link"),
        (&["s way /usr/bin", "f way/x, d way"], "is a symbolic link"),
        (&["s way /usr/bin", "f way/.wh.x"], "is a symbolic link"),
        (&["s way /usr/bin", "f way/.wh..wh..opq"], "is a symbolic link"),
        (&["s way /usr/bin", "l b way/x"], "is a symbolic link"),
        (&["s way /usr/bin", "d usr", "f way/x"], "is a symbolic link"),
    ];
    for (layers, what) in cases {
        let error: Error = look(layers).map(drop).expect_err(&format!("{layers:?}"));
        assert_eq!(error.kind(), Kind::Malformed, "{layers:?}: {error}");
        assert!(error.to_string().contains(what), "{layers:?}: {error}");
    }
}

#[test]
fn attributes_of_overlay_file_systems_are_refused() {
    for key in ["trusted.overlay.opaque", "user.overlay.whiteout", "user.fuseoverlayfs.opaque", "user.overlayfs"] {
        let mut writer = Writer::new(Vec::new());
        let pax = [(format!("SCHILY.xattr.{key}").into_bytes().into(), b"y"[..].into())].into();
        writer.header(b"a", &EntryKind::Directory, &Meta { pax, ..Meta::new(0o755, 0) }, 0).unwrap();
        let bytes = writer.finish().unwrap();
        let entry = Reader::new(Sequential(&bytes[..])).next_entry().unwrap().unwrap();
        let found = LayerOrder::new(&ImpliedDirs::default()).add(&entry);
        assert_eq!(found.is_err(), key != "user.overlayfs", "{key}");
    }
}

#[test]
fn a_hard_link_has_no_attributes_but_those_of_its_file() {
    let note = |value: &[u8]| -> PaxRecord { (b"SCHILY.xattr.security.capability"[..].into(), value.into()) };
    let time: PaxRecord = (b"mtime"[..].into(), b"1.5"[..].into());
    for (of_file, of_link, right) in [
        (vec![note(b"a")], vec![note(b"a")], true),
        (vec![note(b"a")], vec![], true),
        (vec![], vec![time], true),
        (vec![], vec![note(b"a")], false),
        (vec![note(b"a")], vec![note(b"b")], false),
    ] {
        let mut writer = Writer::new(Vec::new());
        let meta = |pax: &[PaxRecord]| Meta { pax: pax.into(), ..Meta::new(0o644, 0) };
        writer.header(b"a", &EntryKind::File, &meta(&of_file), 0).unwrap();
        writer.header(b"b", &EntryKind::HardLink(b"a"[..].into()), &meta(&of_link), 0).unwrap();
        let (bytes, above) = (writer.finish().unwrap(), ImpliedDirs::default());
        let (mut order, mut reader) = (LayerOrder::new(&above), Reader::new(Sequential(&bytes[..])));
        let found = std::iter::from_fn(|| reader.next_entry().unwrap()).try_for_each(|entry| order.add(&entry));
        assert_eq!(found.is_ok(), right, "{of_file:?} {of_link:?}");
    }
}
