use super::super::entries::{ResultEntry, ResultKind, State};
use super::super::finding::{Finding, ReviewCheck, Severity};
use super::super::subject::Whole;
use crate::error::Result;
use crate::path::shown;
use crate::text::Printable;

/// The longest name of a file in which nothing can hide.
const MAX_NAME: usize = 100;

/// Links, attributes, odd names: what a list of file names does not show.
pub(super) fn check(whole: &Whole<'_>) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (at, entry) in whole.entries.iter().enumerate() {
        // What came with the train has been seen at its own station.
        if whole.states.is_some_and(|states| states.get(at) == Some(&State::Unchanged)) {
            continue;
        }
        let mut add = |severity, evidence: &str| {
            let path = shown_path(&entry.path);
            found.push(Finding {
                check: ReviewCheck::Inventory,
                severity,
                path,
                place: None,
                evidence: evidence.to_owned(),
            });
        };
        of_kind(entry, &mut add);
        of_name(entry, &mut add);
        if !entry.attributes.is_empty() {
            add(Severity::Stop, "extended attributes, which travel with the file and are not looked into");
        }
        if entry.mode & 0o7000 != 0 {
            add(Severity::Look, "set-user-ID, set-group-ID or the sticky bit in its mode");
        }
    }
    Ok(found)
}

fn of_kind(entry: &ResultEntry, add: &mut dyn FnMut(Severity, &str)) {
    match &entry.kind {
        ResultKind::File { .. } | ResultKind::Directory => {}
        ResultKind::Link(_) => add(Severity::Look, "a further name of another file"),
        ResultKind::Symlink(target) if leads_out(&entry.path, target) => {
            add(
                Severity::Stop,
                "a symbolic link that leads out of the results: whoever follows it reads something else",
            );
        }
        ResultKind::Symlink(_) => add(Severity::Look, "a symbolic link; its target is text that travels"),
        ResultKind::Fifo => add(Severity::Look, "a named pipe, which does not travel"),
        ResultKind::Device => add(Severity::Stop, "a device node"),
    }
}

fn of_name(entry: &ResultEntry, add: &mut dyn FnMut(Severity, &str)) {
    let name = entry.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if Printable::new(name).to_string().as_bytes() != name {
        add(Severity::Stop, "a name with characters that are not shown as they are");
    }
    if name.starts_with(b".") {
        add(Severity::Look, "a hidden name");
    }
    if name.len() > MAX_NAME {
        add(Severity::Look, "a long name: names travel too, and may hold data");
    }
    if name.trim_ascii() != name {
        add(Severity::Look, "a name that begins or ends with a blank");
    }
}

/// True if a link at this path below the results leads out of them.
fn leads_out(path: &[u8], target: &[u8]) -> bool {
    let mut depth = path.iter().filter(|&&byte| byte == b'/').count() as i64;
    target.starts_with(b"/")
        || target.split(|&byte| byte == b'/').any(|part| {
            depth += match part {
                b"" | b"." => 0,
                b".." => -1,
                _ => 1,
            };
            depth < 0
        })
}

/// A path below the results, for reports.
pub(in crate::review) fn shown_path(path: &[u8]) -> String {
    shown(path).to_string().trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_links_that_lead_out() {
        for (path, target, out) in [
            ("a", "b", false),
            ("a", "../b", true),
            ("d/a", "../b", false),
            ("d/a", "../../b", true),
            ("a", "/etc/passwd", true),
            ("a", "d/../../b", true),
        ] {
            assert_eq!(leads_out(path.as_bytes(), target.as_bytes()), out, "{path} -> {target}");
        }
    }
}
