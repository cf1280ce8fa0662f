use super::super::fields::field::{Field, FieldKind, Observer};
use super::super::finding::{Notes, ReviewCheck};
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;
use super::super::words::is_extreme;

/// Least and greatest values: each is that of one person.
struct Extreme;

pub(super) fn observer(_: &Subject<'_>, _: &ReleasePolicy) -> Box<dyn Observer> {
    Box::new(Extreme)
}

impl Observer for Extreme {
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        if field.kind == FieldKind::Number && (is_extreme(field.label) || is_extreme(field.row_label)) {
            notes.look(ReviewCheck::Extreme, (field.place)(), "a least or greatest value, by its name");
        }
    }
}
