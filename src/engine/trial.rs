//! A container of nothing but this program: whether an engine starts anything is best told before the first train.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};
use tempfile::TempDir;

use crate::error::{ErrorContext, IoContext, Result};

/// Where the program is in the container.
pub(super) const PROGRAM: &str = "/pht-oci";

/// The root file system of such a container, a directory in `place` that goes away when it is dropped. `None` where the
/// program could not run in it: it needs libraries of this machine, or nothing in `place` may be executed.
///
/// # Errors
/// Input/output.
pub(super) fn root_in(place: &Path) -> Result<Option<TempDir>> {
    let executes = |place: &Path| statvfs(place).is_ok_and(|found| !found.f_flag.contains(StatVfsMountFlags::NOEXEC));
    if !cfg!(target_feature = "crt-static") || !executes(place) {
        return Ok(None);
    }
    let root = tempfile::Builder::new().prefix("pht-oci-trial-").tempdir_in(place);
    let root = root.doing("make a directory").at(place.display())?;
    let program = root.path().join(&PROGRAM[1..]);
    let here = std::env::current_exe().doing("find the path of this program")?;
    fs::copy(here, &program).doing("copy the program").at(program.display())?;
    // An engine may map root to another user, who has to reach it.
    for (path, mode) in [(program.as_path(), 0o755), (root.path(), 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).doing("change the mode").at(path.display())?;
    }
    Ok(Some(root))
}
