//! Tags that have a meaning in the field.

/// The travelling train, by the convention of the field's registries; also what a reference without a tag means where
/// several images are.
pub const LATEST: &str = "latest";

/// The train as built, by the same convention.
pub const BASE: &str = "base";

/// The suffix of the tag of the encrypted image from which pre-run in place made the opened one.
pub const ENCRYPTED_SUFFIX: &str = "-encrypted";
