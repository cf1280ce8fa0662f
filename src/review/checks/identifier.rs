use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::fields::field::{Field, FieldKind, Observer, number};
use super::super::finding::{Notes, ReviewCheck};
use super::super::labels::is_of_things;
use super::super::personal::personal;
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;
use super::super::tokens::{self, Token};
use super::super::words::names_a_statistic;

/// The values that are remembered to tell whether a column has each of them once.
const MAX_VALUES: usize = 1 << 19;
/// The columns whose values are remembered.
const MAX_COLUMNS: usize = 1 << 14;
/// The rows from which on a column with as many different identifiers is one of people.
const FEW_ROWS: u64 = 5;
/// The words in running text from which on it is prose.
const PROSE: usize = 4;
/// The words from which on it is prose even if it names a statistic.
const LONG_PROSE: usize = 30;

/// What names a person: by the name of its column, by its form, or because every row has its own.
#[derive(Default)]
struct Identifier {
    columns: HashMap<usize, Values>,
    remembered: usize,
    /// Words of running text.
    prose: usize,
    first_prose: Option<String>,
    /// There were more columns, or more values, than are remembered.
    left_out: bool,
}

/// The values of one column.
#[derive(Default)]
struct Values {
    seen: HashSet<u64>,
    count: u64,
    repeated: bool,
    /// How many have the form of an identifier.
    like_ids: u64,
    dates: u64,
    place: String,
    /// By its name it holds codes, places, times or statistics.
    of_things: bool,
}

pub(super) fn observer(_: &Subject<'_>, _: &ReleasePolicy) -> Box<dyn Observer> {
    Box::new(Identifier::default())
}

impl Observer for Identifier {
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        if field.text.is_empty() {
            return;
        }
        if field.kind == FieldKind::Name
            && let Some((name, alone)) = personal(field.text)
        {
            let place = (field.place)();
            if alone {
                notes.stop(ReviewCheck::Identifier, place, format!("a column or key with a name like `{name}`"));
            } else {
                let what = format!("a column or key with a name like `{name}`: with others it may single a person out");
                notes.look(ReviewCheck::Identifier, place, what);
            }
        }
        self.forms(field, notes);
        self.remember(field);
    }

    fn end(&mut self, notes: &mut Notes<'_>) {
        for values in self.columns.values() {
            let is_unique = !values.repeated && values.count >= FEW_ROWS;
            if is_unique && values.like_ids * 10 >= values.count * 9 {
                let what = format!("{} values, no two the same, that have the form of identifiers", values.count);
                if values.of_things {
                    let what = format!("{what}, under a name of codes, places, times or statistics");
                    notes.look(ReviewCheck::Identifier, values.place.clone(), what);
                } else {
                    notes.stop(ReviewCheck::Identifier, values.place.clone(), what);
                }
            } else if values.dates >= FEW_ROWS && values.seen.len() as u64 >= FEW_ROWS {
                let what = format!(
                    "{} dates: of birth, of admission, or of something that does not concern people",
                    values.dates
                );
                notes.look(ReviewCheck::Identifier, values.place.clone(), what);
            }
        }
        if self.left_out {
            notes.look(ReviewCheck::Identifier, "", "more columns or values than are compared with one another");
        }
        if self.prose >= PROSE {
            let what = format!("running text of {} words: names of people are not told from others in it", self.prose);
            notes.look(ReviewCheck::Identifier, self.first_prose.take().unwrap_or_default(), what);
        }
    }
}

impl Identifier {
    /// What has the form of something personal.
    fn forms(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        let mut title = None;
        let mut words = 0;
        for word in field
            .text
            .split(|c: char| c.is_whitespace() || "()[]{}<>\"',;|".contains(c))
            .filter(|word| !word.is_empty())
        {
            // pandas prints `Name: Glucose, dtype: float64`.
            if title.is_some() && tokens::is_name(word) && !field.text.contains("dtype:") {
                let what = "a title and a name behind it";
                // Headings begin with the word, too.
                if title == Some("Patient") {
                    notes.look(ReviewCheck::Identifier, (field.place)(), what);
                } else {
                    notes.stop(ReviewCheck::Identifier, (field.place)(), what);
                }
            }
            title = tokens::is_title(word).then_some(word);
            words += usize::from(tokens::is_word(word));
            // In running text a header of a table may stand, or a sentence about one.
            if field.kind == FieldKind::Text
                && word.len() > 3
                && word.contains('_')
                && personal(word).is_some_and(|(_, alone)| alone)
            {
                notes.look(ReviewCheck::Identifier, (field.place)(), "a word like the name of a column of identifiers");
            }
            if let Some(token) = tokens::token_of(word) {
                // The first day of a month may be that month.
                if token == Token::Birth && tokens::is_first_of_month(word) {
                    notes.look(ReviewCheck::Identifier, (field.place)(), "a month long ago, or a date of birth");
                    continue;
                }
                let evidence = match token {
                    Token::Birth if !tokens::is_about_birth(field.label) => "a date long ago, as of a birth",
                    other => other.name(),
                };
                notes.stop(ReviewCheck::Identifier, (field.place)(), evidence);
            }
        }
        if field.kind == FieldKind::Text && tokens::tells_an_age(field.text) {
            notes.look(ReviewCheck::Identifier, (field.place)(), "the age of one person, in words");
        }
        if words >= PROSE && (words >= LONG_PROSE || !names_a_statistic(field.text)) {
            self.prose += words;
            if self.first_prose.is_none() {
                self.first_prose = Some((field.place)());
            }
        }
    }

    fn remember(&mut self, field: &Field<'_>) {
        if field.column == usize::MAX {
            return;
        }
        if self.columns.len() >= MAX_COLUMNS && !self.columns.contains_key(&field.column) {
            self.left_out = true;
            return;
        }
        let values = self.columns.entry(field.column).or_default();
        // The head of a column is not one of its values; keys are values of their own.
        if field.kind == FieldKind::Name
            && values.count == 0
            && values.place.is_empty()
            && !field.text.contains(|c: char| c.is_ascii_digit())
        {
            return;
        }
        if values.place.is_empty() {
            values.place = (field.place)();
        }
        values.count += 1;
        values.of_things |= field.of_statistics || is_of_things(field.label);
        let looks_like =
            tokens::is_like_id(field.text) && !(field.kind == FieldKind::Number && has_fraction(field.text));
        values.like_ids += u64::from(looks_like);
        values.dates += u64::from(tokens::date_of(field.text).or(tokens::period_of(field.text)).is_some());
        if values.repeated {
            return;
        }
        if self.remembered >= MAX_VALUES {
            self.left_out = true;
            return;
        }
        let mut hasher = DefaultHasher::new();
        field.text.hash(&mut hasher);
        self.remembered += 1;
        values.repeated = !values.seen.insert(hasher.finish());
    }
}

fn has_fraction(text: &str) -> bool {
    number(text).is_none_or(|value| value.fract() != 0.0)
}
