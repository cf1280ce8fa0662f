use std::cell::{Cell, RefCell};
use std::path::Path;

use super::report::RehearsedStop;
use super::request::RehearsalStop;
use crate::crypto::PrivateKey;
use crate::error::Result;
use crate::review::{ReleasePolicy, Review};
use crate::stage::review::{Before, ReviewRequest, review_train};
use crate::stage::run::{Observer, Usage};
use crate::store::{Context, Reference};

/// Looks on at one stop, and reviews its results as a station would.
pub(super) struct Witness<'a> {
    train: &'a Reference,
    key: &'a PrivateKey,
    stop: &'a RehearsalStop,
    policy: &'a ReleasePolicy,
    context: &'a Context,
    usage: Cell<Option<Usage>>,
    review: RefCell<Option<Review>>,
}

impl<'a> Witness<'a> {
    pub(super) fn new(
        train: &'a Reference,
        key: &'a PrivateKey,
        stop: &'a RehearsalStop,
        policy: &'a ReleasePolicy,
        context: &'a Context,
    ) -> Self {
        Witness { train, key, stop, policy, context, usage: Cell::default(), review: RefCell::default() }
    }

    /// What was seen.
    pub(super) fn finish(self, index: usize) -> RehearsedStop {
        RehearsedStop::new(index, &self.stop.station, self.usage.into_inner(), self.review.into_inner())
    }
}

impl Observer for Witness<'_> {
    fn ended(&self, usage: Usage) {
        self.usage.set(Some(usage));
    }

    fn look(&self, opened: &Reference, results: &Path) -> Result<()> {
        let against: Vec<&Path> = self.stop.data.iter().map(|volume| volume.host.as_path()).collect();
        let mut request = ReviewRequest::new(opened, self.policy);
        (request.results, request.against) = (Some(results), &against);
        request.before = Some(Before { source: self.train, key: self.key });
        let reviewed = review_train(&request, self.context)?;
        *self.review.borrow_mut() = Some(reviewed.review);
        Ok(())
    }
}
