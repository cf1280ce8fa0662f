//! The verbs of the train: the only place where the domain, images and ciphers meet.
//!
//! A stage reads as the protocol does: load the train, check it, transform its payload, publish.

mod build;
mod inspect;
mod journal;
mod journey;
mod kept;
mod parts;
mod post_run;
mod pre_run;
mod rebase;
#[cfg(feature = "engines")]
mod rehearsal;
mod reject;
mod results;
mod review;
#[cfg(feature = "engines")]
mod run;
mod sign;
mod trust;
mod validate;
mod verify;

pub use build::{BuildCreator, BuildRequest, BuildStop, build};
pub use inspect::{Inspection, ListedFile, StopState, TrainState, ensure_layers, inspect, is_open};
pub use journal::{Act, Journal, JournalEntry, PREDICATE_TYPE, Recording, closing_entry, recorded};
pub use journey::{
    Journey, JourneyFinding, JourneyJournal, JourneyRequest, JourneyStop, RecordedAct, RecordedApproval, RecordedRun,
    StopResults, journey,
};
pub use kept::{Remains, kept_in, parts_of_kept};
pub use parts::execution::{BaseOfRun, Execution};
pub use parts::pinned_keys::{Pin, list_pins, read_trust};
pub use parts::release::Release;
pub use parts::report::{Ran, Report, ResultFile};
pub use parts::request::{StageRequest, Station, UNPINNED, VerificationPolicy};
pub use parts::reviewers::{Reviewers, read_reviewers};
pub use post_run::post_run;
pub use pre_run::pre_run;
pub use rebase::{RebaseRequest, rebase};
#[cfg(feature = "engines")]
pub use rehearsal::{Rehearsal, RehearsalRequest, RehearsalStop, RehearsedStop, StopFailure, rehearse};
pub use reject::{RejectRequest, reject};
pub use results::{ResultsRequest, ResultsTo, results};
pub use review::{
    ApproveRequest, Before, ReviewRequest, Reviewed, ReviewedTrain, approve, review_results, review_train,
};
#[cfg(feature = "engines")]
pub use run::{
    KeptBefore, KeptRun, LOG_LIMIT, Leftover, Limit, Onlooker, RunHeld, RunRequest, TrainFailed, cleanup, keeps_base,
    kept_anywhere, kept_before, kept_runs, leftovers, run,
};
pub use sign::{KnownFiles, SignRequest, SignWith, Statement, sign, sign_hash, sign_statement};
pub use trust::{Parties, PartyKey, add_pin, parties};
pub use validate::{Master, Method, ValidateRequest, Validation, validate};
pub use verify::{StopVerdict, Verification, ensure_all_layers, verify};
