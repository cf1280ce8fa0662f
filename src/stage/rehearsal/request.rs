use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::{Engine, RunOptions, Volume};
use crate::review::ReleasePolicy;
use crate::stage::parts::execution::Execution;
use crate::stage::run::IN_TRAIN;
use crate::store::Reference;

/// A request for a rehearsal.
#[non_exhaustive]
pub struct RehearsalRequest<'a> {
    /// The master image; `None` for the empty image.
    pub base: Option<&'a Reference>,
    /// The immutable files: a directory, or a tar archive.
    pub files: &'a Path,
    /// The query, if there is one.
    pub query: Option<&'a Path>,
    /// The command that runs the train; the master image's if empty.
    pub command: &'a [String],
    /// The creator's Paillier public key, as [`read_public`](crate::train::paillier::read_public) reads it.
    pub paillier_key: Option<&'a str>,
    /// The stations in the order of the route.
    pub stops: &'a [RehearsalStop],
    /// The engine.
    pub engine: &'static dyn Engine,
    /// The options of the container at every stop, beside its data.
    pub options: &'a RunOptions,
    /// The time limit at every stop.
    pub limit: Option<Duration>,
    /// The most bytes that the results may have.
    pub results_limit: Option<u64>,
    /// The rules of the stations for what leaves.
    pub policy: &'a ReleasePolicy,
    /// A new directory for the results, as their creator would get them.
    pub out: Option<&'a Path>,
    /// Called with how the train runs, before it does.
    pub announce: Option<&'a dyn Fn(&Execution)>,
}

impl<'a> RehearsalRequest<'a> {
    /// A train with these files on the empty image, over these stations, by the default rules.
    pub fn new(
        files: &'a Path,
        stops: &'a [RehearsalStop],
        engine: &'static dyn Engine,
        options: &'a RunOptions,
        policy: &'a ReleasePolicy,
    ) -> Self {
        RehearsalRequest {
            base: None,
            files,
            query: None,
            command: &[],
            paillier_key: None,
            stops,
            engine,
            options,
            limit: None,
            results_limit: None,
            policy,
            out: None,
            announce: None,
        }
    }
}

/// A station of a rehearsal.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RehearsalStop {
    /// Its id.
    pub station: String,
    /// Its data, as the train finds them.
    pub data: Vec<Volume>,
}

impl RehearsalStop {
    /// A station whose data the train finds at these places.
    pub fn new(station: impl Into<String>, data: Vec<Volume>) -> Self {
        RehearsalStop { station: station.into(), data }
    }
}

impl Volume {
    /// A file or directory where the train finds its data if nothing else is said: at `/opt/train_data`, which the variable
    /// `TRAIN_DATA_PATH` tells.
    pub fn of_data(host: impl Into<PathBuf>) -> Self {
        Volume { host: host.into(), path: IN_TRAIN.into(), read_only: true }
    }
}
