use super::super::fields::field::{Field, FieldKind, Observer};
use super::super::finding::{Notes, ReviewCheck};
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;
use super::super::words::{is_extreme, is_statistic};

/// Least and greatest values: each is that of one person.
struct Extreme;

pub(super) fn observer(_: &Subject<'_>, _: &ReleasePolicy) -> Box<dyn Observer> {
    Box::new(Extreme)
}

impl Observer for Extreme {
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        let has_digit = field.kind != FieldKind::Name && field.text.contains(|c: char| c.is_ascii_digit());
        if has_digit && (is_extreme(field.label) || is_extreme(field.row_label)) {
            notes.look(ReviewCheck::Extreme, (field.place)(), "a least or greatest value, by its name");
        }
        let is_line = field.kind == FieldKind::Text && field.label.is_empty();
        if is_line && has_digit && field.text.split_whitespace().any(is_extreme) {
            notes.look(ReviewCheck::Extreme, (field.place)(), "a least or greatest value, in a line that names it");
        }
        if is_line && is_head(field.text) {
            notes.look(
                ReviewCheck::Extreme,
                (field.place)(),
                "names of statistics, a least or greatest value among them",
            );
        }
    }
}

/// True for a line of names of statistics with an extreme among them, as programs print it above their values.
fn is_head(line: &str) -> bool {
    const MOST: usize = 24;
    let words: Vec<&str> = line.split_whitespace().take(MOST + 1).collect();
    let statistics = words.iter().filter(|word| is_extreme(word) || is_statistic(word)).count();
    words.len() <= MOST && statistics >= 2 && statistics * 2 >= words.len() && words.iter().any(|word| is_extreme(word))
}
