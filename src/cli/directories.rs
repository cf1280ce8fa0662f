//! This program's directories for its user.

use std::path::PathBuf;

/// This program's directory in one of those that users have (XDG Base Directory Specification): the variable's, if it
/// names an absolute path, else the default below their home.
pub(super) fn own_directory(variable: &str, default: &str) -> Option<PathBuf> {
    let directory = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let parent = directory(variable).or_else(|| directory("HOME").map(|home| home.join(default)));
    parent.map(|parent| parent.join("pht-oci"))
}
