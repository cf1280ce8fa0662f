use std::path::PathBuf;

use super::fs::Waiting;
use super::platform::Platform;
use super::progress::Progress;
use super::registry::{Access, Side};

/// What a command needs to know of its surroundings; the library itself reads no clock and no environment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Context {
    /// The time, in seconds since 1970: `created` of new images, modification times of new files.
    pub now: i64,
    /// The platform whose image is taken from an index; this machine's if absent.
    pub platform: Option<Platform>,
    /// What to do when another process writes to the same place.
    pub waiting: Waiting,
    /// Where temporary files go that are not kept in the destination's own file system.
    pub temporary: PathBuf,
    /// How registries are reached that images are read from.
    pub pull: Access,
    /// How registries are reached that images are written to.
    pub push: Access,
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
            pull: Access::anonymous(Side::Source),
            push: Access::anonymous(Side::Destination),
            progress: Progress::default(),
        }
    }
}
