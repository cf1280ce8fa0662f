//! Directory trees: what is there, byte for byte, and the results that test trains write.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Directory,
    File { sha256: String, size: usize },
    Link(PathBuf),
    Other,
}

/// Every path below a directory, with its mode and what is there.
pub type Tree = BTreeMap<PathBuf, (u32, Node)>;

pub fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything below `top`.
pub fn snapshot(top: &Path) -> Tree {
    let mut tree = Tree::new();
    walk(top, Path::new(""), &mut tree);
    tree
}

fn walk(top: &Path, below: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(top.join(below)).expect("a readable directory") {
        let path = below.join(entry.expect("a readable entry").file_name());
        let here = top.join(&path);
        let status = here.symlink_metadata().expect("an entry that stays");
        let node = if status.is_symlink() {
            Node::Link(fs::read_link(&here).expect("a link"))
        } else if status.is_dir() {
            walk(top, &path, tree);
            Node::Directory
        } else if status.is_file() {
            let data = fs::read(&here).expect("a readable file");
            Node::File { sha256: sha256(&data), size: data.len() }
        } else {
            Node::Other
        };
        tree.insert(path, (status.mode() & 0o7777, node));
    }
}

/// How two trees differ, with the modes or without; nothing where they are the same.
pub fn differences(left: &Tree, right: &Tree, modes: bool) -> Vec<String> {
    let same = |a: &(u32, Node), b: &(u32, Node)| a.1 == b.1 && (!modes || a.0 == b.0);
    let mut faults = Vec::new();
    for (path, node) in left {
        match right.get(path) {
            None => faults.push(format!("only left: {}", path.display())),
            Some(other) if !same(node, other) => faults.push(format!("{}: {node:?} / {other:?}", path.display())),
            Some(_) => {}
        }
    }
    faults.extend(right.keys().filter(|p| !left.contains_key(*p)).map(|p| format!("only right: {}", p.display())));
    faults
}

/// Copies a tree of files and directories.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new directory");
    for entry in fs::read_dir(from).expect("a readable directory") {
        let entry = entry.expect("a readable entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::write(&target, fs::read(entry.path()).expect("a readable file")).expect("a new file");
        }
    }
}

/// Bytes that do not compress and are the same every time.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(step());
    }
    bytes.truncate(length);
    bytes
}

/// The text that no published image may hold.
pub const MARKER: &str = "RESULT-PLAINTEXT-MARKER";

/// Writes what the train leaves in its results at a stop (0, 1 or 2): the later ones change, delete and add.
pub fn write_results(dir: &Path, stop: usize) {
    for below in ["", "sub", "sub-a", "empty directory"] {
        fs::create_dir_all(dir.join(below)).expect("a new directory");
    }
    let put = |name: &str, data: &[u8]| fs::write(dir.join(name), data).expect("a new file");
    put("result.txt", format!("{MARKER} run {stop}\n").repeat(stop + 1).as_bytes());
    // As paths these sort sub-a/y, sub.txt, sub/x; in walk order sub/x, sub-a/y, sub.txt.
    put("sub/x", b"nested\n");
    put("sub.txt", b"dotted\n");
    put("empty", b"");
    put(".hidden", b"hidden\n");
    put("u\u{308} \u{fc} name", "umlaut \u{fc}\n".as_bytes());
    put("block", &[b'b'; 4096]);
    put("noise.bin", &noise(70_000 + stop));
    if stop != 1 {
        put("sometimes", b"here at the first stop and at the last\n");
    }
    if stop < 2 {
        put("sub-a/y", format!("sibling {stop}\n").as_bytes());
    } else {
        fs::create_dir_all(dir.join("sub/deep/er")).expect("a new directory");
        put("sub/deep/er/z", b"deep\n");
    }
    symlink(if stop == 0 { "result.txt" } else { "sub/x" }, dir.join("link")).expect("a new link");
    fs::set_permissions(dir.join("sub/x"), fs::Permissions::from_mode(0o750)).expect("a mode");
}
