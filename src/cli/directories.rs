//! This program's directories for its user.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// This program's directory in one of those that users have (XDG Base Directory Specification): the variable's, if it
/// names an absolute path, else the default below their home.
pub(super) fn own_directory(variable: &str, default: &str) -> Option<PathBuf> {
    let directory = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let parent = directory(variable).or_else(|| directory("HOME").map(|home| home.join(default)));
    parent.map(|parent| parent.join("pht-oci"))
}

/// Where temporary files go that are not told where: what a run has kept there for a person must outlive a reboot, as
/// `/tmp` need not (Filesystem Hierarchy Standard 3.0, section 5.15). Where that is no place for this user, the system's own.
pub(super) fn temporary_directory() -> PathBuf {
    let lasting = Path::new("/var/tmp");
    let is_told = std::env::var_os("TMPDIR").is_some_and(|dir| !dir.is_empty());
    let is_usable = || lasting.is_dir() && access(lasting, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if !is_told && is_usable() { lasting.to_owned() } else { std::env::temp_dir() }
}
