use super::super::entries::{ResultKind, State};
use super::super::finding::{Finding, ReviewCheck, Severity};
use super::super::subject::Whole;
use super::inventory::shown_path;
use crate::error::Result;

/// What the creator has not declared, where something is declared.
pub(super) fn check(whole: &Whole<'_>) -> Result<Vec<Finding>> {
    let Some(declaration) = whole.declaration else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (at, entry) in whole.entries.iter().enumerate() {
        let ResultKind::File { size, .. } = entry.kind else { continue };
        if whole.states.is_some_and(|states| states.get(at) == Some(&State::Unchanged)) {
            continue;
        }
        let evidence = match declaration.of(&entry.path) {
            None => "not among the outputs that the creator has declared".to_owned(),
            Some(output) => match output.largest {
                Some(largest) if size > largest => {
                    format!("{size} bytes, and the creator has declared at most {largest}")
                }
                _ => continue,
            },
        };
        let path = shown_path(&entry.path);
        found.push(Finding { check: ReviewCheck::Declared, severity: Severity::Look, path, place: None, evidence });
    }
    Ok(found)
}
