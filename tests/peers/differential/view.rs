//! What a reader sees of an image: kinds, contents, links, modes and owners.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use pht_oci::error::Result;
use pht_oci::image::{Image, NodeKind, PathFilter, View};
use pht_oci::store::Source;
use pht_oci::store::layout::Layout;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub kind: &'static str,
    /// Contents or target.
    pub text: Vec<u8>,
    /// Symbolic links have none.
    pub mode: u32,
    pub owner: (u64, u64),
    /// The first name of the same file.
    pub first_name: Vec<u8>,
}

pub type All = BTreeMap<Vec<u8>, Seen>;

/// Through the library: all of the image.
pub fn ours(layout: &Path, spool: &Path) -> Result<All> {
    let source = Arc::new(Layout::open(layout)?);
    let listed = source.list()?.remove(0);
    let image = Image::open(source, listed, None)?;
    let mut view = View::read(&image, PathFilter::new([&b""[..]]), spool, |_| Ok(false))?;
    view.verify()?;
    let tree = &view.tree;
    let mut all = All::new();
    for node in tree.nodes().iter().filter(|node| !node.path.is_empty()) {
        let first = if let NodeKind::Link(to) = node.kind { &tree.nodes()[to] } else { node };
        let mut text = Vec::new();
        if tree.file(node).is_some() {
            tree.open(node)?.read_to_end(&mut text).expect("contents");
        }
        let kind = match &node.kind {
            NodeKind::File { .. } | NodeKind::Link(_) => "file",
            NodeKind::Symlink(target) => {
                text = target.to_vec();
                "symlink"
            }
            NodeKind::Directory => "directory",
            NodeKind::Fifo => "fifo",
            NodeKind::Device(..) => "device",
        };
        let mode = if kind == "symlink" { 0 } else { node.meta.permissions() };
        let owner = (node.meta.uid, node.meta.gid);
        all.insert(node.path.to_vec(), Seen { kind, text, mode, owner, first_name: first.path.to_vec() });
    }
    Ok(all)
}

/// What was unpacked into a directory.
pub fn on_disk(rootfs: &Path) -> All {
    let mut found = Vec::new();
    list(rootfs, &[], &mut found);
    // As the library orders them: a directory's names in byte order, a directory before its contents.
    found.sort_by(|a, b| a.split(|&byte| byte == b'/').cmp(b.split(|&byte| byte == b'/')));
    let mut names: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut all = All::new();
    for path in found {
        let place = rootfs.join(std::ffi::OsStr::from_bytes(&path));
        let meta = fs::symlink_metadata(&place).expect("a file that was listed");
        let kind = meta.file_type();
        let (kind, text) = match () {
            () if kind.is_dir() => ("directory", Vec::new()),
            () if kind.is_symlink() => {
                ("symlink", fs::read_link(&place).expect("a link").as_os_str().as_bytes().to_vec())
            }
            () if kind.is_file() => ("file", fs::read(&place).expect("a file")),
            () if kind.is_fifo() => ("fifo", Vec::new()),
            () => ("device", Vec::new()),
        };
        let first_name =
            if kind == "file" { names.entry(meta.ino()).or_insert_with(|| path.clone()).clone() } else { path.clone() };
        let mode = if kind == "symlink" { 0 } else { meta.mode() & 0o7777 };
        all.insert(path, Seen { kind, text, mode, owner: (meta.uid().into(), meta.gid().into()), first_name });
    }
    all
}

fn list(dir: &Path, name: &[u8], found: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry")) {
        let own = entry.file_name();
        let path = if name.is_empty() { own.as_bytes().to_vec() } else { [name, b"/", own.as_bytes()].concat() };
        if entry.file_type().expect("a type").is_dir() {
            list(&entry.path(), &path, found);
        }
        found.push(path);
    }
}

/// What differs, a line for each path. A directory without an entry is there for umoci alone: root's, with mode 0755, and
/// in a set-group-ID directory with that bit and its group, as Linux makes it.
pub fn differences(ours: &All, theirs: &All) -> Vec<String> {
    let is_implied = |seen: &Seen| {
        let is_inherited = seen.mode == 0o2755;
        seen.kind == "directory" && seen.owner.0 == 0 && (is_inherited || (seen.mode, seen.owner.1) == (0o755, 0))
    };
    let paths: std::collections::BTreeSet<&Vec<u8>> = ours.keys().chain(theirs.keys()).collect();
    let differ = paths.into_iter().filter_map(|path| match (ours.get(path), theirs.get(path)) {
        (None, Some(theirs)) if is_implied(theirs) => None,
        (ours, theirs) if ours == theirs => None,
        (ours, theirs) => Some(format!("{}:\n  here  {ours:?}\n  umoci {theirs:?}", path.escape_ascii())),
    });
    differ.collect()
}
