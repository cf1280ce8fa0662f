//! The paths of the train's parts in an image.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The same path as a program sees it that runs in the image.
pub fn on_disk(path: &[u8]) -> PathBuf {
    Path::new("/").join(OsStr::from_bytes(path))
}

/// Above all of them.
pub const OPT: &[u8] = b"opt";
/// The train config.
pub const CONFIG: &[u8] = b"opt/train_config.json";
/// The immutable files.
pub const TRAIN: &[u8] = b"opt/pht_train";
/// The results.
pub const RESULTS: &[u8] = b"opt/pht_results";
/// The stage's key, wrapped for the creator.
pub const USER_KEY: &[u8] = b"opt/user_sym_key.key";
