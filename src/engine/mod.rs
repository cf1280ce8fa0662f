//! Engines that run an opened image: each in a file of its own, and in one table. Knows an image and mounts, no train.
//!
//! Whatever the engine, the container has no network, and nothing of it stays with the engine.

mod accounts;
mod bundle;
mod capabilities;
mod charliecloud;
mod client;
mod docker;
mod interface;
mod kept;
mod memory;
mod options;
mod orphans;
mod overlay;
mod podman;
mod process;
mod roots;
mod runc;
mod seccomp;
mod submounts;
mod supervise;
mod trial;
mod written;

use crate::error::{Error, Result};
use crate::text::Printable;

pub use interface::{Engine, Job, Outcome, SECRETS};
pub use kept::{KeptBase, kept_bases, prune};
pub(crate) use memory::PeakMemory;
pub(crate) use options::mountable;
pub use options::{Limits, Mount, RunOptions, Variable, Volume};
pub use process::ProcessSpec;
pub use roots::Root;
pub(crate) use submounts::with_submounts;
pub(crate) use supervise::{ExitReason, Watch, supervise};

/// Every engine. To add one: a file that implements [`Engine`], and a line here.
pub static ENGINES: &[&dyn Engine] = &[&podman::Podman, &docker::Docker, &runc::Runc, &charliecloud::Charliecloud];

/// The engine with this name.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if there is none.
pub fn engine_named(name: &str) -> Result<&'static dyn Engine> {
    ENGINES.iter().copied().find(|engine| engine.name() == name).ok_or_else(|| {
        let names: Vec<&str> = ENGINES.iter().map(|engine| engine.name()).collect();
        Error::usage(format!("there is no engine `{}`; there are {}", Printable::new(name), names.join(", ")))
    })
}
