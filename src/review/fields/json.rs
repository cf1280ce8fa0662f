//! JSON, read as it stands: keys that occur twice too, and the `NaN` of Python.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::field::{Column, Field, FieldKind, Group, MAX_COLUMNS, Observers, number};
use super::text;
use crate::review::finding::{Notes, ReviewCheck};
use crate::review::labels::known;
use crate::review::words::{hands_down, is_statistic};

/// The key under which `serde_json` hands out the digits of a number.
const NUMBER: &str = "$serde_json::private::Number";

/// What a text is that begins as JSON does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::review) enum JsonForm {
    One,
    Lines,
    Notebook,
    None,
}

/// The form of a text.
pub(in crate::review) fn form(text: &str, whole: bool) -> JsonForm {
    if !whole {
        return JsonForm::One;
    }
    let text = strict(text.trim_start_matches('\u{feff}'));
    if serde_json::from_str::<IgnoredAny>(&text).is_ok() {
        let is_notebook = text.contains("\"nbformat\"") && text.contains("\"cells\"");
        return if is_notebook { JsonForm::Notebook } else { JsonForm::One };
    }
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
    let is_lines = lines.peek().is_some()
        && lines
            .all(|line| line.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(line).is_ok());
    if is_lines { JsonForm::Lines } else { JsonForm::None }
}

/// True if the text is one number, string or other value, as `json.dump` writes it.
pub(in crate::review) fn is_scalar(text: &str) -> bool {
    let text = text.trim();
    text.len() < 1 << 16 && !text.contains('\n') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The same text with `null` for what Python writes and JSON has not.
fn strict(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped, mut rest) = (false, false, text);
    while let Some(c) = rest.chars().next() {
        if !in_string && let Some(word) = ["-Infinity", "Infinity", "NaN"].iter().find(|word| rest.starts_with(**word))
        {
            out += "null";
            rest = &rest[word.len()..];
            continue;
        }
        (in_string, escaped) = match c {
            '"' if !escaped => (!in_string, false),
            '\\' if in_string => (true, !escaped),
            _ => (in_string, false),
        };
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(out)
}

/// Shows a document to the checks.
pub(super) fn scan(text: &str, observers: &mut Observers, notes: &mut Notes<'_>) {
    let text = strict(text.trim_start_matches('\u{feff}'));
    let mut walk = Walk::new("", observers, notes);
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let root = Node { group: 0, label: "", of_statistics: false };
    let walked = Seed { walk: &mut walk, node: root }.deserialize(&mut deserializer);
    walk.end();
    if walked.is_err() || deserializer.end().is_err() {
        let what = "JSON that cannot be read to its end: cut off, or nested too deeply";
        notes.stop(ReviewCheck::Opaque, "", what);
    }
}

/// Shows one document a line to the checks: a table.
pub(super) fn scan_lines(text: &str, observers: &mut Observers, notes: &mut Notes<'_>) {
    let mut group = Group { id: observers.next_group(), ..Group::default() };
    let mut walk = Walk::new("line ", observers, notes);
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        group.rows += 1;
        walk.path = vec![format!("{}", at + 1)];
        let line = strict(line);
        let mut deserializer = serde_json::Deserializer::from_str(&line);
        let root = Node { group: group.id, label: "", of_statistics: false };
        let _ = Seed { walk: &mut walk, node: root }.deserialize(&mut deserializer);
    }
    walk.path.clear();
    group.columns = walk.end_of(group.id);
    walk.end();
    observers.group(&group, notes);
}

/// The state of a walk over one document.
struct Walk<'a, 'b, 'c> {
    observers: &'a mut Observers,
    notes: &'b mut Notes<'c>,
    prefix: &'static str,
    path: Vec<String>,
    /// The numbers of columns by the pattern of their path.
    columns: HashMap<(usize, String), (usize, usize)>,
    /// The columns of each group that has not ended.
    columns_of: HashMap<usize, Vec<Column>>,
    too_many: bool,
    /// The columns of the object that has just ended; none of a list.
    ended: Vec<Column>,
}

/// The objects in an object that make a table of them, by whatever it is keyed.
const OBJECTS: u64 = 10;

/// Where a value stands.
#[derive(Clone, Copy)]
struct Node<'a> {
    group: usize,
    label: &'a str,
    of_statistics: bool,
}

