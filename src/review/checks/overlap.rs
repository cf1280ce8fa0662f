use super::super::against::Candidates;
use super::super::fields::field::{Field, Observer};
use super::super::finding::Notes;

use std::cell::RefCell;

/// Collects the values that are looked for in the station's data.
pub(in crate::review) struct Overlap<'a> {
    pub(in crate::review) candidates: &'a RefCell<Candidates>,
}

impl Observer for Overlap<'_> {
    fn field(&mut self, field: &Field<'_>, _: &mut Notes<'_>) {
        self.candidates.borrow_mut().value(field.text, field.place);
    }
}
