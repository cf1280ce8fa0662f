use std::fs;
use std::io::Write;

use rustix::fs::mknodat;

use super::*;
use crate::error::{Advice, Kind};

const SECRET: &str = "of the host itself\n";

fn mkfifo(path: &Path) {
    mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

fn read(dir: &Path) -> Result<Tree> {
    read_directory(dir, b"r", ReadDirectory { owners: false, max_files: 100 })
}

/// A directory with results, and the host's secret beside it.
fn results() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("results/sub")).unwrap();
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    for path in ["results/sub/file", "results/last"] {
        fs::write(dir.path().join(path), "x".repeat(SECRET.len())).unwrap();
    }
    for path in ["secret", "elsewhere/file", "elsewhere/last"] {
        fs::write(dir.path().join(path), SECRET).unwrap();
    }
    dir
}

#[test]
fn a_name_of_a_whiteout_is_refused_wherever_it_is() {
    for name in [".wh.x", ".wh..wh..opq", ".wh.", "sub/.wh.y", ".wh.d/file"] {
        let dir = results();
        let path = dir.path().join("results").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "1").unwrap();
        let error = read(&dir.path().join("results")).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed, "{name}");
        assert!(error.to_string().contains(".wh."), "{error}");
    }
    let dir = results();
    fs::write(dir.path().join("results/a.wh.b"), "1").unwrap();
    read(&dir.path().join("results")).unwrap();
}

#[test]
fn attributes_of_the_user_s_own_are_read() {
    let dir = results();
    let path = dir.path().join("results/last");
    let many: Vec<String> = (0..20).map(|number| format!("user.a-long-name-of-an-attribute-{number}")).collect();
    for name in ["user.note"].into_iter().chain(many.iter().map(String::as_str)) {
        rustix::fs::setxattr(&path, name, b"x", rustix::fs::XattrFlags::empty()).unwrap();
        let tree = read(&dir.path().join("results")).unwrap();
        let found = tree
            .get(b"r/last")
            .unwrap()
            .meta
            .attributes()
            .any(|(key, value)| key.ends_with(name.as_bytes()) && **value == *b"x");
        assert!(found, "{name}");
    }
}

/// The contents of all files, as a stage reads them after it has looked at the directory.
fn contents(tree: &Tree) -> Result<String> {
    let files = tree.nodes().iter().filter(|node| tree.file(node).is_some());
    files.map(|node| io::read_to_string(tree.open(node)?).doing("read the file")).collect()
}

#[test]
fn what_changes_after_the_look_is_an_error() {
    type Change = fn(&Path);
    let swap = |dir: &Path, path: &str| fs::rename(dir.join(path), dir.join("old")).unwrap();
    let changes: [(&str, Change); 10] = [
        ("a link", |dir| {
            fs::remove_file(dir.join("results/last")).unwrap();
            std::os::unix::fs::symlink(dir.join("secret"), dir.join("results/last")).unwrap();
        }),
        ("a pipe", |dir| {
            fs::remove_file(dir.join("results/last")).unwrap();
            mkfifo(&dir.join("results/last"));
        }),
        ("a further name of the secret", |dir| {
            fs::remove_file(dir.join("results/last")).unwrap();
            fs::hard_link(dir.join("secret"), dir.join("results/last")).unwrap();
        }),
        ("another file of this size", |dir| {
            fs::rename(dir.join("elsewhere/last"), dir.join("results/last")).unwrap();
        }),
        ("a directory", |dir| {
            fs::remove_file(dir.join("results/last")).unwrap();
            fs::create_dir(dir.join("results/last")).unwrap();
        }),
        ("nothing", |dir| fs::remove_file(dir.join("results/last")).unwrap()),
        ("more", |dir| {
            let mut file = File::options().append(true).open(dir.join("results/last")).unwrap();
            file.write_all(b"more").unwrap();
        }),
        ("other contents in place", |dir| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(dir.join("results/last"), SECRET).unwrap();
        }),
        ("a link above", |dir| {
            fs::rename(dir.join("results/sub"), dir.join("old")).unwrap();
            std::os::unix::fs::symlink(dir.join("elsewhere"), dir.join("results/sub")).unwrap();
        }),
        ("another directory above", |dir| {
            fs::rename(dir.join("results/sub"), dir.join("old")).unwrap();
            fs::rename(dir.join("elsewhere"), dir.join("results/sub")).unwrap();
        }),
    ];
    for (name, change) in changes {
        let dir = results();
        let tree = read(&dir.path().join("results")).unwrap();
        change(dir.path());
        let error = contents(&tree).unwrap_err();
        assert_eq!(error.kind(), Kind::Io, "{name}: {error}");
        assert!(error.to_string().contains("changed while it was read"), "{name}: {error}");
    }
    // The directory that was opened is read, whatever comes to its path.
    let dir = results();
    let tree = read(&dir.path().join("results")).unwrap();
    swap(dir.path(), "results");
    fs::rename(dir.path().join("elsewhere"), dir.path().join("results")).unwrap();
    assert!(!contents(&tree).unwrap().contains("host"));
}

