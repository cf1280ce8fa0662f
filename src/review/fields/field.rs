//! One value, what it is part of, and who looks on.

use crate::review::finding::Notes;

/// The columns of one file that are told apart.
pub(in crate::review) const MAX_COLUMNS: usize = 4096;

/// One value.
#[derive(Clone, Copy)]
pub(in crate::review) struct Field<'a> {
    /// Values of one column, list or key have the same number.
    pub(in crate::review) column: usize,
    /// The head of the column or the nearest key; empty if there is none.
    pub(in crate::review) label: &'a str,
    /// The first cell of the row, if it is a name.
    pub(in crate::review) row_label: &'a str,
    /// The value, without blanks around it.
    pub(in crate::review) text: &'a str,
    /// What it is.
    pub(in crate::review) kind: FieldKind,
    /// The table, list or object that it is in.
    pub(in crate::review) group: usize,
    /// True if something above it has the name of a statistic, as the members of `"mean": {...}`.
    pub(in crate::review) of_statistics: bool,
    /// Where it is: no datum, so that it may be logged.
    pub(in crate::review) place: &'a dyn Fn() -> String,
}

impl<'a> Field<'a> {
    /// One that stands alone: in no table, and under no name.
    pub(in crate::review) fn alone(text: &'a str, kind: FieldKind, place: &'a dyn Fn() -> String) -> Self {
        Field { column: usize::MAX, label: "", row_label: "", text, kind, group: 0, of_statistics: false, place }
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::review) enum FieldKind {
    /// A number.
    Number,
    /// Anything else.
    Text,
    /// The head of a column, or a key.
    Name,
}

/// A table, a list, or an object of values, when all of it has been seen.
#[derive(Debug, Default)]
pub(in crate::review) struct Group {
    /// Its number.
    pub(in crate::review) id: usize,
    /// Where it is.
    pub(in crate::review) place: String,
    /// Rows, or values of a list.
    pub(in crate::review) rows: u64,
    /// Its columns.
    pub(in crate::review) columns: Vec<Column>,
    /// Rows whose first cell is a name, and those whose name is that of a statistic.
    pub(in crate::review) row_labels: (u64, u64),
    /// True if something above it has the name of a statistic.
    pub(in crate::review) of_statistics: bool,
}

/// A column of a group.
#[derive(Debug, Default, Clone)]
pub(in crate::review) struct Column {
    /// Its head or key.
    pub(in crate::review) label: String,
    /// The numbers in it.
    pub(in crate::review) numbers: u64,
    /// Whether all of these are integers.
    pub(in crate::review) has_fractions: bool,
    /// The other values in it that are not empty.
    pub(in crate::review) texts: u64,
}

impl Column {
    /// Counts a value.
    pub(in crate::review) fn add(&mut self, text: &str) {
        match number(text) {
            Some(value) => {
                self.numbers += 1;
                self.has_fractions |= value.fract() != 0.0;
            }
            None if is_missing(text) => {}
            None => self.texts += 1,
        }
    }
}

/// A check that looks at values.
pub(in crate::review) trait Observer {
    /// One value.
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        let _ = (field, notes);
    }

    /// A group ends.
    fn group(&mut self, group: &Group, notes: &mut Notes<'_>) {
        let _ = (group, notes);
    }

    /// The file ends.
    fn end(&mut self, notes: &mut Notes<'_>) {
        let _ = notes;
    }
}

/// Several checks at once, and the numbers that are given to columns and groups.
pub(in crate::review) struct Observers {
    all: Vec<Box<dyn Observer>>,
    next_column: usize,
    next_group: usize,
}

impl Observers {
    pub(in crate::review) fn new(all: Vec<Box<dyn Observer>>) -> Self {
        Observers { all, next_column: 0, next_group: 0 }
    }

    pub(in crate::review) fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        self.all.iter_mut().for_each(|observer| observer.field(field, notes));
    }

    pub(in crate::review) fn group(&mut self, group: &Group, notes: &mut Notes<'_>) {
        self.all.iter_mut().for_each(|observer| observer.group(group, notes));
    }

    pub(in crate::review) fn end(&mut self, notes: &mut Notes<'_>) {
        self.all.iter_mut().for_each(|observer| observer.end(notes));
    }

    /// Numbers for so many further columns.
    pub(in crate::review) fn columns(&mut self, count: usize) -> usize {
        let first = self.next_column;
        self.next_column += count;
        first
    }

    /// The number of a further group.
    pub(in crate::review) fn next_group(&mut self) -> usize {
        self.next_group += 1;
        self.next_group
    }
}

/// The value as a number, with a point or a comma.
pub(in crate::review) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.is_empty() || text.len() > 40 || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // `inf`, `nan` and hexadecimal digits are no numbers here.
    if !text.chars().all(|c| c.is_ascii_digit() || "+-.,eE".contains(c)) {
        return None;
    }
    text.parse().ok().or_else(|| text.replacen(',', ".", 1).parse().ok())
}

/// The value as an integer that is not negative.
pub(in crate::review) fn count(text: &str) -> Option<u64> {
    let value = number(text)?;
    (value.fract() == 0.0 && (0.0..1e15).contains(&value)).then_some(value as u64)
}

/// True for what stands where a value is missing.
pub(in crate::review) fn is_missing(text: &str) -> bool {
    matches!(
        text.trim().to_ascii_lowercase().as_str(),
        "" | "na" | "nan" | "null" | "none" | "-" | "n/a" | "inf" | "-inf" | "<na>" | "..." | "true" | "false"
    )
}
