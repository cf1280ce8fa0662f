//! A container of nothing but this program: whether an engine starts anything is best told before the first train.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};
use tempfile::TempDir;

use super::client::unusable;
use super::interface::{Engine, Job};
use super::options::RunOptions;
use super::process::ProcessSpec;
use super::supervise::run_capture;
use crate::error::{ErrorContext, IoContext, Result};
use crate::image::{Image, ToolImageRequest, open_image, tool_image};
use crate::store::fs::remove_tree;
use crate::store::{Context, Reference};

/// Where the program is in the container of [`root_in`].
pub(super) const PROGRAM: &str = "/pht-oci";
/// How the names begin of what is made for a trial.
const PREFIX: &str = "pht-oci-trial-";

/// True if the program could run in a container with files in `place`: it needs no libraries of this machine, and what is
/// there may be executed.
fn can_run_in(place: &Path) -> bool {
    let executes = |place: &Path| statvfs(place).is_ok_and(|found| !found.f_flag.contains(StatVfsMountFlags::NOEXEC));
    cfg!(target_feature = "crt-static") && executes(place)
}

fn directory_in(place: &Path) -> Result<TempDir> {
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(place).doing("make a directory").at(place.display())
}

/// The root file system of such a container, a directory in `place` that goes away when it is dropped. `None` where the
/// program could not run in it.
///
/// # Errors
/// Input/output.
pub(super) fn root_in(place: &Path) -> Result<Option<TempDir>> {
    if !can_run_in(place) {
        return Ok(None);
    }
    let root = directory_in(place)?;
    let program = root.path().join(&PROGRAM[1..]);
    let here = std::env::current_exe().doing("find the path of this program")?;
    fs::copy(here, &program).doing("copy the program").at(program.display())?;
    // An engine may map root to another user, who has to reach it.
    for (path, mode) in [(program.as_path(), 0o755), (root.path(), 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).doing("change the mode").at(path.display())?;
    }
    Ok(Some(root))
}

/// Runs the program as a train would run, in a container on an image of it, where it can; `forget` removes what the engine
/// has kept of that image.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if the engine cannot run it, with the `remedy`; input/output.
pub(super) fn run(
    engine: &impl Engine,
    context: &Context,
    remedy: &'static str,
    forget: impl FnOnce(&Image),
) -> Result<()> {
    if !can_run_in(&context.temporary) {
        return Ok(());
    }
    let place = directory_in(&context.temporary)?;
    let tried = run_in(place.path(), engine, context, forget);
    // An overlay leaves a directory that is closed to its owner.
    let removed = remove_tree(place.path()).doing("remove the directory").at(place.path().display());
    tried.map_err(|error| unusable(error, remedy)).and(removed)
}

fn run_in(place: &Path, engine: &impl Engine, context: &Context, forget: impl FnOnce(&Image)) -> Result<()> {
    let here = std::env::current_exe().doing("find the path of this program")?;
    let reference = Reference::layout(place.join("image"), None);
    tool_image(&ToolImageRequest::new(&reference, &here), context)?;
    let image = open_image(&reference, context)?;
    let mut process = ProcessSpec::of(image.config())?;
    process.arguments.push("--version".to_owned());
    let scratch = place.join("scratch");
    DirBuilder::new().mode(0o700).create(&scratch).doing("make a directory").at(scratch.display())?;
    let name = place.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let options = RunOptions::default();
    let job = Job { name: &name, image: &image, process: &process, mounts: &[], scratch: &scratch, options: &options };
    // What is kept for trains stays as it is.
    let context = Context { cache: Some(scratch.join("cache")), ..context.clone() };
    let held = engine.prepare(&job, &context);
    let ran = held.and_then(|held| run_capture(engine.start(&name, &scratch)).map(|_| held));
    let removed = engine.remove(&name, &scratch);
    forget(&image);
    ran.and(removed)
}
