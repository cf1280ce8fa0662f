//! Tables with a delimiter.

use super::field::{Column, Field, FieldKind, Group, MAX_COLUMNS, Observers, is_missing, number};
use crate::review::finding::Notes;
use crate::review::labels::known;
use crate::review::words::is_statistic;

/// The text that is looked at to find the delimiter.
const HEAD: usize = 64 << 10;
/// The records that are looked at.
const RECORDS: usize = 200;

/// The delimiter, if nearly all records have the same number of fields, two or more.
pub(in crate::review) fn delimiter(text: &str) -> Option<u8> {
    let end = if text.len() <= HEAD {
        text.len()
    } else {
        let cut = (0..=HEAD).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        text[..cut].rfind('\n').map_or(cut, |at| at + 1)
    };
    let head = text[..end].trim_start_matches('\u{feff}');
    b",;\t|"
        .iter()
        .copied()
        .filter_map(|delimiter| Some((fields_by(head, delimiter)?, delimiter)))
        .max()
        .map(|found| found.1)
}

/// How many fields records have by this delimiter.
fn fields_by(head: &str, delimiter: u8) -> Option<usize> {
    let counts: Vec<usize> = reader(head, delimiter)
        .into_records()
        .take(RECORDS)
        .map(|record| record.map_or(0, |record| record.len()))
        .collect();
    let usual = *counts.first().into_iter().chain(counts.get(counts.len() / 2)).max()?;
    let fitting = counts.iter().filter(|&&count| count == usual).count();
    (usual > 1 && counts.len() > 1 && fitting * 10 >= counts.len() * 8).then_some(usual)
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes())
}

/// Shows a table to the checks.
pub(super) fn scan(text: &str, delimiter: u8, observers: &mut Observers, notes: &mut Notes<'_>) {
    let text = text.trim_start_matches('\u{feff}');
    let mut table = Table::new(String::new(), observers);
    let mut record = csv::StringRecord::new();
    let mut reader = reader(text, delimiter);
    let mut rows = 0;
    // What the parser refuses, it has been lenient about: only text in another code, which this is not.
    while reader.read_record(&mut record).unwrap_or(false) {
        rows += 1;
        let cells: Vec<&str> = record.iter().take(MAX_COLUMNS).map(str::trim).collect();
        table.row(rows, &cells, observers, notes);
    }
    table.end(observers, notes);
}

/// A table row by row; the first may be its head.
pub(super) struct Table {
    group: Group,
    first_column: usize,
    rows: u64,
    /// The first row, until it is known whether it is a head.
    waiting: Option<(u64, Vec<String>)>,
    prefix: String,
}

impl Table {
    pub(super) fn new(prefix: String, observers: &mut Observers) -> Self {
        let group = Group { id: observers.next_group(), place: prefix.clone(), ..Group::default() };
        Table { group, first_column: observers.columns(MAX_COLUMNS), rows: 0, waiting: None, prefix }
    }

    /// Takes the row at this number in the file, counted from 1.
    pub(super) fn row(&mut self, at: u64, cells: &[&str], observers: &mut Observers, notes: &mut Notes<'_>) {
        let cells = &cells[..cells.len().min(MAX_COLUMNS)];
        if self.rows == 0 && self.waiting.is_none() && self.group.columns.is_empty() {
            self.waiting = Some((at, cells.iter().map(|&cell| cell.to_owned()).collect()));
            return;
        }
        if let Some((number, first)) = self.waiting.take() {
            self.begin(number, &first, cells, observers, notes);
        }
        self.data(at, cells, observers, notes);
    }

    /// The first row is a head if it has no number, and the second has one or more; or if nothing is a number.
    fn begin(&mut self, at: u64, first: &[String], second: &[&str], observers: &mut Observers, notes: &mut Notes<'_>) {
        let numbers = first.iter().filter(|cell| number(cell).is_some()).count();
        let is_head =
            numbers == 0 || first[0].is_empty() && second.len() > 1 && number(second[second.len() - 1]).is_some();
        if !is_head {
            let cells: Vec<&str> = first.iter().map(String::as_str).collect();
            self.data(at, &cells, observers, notes);
            return;
        }
        let heads = first.iter().map(|label| Column { label: label.clone(), ..Column::default() });
        // A head with one name less than there are columns leaves the names of rows out.
        let unnamed = (second.len() == first.len() + 1).then(Column::default);
        self.group.columns = unnamed.into_iter().chain(heads).collect();
        for (position, column) in self.group.columns.iter().enumerate() {
            let place = || format!("{}row {at}, column {}", self.prefix, position + 1);
            let field = Field {
                column: self.first_column + position,
                label: "",
                row_label: "",
                text: &column.label,
                kind: FieldKind::Name,
                group: self.group.id,
                of_statistics: false,
                place: &place,
            };
            observers.field(&field, notes);
        }
    }

    fn data(&mut self, at: u64, cells: &[&str], observers: &mut Observers, notes: &mut Notes<'_>) {
        self.rows += 1;
        while self.group.columns.len() < cells.len() {
            self.group.columns.push(Column::default());
        }
        let row_label =
            cells.first().copied().filter(|first| number(first).is_none() && !is_missing(first)).unwrap_or("");
        if !row_label.is_empty() {
            self.group.row_labels.0 += 1;
            self.group.row_labels.1 += u64::from(is_statistic(row_label));
        }
        for (position, cell) in cells.iter().enumerate() {
            let column = &mut self.group.columns[position];
            column.add(cell);
            let name = known(&column.label).map(|label| format!(" ({label})")).unwrap_or_default();
            let place = || format!("{}row {at}, column {}{name}", self.prefix, position + 1);
            let kind = if number(cell).is_some() { FieldKind::Number } else { FieldKind::Text };
            let field = Field {
                column: self.first_column + position,
                label: &column.label,
                row_label: if position == 0 { "" } else { row_label },
                text: cell,
                kind,
                group: self.group.id,
                of_statistics: false,
                place: &place,
            };
            observers.field(&field, notes);
        }
    }

    /// The table ends.
    pub(super) fn end(mut self, observers: &mut Observers, notes: &mut Notes<'_>) {
        if let Some((at, first)) = self.waiting.take() {
            let names: Vec<&str> = first.iter().map(String::as_str).collect();
            self.begin(at, &first, &names, observers, notes);
        }
        self.group.rows = self.rows;
        observers.group(&self.group, notes);
    }
}
