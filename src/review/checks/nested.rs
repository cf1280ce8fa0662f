use super::super::finding::{Notes, ReviewCheck};
use super::super::format::Format;
use super::super::nested::Oddity;
use super::super::subject::Subject;

/// Archives that are not opened here; those that are, are seen entry by entry.
pub(super) fn check(subject: &Subject<'_>, notes: &mut Notes<'_>) {
    if let Format::Sealed(name) = subject.format {
        notes.stop(ReviewCheck::Nested, "", format!("{name}: an archive that is not opened here"));
    }
}

/// What was odd about an archive that was opened.
pub(in crate::review) fn note(odd: &[Oddity], notes: &mut Notes<'_>) {
    for oddity in odd {
        match oddity {
            Oddity::Unseen(what) => notes.stop(ReviewCheck::Nested, "", *what),
            Oddity::Odd(what) => notes.look(ReviewCheck::Nested, "", *what),
        }
    }
}

/// An archive that is in too many others.
pub(in crate::review) fn too_deep(notes: &mut Notes<'_>) {
    notes.stop(ReviewCheck::Nested, "", "an archive in so many others that it is not opened");
}
