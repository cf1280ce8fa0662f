use std::fmt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use super::options::{Mount, RunOptions};
use crate::error::Result;
use crate::image::Image;
use crate::store::{Context, Reference};

/// The variables that are for this program alone: no engine and no train is to know them.
pub const SECRETS: [&str; 2] = ["PRIVATE_KEY_PASSWORD", "PRIVATE_KEY_PATH"];

/// An image that is ready to run.
#[non_exhaustive]
pub struct Job<'a> {
    /// The name that container and image get; nobody else uses it.
    pub name: &'a str,
    /// The opened image, in a layout.
    pub image: &'a Image,
    /// Its name there.
    pub reference: &'a Reference,
    /// The directory of that layout; its name and the image's tag are that of the job.
    pub layout: &'a Path,
    /// The files of this machine that the container sees.
    pub mounts: &'a [Mount],
    /// A directory for what the engine keeps outside of its own store; it is private, and goes when the run ends.
    pub scratch: &'a Path,
    /// The other options.
    pub options: &'a RunOptions,
}

/// Nobody outside can know what `run` will ask of an engine next.
mod sealed {
    pub trait Sealed {}
}
pub(super) use sealed::Sealed;

/// A program that runs containers.
pub trait Engine: Sealed + Sync {
    /// Its name, as in `--engine`.
    fn name(&self) -> &'static str;

    /// Looks whether it is here and can do what is asked for, before anything is opened.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if it cannot.
    fn check(&self, options: &RunOptions) -> Result<()>;

    /// Makes the container, which does not run yet.
    ///
    /// # Errors
    /// An error of the engine; input/output.
    fn prepare(&self, job: &Job<'_>, context: &Context) -> Result<()>;

    /// The command that runs the container until its end, with the train's output as its own.
    fn start(&self, name: &str, scratch: &Path) -> Command;

    /// The exit status of the train, when that command has ended.
    ///
    /// # Errors
    /// The engine could not run it at all.
    fn exit_status(&self, name: &str, scratch: &Path, ended: ExitStatus) -> Result<i32>;

    /// Ends the container if it runs, and removes all that the engine has of it; what is not there is no fault.
    ///
    /// # Errors
    /// Something is still there.
    fn remove(&self, name: &str, scratch: &Path) -> Result<()>;
}

impl fmt::Debug for dyn Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
