use super::super::finding::{Notes, ReviewCheck};
use super::super::format::Format;
use super::super::nested::Role;
use super::super::subject::Subject;

/// Containers of models, frames and arrays: what is in them can be looked at with a program only, and weights may hold
/// what they were trained on. They never pass.
pub(super) fn check(subject: &Subject<'_>, notes: &mut Notes<'_>) {
    if subject.role != Role::File {
        return;
    }
    let what = match subject.format {
        Format::Pickle => "a pickle: whoever loads it runs it",
        Format::Torch => "a model of PyTorch",
        Format::Numpy | Format::NumpyArchive => "arrays of numbers, which may be one row a person",
        Format::Model(_) => "a model, a frame or arrays, whose content is not read",
        _ => return,
    };
    notes.look(ReviewCheck::Model, "", format!("{what} ({})", subject.format.name()));
}
