use std::collections::HashMap;

use super::super::encoded::{FEW_ENCODED, LONG_BASE64, decode, encoded_text, is_base64};
use super::super::fields::field::{Field, FieldKind, Observer, count};
use super::super::finding::{Notes, ReviewCheck};
use super::super::format::{Format, detect};
use super::super::nested::Role;
use super::super::picture::{PictureFacts, jpeg, png};
use super::super::policy::ReleasePolicy;
use super::super::subject::Subject;

/// Bits of entropy a byte from which on bytes are compressed or encrypted.
const HIGH: f64 = 7.2;
/// The fewest bytes of which entropy says something.
const FEW: usize = 256;
/// The longest run of letters and digits that is no encoding of anything: two SHA-512 digests side by side.
const LONG: usize = 260;
/// The shortest run without a blank whose entropy is looked at, and the bits a character from which on no language, no
/// mark-up and no table has them: base85 has more than six, prose without blanks four.
const DENSE: usize = 200;
const DENSE_BITS: f64 = 5.4;
/// The end of the name of a file with numbers under the creator's Paillier key.
const ENCRYPTED: &[u8] = b".he.json";
/// What drawing programs say of themselves in a picture.
const OWN_TEXTS: [&str; 8] =
    ["Software", "Creation Time", "date:create", "date:modify", "date:timestamp", "Title", "Author", "Source"];

/// What cannot be read: bytes of no known type, what is hidden in pictures, encodings in text.
pub(super) fn check(subject: &Subject<'_>, notes: &mut Notes<'_>) {
    if subject.role == Role::Tensor {
        return;
    }
    match subject.format {
        Format::Unknown if subject.role == Role::File => {
            let entropy = entropy(subject.bytes);
            let kind = if subject.bytes.len() >= FEW && entropy > HIGH { "compressed or encrypted" } else { "binary" };
            notes.stop(ReviewCheck::Opaque, "", format!("{kind} content of no known type ({} bytes)", subject.size));
        }
        Format::Png => of_picture(&png(subject.bytes), subject, notes),
        Format::Jpeg => of_picture(&jpeg(subject.bytes), subject, notes),
        _ => {}
    }
    if let Some(text) = subject.text {
        of_text(text, subject, notes);
    }
}

fn of_picture(facts: &PictureFacts, subject: &Subject<'_>, notes: &mut Notes<'_>) {
    if !subject.whole {
        return;
    }
    if facts.trailing > 0 {
        notes.stop(ReviewCheck::Opaque, "", format!("{} bytes after the end of the picture", facts.trailing));
    }
    if facts.is_cut {
        notes.stop(ReviewCheck::Opaque, "", "a picture that has no end");
    }
    if facts.unknown > 0 {
        notes.stop(ReviewCheck::Opaque, "", "a chunk in the picture that no program for pictures shows");
    }
    if facts.tags > 0 {
        notes.look(ReviewCheck::Opaque, "", format!("{} bytes of tags of a camera or scanner", facts.tags));
    }
    for (name, text) in &facts.texts {
        if text.len() > 200 || !OWN_TEXTS.contains(&name.as_str()) {
            notes.stop(
                ReviewCheck::Opaque,
                "",
                format!("a text of {} bytes in the picture, which it does not show", text.len()),
            );
        }
    }
}