impl<'a, 'b, 'c> Walk<'a, 'b, 'c> {
    fn new(prefix: &'static str, observers: &'a mut Observers, notes: &'b mut Notes<'c>) -> Self {
        let (columns, columns_of) = (HashMap::new(), HashMap::new());
        Walk { observers, notes, prefix, path: Vec::new(), columns, columns_of, too_many: false, ended: Vec::new() }
    }

    fn place(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!("{}{}", self.prefix, self.path.join(" > ")) }
    }

    /// A value that is no list and no object.
    fn scalar(&mut self, node: Node<'_>, value: &str, kind: FieldKind) {
        let column = self.column(node, node.label);
        if let Some(column) = column
            && let Some(found) = self.columns_of.get_mut(&node.group).and_then(|columns| columns.get_mut(column.1))
        {
            found.add(if kind == FieldKind::Text { non_number(value) } else { value });
        }
        let place = self.place();
        let place_of = || place.clone();
        let field = Field {
            column: column.map_or(usize::MAX, |column| column.0),
            label: node.label,
            row_label: "",
            text: value.trim(),
            kind,
            group: node.group,
            of_statistics: node.of_statistics,
            place: &place_of,
        };
        self.observers.field(&field, self.notes);
        if kind == FieldKind::Text && is_document(value) {
            let root = Node { group: self.observers.next_group(), ..node };
            let mut deserializer = serde_json::Deserializer::from_str(value);
            let _ = Seed { walk: &mut *self, node: root }.deserialize(&mut deserializer);
            self.ended.clear();
            return;
        }
        if kind == FieldKind::Text && (value.contains(['\n', '\r']) || value.len() > 400) {
            let plain = if value.contains('<') { Cow::Owned(text::without_tags(value)) } else { Cow::Borrowed(value) };
            text::scan(&plain, &format!("{place}: "), self.observers, self.notes);
        }
    }

    /// The number of a column, and its position in its group.
    fn column(&mut self, node: Node<'_>, label: &str) -> Option<(usize, usize)> {
        let key = (node.group, label.to_owned());
        if let Some(&found) = self.columns.get(&key) {
            return Some(found);
        }
        if self.columns.len() >= MAX_COLUMNS {
            self.too_many = true;
            return None;
        }
        let of_group = self.columns_of.entry(node.group).or_default();
        of_group.push(Column { label: label.to_owned(), ..Column::default() });
        let found = (self.observers.columns(1), of_group.len() - 1);
        self.columns.insert(key, found);
        Some(found)
    }

    /// Shows the objects in an object as a table, if there are enough for one.
    fn table(&mut self, objects: Objects, (place, of_statistics): (String, bool)) {
        let Objects { rows, columns } = objects;
        if rows >= OBJECTS {
            let id = self.observers.next_group();
            self.observers.group(&Group { id, place, rows, columns, of_statistics, ..Group::default() }, self.notes);
        }
    }

    /// The columns of a group that ends.
    fn end_of(&mut self, group: usize) -> Vec<Column> {
        let columns = self.columns_of.remove(&group).unwrap_or_default();
        for column in &columns {
            self.columns.remove(&(group, column.label.clone()));
        }
        columns
    }

    fn end(self) {
        if self.too_many {
            let what = format!("more than {MAX_COLUMNS} keys, so that not all are told apart");
            self.notes.look(ReviewCheck::Rows, "", what);
        }
    }
}

/// True if a string is a list or an object itself, as of a program that has written JSON twice.
fn is_document(value: &str) -> bool {
    let value = value.trim();
    value.len() <= 1 << 20 && value.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(value).is_ok()
}

/// Digits in a string are counted as text: an identifier is one.
fn non_number(value: &str) -> &str {
    if number(value).is_some() { "text" } else { value }
}

struct Seed<'w, 'n, 'a, 'b, 'c> {
    walk: &'w mut Walk<'a, 'b, 'c>,
    node: Node<'n>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_, '_, '_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The value of each is whether it is a list or an object.
