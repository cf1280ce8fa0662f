use std::path::Path;

use super::Station;
use crate::error::Result;
use crate::image::Reference;
use crate::train::check::{settle, settle_strictly};
use crate::train::{Check, Trust};

/// What a person demands of a train beyond what its wire version does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Demands<'a> {
    /// The keys that the parties of the train must have.
    pub trust: Option<&'a Trust>,
    /// Refuse what the wire version cannot prove.
    pub strict: bool,
}

impl Demands<'_> {
    /// The checks, if they meet the demands.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if one is broken or, with `strict`, weak.
    pub fn settle(&self, checks: Vec<Check>) -> Result<Vec<Check>> {
        if self.strict { settle_strictly(checks) } else { settle(checks) }
    }

    /// What a person has to know where no keys are pinned.
    pub(super) fn warnings(&self) -> Vec<String> {
        let text = "the public keys come from the train itself: who they belong to was not checked (--trust DIR does)";
        if self.trust.is_none() { vec![text.to_owned()] } else { Vec::new() }
    }
}

/// What a station asks a stage to do.
#[derive(Clone, Copy)]
pub struct StageRequest<'a> {
    /// The train: for pre-run as it arrived, for post-run the image after the run.
    pub source: &'a Reference,
    /// Where to publish it; in place if absent.
    pub destination: Option<&'a Reference>,
    /// The train as built, if it cannot be told otherwise.
    pub base: Option<&'a Reference>,
    /// Who acts.
    pub station: Station<'a>,
    /// What the train has to meet.
    pub demands: Demands<'a>,
    /// A directory for the plaintext results, instead of the image. Pre-run makes it: it must not exist, or be empty.
    pub results: Option<&'a Path>,
    /// At pre-run of the first station: carry results along that are there already, though nobody vouches for them.
    pub keep_initial_results: bool,
}

impl<'a> StageRequest<'a> {
    /// In place, and nothing unusual.
    pub fn new(source: &'a Reference, station: Station<'a>) -> Self {
        StageRequest {
            source,
            destination: None,
            base: None,
            station,
            demands: Demands::default(),
            results: None,
            keep_initial_results: false,
        }
    }
}
