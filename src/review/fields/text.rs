//! Text that is no table as a whole: lines with tables between them, names with values, words.

use std::collections::BTreeMap;

use super::field::{Column, Field, FieldKind, Group, MAX_COLUMNS, Observers, number};
use super::table::Table;
use crate::review::finding::Notes;
use crate::review::labels::known;

/// The lines that make a table, if each has as many fields as the one before.
const TABLE_LINES: usize = 3;
/// The lines that are looked at to tell whether they are a table.
const WINDOW: usize = 64;
/// The lines of one word each that make a list.
const LIST_LINES: usize = 5;
/// The words before a colon that are a name.
const NAME_WORDS: usize = 5;
/// The longest line in which names are told from values.
const MAX_LINE: usize = 64 << 10;

/// Shows lines to the checks; `prefix` goes before their places. Lines are never held all at once.
pub(super) fn scan(text: &str, prefix: &str, observers: &mut Observers, notes: &mut Notes<'_>) {
    let mut names = Names::default();
    let (mut rest, mut at) = (text, 0_u64);
    while !rest.is_empty() {
        let window: Vec<&str> = rest.lines().take(WINDOW).collect();
        match run_at(&window) {
            Run::Table(by) => {
                let mut table = Table::new(format!("{prefix}line {}: ", at + 1), observers);
                let fields = split(window.get(1).copied().unwrap_or_default(), by).len();
                let mut is_head = true;
                while let Some((line, after)) = next_line(rest) {
                    let cells = split(line, by);
                    if !is_head && cells.len() != fields {
                        break;
                    }
                    (is_head, rest, at) = (false, after, at + 1);
                    table.row(at, &cells, observers, notes);
                }
                table.end(observers, notes);
            }
            Run::Lines(count) => {
                for _ in 0..count {
                    let Some((line, after)) = next_line(rest) else { break };
                    (rest, at) = (after, at + 1);
                    names.line(line, at, prefix, observers, notes);
                }
            }
        }
    }
    names.end(prefix, observers, notes);
}

/// The first line, and what comes after it.
fn next_line(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    Some((line.strip_suffix('\r').unwrap_or(line), rest))
}

/// How a line is split into fields.
#[derive(Clone, Copy)]
enum Separator {
    Char(char),
    Blanks,
    /// One word a line.
    Lines,
}

/// What lines begin with.
enum Run {
    /// A table whose rows are split like this.
    Table(Separator),
    /// So many lines that are none.
    Lines(usize),
}

/// What these lines begin with.
fn run_at(lines: &[&str]) -> Run {
    let (mut longest, mut skip) = (None, 1);
    for by in [',', ';', '\t', '|'].map(Separator::Char).into_iter().chain([Separator::Blanks]) {
        let count = |line: &&str| split(line, by).len();
        let (Some(first), Some(second)) = (lines.first().map(count), lines.get(1).map(count)) else { continue };
        // A head may lack the name of the column of names.
        if second < 2 || first != second && (first + 1 != second || first == 0) {
            continue;
        }
        let length = 1 + lines[1..].iter().take_while(|line| count(line) == second).count();
        let has_number = |line: &&&str| split(line, by).iter().any(|cell| number(cell).is_some());
        if length < TABLE_LINES {
            continue;
        }
        if lines[1..length].iter().any(|line| has_number(&line))
            && (second > 2 || !matches!(by, Separator::Blanks) || length > 4)
        {
            if longest.is_none_or(|(longest, _)| length > longest) {
                longest = Some((length, by));
            }
        } else {
            // Words of prose come in lines too.
            skip = skip.max(length - 1);
        }
    }
    if let Some((_, by)) = longest {
        return Run::Table(by);
    }
    let is_word = |line: &&&str| !line.trim().is_empty() && !line.trim().contains(char::is_whitespace);
    let words = lines.iter().take_while(is_word).count();
    if words >= LIST_LINES { Run::Table(Separator::Lines) } else { Run::Lines(skip) }
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
        // Where there is no word, or more than one, the list ends.
        Separator::Lines => line.split_whitespace().take(2).collect(),
    }
}

