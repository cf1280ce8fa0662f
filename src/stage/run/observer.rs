use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Result;
use crate::store::Reference;

/// Who looks at more of a run than its output: what it has taken, and its results while they are in plaintext.
pub(in crate::stage) trait Observer {
    /// The train has ended, well or not.
    fn ended(&self, usage: Usage);

    /// It has ended well and will be closed: `opened` is the train as it ran, without its base, `results` what it has left.
    ///
    /// # Errors
    /// The run ends with it.
    fn look(&self, opened: &Reference, results: &Path) -> Result<()>;
}

/// What a train has taken, and what it has written where nobody gets it.
#[derive(Debug, Clone)]
pub(in crate::stage) struct Usage {
    pub(in crate::stage) time: Duration,
    /// The most bytes of memory, where they are known.
    pub(in crate::stage) memory: Option<u64>,
    /// Paths in the container's own file system; none where an engine cannot tell.
    pub(in crate::stage) written: Option<Vec<PathBuf>>,
}
