//! OCI images: manifest and config, layers, the merged view, and a new image from an old one. Knows no train.

mod document;
mod edit;
pub mod layer;
mod overlay;
mod platform;
mod reference;
mod tree;
mod view;

pub use document::{Family, Image};
pub use edit::{AddedLayer, Edit, LayerSink};
pub use overlay::{OPAQUE, Overlay, Wanted};
pub use platform::Platform;
pub use reference::{Reference, Transport};
pub use tree::{Content, Node, NodeKind, Tree, shown, walk_order};
pub use view::{Partial, View};