/// The names that lines give to values, so that what stands under the same name in many lines is seen as one column.
#[derive(Default)]
struct Names(BTreeMap<String, (usize, usize, Column)>);

impl Names {
    /// A line on its own: the whole of it, and values with a name before `=` or `:`.
    fn line(&mut self, line: &str, at: u64, prefix: &str, observers: &mut Observers, notes: &mut Notes<'_>) {
        if line.trim().is_empty() {
            return;
        }
        let place = || format!("{prefix}line {at}");
        let kind = if number(line).is_some() { FieldKind::Number } else { FieldKind::Text };
        observers.field(&Field::alone(line.trim(), kind, &place), notes);
        if line.len() > MAX_LINE {
            return;
        }
        for (name, value) in pairs(line) {
            observers.field(&Field::alone(name, FieldKind::Name, &place), notes);
            let (column, group) = self.note(name, value, observers);
            let shown = known(name).map(|name| format!(" ({name})")).unwrap_or_default();
            let place = || format!("{prefix}line {at}{shown}");
            let kind = if number(value).is_some() { FieldKind::Number } else { FieldKind::Text };
            observers.field(&Field { column, label: name, group, ..Field::alone(value, kind, &place) }, notes);
        }
    }

    /// Column and group of a name.
    fn note(&mut self, name: &str, value: &str, observers: &mut Observers) -> (usize, usize) {
        if self.0.len() >= MAX_COLUMNS && !self.0.contains_key(name) {
            return (usize::MAX, 0);
        }
        let entry = self.0.entry(name.to_owned()).or_insert_with(|| {
            let column = Column { label: name.to_owned(), ..Column::default() };
            (observers.columns(1), observers.next_group(), column)
        });
        entry.2.add(value);
        (entry.0, entry.1)
    }

    /// The text ends.
    fn end(self, prefix: &str, observers: &mut Observers, notes: &mut Notes<'_>) {
        for (_, id, column) in self.0.into_values() {
            let rows = column.numbers + column.texts;
            let (place, columns) = (prefix.to_owned(), vec![column]);
            observers.group(&Group { id, place, rows, columns, ..Group::default() }, notes);
        }
    }
}

/// The names and values of a line: `a=1`, `a = 1`, `mean age: 1`.
fn pairs(line: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for part in line.split([';', ',', '\t', '|', '(', ')', '[', ']', '{', '}', '"']) {
        let words: Vec<&str> = part.split_whitespace().collect();
        let offset = |word: &str| word.as_ptr() as usize - part.as_ptr() as usize;
        for (at, word) in words.iter().enumerate() {
            let after = |at: usize| words.get(at + 1).copied().unwrap_or("");
            match word.split_once('=') {
                Some(("", "")) if at > 0 => found.push((words[at - 1], after(at))),
                Some((name, "")) if !name.is_empty() => found.push((name, after(at))),
                Some((name, value)) if !name.is_empty() => found.push((name, value)),
                _ => {}
            }
            // A time or an address is no name with a value.
            let (name, value) = word.split_once(':').unwrap_or((word, "/"));
            if name.is_empty() || number(name).is_some() || value.starts_with('/') {
                continue;
            }
            let from = offset(words[at.saturating_sub(NAME_WORDS - 1)]);
            let name = part[from..offset(word) + name.len()].trim();
            found.push((name, if value.is_empty() { after(at) } else { value }));
        }
    }
    found.retain(|(name, value)| !name.is_empty() && !value.is_empty());
    found
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names_and_values() {
        for (line, expected) in [
            ("INFO age=34 bmi = 25.1", vec![("age", "34"), ("bmi", "25.1")]),
            ("Mean age: 44.2 (n = 4)", vec![("Mean age", "44.2"), ("n", "4")]),
            ("at 10:30 see https://example.org", vec![]),
            ("= : =", vec![]),
        ] {
            assert_eq!(pairs(line), expected, "{line}");
        }
    }
}
