//! The verbs of the train: the only place where the domain, images and ciphers meet.
//!
//! A stage reads as the protocol does: load the train, check it, transform its payload, publish.

mod build;
mod inspect;
mod parts;
mod post_run;
mod pre_run;
mod rebase;
mod results;
#[cfg(feature = "engines")]
mod run;
mod sign;
mod validate;
mod verify;

pub use build::{BuildCreator, BuildRequest, BuildStop, build};
pub use inspect::{Inspection, StopState, inspect};
pub use parts::pinned_keys::read_trust;
pub use parts::report::{Ran, Report};
pub use parts::request::{StageRequest, Station, VerificationPolicy};
pub use post_run::post_run;
pub use pre_run::pre_run;
pub use rebase::{RebaseRequest, rebase};
pub use results::{ResultsRequest, ResultsTo, results};
#[cfg(feature = "engines")]
pub use run::{RunRequest, TrainFailed, run};
pub use sign::{KnownFiles, SignRequest, SignWith, Statement, sign, sign_statement};
pub use validate::{Master, Method, ValidateRequest, Validation, validate};
pub use verify::{StopVerdict, Verification, verify};
