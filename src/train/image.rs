//! The facts about an image that the train's rules need.

use crate::json::Object;

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFacts {
    /// The digest of its contents, as in `sha256:...`.
    pub diff_id: String,
    /// The digest of its blob.
    pub digest: String,
    /// Bytes of its blob.
    pub size: u64,
}

/// Layers and image config of an image, as it states them.
#[derive(Debug, Clone, Default)]
pub struct ImageFacts {
    /// The layers from the bottom up.
    pub layers: Vec<LayerFacts>,
    /// The image config.
    pub config: Object,
}
