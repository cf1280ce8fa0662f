use std::collections::HashMap;
use std::ops::Range;

use super::super::few::counts_few_people;
use super::super::fields::field::{Field, FieldKind, Group, Observer, count, number};
use super::super::finding::{Notes, ReviewCheck};
use super::super::labels::{is_total, share};
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;
use super::super::words::is_count;

/// The small numbers of one table that are remembered until it is known whether all in it are integers.
const REMEMBERED: usize = 20;

/// Counts below the least one that may leave.
struct SmallCount {
    small: Range<u64>,
    /// Of each group that has not ended: small integers under a name that is none of counts.
    waiting: HashMap<usize, Waiting>,
    /// The last count and the last share of each group, which may tell another count together.
    last: HashMap<usize, (Option<f64>, Option<f64>)>,
    /// The counts that are left out of each group, and whether it has a total.
    left_out: HashMap<usize, (u64, bool)>,
}

#[derive(Default)]
struct Waiting {
    places: Vec<String>,
    count: u64,
}

pub(super) fn observer(_: &Subject<'_>, policy: &ReleasePolicy) -> Box<dyn Observer> {
    Box::new(SmallCount {
        small: policy.small_counts(),
        waiting: HashMap::new(),
        last: HashMap::new(),
        left_out: HashMap::new(),
    })
}

impl Observer for SmallCount {
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        let is_counted = is_count(field.label) || is_count(field.row_label);
        let has_total = is_total(field.label) || is_total(field.row_label) || is_total(field.text);
        let left_out = self.left_out.entry(field.group).or_default();
        left_out.1 |= has_total && field.kind != FieldKind::Name;
        left_out.0 += u64::from(is_left_out(field.text));
        // Programs write counts as texts, too.
        let text = field.text.split_once(" (").map_or(field.text, |(first, _)| first);
        let as_text = field.kind == FieldKind::Text && count(text).is_some_and(|value| self.small.contains(&value));
        if field.kind != FieldKind::Number {
            if counts_few_people(field.text, &self.small) || as_text && (is_counted || text != field.text) {
                notes.look(ReviewCheck::SmallCount, (field.place)(), self.evidence());
            }
            return;
        }
        self.share(field, is_counted, notes);
        let is_small = count(field.text).is_some_and(|value| self.small.contains(&value));
        if !is_small {
            return;
        }
        if is_counted {
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
        self.last.remove(&group.id);
        if self.left_out.remove(&group.id) == Some((1, true)) {
            let what = "one count is left out, and a total is given: the difference tells it";
            notes.look(ReviewCheck::SmallCount, group.place.clone(), what);
        }
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
    /// A share and the number that it is of tell a count.
    fn share(&mut self, field: &Field<'_>, is_counted: bool, notes: &mut Notes<'_>) {
        let Some(value) = number(field.text) else { return };
        let (counts, shares) = self.last.entry(field.group).or_default();
        let share = if is_counted { None } else { share(field.label).or_else(|| share(field.row_label)) };
        match share {
            Some(in_hundredths) => *shares = Some(if in_hundredths { value / 100.0 } else { value }),
            None if is_counted => *counts = Some(value),
            None => return,
        }
        if let (Some(count), Some(share)) = (*counts, *shares) {
            let part = count * share;
            if count >= self.small.end as f64 && part > 0.0 && part < self.small.end as f64 - 0.5 {
                let what = format!("a share of a count that tells one below {}", self.small.end);
                notes.look(ReviewCheck::SmallCount, (field.place)(), what);
            }
        }
    }

    fn evidence(&self) -> String {
        format!("an integer from {} to {}", self.small.start, self.small.end.saturating_sub(1))
    }
}

/// True for what stands in the place of a count that is too small: `<10`, `*`, `suppressed`.
fn is_left_out(text: &str) -> bool {
    let text = text.trim();
    let bound = text.strip_prefix('<').or_else(|| text.strip_prefix('≤')).map(str::trim);
    bound.is_some_and(|bound| count(bound).is_some())
        || matches!(
            text.to_ascii_lowercase().as_str(),
            "*" | "**" | "suppressed" | "[redacted]" | "redacted" | "masked" | "n<10"
        )
}
