use super::super::fields::field::{Field, FieldKind, Observer, number};
use super::super::finding::{Notes, ReviewCheck};
use super::super::format::Format;
use super::super::labels::{is_run_fact, is_setting};
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;
use super::super::words::{is_count, is_statistic, names_a_statistic};

/// The numbers in one text of a document from which on they are looked at, and in a line that names a statistic.
const FEW_NUMBERS: usize = 2;
const MANY_NUMBERS: usize = 10;
/// An integer from which on it is no usual count or setting.
const LONG_NUMBER: f64 = 1e6;

/// Numbers that no name of a statistic, of a count or of a setting explains: those of one person look like that, whether
/// they stand in a list, an object or a line. Tables are looked at as a whole, elsewhere.
struct Unnamed {
    /// Numbers stand one by one, each under a name of its own.
    is_of_pairs: bool,
    /// The line before names a statistic, as a heading does.
    is_explained: bool,
}

pub(super) fn observer(subject: &Subject<'_>, _: &ReleasePolicy) -> Box<dyn Observer> {
    let is_of_pairs = matches!(subject.format, Format::Json | Format::JsonLines | Format::Notebook | Format::Text);
    Box::new(Unnamed { is_of_pairs, is_explained: false })
}

impl Observer for Unnamed {
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        if field.kind == FieldKind::Name {
            return;
        }
        if field.column == usize::MAX && field.label.is_empty() {
            self.line(field, notes);
            return;
        }
        if !self.is_of_pairs {
            return;
        }
        let is_named = || {
            let labels = [field.label, field.row_label];
            field.of_statistics
                || labels.iter().any(|label| is_statistic(label) || is_count(label) || is_setting(label))
        };
        if let Some(value) = number(field.text) {
            // A share or a probability is of many, where it stands alone.
            if value.fract() != 0.0 && value.abs() < 1.0 {
                return;
            }
            let is_long = value.fract() == 0.0 && value.abs() >= LONG_NUMBER;
            if is_on_map(field.label) {
                notes.look(ReviewCheck::Rows, (field.place)(), "a place on the map: somebody may live there");
            } else if !is_named() || is_long && !is_run_fact(field.label) {
                let what = "a number under the name of no statistic: it may be that of one person";
                notes.look(ReviewCheck::Rows, (field.place)(), what);
            }
        } else if numbers_in(field.text) >= FEW_NUMBERS && !is_named() {
            notes.look(ReviewCheck::Rows, (field.place)(), "numbers in a text: they may be those of one person");
        }
    }
}

impl Unnamed {
    fn line(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        let (numbers, has_words) = tokens_in(field.text);
        if names_a_statistic(field.text) {
            self.is_explained = true;
            if numbers >= MANY_NUMBERS {
                notes.look(ReviewCheck::Rows, (field.place)(), "many numbers in one line: they may be one a person");
            }
            return;
        }
        if numbers > 0 && !self.is_explained {
            let what = "numbers in a line that names no statistic: they may be those of one person";
            notes.look(ReviewCheck::Rows, (field.place)(), what);
        }
        // What stands below a heading may have more than one line.
        self.is_explained &= numbers > 0 && !has_words;
    }
}

/// True for the names of coordinates on the earth, as GeoJSON and others have them.
fn is_on_map(label: &str) -> bool {
    ["coordinates", "latitude", "longitude", "lat", "lon", "lng"].contains(&label.to_lowercase().as_str())
}

fn numbers_in(line: &str) -> usize {
    tokens_in(line).0
}

/// How many numbers a line has, and whether it has words.
fn tokens_in(line: &str) -> (usize, bool) {
    let (mut numbers, mut has_words) = (0, false);
    for word in line.split_whitespace() {
        // The time of day is nobody's.
        if word.contains(':') && word.bytes().all(|byte| byte.is_ascii_digit() || b":.,[]".contains(&byte)) {
            continue;
        }
        for token in word.split(|c: char| "()[]{},;|/=<>~^!#&\"':".contains(c)) {
            let token = token.trim_matches(|c: char| "%±*.?".contains(c) || !c.is_alphanumeric() && !"+-".contains(c));
            numbers += usize::from(number(token).is_some());
            has_words |= token.chars().filter(|c| c.is_alphabetic()).count() > 1;
        }
    }
    (numbers, has_words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_numbers_from_times_and_words() {
        for (line, expected) in [
            ("34 f I21.0", (true, true)),
            ("34^f", (true, false)),
            ("[34, 56]", (true, false)),
            ("10:30:11 started", (false, true)),
            ("see 2026-11-25", (false, false)),
            ("", (false, false)),
        ] {
            assert_eq!(numbers_in(line) > 0, expected.0, "{line}");
        }
    }
}
