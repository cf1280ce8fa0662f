use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use super::super::{EntryKind, Meta, PaxRecord, Reader, Sequential, Writer};
use super::read_all;
use crate::store::{Count, Extent};

fn pax(key: &[u8], value: &[u8]) -> PaxRecord {
    (key.into(), value.into())
}

fn every_kind() -> Vec<(Vec<u8>, EntryKind, Meta, Vec<u8>)> {
    let meta = Meta::new(0o644, 1_700_000_000);
    let long = |len: usize| vec![b'n'; len];
    let wide = Meta { mode: 0o7777, uid: 0o7_777_777, gid: u64::from(u32::MAX) - 1, mtime: 1 << 34, ..meta.clone() };
    let named = Meta { user: b"researcher"[..].into(), group: "Prüfer".as_bytes().into(), ..meta.clone() };
    let long_names = Meta { user: long(31).into(), group: long(33).into(), ..meta.clone() };
    let attributes = [
        pax(b"SCHILY.xattr.user.binary", b"\0\n=\xff 12 x=y\n"),
        pax(b"SCHILY.xattr.security.capability", &long(60_000)),
        pax(b"mtime", b"1700000000.123456789"),
        pax(b"comment", b""),
    ];
    let attributed = Meta { pax: attributes.into(), ..meta.clone() };
    let device = |character| EntryKind::Device { character, number: (259, 65_537) };
    vec![
        (b"opt".to_vec(), EntryKind::Directory, Meta::new(0o1755, 0), vec![]),
        (b"opt/empty".to_vec(), EntryKind::File, meta.clone(), vec![]),
        (b"opt/block".to_vec(), EntryKind::File, wide, vec![1; 512]),
        (b"opt/more".to_vec(), EntryKind::File, named, vec![2; 513]),
        (b"opt/old".to_vec(), EntryKind::File, Meta::new(0o600, -86_400), vec![3]),
        ("opt/größe".into(), EntryKind::File, long_names, vec![4; 3]),
        (b"opt/not-\xff-utf8".to_vec(), EntryKind::File, attributed.clone(), vec![5; 3]),
        (b"opt/new\nline 1=2".to_vec(), EntryKind::Directory, attributed, vec![]),
        (long(100), EntryKind::Directory, meta.clone(), vec![]),
        (long(101), EntryKind::Directory, meta.clone(), vec![]),
        (long(4096), EntryKind::File, meta.clone(), vec![6]),
        (b"hard".to_vec(), EntryKind::HardLink(long(101).into()), meta.clone(), vec![]),
        (b"hard-short".to_vec(), EntryKind::HardLink(b"opt/more"[..].into()), meta.clone(), vec![]),
        (b"soft".to_vec(), EntryKind::Symlink("../größe/./x/".as_bytes().into()), meta.clone(), vec![]),
        (b"soft-long".to_vec(), EntryKind::Symlink(long(300).into()), meta.clone(), vec![]),
        (b"pipe".to_vec(), EntryKind::Fifo, meta.clone(), vec![]),
        (b"tty".to_vec(), device(true), meta.clone(), vec![]),
        (b"disk".to_vec(), device(false), meta, vec![]),
    ]
}

#[test]
fn every_kind_comes_back_as_it_was_written() {
    let all = every_kind();
    let mut writer = Writer::new(Vec::new());
    for (path, kind, meta, contents) in &all {
        writer.header(path, kind, meta, contents.len() as u64).unwrap();
        writer.write_all(contents).unwrap();
    }
    let archive = writer.finish().unwrap();
    assert_eq!(archive.len() % 512, 0);
    let found = read_all(&archive).unwrap();
    assert_eq!(found.len(), all.len());
    for ((entry, contents), (path, kind, meta, expected)) in found.into_iter().zip(all) {
        let shown = String::from_utf8_lossy(&path).into_owned();
        assert_eq!((&*entry.path, &entry.kind), (&*path, &kind), "{shown}");
        assert_eq!(entry.meta, meta, "{shown}");
        assert_eq!((contents, entry.size), (expected.clone(), expected.len() as u64), "{shown}");
    }
}

#[test]
fn sizes_above_8_gib_are_read_over() {
    const SIZE: u64 = (8 << 30) + 513;
    let mut file = tempfile::tempfile().unwrap();
    let mut writer = Writer::new(Vec::new());
    writer.header(b"large", &EntryKind::File, &Meta::new(0o644, 0), SIZE).unwrap();
    assert!(writer.header(b"next", &EntryKind::File, &Meta::new(0o644, 0), 0).is_err(), "the contents are missing");
    let mut writer = Writer::new(file.try_clone().unwrap());
    writer.header(b"large", &EntryKind::File, &Meta::new(0o644, 0), SIZE).unwrap();
    let start = file.stream_position().unwrap();
    let end = start + SIZE.next_multiple_of(512);
    file.seek(SeekFrom::Start(end - 512)).unwrap();
    file.write_all(&[7; 1]).unwrap();
    file.seek(SeekFrom::Start(end)).unwrap();
    let mut writer = Writer::new(file);
    writer.header(b"after", &EntryKind::File, &Meta::new(0o600, 0), 3).unwrap();
    writer.write_all(b"end").unwrap();
    let file = writer.finish().unwrap();
    let len = file.metadata().unwrap().len();
    let count = Count::default();
    let extent = Extent::new(Arc::new(file), 0, len, count.clone());
    let mut reader = extent.tar_reader();
    let large = reader.next_entry().unwrap().unwrap();
    assert_eq!((&*large.path, large.size, large.offset), (&b"large"[..], SIZE, start));
    let mut last = [0];
    assert_eq!(extent.part(large.offset, large.size).read_at(&mut last, SIZE - 1).unwrap(), 1);
    assert_eq!(last, [7]);
    let after = reader.next_entry().unwrap().unwrap();
    assert_eq!((&*after.path, after.size), (&b"after"[..], 3));
    let mut contents = Vec::new();
    reader.copy_contents(&mut contents).unwrap();
    assert_eq!(contents, b"end");
    assert_eq!(reader.next_entry().unwrap(), None);
    assert!(count.get() < 1 << 20, "{} bytes were read of what can be skipped", count.get());
}

#[test]
fn contents_are_as_long_as_the_header_says() {
    let meta = Meta::new(0o644, 0);
    let mut writer = Writer::new(Vec::new());
    writer.header(b"a", &EntryKind::File, &meta, 3).unwrap();
    assert!(writer.write_all(b"four").is_err());
    writer.write_all(b"tw").unwrap();
    assert!(writer.finish().is_err(), "a byte is missing");
}

#[test]
fn devices_have_numbers_that_fit_into_a_header() {
    let write = |major, minor| {
        let mut writer = Writer::new(Vec::new());
        let device = EntryKind::Device { character: true, number: (major, minor) };
        writer.header(b"device", &device, &Meta::new(0o600, 0), 0).and_then(|()| writer.finish())
    };
    for (major, minor) in [(0o7_777_777, 0), (0, 0o7_777_777)] {
        let archive = write(major, minor).unwrap();
        let mut reader = Reader::new(Sequential(&archive[..]));
        let found = reader.next_entry().unwrap().unwrap().kind;
        assert_eq!(found, EntryKind::Device { character: true, number: (major, minor) });
    }
    for (major, minor) in [(0o10_000_000, 0), (0, 0o10_000_000), (1, u32::MAX)] {
        assert!(write(major, minor).is_err(), "{major}, {minor}: another number would be written");
    }
}