fn of_text(text: &str, subject: &Subject<'_>, notes: &mut Notes<'_>) {
    if subject.name.ends_with(ENCRYPTED) {
        notes.look(ReviewCheck::Opaque, "", "numbers encrypted to the creator, which cannot be read here");
    }
    let hidden = text.trim_start_matches('\u{feff}').chars().filter(|c| is_hidden(*c)).count();
    if hidden > 0 {
        notes.stop(ReviewCheck::Opaque, "", format!("{hidden} characters that are not shown"));
    }
    if text.contains('\x1b') {
        notes.look(ReviewCheck::Opaque, "", "control sequences of terminals, which can hide text");
    }
    if text.chars().any(|c| c.is_numeric() && !c.is_ascii() && !"²³¹½¼¾".contains(c)) {
        notes.look(ReviewCheck::Opaque, "", "digits of another script, which are not read as numbers");
    }
    let ends_in_code = |line: &&str| {
        let end = &line[line.trim_end().len()..];
        end.len() >= 4 && end.contains('\t') && end.contains(' ')
    };
    if let Some(line) = text.lines().position(|line| ends_in_code(&line)) {
        notes.stop(ReviewCheck::Opaque, format!("line {}", line + 1), "blanks and tabs in turn at the end of the line");
    }
    for (at, line) in text.lines().enumerate() {
        if let Some(what) = escaped(line) {
            notes.look(ReviewCheck::Opaque, format!("line {}", at + 1), what);
        }
        if carries_data(line) {
            notes.stop(ReviewCheck::Opaque, format!("line {}", at + 1), "data in a data: URI");
        }
    }
    if let Some(line) = dense_line(text) {
        notes.stop(ReviewCheck::Opaque, format!("line {line}"), "text as dense as an encoding such as base85");
    }
    let mut run = 0;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        run = if line.len() >= 40 && line.bytes().all(is_base64) { run + 1 } else { 0 };
        if run == 3 {
            notes.stop(ReviewCheck::Opaque, format!("line {}", at - 1), "lines of an encoding such as base64");
        }
        if line.starts_with("-----BEGIN ") {
            notes.stop(ReviewCheck::Opaque, format!("line {}", at + 1), "a key, a certificate or a message in PEM");
        }
    }
}

/// The line in which an encoding begins that has more characters than base64, and so no long run in those of base64.
fn dense_line(text: &str) -> Option<usize> {
    // Lines that are one word each belong together: encodings are cut into such.
    let (mut run, mut first) = (String::new(), 0);
    for (at, line) in text.lines().chain([""]).enumerate() {
        let line = line.trim();
        let is_whole = line.len() >= 40 && !line.contains(char::is_whitespace);
        if is_whole && run.len() < 1 << 16 {
            first = if run.is_empty() { at } else { first };
            run.push_str(line);
            continue;
        }
        if is_dense(&std::mem::take(&mut run)) {
            return Some(first + 1);
        }
        if line.split_whitespace().any(is_dense) {
            return Some(at + 1);
        }
    }
    None
}

fn is_dense(word: &str) -> bool {
    let bytes = word.as_bytes();
    // What is in base64 is looked into elsewhere: it may be a picture.
    bytes.len() >= DENSE
        && word.is_ascii()
        && bytes.split(|byte| !is_base64(*byte)).all(|run| run.len() < LONG_BASE64)
        && entropy(bytes) > DENSE_BITS
}

/// Characters of no width, directions of writing, and tags: but for the mark at the beginning of a file.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e0fff}'
        | '\u{feff}' | '\u{34f}' | '\u{61c}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}'
        | '\u{fe00}'..='\u{fe0e}' | '\u{180e}' | '\u{ad}' | '\u{115f}' | '\u{3164}')
}

/// Encodings in values.
struct Encoded {
    /// Long numbers are what the file is for.
    of_numbers: bool,
    /// The numbers of each list or column as characters, as long as all of them are some.
    characters: HashMap<usize, Option<String>>,
}

/// The fewest numbers that are read as text, and the most.
const FEW_NUMBERS: usize = 8;
const MANY_NUMBERS: usize = 4096;
/// The columns whose numbers are read as text.
const MAX_COLUMNS: usize = 1024;

pub(super) fn observer(subject: &Subject<'_>, _: &ReleasePolicy) -> Box<dyn Observer> {
    Box::new(Encoded { of_numbers: subject.name.ends_with(ENCRYPTED), characters: HashMap::new() })
}

