/// The result of a command on an image or a directory: the rows of its report.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ImageReport {
    /// The image that was read.
    pub source: String,
    /// The image that was published, or the directory that was written.
    pub destination: String,
    /// The manifest's digest before.
    pub digest_before: Option<String>,
    /// The manifest's digest now.
    pub digest_after: Option<String>,
    /// The changes of the layers.
    pub layers: LayerCounts,
    /// Bytes moved.
    pub bytes: BytesMoved,
}

/// The changes of an image's layers.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LayerCounts {
    /// Digests of the new ones, from the bottom up.
    pub added: Vec<String>,
    /// Digests of those that are not part of the image any more.
    pub dropped: Vec<String>,
    /// The number of layers kept as they are.
    pub reused: usize,
}

/// Bytes that a command moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BytesMoved {
    /// Read from layers, manifests and configs.
    pub read: u64,
    /// Written to the destination.
    pub written: u64,
    /// Of those written, base layers that had to be copied.
    pub transferred: u64,
}
