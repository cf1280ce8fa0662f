use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::super::EntryKind;
use super::read_all;

const LONG: &str = "a-directory-with-a-rather-long-name-as-only-programs-make-them/another-one-of-the-same-sort";

fn tar(dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("tar").arg("-C").arg(dir).args(["-cf", "-"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn reads_every_format_of_gnu_tar() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir_all(root.join("t").join(LONG)).unwrap();
    fs::write(root.join("t/file"), "contents").unwrap();
    fs::set_permissions(root.join("t/file"), fs::Permissions::from_mode(0o4750)).unwrap();
    fs::write(root.join("t").join(LONG).join("deep"), vec![9; 1500]).unwrap();
    fs::hard_link(root.join("t/file"), root.join("t/hard")).unwrap();
    symlink("../elsewhere", root.join("t/soft")).unwrap();
    for format in ["v7", "oldgnu", "gnu", "ustar", "posix"] {
        // v7 has no place for names above 100 bytes; the others have three ways.
        let what: &[&str] = if format == "v7" { &["./t/file", "./t/hard", "./t/soft"] } else { &["./t"] };
        let options =
            ["--sort=name", "--mtime=@1600000000", "--owner=someone:1234", "--group=some:5678", "--format", format];
        let entries = read_all(&tar(root, &[&options, what].concat())).unwrap();
        let get = |path: &str| {
            let found = entries.iter().find(|(entry, _)| *entry.path == *path.as_bytes());
            found.unwrap_or_else(|| panic!("{format}: {path}: {entries:?}"))
        };
        let (file, contents) = get("t/file");
        assert_eq!((&file.kind, &**contents), (&EntryKind::File, &b"contents"[..]), "{format}");
        assert_eq!((file.meta.mode, file.meta.uid, file.meta.gid), (0o4750, 1234, 5678), "{format}");
        assert_eq!(file.meta.mtime, 1_600_000_000, "{format}");
        let names = if format == "v7" { ("", "") } else { ("someone", "some") };
        assert_eq!((&*file.meta.user, &*file.meta.group), (names.0.as_bytes(), names.1.as_bytes()), "{format}");
        assert_eq!(get("t/hard").0.kind, EntryKind::HardLink(b"t/file"[..].into()), "{format}");
        assert_eq!(get("t/soft").0.kind, EntryKind::Symlink(b"../elsewhere"[..].into()), "{format}");
        if format != "v7" {
            assert_eq!(get("t").0.kind, EntryKind::Directory, "{format}");
            assert_eq!(get(&format!("t/{LONG}")).0.kind, EntryKind::Directory, "{format}");
            assert_eq!(get(&format!("t/{LONG}/deep")).1, vec![9; 1500], "{format}");
            assert_eq!(entries.len(), 7, "{format}");
        }
    }
}

#[test]
fn a_directory_of_v7_is_a_name_with_a_slash() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    let entries = read_all(&tar(dir.path(), &["--format=v7", "d"])).unwrap();
    assert_eq!((entries.len(), &entries[0].0.kind, &*entries[0].0.path), (1, &EntryKind::Directory, &b"d"[..]));
}

#[test]
fn reads_attributes_large_ids_and_old_times() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x"), "x").unwrap();
    let has_attributes =
        rustix::fs::setxattr(dir.path().join("x"), "user.note", b"binary\0\n", rustix::fs::XattrFlags::empty());
    for (format, fraction) in [("gnu", false), ("posix", true)] {
        let common = ["--owner=:3000000", "--group=:4000000000", "--format", format];
        let entries = read_all(&tar(dir.path(), &[&common[..], &["--mtime=@-86400", "x"]].concat())).unwrap();
        let meta = &entries[0].0.meta;
        assert_eq!((meta.uid, meta.gid, meta.mtime), (3_000_000, 4_000_000_000, -86_400), "{format}");
        if fraction {
            let options = ["--xattrs", "--mtime=@1600000000.25", "x"];
            let entries = read_all(&tar(dir.path(), &[&common[..], &options].concat())).unwrap();
            let meta = &entries[0].0.meta;
            assert_eq!(meta.mtime, 1_600_000_000);
            let pax = |key: &[u8]| meta.pax.iter().find(|(found, _)| **found == *key).map(|(_, value)| value.to_vec());
            assert_eq!(pax(b"mtime").unwrap(), b"1600000000.25");
            // Where the file system of temporary files has attributes.
            assert_eq!(pax(b"SCHILY.xattr.user.note"), has_attributes.is_ok().then(|| b"binary\0\n".to_vec()));
        }
    }
}

/// A file with holes, and one after it.
fn sparse_files(dir: &Path) {
    for name in ["holes", "many-holes"] {
        let mut file = File::create(dir.join(name)).unwrap();
        file.set_len(4 << 20).unwrap();
        // More pieces than the first header of GNU's old form has room for.
        for piece in 0..if name == "holes" { 1 } else { 40 } {
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(piece * (96 << 10))).unwrap();
            file.write_all(&[1; 4096]).unwrap();
        }
    }
    fs::write(dir.join("next"), "after it").unwrap();
}

#[test]
fn sparse_files_are_known_by_their_names_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    sparse_files(dir.path());
    for options in [
        &["--format=oldgnu"][..],
        &["--format=gnu"],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let archive = tar(dir.path(), &[options, &["-S", "holes", "many-holes", "next"]].concat());
        let found = read_all(&archive).unwrap();
        let brief: Vec<_> =
            found.iter().map(|(entry, _)| (String::from_utf8_lossy(&entry.path), &entry.kind)).collect();
        let expected = [("holes", EntryKind::Sparse), ("many-holes", EntryKind::Sparse), ("next", EntryKind::File)];
        let expected: Vec<_> = expected.iter().map(|(path, kind)| ((*path).into(), kind)).collect();
        assert_eq!(brief, expected, "{options:?}");
        assert_eq!(found[2].1, b"after it", "{options:?}");
    }
}