impl Observer for Encoded {
    fn field(&mut self, field: &Field<'_>, notes: &mut Notes<'_>) {
        self.character(field);
        if field.kind != FieldKind::Number
            && field.text.len() >= FEW_ENCODED
            && let Some(what) = encoded_text(field.text)
        {
            notes.stop(ReviewCheck::Opaque, (field.place)(), what);
        }
        if field.text.len() < LONG_BASE64 {
            return;
        }
        for word in field.text.split(|c: char| !c.is_ascii() || !is_base64(c as u8)) {
            if word.len() < LONG_BASE64 || self.of_numbers && word.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let has = |test: fn(&u8) -> bool| word.as_bytes().iter().any(test);
            let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit);
            if let Some(format) = is_mixed.then(|| decoded(word)).flatten() {
                if !format.is_picture() {
                    let what = format!("{} characters in base64: {}", word.len(), format.name());
                    notes.stop(ReviewCheck::Opaque, (field.place)(), what);
                }
            } else if word.len() > LONG {
                let what = format!("{} letters and digits in a row, as of an encoding", word.len());
                notes.stop(ReviewCheck::Opaque, (field.place)(), what);
            }
        }
    }

    fn end(&mut self, notes: &mut Notes<'_>) {
        for text in self.characters.values().flatten() {
            let letters = text.chars().filter(char::is_ascii_alphabetic).count();
            if text.len() >= FEW_NUMBERS && letters * 3 >= text.len() {
                notes.look(ReviewCheck::Opaque, "", "a list of numbers that reads as text, a character each");
            }
        }
    }
}

impl Encoded {
    /// Remembers a number as the character that has it.
    fn character(&mut self, field: &Field<'_>) {
        if field.kind != FieldKind::Number || field.column == usize::MAX {
            return;
        }
        if self.characters.len() >= MAX_COLUMNS && !self.characters.contains_key(&field.column) {
            return;
        }
        let text = self.characters.entry(field.column).or_insert_with(|| Some(String::new()));
        let value = count(field.text).filter(|value| (32..127).contains(value));
        match (text.as_mut(), value.and_then(|value| u8::try_from(value).ok())) {
            (Some(known), Some(byte)) if known.len() < MANY_NUMBERS => known.push(char::from(byte)),
            (Some(_), Some(_)) => {}
            _ => *text = None,
        }
    }
}

/// What a line says by escapes, of which nobody reads more than one or two.
fn escaped(line: &str) -> Option<&'static str> {
    let count = |mark: &str, length: usize, is: fn(u8) -> bool| {
        let places = line.match_indices(mark).map(|(at, _)| at + mark.len());
        places
            .filter(|at| {
                line.as_bytes().get(*at..at + length).is_some_and(|digits| digits.iter().all(|byte| is(*byte)))
            })
            .count()
    };
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    if count("%", 2, is_hex) >= 6 {
        return Some("text in percent signs and digits");
    }
    if count("\\u", 4, is_hex) >= 4 || count("\\x", 2, is_hex) >= 4 {
        return Some("text in escapes");
    }
    if count("&#", 2, |byte| byte.is_ascii_alphanumeric()) >= 4 {
        return Some("text in numbers of characters");
    }
    let bits = |word: &&str| word.len() >= 8 && word.bytes().all(|byte| byte == b'0' || byte == b'1');
    (line.split_whitespace().filter(bits).count() >= 3).then_some("text in binary digits")
}

/// True if a line has a `data:` URI of anything but a picture (RFC 2397).
fn carries_data(line: &str) -> bool {
    line.match_indices("data:").any(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        let head = rest.split_once(',').map_or("", |(head, _)| head);
        let kind = head.split(';').next().unwrap_or_default();
        head.len() < 100 && !kind.contains(char::is_whitespace) && kind.contains('/') && !kind.starts_with("image/")
    })
}

/// What a text in base64 holds.
fn decoded(text: &str) -> Option<Format> {
    Some(detect(&decode(text.trim_end_matches('='))?, true))
}

/// Shannon's entropy, in bits a byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u64; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let total = bytes.len() as f64;
    counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / total).map(|p| -p * p.log2()).sum()
}
