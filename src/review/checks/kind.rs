use super::super::fields::field::number;
use super::super::finding::{Notes, ReviewCheck};
use super::super::format::{Format, ending, name_disagrees};
use super::super::nested::Role;
use super::super::subject::Subject;

/// Types that a person can look at with a program of their own, but this one does not read in full.
const LOOKED_AT: [&str; 9] = ["html", "pdf", "svg", "ipynb", "xlsx", "docx", "xml", "jsonl", "empty"];

/// The type by content: whether it is one that may leave, and whether the name agrees.
pub(super) fn check(subject: &Subject<'_>, notes: &mut Notes<'_>) {
    if subject.role != Role::File {
        return;
    }
    let format = subject.format;
    // One number is JSON, and a table of one cell.
    let is_cell = format == Format::Json && subject.text.is_some_and(|text| number(text).is_some());
    let is_cell = is_cell && matches!(ending(subject.name).as_str(), "csv" | "tsv");
    if name_disagrees(subject.name, format) && !is_cell {
        notes.stop(
            ReviewCheck::Type,
            "",
            format!("the name promises another type than the content, which is {}", format.name()),
        );
    }
    let allowed = |name: &str| notes.policy.types.iter().any(|allowed| allowed == name);
    match format {
        Format::Empty => {}
        // Other checks have their say on these.
        Format::Model(_)
        | Format::Pickle
        | Format::Numpy
        | Format::NumpyArchive
        | Format::Torch
        | Format::Medical(_) => {}
        Format::Zip | Format::Gzip | Format::Zlib | Format::Tar | Format::Sealed(_) | Format::Unknown => {}
        _ if format.is_picture() && allowed(format.name()) => {
            notes.look(ReviewCheck::Type, "", "a picture: its pixels are not read, so look at what it shows");
        }
        _ if allowed(format.name()) => {}
        Format::Pdf => notes.look(ReviewCheck::Type, "", "pdf: not read here, so look at every page of it"),
        _ if LOOKED_AT.contains(&format.name()) => {
            notes.look(ReviewCheck::Type, "", format!("{}: may hold more than a program shows of it", format.name()));
        }
        _ => notes.stop(ReviewCheck::Type, "", format!("{}: not a type that may leave", format.name())),
    }
}
