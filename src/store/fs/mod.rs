//! Files of this machine: locks, free space, and output that appears only when it is complete.

mod free_space;
mod lock;
mod staged_dir;
mod staged_file;

pub use free_space::ensure_free_space;
pub(crate) use free_space::free_in;
pub use lock::Waiting;
#[cfg(feature = "engines")]
pub(crate) use lock::try_lock;
pub(crate) use lock::{is_at, lock};
pub(crate) use staged_dir::StagedDir;
pub(crate) use staged_file::StagedFile;
