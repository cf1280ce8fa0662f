use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::options::{Mount, RunOptions};
use super::process::ProcessSpec;
use super::roots::Root;
use crate::error::Result;
use crate::image::Image;
use crate::store::Context;

/// The variables that are for this program alone: no engine and no train is to know them.
pub const SECRETS: [&str; 2] = ["PRIVATE_KEY_PASSWORD", "PRIVATE_KEY_PATH"];

/// A train that is ready to run: its base, which the engine keeps, and what is mounted into it.
#[non_exhaustive]
pub struct Job<'a> {
    /// The name that the container gets; nobody else uses it.
    pub name: &'a str,
    /// The verified base layers and how they run, as an image of their own: it is the same for every run of the train.
    pub image: &'a Image,
    /// What it runs, as its config says.
    pub process: &'a ProcessSpec,
    /// The files of this machine that the container sees: the train's own parts and the station's volumes.
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

    /// Looks whether it could run a container, with one of nothing but this program where that could run in it. What that
    /// needs goes into the directory for temporary files, and nothing stays.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if it could not; input/output.
    fn try_out(&self, context: &Context) -> Result<()>;

    /// True if it has kept this base, so that nobody need bring it.
    fn keeps(&self, base: &Image, context: &Context) -> bool;

    /// Makes the container, which does not run yet. The base is taken in if the engine has not kept it; what is returned
    /// keeps it there.
    ///
    /// # Errors
    /// An error of the engine; input/output.
    fn prepare(&self, job: &Job<'_>, context: &Context) -> Result<Option<Root>>;

    /// The command that runs the container until its end, with the train's output as its own.
    fn start(&self, name: &str, scratch: &Path) -> Command;

    /// How the train ended, when that command has.
    ///
    /// # Errors
    /// The engine could not run it at all.
    fn outcome(&self, name: &str, scratch: &Path, ended: ExitStatus) -> Result<Outcome>;

    /// The first process of the container, as this machine counts processes, while it runs; none where that cannot be told.
    fn first_process(&self, name: &str, scratch: &Path) -> Option<u32>;

    /// What the train has written to, or removed from, the container's own file system, where nobody gets it: neither in a
    /// mount nor what the engine puts there itself. None where that cannot be told. To be asked between the train's end and
    /// the container's.
    ///
    /// # Errors
    /// An error of the engine; input/output.
    fn written(&self, job: &Job<'_>) -> Result<Option<Vec<PathBuf>>>;

    /// Ends the container if it runs, and removes all that the engine has of it; what is not there is no fault. The base
    /// stays.
    ///
    /// # Errors
    /// Something is still there.
    fn remove(&self, name: &str, scratch: &Path) -> Result<()>;

    /// Waits for a container that a run which was killed a moment ago may have asked for, and that is not there yet.
    fn await_late(&self, _name: &str) {}

    /// Gives this user what a train has written below `dir` as another one, where the users of a container are not those
    /// of this machine, and this user could neither read nor remove it.
    ///
    /// # Errors
    /// An error of the engine.
    fn reclaim(&self, _dir: &Path) -> Result<()> {
        Ok(())
    }
}

/// How a train ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Its exit status, or 128 and the number of the signal that ended it.
    pub exit_status: i32,
    /// True if the engine says that it wanted more memory than it may have. Not every one does.
    pub out_of_memory: bool,
}

impl fmt::Debug for dyn Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
