//! One file through all checks, with what is in it.

use super::checks::overlap::Overlap;
use super::checks::{RULES, nested as nested_check};
use super::fields::field::{Field, FieldKind, Observer, Observers};
use super::fields::{scan, text};
use super::finding::Notes;
use super::format::{Format, detect, text_of};
use super::nested::{MAX_DEPTH, Part, Role, open};
use super::pickle;
use super::subject::{Run, Shared, Subject};
use crate::error::Result;
use crate::text::Printable;

/// The name of an entry in reports is cut here: it may be a datum.
const MAX_NAME: usize = 80;

/// A file, or an entry of an archive, before it is known what it is.
pub(super) struct Found<'a> {
    pub(super) name: &'a [u8],
    pub(super) bytes: &'a [u8],
    pub(super) size: u64,
    pub(super) whole: bool,
    pub(super) role: Role,
    /// The archives that it is in.
    pub(super) depth: usize,
}

/// Takes a file through all checks; what it is.
pub(super) fn inspect(found: &Found<'_>, shared: &Shared<'_>, notes: &mut Notes<'_>) -> Result<Format> {
    let &Found { name, bytes, size, whole, role, depth } = found;
    if role == Role::Tensor {
        return Ok(Format::Unknown);
    }
    let format = detect(bytes, whole);
    let text = if format.is_text() { text_of(bytes, whole) } else { None };
    let text = text.as_deref();
    let subject = Subject { name, bytes, size, whole, format, role, text };
    for rule in &RULES {
        if let Run::File(check) = rule.run {
            check(&subject, notes);
        }
    }
    values(&subject, shared, notes);
    if format.is_archive() {
        if depth >= MAX_DEPTH {
            nested_check::too_deep(notes);
            return Ok(format);
        }
        let mut each = |part: Part| -> Result<()> {
            let shown = Printable::new(&part.name).to_string();
            let shown: String = shown.chars().take(MAX_NAME).collect();
            notes.enter(format!("in {shown}"));
            let (name, size) = (&part.name[..], part.bytes.len() as u64);
            let entry = Found { name, bytes: &part.bytes, size, whole: part.whole, role: part.role, depth: depth + 1 };
            let inspected = inspect(&entry, shared, notes);
            notes.leave();
            inspected.map(drop)
        };
        let odd = open(format, name, bytes, &shared.budget, &mut each)?;
        nested_check::note(&odd, notes);
    }
    Ok(format)
}

/// Shows the values of a file to the checks that look at values.
fn values(subject: &Subject<'_>, shared: &Shared<'_>, notes: &mut Notes<'_>) {
    let with_text = subject.text.is_some() || subject.format == Format::Pickle;
    if !with_text {
        return;
    }
    let runs = RULES.iter().flat_map(|rule| [Some(&rule.run), rule.also.as_ref()]).flatten();
    let checks = runs.filter_map(|run| match run {
        Run::Values(observer) => Some(observer(subject, shared.policy)),
        _ => None,
    });
    let mut observers = Observers::new(checks.collect::<Vec<Box<dyn Observer>>>());
    let overlap = shared.candidates.as_ref().map(|candidates| Overlap { candidates });
    let mut observers = Watched { observers: &mut observers, overlap };
    if subject.format == Format::Pickle {
        texts_of_pickle(subject.bytes, &mut observers, notes);
    } else if let Some(text) = subject.text {
        observers.scan(subject, text, notes);
    }
    observers.observers.end(notes);
}

/// The checks, and the comparison with the station's data.
struct Watched<'a, 'b> {
    observers: &'a mut Observers,
    overlap: Option<Overlap<'b>>,
}

impl Watched<'_, '_> {
    fn scan(&mut self, subject: &Subject<'_>, text: &str, notes: &mut Notes<'_>) {
        match subject.role {
            // Parts of documents are mark-up, in which what is no text has no meaning.
            Role::DocumentPart => self.words(&text::without_tags(text), notes),
            _ => scan(subject.format, text, self.observers, notes),
        }
        let Some(overlap) = &mut self.overlap else { return };
        for (at, line) in text.lines().enumerate() {
            overlap.candidates.borrow_mut().line(line, at + 1);
            let place = || format!("line {}", at + 1);
            overlap.candidates.borrow_mut().value(line, &place);
        }
    }

    fn words(&mut self, text: &str, notes: &mut Notes<'_>) {
        let column = self.observers.columns(1);
        for word in text.split(['\t', '\n']).map(str::trim).filter(|word| !word.is_empty()) {
            let place = || "the text of the document".to_owned();
            let field = Field { column, ..Field::alone(word, FieldKind::Name, &place) };
            self.observers.field(&field, notes);
        }
    }
}

/// The texts in a pickle may be names of columns, or identifiers.
fn texts_of_pickle(bytes: &[u8], watched: &mut Watched<'_, '_>, notes: &mut Notes<'_>) {
    let column = watched.observers.columns(1);
    pickle::read(bytes, &mut |text| {
        let place = || "a text in the pickle".to_owned();
        let field = Field { column, ..Field::alone(text.trim(), FieldKind::Name, &place) };
        watched.observers.field(&field, notes);
        if let Some(overlap) = &mut watched.overlap {
            overlap.field(&field, notes);
        }
    });
}
