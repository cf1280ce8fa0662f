use std::path::PathBuf;

use super::fs::Waiting;
use super::platform::Platform;
use super::progress::Progress;
use super::registry::{Access, Side};

/// The most files of one image or directory, unless somebody says otherwise: with so many, of usual names, a stage stays
/// within 64 MiB.
pub const DEFAULT_MAX_FILES: usize = 150_000;

/// The surroundings of a command; the library itself reads no clock and no environment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Context {
    /// The time, in seconds since 1970: `created` of new images, modification times of new files.
    pub now: i64,
    /// The platform whose image is taken from an index; this machine's if absent.
    pub platform: Option<Platform>,
    /// The behavior when another process writes to the same place.
    pub waiting: Waiting,
    /// The directory for temporary files that are not kept in the destination's own file system.
    pub temporary: PathBuf,
    /// The directory for what is kept between runs to save time, and can be made anew; nothing is kept if absent.
    pub cache: Option<PathBuf>,
    /// The directory in which runs are registered until they have ended; none are if absent.
    pub state: Option<PathBuf>,
    /// The access to registries that images are read from.
    pub pull: Access,
    /// The access to registries that images are written to.
    pub push: Access,
    /// The most files, and the most directories, that are read of one image or directory: memory follows their number.
    pub max_files: usize,
    /// Told of steps that take long.
    pub progress: Progress,
}

impl Context {
    /// At this time (seconds since 1970), with `temporary` for temporary files and defaults for everything else.
    pub fn new(now: i64, temporary: impl Into<PathBuf>) -> Self {
        Context {
            now,
            platform: None,
            waiting: Waiting::default(),
            temporary: temporary.into(),
            cache: None,
            state: None,
            pull: Access::anonymous(Side::Source),
            push: Access::anonymous(Side::Destination),
            max_files: DEFAULT_MAX_FILES,
            progress: Progress::default(),
        }
    }
}
