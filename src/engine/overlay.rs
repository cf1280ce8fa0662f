//! A file system above an unpacked base: what a run writes goes to a directory of its own, and the base stays as it is.
//!
//! It is mounted in a mount namespace that ends with the container, so that nobody has to unmount it, whatever happens.
//! The programs `unshare` and `mount` of util-linux do it; without root they make a user namespace for it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::interface::Job;
use super::roots::{Root, Roots, unpack};
use super::supervise::run_quiet;
use super::written;
use crate::error::{ErrorContext, IoContext, Result};
use crate::image::Image;
use crate::store::Context;

/// Mounts `$2` with the options `$1`, and runs the rest.
const MOUNT_AND_RUN: &str = r#"mount -t overlay -o "$1" overlay "$2" && shift 2 && exec "$@""#;
/// The file with the mount options, in the directory of a run; there is none where the root was unpacked for it alone.
const OPTIONS: &str = "overlay";

/// A base that is ready to run from.
pub(super) struct Base {
    /// It, as it lies on disk.
    pub(super) path: PathBuf,
    /// Its place in the cache, if it has one.
    pub(super) root: Option<Root>,
}

/// Makes ready what [`command`] shows at `target`: the base of `image`, and above it a place in `scratch` for what is
/// written.
///
/// Where overlays cannot be mounted, or there is no cache, the base is unpacked at `target` for this run alone.
///
/// # Errors
/// As [`Roots::root_of`].
pub(super) fn prepare(image: &Image, target: &Path, scratch: &Path, context: &Context) -> Result<Base> {
    let roots = context.cache.as_ref().and_then(|cache| {
        let said = |error| tracing::warn!("no unpacked base is kept: {error}");
        Roots::open(cache).map_err(said).ok()
    });
    if let Some(roots) = roots {
        let root = roots.root_of(image, context)?;
        let options = options(&root, scratch)?;
        DirBuilder::new().mode(0o755).create(target).doing("create the directory").at(target.display())?;
        if run_quiet(mounting(&options, target, &[OsString::from("true")])) {
            fs::write(scratch.join(OPTIONS), options).doing("note the mount").at(scratch.display())?;
            return Ok(Base { path: root.path.clone(), root: Some(root) });
        }
        tracing::info!("overlays cannot be mounted at {}: the base is unpacked for this run alone", target.display());
        fs::remove_dir(target).doing("remove the directory").at(target.display())?;
    }
    unpack(image, target, context)?;
    Ok(Base { path: target.to_owned(), root: None })
}

/// The mount options of an overlay on the root; its upper directory is made here, and is as open as a root has to be.
fn options(root: &Root, scratch: &Path) -> Result<String> {
    let (upper, work) = (upper_in(scratch), scratch.join("work"));
    for (dir, mode) in [(&upper, 0o755), (&work, 0o700)] {
        DirBuilder::new().mode(mode).create(dir).doing("create the directory").at(dir.display())?;
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).doing("set the mode").at(dir.display())?;
    }
    let [lower, upper, work] = [&root.path, &upper, &work].map(|path| path.display());
    // In a user namespace only attributes of the user's own can be set.
    let own = if rustix::process::geteuid().is_root() { "" } else { ",userxattr" };
    Ok(format!("lowerdir={lower},upperdir={upper},workdir={work}{own}"))
}

/// The directory that holds what is written above the base.
pub(super) fn upper_in(scratch: &Path) -> PathBuf {
    scratch.join("upper")
}

/// What a train has written above the base; none where the base was unpacked for its run alone, so that both are one.
///
/// # Errors
/// Input/output.
pub(super) fn written(job: &Job<'_>) -> Result<Option<Vec<PathBuf>>> {
    if options_in(job.scratch).is_empty() {
        return Ok(None);
    }
    written::in_upper(&upper_in(job.scratch), job.mounts).map(Some)
}

/// The mount options of the overlay of a run; empty where the base was unpacked for it alone.
pub(super) fn options_in(scratch: &Path) -> String {
    fs::read_to_string(scratch.join(OPTIONS)).unwrap_or_default()
}

/// The command `line`, which sees at `target` what [`prepare`] has made ready there.
pub(super) fn command(line: &[OsString], target: &Path, scratch: &Path) -> Command {
    match options_in(scratch) {
        options if options.is_empty() => {
            let mut command = Command::new(&line[0]);
            command.args(&line[1..]);
            command
        }
        options => mounting(&options, target, line),
    }
}

fn mounting(options: &str, target: &Path, line: &[OsString]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--", "/bin/sh", "-c", MOUNT_AND_RUN, "sh", options]).arg(target).args(line);
    command
}
