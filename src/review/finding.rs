use std::collections::BTreeMap;

use super::policy::ReleasePolicy;

/// The findings of one check in one file that are listed with their places; the others are counted.
const LISTED: u64 = 20;

/// What a check thinks of a file, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing found, which is not to say that it is safe.
    Pass,
    /// A person has to look.
    Look,
    /// Against the station's rules: it leaves only if a reviewer says why.
    Stop,
}

impl Severity {
    /// The stable name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Pass => "pass",
            Severity::Look => "look",
            Severity::Stop => "stop",
        }
    }
}

/// The checks; their names are the stable ids in reports and approvals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ReviewCheck {
    /// Links, attributes, odd names.
    Inventory,
    /// Files that the creator did not declare.
    Declared,
    /// The type by content, and whether the name agrees.
    Type,
    /// Bytes of a file and of all.
    Size,
    /// Rows of tables, and what may be one row a person.
    Rows,
    /// What names a person.
    Identifier,
    /// Counts below the threshold.
    SmallCount,
    /// Least and greatest values.
    Extreme,
    /// Serialised models and frames.
    Model,
    /// The opcodes of pickles.
    Pickle,
    /// Medical images, signals and sequences.
    Medical,
    /// Archives and their entries.
    Nested,
    /// What cannot be read.
    Opaque,
    /// What stands verbatim in the station's data.
    Overlap,
    /// The verdicts of ACRO.
    Acro,
}

impl ReviewCheck {
    /// The stable id.
    pub fn name(self) -> &'static str {
        match self {
            ReviewCheck::Inventory => "inventory",
            ReviewCheck::Declared => "declared",
            ReviewCheck::Type => "type",
            ReviewCheck::Size => "size",
            ReviewCheck::Rows => "rows",
            ReviewCheck::Identifier => "identifier",
            ReviewCheck::SmallCount => "small-count",
            ReviewCheck::Extreme => "extreme",
            ReviewCheck::Model => "model",
            ReviewCheck::Pickle => "pickle",
            ReviewCheck::Medical => "medical",
            ReviewCheck::Nested => "nested",
            ReviewCheck::Opaque => "opaque",
            ReviewCheck::Overlap => "overlap",
            ReviewCheck::Acro => "acro",
        }
    }
}

/// Something that a check has found. Neither place nor evidence holds a datum of the file: both may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The check.
    pub check: ReviewCheck,
    /// How bad it is; never [`Severity::Pass`].
    pub severity: Severity,
    /// The file, by its path below the results; empty for all of them together.
    pub path: String,
    /// The place in the file, if there is one.
    pub place: Option<String>,
    /// What was found, in words.
    pub evidence: String,
}

impl Finding {
    /// The name by which a reviewer accepts what this check has found in this file: `CHECK:PATH`.
    pub fn key(&self) -> String {
        format!("{}:{}", self.check.name(), self.path)
    }
}

/// Takes the findings of one file.
pub(super) struct Notes<'a> {
    pub(super) policy: &'a ReleasePolicy,
    path: String,
    /// The names of the archives and entries that are being looked at, outermost first.
    within: Vec<String>,
    found: Vec<Finding>,
    counts: BTreeMap<(ReviewCheck, Severity), u64>,
}

impl<'a> Notes<'a> {
    /// For the file at `path`.
    pub(super) fn new(policy: &'a ReleasePolicy, path: String) -> Self {
        Notes { policy, path, within: Vec::new(), found: Vec::new(), counts: BTreeMap::new() }
    }

    /// A person has to look.
    pub(super) fn look(&mut self, check: ReviewCheck, place: impl Into<String>, evidence: impl Into<String>) {
        self.add(check, Severity::Look, place.into(), evidence.into());
    }

    /// It may not leave as it is.
    pub(super) fn stop(&mut self, check: ReviewCheck, place: impl Into<String>, evidence: impl Into<String>) {
        self.add(check, Severity::Stop, place.into(), evidence.into());
    }

    pub(super) fn add(&mut self, check: ReviewCheck, severity: Severity, place: String, evidence: String) {
        let count = self.counts.entry((check, severity)).or_default();
        *count += 1;
        if *count > LISTED {
            return;
        }
        let mut places: Vec<&str> = self.within.iter().map(String::as_str).collect();
        places.extend(Some(place.as_str()).filter(|place| !place.is_empty()));
        let place = (!places.is_empty()).then(|| places.join(": "));
        self.found.push(Finding { check, severity, path: self.path.clone(), place, evidence });
    }

    /// What is found from now on is in this part of the file.
    pub(super) fn enter(&mut self, part: String) {
        self.within.push(part);
    }

    /// The part ends.
    pub(super) fn leave(&mut self) {
        self.within.pop();
    }

    /// All findings.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        for (&(check, severity), &count) in &self.counts {
            if count > LISTED {
                let evidence = format!("{} more of this kind", count - LISTED);
                let path = self.path.clone();
                self.found.push(Finding { check, severity, path, place: None, evidence });
            }
        }
        self.found
    }
}
