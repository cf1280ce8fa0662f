use super::super::fields::field::{Field, FieldKind, Observer};
use super::super::finding::{Notes, ReviewCheck};
use super::super::labels::is_run_fact;
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;
use super::super::traces::{Trace, traces};

/// The parts of a long text that are looked at.
const MAX_TEXT: usize = 64 << 10;

/// Texts in which a person may stand without the name of a column and without the form of an identifier that is known.
struct PersonalText;

pub(super) fn observer(_: &Subject<'_>, _: &ReleasePolicy) -> Box<dyn Observer> {
    Box::new(PersonalText)
}

impl Observer for PersonalText {
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        if field.text.len() > MAX_TEXT || field.kind == FieldKind::Number && field.text.len() < 8 {
            return;
        }
        for trace in traces(field.text) {
            // A run has its times, and its digests.
            if matches!(trace, Trace::Date | Trace::Digest) && is_run_fact(field.label) {
                continue;
            }
            if field.kind == FieldKind::Number && trace != Trace::DayInDigits {
                continue;
            }
            notes.look(ReviewCheck::Identifier, (field.place)(), trace.evidence());
        }
    }
}
