//! Files of this machine: locks, free space, who may read what, and output that appears only when it is complete.

mod beneath;
mod free_space;
mod lock;
mod open;
mod private;
mod staged_dir;
mod staged_file;
mod sync;

pub(crate) use beneath::{Beneath, Identity, is_replaced};
pub use free_space::ensure_free_space;
pub(crate) use free_space::free_in;
pub use lock::Waiting;
#[cfg(feature = "engines")]
pub(crate) use lock::{Lock, try_lock};
pub(crate) use lock::{is_at, lock};
pub(crate) use open::{is_not_regular, open_regular};
pub use private::Audience;
pub(crate) use private::{make_private, own_uid};
pub(crate) use staged_dir::{StagedDir, identity};
pub(crate) use staged_file::StagedFile;
pub(crate) use sync::{sync_dir, sync_published};
