//! What the names of files, their number and their metadata tell.

use std::collections::BTreeMap;

use super::super::entries::{ResultKind, State};
use super::super::finding::{Finding, ReviewCheck, Severity};
use super::super::names::of_name;
use super::super::subject::Whole;
use super::inventory::shown_path;
use crate::error::Result;

/// Files of one name but for its digits from which on there may be one a person.
const MANY: usize = 10;
/// Empty files from which on their names are what they are for.
const EMPTY: usize = 4;
/// A time of change before this (1990-01-01) is not that of a run; images that are built alike say 1970 or 1980.
const LONG_AGO: i64 = 631_152_000;
const ALIKE: [i64; 3] = [0, 1, 315_532_800];

/// Names, modes, times and numbers of files.
pub(in crate::review) fn check(whole: &Whole<'_>) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let is_new =
        |at: usize| whole.states.is_none_or(|states| states.get(at).is_none_or(|state| *state != State::Unchanged));
    let mut add = |path: &[u8], severity, evidence: String| {
        let (check, path) = (ReviewCheck::Inventory, shown_path(path));
        found.push(Finding { check, severity, path, place: None, evidence });
    };
    let mut alike: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut empty = 0;
    for (at, entry) in whole.entries.iter().enumerate().filter(|(at, _)| is_new(*at)) {
        let name = entry.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if let Some((severity, what)) = of_name(name) {
            add(&entry.path, severity, what.to_owned());
        }
        if !is_usual(entry.mode & 0o777) {
            add(&entry.path, Severity::Look, "a mode that no program gives a file".to_owned());
        }
        let node = whole.tree.get(&[whole.root, b"/", &entry.path[..]].concat());
        if node.is_some_and(|node| node.meta.mtime < LONG_AGO && !ALIKE.contains(&node.meta.mtime)) {
            add(&entry.path, Severity::Look, "a time of change long before the run: times travel too".to_owned());
        }
        match entry.kind {
            ResultKind::File { size, .. } => {
                empty += usize::from(size == 0);
                *alike.entry(without_digits(&entry.path)).or_default() += 1;
            }
            ResultKind::Directory => {
                let below = [&entry.path[..], b"/"].concat();
                let is_empty = !whole.entries.get(at + 1).is_some_and(|next| next.path.starts_with(&below));
                if is_empty {
                    add(&entry.path, Severity::Look, "an empty directory, of which only the name travels".to_owned());
                }
            }
            _ => {}
        }
    }
    if empty >= EMPTY {
        add(b"", Severity::Look, format!("{empty} empty files, of which only the names travel"));
    }
    for count in alike.into_values().filter(|count| *count >= MANY) {
        add(b"", Severity::Look, format!("{count} files whose names differ in digits only: there may be one a person"));
    }
    Ok(found)
}

/// True for the modes that programs give files and directories.
fn is_usual(mode: u32) -> bool {
    let [owner, group, others] = [mode >> 6 & 7, mode >> 3 & 7, mode & 7];
    // What others may do, the group may, and the owner.
    owner & 4 != 0 && group & !owner == 0 && others & !group == 0 || mode == 0
}

fn without_digits(path: &[u8]) -> Vec<u8> {
    path.iter().copied().filter(|byte| !byte.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_give_usual_modes() {
        for (mode, usual) in [
            (0o644, true),
            (0o600, true),
            (0o755, true),
            (0o666, true),
            (0o555, true),
            (0o541, false),
            (0o476, false),
            (0o456, false),
        ] {
            assert_eq!(is_usual(mode), usual, "{mode:o}");
        }
    }
}
