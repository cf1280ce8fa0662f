//! The options about what may leave: a station's rules, and approvals.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::quantity::{count, number, quantity};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::json::{Object, Value, json};
use crate::review::{Approval, ReleasePolicy};
use crate::stage::{Reviewers, read_reviewers};

/// The largest file of an approval that is read.
const MAX_APPROVAL: u64 = 16 << 20;

/// The rules of a station for what leaves.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules for what leaves")]
pub(super) struct RuleOptions {
    /// The reviewers who have to approve
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = reviewers)]
    reviewers: usize,
    /// The least count that may leave
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = number)]
    min_count: u64,
    /// Let counts of zero leave, which otherwise are small counts, too
    #[arg(long)]
    allow_zeros: bool,
    /// The most bytes of a file
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = size)]
    max_file: u64,
    /// The most bytes of all files
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = size)]
    max_total: u64,
    /// The most rows of a table
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = number)]
    max_rows: u64,
    /// The types that may leave, by content
    #[arg(long, value_name = "TYPE,...", value_delimiter = ',', default_value = "csv,tsv,json,txt,png,jpeg")]
    types: Vec<String>,
}

impl RuleOptions {
    /// The rules; `review` if nothing leaves without approval.
    pub(super) fn policy(&self, review: bool) -> ReleasePolicy {
        ReleasePolicy {
            review,
            reviewers: self.reviewers,
            min_count: self.min_count,
            allow_zeros: self.allow_zeros,
            max_file: self.max_file,
            max_total: self.max_total,
            max_rows: self.max_rows,
            types: self.types.clone(),
        }
    }
}

/// The approvals of results.
#[derive(Debug, Args)]
pub(super) struct ApprovalOptions {
    /// An approval of exactly these results (pht-oci approve); for each reviewer one
    #[arg(long, value_name = "FILE")]
    approval: Vec<PathBuf>,
}

impl ApprovalOptions {
    /// True if there are any.
    pub(super) fn are_given(&self) -> bool {
        !self.approval.is_empty()
    }

    /// Reads them.
    pub(super) fn load(&self) -> Result<Vec<(String, Approval)>> {
        self.approval.iter().map(|path| Ok((path.display().to_string(), read(path).at(path.display())?))).collect()
    }
}

/// What a journal says of the approvals with which results have left.
pub(super) fn recorded(approvals: &[(String, Approval)]) -> Object {
    let all: Vec<Value> = approvals.iter().map(|(_, approval)| approval.summary()).collect();
    if all.is_empty() { Object::new() } else { std::iter::once(("approvals".to_owned(), json!(all))).collect() }
}

fn read(path: &Path) -> Result<Approval> {
    let found = fs::metadata(path).map_err(|error| Error::usage("cannot open the approval").because(error))?;
    if !found.is_file() || found.len() > MAX_APPROVAL {
        return Err(Error::usage("not the file of an approval"));
    }
    Approval::parse(&fs::read(path).doing("read the approval")?)
}

/// The reviewers whose keys are pinned; none without a directory of pinned keys.
pub(super) fn load_reviewers(trust: Option<&Path>) -> Result<Reviewers> {
    trust.map(read_reviewers).transpose().map(Option::unwrap_or_default)
}

/// A number of people who approve: nothing leaves without one.
fn reviewers(text: &str) -> Result<usize, String> {
    match count(text)? {
        0 => Err("at least one reviewer has to approve".to_owned()),
        number => Ok(number),
    }
}

/// A number of bytes, as in `16M`.
fn size(text: &str) -> Result<u64, String> {
    let bytes = quantity(text, &[("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)]);
    bytes.ok_or_else(|| "not a number of bytes, as in 500, 64K, 16M or 2G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_library() {
        #[derive(Debug, clap::Parser)]
        struct Cli {
            #[command(flatten)]
            rules: RuleOptions,
        }
        let cli = <Cli as clap::Parser>::parse_from(["test"]);
        assert_eq!(cli.rules.policy(false), ReleasePolicy::default());
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([size("500"), size("64K"), size("2G")], [Ok(500), Ok(64 << 10), Ok(2 << 30)]);
        for wrong in ["", "M", "1T", "-1", "1.5M", "99999999999999999999", "99999999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
