//! The verbs of the train: the only place where the domain, images and ciphers meet.
//!
//! A stage reads as the protocol does: load the train, check it, transform its payload, publish.

mod build;
mod check;
mod copy;
mod engine;
mod extract;
mod feeder;
mod gc;
mod handout;
mod homomorphic;
mod inspect;
mod labels;
mod lineage;
mod load;
mod locate;
mod out_dir;
mod out_file;
mod payload;
mod pins;
mod post_run;
mod pre_run;
mod publish;
mod rebase;
mod report;
mod request;
mod results;
mod room;
mod run;
mod tool_image;
mod validate;
mod verify;

use std::path::PathBuf;

use crate::crypto::PrivateKey;
use crate::image::Platform;
use crate::store::registry::{Access, Side};
use crate::store::{Progress, Waiting};

pub use build::{BuildRequest, BuildStop, build};
pub use copy::{CopyRequest, copy};
pub use engine::{ENGINES, Engine, Job, Order, SECRETS, Variable, Volume, engine_named};
pub use extract::{ExtractRequest, ExtractTo, extract};
pub use gc::gc;
pub use inspect::{Inspection, StopStanding, inspect};
pub use locate::{open_destination, open_source};
pub use pins::read_trust;
pub use post_run::post_run;
pub use pre_run::pre_run;
pub use rebase::{RebaseRequest, rebase};
pub use report::{Bytes, Layers, Ran, Report};
pub use request::{Demands, StageRequest};
pub use results::{ResultsRequest, ResultsTo, results};
pub use run::{RunRequest, TrainFailed, run};
pub use tool_image::{ToolImageRequest, tool_image};
pub use validate::{Master, Means, ValidateRequest, Validation, validate};
pub use verify::{StopVerdict, Verification, verify};

/// Where the train's parts lie in an image.
pub mod paths {
    /// Above all of them.
    pub const OPT: &[u8] = b"opt";
    /// The train config.
    pub const CONFIG: &[u8] = b"opt/train_config.json";
    /// The immutable files.
    pub const TRAIN: &[u8] = b"opt/pht_train";
    /// The results.
    pub const RESULTS: &[u8] = b"opt/pht_results";
    /// The stage's key, wrapped for the creator.
    pub const USER_KEY: &[u8] = b"opt/user_sym_key.key";
}

/// What every stage needs to know of the world around it; the library itself reads no clock and no environment.
#[derive(Debug, Clone)]
pub struct World {
    /// Now, in seconds since 1970: `created` of new images, times of new files.
    pub now: i64,
    /// The image of which platform, where there are several.
    pub platform: Option<Platform>,
    /// What to do when another process writes to the same place.
    pub waiting: Waiting,
    /// Where temporary files go that are not the destination's: those of commands that write no image.
    pub temporary: PathBuf,
    /// How registries are reached that images are read from.
    pub source: Access,
    /// How registries are reached that images are written to.
    pub destination: Access,
    /// Who is told how long steps go on.
    pub progress: Progress,
}

impl World {
    /// At this time (seconds since 1970), with the defaults for everything else.
    pub fn at(now: i64) -> Self {
        World {
            now,
            platform: None,
            waiting: Waiting::default(),
            temporary: std::env::temp_dir(),
            source: Access::anonymous(Side::Source),
            destination: Access::anonymous(Side::Destination),
            progress: Progress::default(),
        }
    }
}

/// Who acts at a stage.
#[derive(Clone, Copy)]
pub struct Station<'a> {
    /// The station's id, if it was given; else it is the stop whose key this is.
    pub id: Option<&'a str>,
    /// Its private key.
    pub key: &'a PrivateKey,
}

impl<'a> Station<'a> {
    /// The stop on the route whose key this is.
    pub fn of(key: &'a PrivateKey) -> Self {
        Station { id: None, key }
    }
}
