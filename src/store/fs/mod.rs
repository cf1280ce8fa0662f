//! Files of this machine: locks, free space, who may read what, and output that appears only when it is complete.

mod beneath;
mod free_space;
mod lock;
mod open;
mod private;
mod remove;
mod staged_dir;
mod staged_file;
mod sync;

pub(crate) use beneath::{Beneath, Identity, is_replaced};
pub use free_space::ensure_free_space;
pub(crate) use free_space::free_in;
pub use lock::Waiting;
pub(crate) use lock::{Lock, is_at, lock, try_lock};
#[cfg(feature = "cli")]
pub(crate) use open::ensure_replaceable;
pub(crate) use open::{is_not_regular, not_regular, open_regular};
pub use private::Audience;
pub(crate) use private::{make_private, others_may_write, own_uid};
pub(crate) use remove::remove_tree;
pub(crate) use staged_dir::{StagedDir, identity, no_directory, parent_of};
pub(crate) use staged_file::StagedFile;
pub(crate) use sync::{sync_dir, sync_published};