#[test]
fn what_changes_while_it_is_read_is_an_error() {
    let dir = results();
    let file = dir.path().join("results/last");
    for change in ["shorter", "longer", "other"] {
        fs::write(&file, vec![b'x'; 100_000]).unwrap();
        let tree = read(&dir.path().join("results")).unwrap();
        let mut reader = tree.open(tree.get(b"r/last").unwrap()).unwrap();
        io::Read::read_exact(&mut reader, &mut [0; 1000]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let open = File::options().write(true).open(&file).unwrap();
        match change {
            "shorter" => open.set_len(50_000).unwrap(),
            "longer" => open.set_len(200_000).unwrap(),
            _ => std::os::unix::fs::FileExt::write_all_at(&open, b"y", 10).unwrap(),
        }
        let read = io::copy(&mut reader, &mut io::sink()).doing("read the file");
        let error = read.unwrap_err();
        assert!(error.to_string().contains("changed while it was read"), "{change}: {error}");
    }
}

#[test]
fn a_query_is_the_file_that_was_looked_at() {
    let dir = results();
    let path = dir.path().join("elsewhere/last");
    let look = || read_file(&path, Box::from(*b"r/query"), Meta::new(0o644, 0), 0).unwrap();
    let (node, root) = look();
    let tree = Tree::new(vec![node], Vec::new()).on_disk(vec![root]);
    assert_eq!(contents(&tree).unwrap(), SECRET);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret"), &path).unwrap();
    assert!(contents(&tree).unwrap_err().to_string().contains("changed while it was read"));
    // A link of the user's own leads to it.
    let (node, root) = look();
    assert_eq!(contents(&Tree::new(vec![node], Vec::new()).on_disk(vec![root])).unwrap(), SECRET);
    fs::remove_file(&path).unwrap();
    mkfifo(&path);
    let pipe = read_file(&path, Box::from(*b"r/query"), Meta::new(0o644, 0), 0);
    assert_eq!(pipe.map(drop).unwrap_err().kind(), Kind::Usage);
}

#[test]
fn more_files_than_wanted_are_refused() {
    let dir = results();
    let read =
        |most| read_directory(&dir.path().join("results"), b"r", ReadDirectory { owners: false, max_files: most });
    assert_eq!(read(2).unwrap().nodes().len(), 4);
    let error = read(1).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (Kind::Malformed, Some(&Advice::RaiseMaxFiles)));
    assert!(error.to_string().contains("more than 1 "), "{error}");
}

#[test]
fn directories_may_be_deeper_than_files_may_be_open() {
    let dir = tempfile::tempdir().unwrap();
    let below: PathBuf = std::iter::repeat_n("d", 1500).collect();
    fs::create_dir_all(dir.path().join(&below)).unwrap();
    fs::write(dir.path().join(&below).join("file"), "deep").unwrap();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(64), ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    let options = ReadDirectory { owners: false, max_files: 10_000 };
    let tree = read_directory(dir.path(), b"r", options).unwrap();
    assert_eq!(contents(&tree).unwrap(), "deep");
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
}