impl<'de> Visitor<'de> for Seed<'_, '_, '_, '_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        self.walk.scalar(self.node, if value { "true" } else { "false" }, FieldKind::Text);
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, value: i64) -> Result<bool, E> {
        self.walk.scalar(self.node, &value.to_string(), FieldKind::Number);
        Ok(false)
    }

    fn visit_u64<E>(self, value: u64) -> Result<bool, E> {
        self.walk.scalar(self.node, &value.to_string(), FieldKind::Number);
        Ok(false)
    }

    fn visit_f64<E>(self, value: f64) -> Result<bool, E> {
        self.walk.scalar(self.node, &value.to_string(), FieldKind::Number);
        Ok(false)
    }

    fn visit_str<E>(self, value: &str) -> Result<bool, E> {
        self.walk.scalar(self.node, value, FieldKind::Text);
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let Seed { walk, node } = self;
        let mut group = Group {
            id: walk.observers.next_group(),
            place: walk.place(),
            of_statistics: node.of_statistics || hands_down(node.label),
            ..Group::default()
        };
        let of_statistics = group.of_statistics;
        loop {
            walk.path.push(format!("item {}", group.rows + 1));
            let item = Node { group: group.id, label: node.label, of_statistics };
            let next = items.next_element_seed(Seed { walk: &mut *walk, node: item });
            walk.path.pop();
            if next?.is_none() {
                break;
            }
            group.rows += 1;
        }
        group.columns = walk.end_of(group.id);
        walk.observers.group(&group, walk.notes);
        walk.ended.clear();
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let Seed { walk, node } = self;
        // The members of the objects of a list are the columns of a table; any other object is a group of its own.
        let in_list = walk.path.last().is_some_and(|last| last.starts_with("item "))
            || !walk.prefix.is_empty() && walk.path.len() == 1;
        let own = if in_list { node.group } else { walk.observers.next_group() };
        let mut group = Group {
            id: own,
            place: walk.place(),
            of_statistics: node.of_statistics || hands_down(node.label),
            ..Group::default()
        };
        let of_statistics = group.of_statistics;
        let (mut at, mut scalars) = (0_u64, Column { label: node.label.to_owned(), ..Column::default() });
        let mut objects = Objects::default();
        while let Some(key) = members.next_key::<String>()? {
            if key == NUMBER {
                let digits: String = members.next_value()?;
                walk.scalar(node, &digits, FieldKind::Number);
                return Ok(false);
            }
            at += 1;
            walk.path.push(known(&key).map_or_else(|| format!("key {at}"), str::to_owned));
            let names = walk.column(Node { group: own, ..node }, "\0names");
            let place = walk.place();
            let place_of = || place.clone();
            let field = Field {
                column: names.map_or(usize::MAX, |column| column.0),
                label: "",
                row_label: "",
                text: key.trim(),
                kind: FieldKind::Name,
                group: own,
                of_statistics,
                place: &place_of,
            };
            walk.observers.field(&field, walk.notes);
            // What stands under a number or a date belongs to what the object is called.
            let label = if number(&key).is_some() { node.label } else { &key };
            let member = Node { group: own, label, of_statistics };
            let is_nested = members.next_value_seed(Seed { walk: &mut *walk, node: member });
            walk.path.pop();
            if is_nested? {
                objects.add(std::mem::take(&mut walk.ended));
            } else {
                scalars.add("1");
                group.row_labels.0 += 1;
                group.row_labels.1 += u64::from(is_statistic(&key));
            }
        }
        if !in_list {
            // As a list of its values: what it is keyed by may be patients.
            let columns = walk.end_of(own);
            let has_fractions = columns.iter().any(|column| column.has_fractions);
            let numbers = columns.iter().map(|column| column.numbers).sum();
            let texts = columns.iter().filter(|column| column.label != "\0names").map(|column| column.texts).sum();
            group.rows = scalars.numbers;
            group.columns = vec![Column { label: scalars.label, numbers, has_fractions, texts }];
            walk.observers.group(&group, walk.notes);
            walk.table(objects, (group.place, of_statistics));
            walk.ended = columns.into_iter().filter(|column| column.label != "\0names").collect();
        }
        Ok(true)
    }
}

/// The objects among the members of an object, as rows of a table.
#[derive(Default)]
struct Objects {
    rows: u64,
    columns: Vec<Column>,
}

impl Objects {
    /// The columns of one more object: those that the table has not yet are added, as far as a table is wide.
    fn add(&mut self, columns: Vec<Column>) {
        const WIDE: usize = 256;
        self.rows += u64::from(!columns.is_empty());
        for column in columns {
            match self.columns.iter().position(|known| known.label == column.label) {
                Some(at) => {
                    let known = &mut self.columns[at];
                    known.numbers += column.numbers;
                    known.texts += column.texts;
                    known.has_fractions |= column.has_fractions;
                }
                None if self.columns.len() < WIDE => self.columns.push(column),
                None => {}
            }
        }
    }
}
