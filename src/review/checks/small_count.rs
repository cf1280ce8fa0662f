use std::collections::HashMap;
use std::ops::Range;

use super::super::fields::field::{Field, FieldKind, Group, Observer, count};
use super::super::finding::{Notes, ReviewCheck};
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;
use super::super::tokens;
use super::super::words::is_count;

/// The small numbers of one table that are remembered until it is known whether all in it are integers.
const REMEMBERED: usize = 20;

/// Counts below the least one that may leave.
struct SmallCount {
    small: Range<u64>,
    /// Of each group that has not ended: small integers under a name that is none of counts.
    waiting: HashMap<usize, Waiting>,
}

#[derive(Default)]
struct Waiting {
    places: Vec<String>,
    count: u64,
}

pub(super) fn observer(_: &Subject<'_>, policy: &ReleasePolicy) -> Box<dyn Observer> {
    Box::new(SmallCount { small: policy.small_counts(), waiting: HashMap::new() })
}

impl Observer for SmallCount {
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        if field.kind == FieldKind::Text {
            if tokens::counts_few_people(field.text, &self.small) {
                notes.look(ReviewCheck::SmallCount, (field.place)(), self.evidence());
            }
            return;
        }
        let is_small =
            field.kind == FieldKind::Number && count(field.text).is_some_and(|value| self.small.contains(&value));
        if !is_small {
            return;
        }
        if is_count(field.label) || is_count(field.row_label) {
            notes.look(ReviewCheck::SmallCount, (field.place)(), self.evidence());
            return;
        }
        let waiting = self.waiting.entry(field.group).or_default();
        waiting.count += 1;
        if waiting.places.len() < REMEMBERED {
            waiting.places.push((field.place)());
        }
    }

    fn group(&mut self, group: &Group, notes: &mut Notes<'_>) {
        let Some(waiting) = self.waiting.remove(&group.id) else { return };
        let numeric = group.columns.iter().filter(|column| column.numbers > 0);
        if numeric.clone().next().is_none() || numeric.clone().any(|column| column.has_fractions) {
            return;
        }
        let evidence = format!("{}, in a table or list of integers only", self.evidence());
        for place in &waiting.places {
            notes.look(ReviewCheck::SmallCount, place.clone(), evidence.clone());
        }
        if waiting.count > waiting.places.len() as u64 {
            let more = waiting.count - waiting.places.len() as u64;
            notes.look(ReviewCheck::SmallCount, group.place.clone(), format!("{more} more of this kind"));
        }
    }
}

impl SmallCount {
    fn evidence(&self) -> String {
        format!("an integer from {} to {}", self.small.start, self.small.end.saturating_sub(1))
    }
}
