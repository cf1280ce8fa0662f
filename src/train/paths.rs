//! The paths of the train's parts in an image.

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
