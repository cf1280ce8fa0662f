use super::super::entries::{ResultKind, State};
use super::super::finding::{Finding, ReviewCheck, Severity};
use super::super::subject::Whole;
use super::inventory::shown_path;
use crate::error::Result;

/// Bytes of each file, and of all.
pub(super) fn check(whole: &Whole<'_>) -> Result<Vec<Finding>> {
    let (mut found, mut total) = (Vec::new(), 0_u64);
    let mut stop = |path: String, evidence: String| {
        found.push(Finding { check: ReviewCheck::Size, severity: Severity::Stop, path, place: None, evidence });
    };
    for (at, entry) in whole.entries.iter().enumerate() {
        let ResultKind::File { size, .. } = entry.kind else { continue };
        total = total.saturating_add(size);
        let is_old = whole.states.is_some_and(|states| states.get(at) == Some(&State::Unchanged));
        if size > whole.policy.max_file && !is_old {
            stop(
                shown_path(&entry.path),
                format!("{size} bytes, more than the {} that a file may have", whole.policy.max_file),
            );
        }
    }
    if total > whole.policy.max_total {
        stop(
            String::new(),
            format!("{total} bytes in all, more than the {} that results may have", whole.policy.max_total),
        );
    }
    Ok(found)
}
