//! OCI images: manifest and config, layers, the merged view, and a new image from an old one. Knows no train.

mod changeset;
mod compare;
mod copy;
mod disk;
mod document;
mod edit;
mod extract;
mod gc;
mod layer;
mod open;
mod overlay;
mod report;
mod sink;
mod snapshot;
mod sorted;
mod tarball;
mod target;
mod tool_image;
mod tree;

mod view;
mod write_image;
mod write_tree;

pub use changeset::OPAQUE;
pub use compare::{Area, Attribute, Change, Difference, compare_configs, compare_files};
pub use copy::{CopyRequest, copy};
pub use disk::{DirectorySink, Fidelity, read_directory};
pub use document::{Contents, Image, ManifestFormat, chain_id, contents_of};
pub use edit::{AddedLayer, Edit, LayerSink, rfc3339};
pub use extract::{ExtractRequest, ExtractTo, extract};
pub use gc::gc;
pub use layer::{ImpliedDirs, ScannedLayer, ensure_contents, scan};
pub use open::open_image;
pub use overlay::{Overlay, PathFilter};
pub use report::{BytesMoved, ImageReport, LayerCounts};
pub use sink::EntrySink;
pub use snapshot::{FileRecord, FileRecordKind, LayerChange, layer_changes, snapshot, snapshot_above};
pub use tarball::{TarSink, Tarball};
pub use target::{PendingTarget, Target};
pub use tool_image::{ToolImageRequest, tool_image};
pub use tree::{Content, Node, NodeKind, Tree};
pub use view::{LayerEntries, Partial, View};
pub use write_tree::{read_some, write_contents, write_tree};
