//! What a check of files gets to see.

use std::cell::RefCell;

use super::against::Candidates;
use super::fields::field::Observer;
use super::finding::{Finding, Notes};
use super::format::Format;
use super::nested::{Budget, Role};
use super::policy::ReleasePolicy;
use crate::error::Result;
use crate::image::Tree;

use super::declaration::Declaration;
use super::entries::{ResultEntry, State};

/// One file, or one entry of an archive.
pub(super) struct Subject<'a> {
    /// Its path, or its name in the archive.
    pub(super) name: &'a [u8],
    /// As much of its content as is looked at.
    pub(super) bytes: &'a [u8],
    /// Its size.
    pub(super) size: u64,
    /// True if `bytes` is all of it.
    pub(super) whole: bool,
    /// What it is.
    pub(super) format: Format,
    /// What it is in its archive; a file on its own is a file.
    pub(super) role: Role,
    /// Its content as text, if it is text.
    pub(super) text: Option<&'a str>,
}

/// All results together.
pub(super) struct Whole<'a> {
    pub(super) policy: &'a ReleasePolicy,
    pub(super) tree: &'a Tree,
    pub(super) root: &'a [u8],
    pub(super) entries: &'a [ResultEntry],
    /// The state of each, if it is known what came with the train.
    pub(super) states: Option<&'a [State]>,
    pub(super) declaration: Option<&'a Declaration>,
}

/// What the checks of one review share.
pub(super) struct Shared<'a> {
    pub(super) policy: &'a ReleasePolicy,
    pub(super) budget: Budget,
    /// What is looked for in the station's data, if that is given.
    pub(super) candidates: Option<RefCell<Candidates>>,
}

/// What a check looks at.
pub(super) enum Run {
    /// All results together.
    Whole(fn(&Whole<'_>) -> Result<Vec<Finding>>),
    /// Each file and each entry of an archive.
    File(fn(&Subject<'_>, &mut Notes<'_>)),
    /// Every value of what is text.
    Values(fn(&Subject<'_>, &ReleasePolicy) -> Box<dyn Observer>),
    /// Files while they are opened, or the station's data: it is at work in more than one place.
    Elsewhere,
}
