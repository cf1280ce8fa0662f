//! What can be seen of an image: through the library's view, and in a directory that it was unpacked into.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use pht_oci::image::{Image, NodeKind, PathFilter, Tree, View};
use pht_oci::store::Source;
use pht_oci::store::layout::Layout;

/// The paths that a train consists of.
pub const ROOTS: [&str; 4] = ["opt/pht_train", "opt/pht_results", "opt/train_config.json", "opt/user_sym_key.key"];

/// A file, directory or link, in terms that both sides have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub kind: &'static str,
    /// Symbolic links have none.
    pub mode: Option<u32>,
    /// Only root can hold the unpacked files against this.
    pub owner: Option<(u64, u64)>,
    pub mtime: (i64, u32),
    pub target: Option<Vec<u8>>,
    pub contents: Option<Vec<u8>>,
    /// The first name of the same file under the same root.
    pub first_name: String,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// By path.
pub type All = BTreeMap<String, Seen>;

/// The directory among the roots that `path` is in: names of one file are held together only there.
fn root_of(path: &str) -> Option<usize> {
    ROOTS.iter().position(|root| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')))
}

fn has_owners() -> bool {
    rustix::process::geteuid().is_root()
}

/// Through the library.
pub fn through_view(layout: &Path, spool: &Path) -> pht_oci::error::Result<All> {
    let source = Arc::new(Layout::open(layout)?);
    let listed = source.list()?.remove(0);
    let image = Image::open(source, listed, None)?;
    let wanted = PathFilter::new(ROOTS.iter().map(|root| root.as_bytes()));
    let mut view = View::read(&image, wanted, spool, |_| Ok(false))?;
    view.verify()?;
    seen_in(&view.tree)
}

fn seen_in(tree: &Tree) -> pht_oci::error::Result<All> {
    let mut all = All::new();
    for node in tree.nodes() {
        let path = String::from_utf8(node.path.to_vec()).unwrap();
        let first = match node.kind {
            NodeKind::Link(to) => &tree.nodes()[to],
            _ => node,
        };
        let mut contents = None;
        if tree.file(node).is_some() {
            let mut bytes = Vec::new();
            tree.open(node)?.read_to_end(&mut bytes).unwrap();
            contents = Some(bytes);
        }
        let (kind, target) = match &node.kind {
            NodeKind::File { .. } | NodeKind::Link(_) => ("file", None),
            NodeKind::Symlink(target) => ("symlink", Some(target.to_vec())),
            NodeKind::Directory => ("directory", None),
            other => panic!("{path}: {other:?}"),
        };
        let pax = |key: &[u8]| node.meta.pax.iter().find(|(found, _)| **found == *key);
        let nanos = pax(b"mtime").and_then(|(_, time)| {
            let (_, fraction) = std::str::from_utf8(time).unwrap().split_once('.')?;
            format!("{fraction:0<9}").parse().ok()
        });
        let xattr = |(key, value): &(Box<[u8]>, Box<[u8]>)| {
            Some((key.strip_prefix(b"SCHILY.xattr.")?.to_vec(), value.to_vec()))
        };
        let seen = Seen {
            kind,
            mode: (kind != "symlink").then(|| node.meta.permissions()),
            owner: has_owners().then_some((node.meta.uid, node.meta.gid)),
            mtime: (node.meta.mtime, nanos.unwrap_or(0)),
            target,
            contents,
            first_name: String::from_utf8(first.path.to_vec()).unwrap(),
            xattrs: node.meta.pax.iter().filter_map(xattr).collect(),
        };
        all.insert(path, seen);
    }
    Ok(all)
}

/// In a directory: the roots, what lies below them, and the directories above.
pub fn on_disk(rootfs: &Path) -> All {
    let mut all = All::new();
    let mut names = HashMap::new();
    visit(rootfs, "opt", &mut all, &mut names);
    all
}

type Names = HashMap<(u64, Option<usize>), String>;

fn visit(rootfs: &Path, path: &str, all: &mut All, names: &mut Names) {
    let place = rootfs.join(path);
    let Ok(found) = fs::symlink_metadata(&place) else { return };
    let kind = match found.file_type() {
        kind if kind.is_dir() => "directory",
        kind if kind.is_symlink() => "symlink",
        kind if kind.is_file() => "file",
        other => panic!("{path}: {other:?}"),
    };
    let first_name = names.entry((found.ino(), root_of(path))).or_insert_with(|| path.to_owned()).clone();
    let seen = Seen {
        kind,
        mode: (kind != "symlink").then(|| found.mode() & 0o7777),
        owner: has_owners().then(|| (found.uid().into(), found.gid().into())),
        mtime: (found.mtime(), found.mtime_nsec() as u32),
        target: (kind == "symlink").then(|| fs::read_link(&place).unwrap().as_os_str().as_bytes().to_vec()),
        contents: (kind == "file").then(|| fs::read(&place).unwrap()),
        first_name,
        xattrs: xattrs_of(&place),
    };
    all.insert(path.to_owned(), seen);
    if kind == "directory" {
        let mut children: Vec<String> =
            fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        // In byte order, as the view numbers the names of a file.
        children.sort();
        for child in children.into_iter().map(|child| format!("{path}/{child}")) {
            let wanted = ROOTS.iter().any(|root| child == **root) || root_of(&child).is_some();
            if wanted {
                visit(rootfs, &child, all, names);
            }
        }
    }
}

/// The attributes that users may set; a security module or umoci's rootless mode adds others.
fn xattrs_of(place: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut names = vec![0; 4096];
    let len = rustix::fs::llistxattr(place, &mut names).unwrap_or(0);
    for name in names[..len].split(|&byte| byte == 0).filter(|name| name.starts_with(b"user.")) {
        if name.starts_with(b"user.rootlesscontainers") {
            continue;
        }
        let mut value = vec![0; 4096];
        let len = rustix::fs::lgetxattr(place, name, &mut value).unwrap();
        found.insert(name.to_vec(), value[..len].to_vec());
    }
    found
}
