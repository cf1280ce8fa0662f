//! OCI images: manifest and config, layers, the merged view, and a new image from an old one. Knows no train.

mod changeset;
mod compare;
mod disk;
mod document;
mod edit;
pub mod layer;
mod overlay;
mod platform;
mod reference;
mod sorted;
mod survey;
mod tree;
mod view;

pub use changeset::OPAQUE;
pub use compare::{Area, Aspect, Change, Difference, compare_configs, compare_files};
pub use disk::{DirectorySink, Fidelity, read_directory};
pub use document::{Contents, Family, Image, chain_id, contents_of};
pub use edit::{AddedLayer, Edit, LayerSink};
pub use overlay::{Overlay, Wanted};
pub use platform::Platform;
pub use reference::{Reference, Transport};
pub use survey::{Seen, SeenKind, Touch, survey, survey_above, touches};
pub use tree::{Content, Node, NodeKind, Tree, is_below, shown, walk_order};
pub use view::{Partial, View};

/// Takes the entries of a tree, in walk order, and after each file's entry its contents.
pub trait EntrySink: std::io::Write {
    /// The next entry; `size` bytes of contents follow if it is a file.
    ///
    /// # Errors
    /// Input/output; what the sink cannot hold.
    fn entry(&mut self, path: &[u8], kind: &layer::Kind, meta: &layer::Meta, size: u64) -> crate::error::Result<()>;
}

impl<W: std::io::Write> EntrySink for layer::TarWriter<W> {
    fn entry(&mut self, path: &[u8], kind: &layer::Kind, meta: &layer::Meta, size: u64) -> crate::error::Result<()> {
        self.header(path, kind, meta, size)
    }
}
