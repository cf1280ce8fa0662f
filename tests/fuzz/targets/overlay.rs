//! A view of layers is a tree: every path once, in walk order, nothing below what is no directory; and a layer below an
//! opaque root changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pht_oci::error::Result;
use pht_oci::tar::{Entry, EntryKind, Meta};
use pht_oci::image::{NodeKind, OPAQUE, Overlay, PathFilter, Tree};
use pht_oci::path::walk_order;

const NAMES: [&[u8]; 6] = [b"a", b"b", b"c", b".wh.a", b".wh.b", OPAQUE];

/// Each three bytes are an entry: where it is, what it is, and whether the layer ends with it.
fn layers(data: &[u8]) -> Vec<Vec<Entry>> {
    let mut layers = vec![Vec::new()];
    for (number, &[place, kind, end]) in data.as_chunks::<3>().0.iter().enumerate() {
        let below = |digits: &[u8]| {
            let names = digits.iter().map(|digit| NAMES[usize::from(*digit) % NAMES.len()]);
            [&b"r"[..]].into_iter().chain(names).collect::<Vec<_>>().join(&b'/')
        };
        let path = below(&[place & 7, place >> 3 & 7, place >> 6][..usize::from(end & 3)]);
        let kind = match kind % 6 {
            0 | 1 => EntryKind::Directory,
            2 => EntryKind::Symlink(b"x"[..].into()),
            3 => EntryKind::HardLink(below(&[kind >> 3 & 1, kind >> 4 & 1][..usize::from(kind >> 5 & 1) + 1]).into()),
            _ => EntryKind::File,
        };
        let (position, meta) = (512 * number as u64, Meta::new(0o644, 0));
        let entry = Entry { path: path.into(), kind, meta, size: 0, offset: position, exact: true, position };
        layers.last_mut().expect("at least one").push(entry);
        if end & 0xf0 == 0xf0 {
            layers.push(Vec::new());
        }
    }
    layers
}

fn merge(layers: &[Vec<Entry>]) -> Result<Tree> {
    let mut overlay = Overlay::new(PathFilter::new([&b"r"[..]]));
    for (layer, entries) in layers.iter().enumerate().rev() {
        for link in overlay.push_lower(layer, layer, entries.clone())? {
            let mut lower = Overlay::new(PathFilter::new([&*link.target]));
            for (below, entries) in layers[..layer].iter().enumerate().rev() {
                lower.push_lower(below, below, entries.clone())?;
            }
            overlay.resolve(&link, lower)?;
        }
    }
    overlay.into_tree(vec![None; layers.len()])
}

fn shown(tree: &Tree) -> Vec<(&[u8], &NodeKind)> {
    tree.nodes().iter().map(|node| (&*node.path, &node.kind)).collect()
}

fuzz_target!(|data: &[u8]| {
    let mut layers = layers(data);
    let Ok(tree) = merge(&layers) else { return };
    assert!(tree.nodes().is_sorted_by(|a, b| walk_order(&a.path, &b.path).is_lt()));
    for node in tree.nodes() {
        let name = node.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        assert!(!name.starts_with(b".wh."), "whiteouts are no files");
        let is_directory = node.kind == NodeKind::Directory;
        assert!(is_directory || tree.below(&node.path).is_empty(), "something lies below {node:?}");
    }
    // A layer on top that remakes the root hides everything.
    let entry = |path: &[u8], kind, position| {
        Entry { path: path.into(), kind, meta: Meta::new(0o755, 0), size: 0, offset: position, exact: true, position }
    };
    let marker = [&b"r/"[..], OPAQUE].concat();
    layers.push(vec![entry(b"r", EntryKind::Directory, 1), entry(&marker, EntryKind::File, 2)]);
    let hidden = merge(&layers).expect("nothing below can be seen");
    assert_eq!(shown(&hidden), [(&b"r"[..], &NodeKind::Directory)]);
});
