//! Text that is no table as a whole: lines with tables between them, names with values, words.

use super::field::{Field, FieldKind, Observers, number};
use super::table::Table;
use crate::review::finding::Notes;
use crate::review::words::known;

/// The lines that make a table, if each has as many fields as the one before.
const TABLE_LINES: usize = 3;

/// Shows lines to the checks; `prefix` goes before their places.
pub(super) fn scan(text: &str, prefix: &str, observers: &mut Observers, notes: &mut Notes<'_>) {
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let run = table_at(&lines[at..]);
        if run.lines >= TABLE_LINES {
            let mut table = Table::new(format!("{prefix}line {}: ", at + 1), observers);
            for line in &lines[at..at + run.lines] {
                let cells = split(line, run.by);
                at += 1;
                table.row(at as u64, &cells, observers, notes);
            }
            table.end(observers, notes);
        } else {
            line(lines[at], at + 1, prefix, observers, notes);
            at += 1;
        }
    }
}

/// How a line is split into fields.
#[derive(Clone, Copy)]
enum Separator {
    Char(char),
    Blanks,
}

struct Run {
    lines: usize,
    by: Separator,
}

/// The longest run of lines, beginning with the first, that are rows of one table.
fn table_at(lines: &[&str]) -> Run {
    let candidates = [',', ';', '\t', '|'].map(Separator::Char).into_iter().chain([Separator::Blanks]);
    let runs = candidates.map(|by| {
        let count = |line: &&str| split(line, by).len();
        let first = lines.first().map_or(0, count);
        let second = lines.get(1).map_or(0, count);
        // A head may lack the name of the column of names.
        let is_run = second > 1 && (first == second || first + 1 == second && first > 0);
        let length = if is_run { 1 + lines[1..].iter().take_while(|line| count(line) == second).count() } else { 0 };
        let has_numbers = lines.iter().take(length).skip(1).any(|line| split(line, by).iter().any(|cell| number(cell).is_some()));
        // Words of prose come in lines too.
        let is_table = has_numbers && (second > 2 || !matches!(by, Separator::Blanks) || length > 4);
        Run { lines: if is_table { length } else { 0 }, by }
    });
    runs.max_by_key(|run| run.lines).unwrap_or(Run { lines: 0, by: Separator::Blanks })
}

fn split(line: &str, by: Separator) -> Vec<&str> {
    match by {
        Separator::Char(separator) => line.split(separator).map(str::trim).collect(),
        Separator::Blanks => {
            // Names have blanks in them, columns are two apart, if any are.
            let wide: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
            if wide.len() > 1 && wide.iter().all(|cell| !cell.contains(' ') || number(cell).is_none()) {
                let narrow = wide.iter().flat_map(|cell| {
                    let all_numbers = cell.split(' ').all(|part| number(part).is_some());
                    if all_numbers { cell.split(' ').collect::<Vec<_>>() } else { vec![*cell] }
                });
                return narrow.collect();
            }
            line.split_whitespace().collect()
        }
    }
}

/// A line on its own: values with a name before `=` or `:`, and words.
fn line(line: &str, at: usize, prefix: &str, observers: &mut Observers, notes: &mut Notes<'_>) {
    let (column, group) = (observers.columns(1), observers.next_group());
    let mut label = String::new();
    for part in line.split([';', ',', '\t', '|', '(', ')', '[', ']', '{', '}', '"']) {
        let (name, value) = match part.split_once(['=', ':']) {
            // A time or an address is no name with a value.
            Some((name, value)) if !name.trim().is_empty() && number(name).is_none() && !value.starts_with("//") => {
                (name.trim(), value.trim())
            }
            _ => ("", part.trim()),
        };
        if !name.is_empty() {
            label = name.to_owned();
            let place = || format!("{prefix}line {at}");
            let field =
                Field { column, label: "", row_label: "", text: name, kind: FieldKind::Name, group, place: &place };
            observers.field(&field, notes);
        }
        if value.is_empty() {
            continue;
        }
        let name = known(&label).map(|label| format!(" ({label})")).unwrap_or_default();
        let place = || format!("{prefix}line {at}{name}");
        let kind = if number(value).is_some() { FieldKind::Number } else { FieldKind::Text };
        let field = Field { column, label: &label, row_label: "", text: value, kind, group, place: &place };
        observers.field(&field, notes);
        if name.is_empty() {
            label.clear();
        }
    }
}

/// Mark-up without its tags: the text, and the values of attributes, which may hold data.
pub(in crate::review) fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_tag = false;
    for c in text.chars() {
        match c {
            '<' => {
                in_tag = true;
                out.push('\t');
            }
            '>' if in_tag => {
                in_tag = false;
                out.push('\t');
            }
            '\'' if in_tag => out.push('"'),
            c => out.push(c),
        }
    }
    // Cells of one row of a table stand in lines of their own in most mark-up: bring them together.
    out.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}
