//! What of the results stands verbatim in the station's data.
//!
//! The values of the results are remembered as hashes, then the data are read once, however large they are: memory grows
//! with the results alone.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::finding::{Finding, ReviewCheck, Severity};
use super::policy::ReleasePolicy;
use super::tokens;
use crate::error::{ErrorContext, IoContext, Result};
use crate::store::interrupt;

/// The shortest line that is compared as a whole.
const LINE: usize = 24;
/// The shortest value that is compared.
const VALUE: usize = 6;
/// The values of the results that are compared.
const MAX_CANDIDATES: usize = 200_000;
/// The longest line of the data that is looked at in one piece.
const MAX_LINE: usize = 1 << 20;
/// The files of the data that are looked at.
const MAX_FILES: usize = 1_000_000;

/// The values of results that are looked for.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// The file that values come from now.
    path: String,
    values: HashMap<u64, Candidate>,
    left_out: bool,
}

#[derive(Debug)]
struct Candidate {
    path: String,
    place: String,
    kind: Kind,
    /// How often the data have it.
    hits: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A line: one is enough.
    Line,
    /// The form of an identifier: one is enough.
    Identifier,
    /// Any other value: common ones are those of categories.
    Value,
}

impl Candidates {
    /// What comes now is of this file.
    pub(super) fn enter(&mut self, path: &str) {
        path.clone_into(&mut self.path);
    }

    /// A value of the results.
    pub(super) fn value(&mut self, text: &str, place: &dyn Fn() -> String) {
        for piece in pieces(text.as_bytes()).filter(|piece| tells(piece)) {
            let text = String::from_utf8_lossy(piece);
            let is_id =
                tokens::is_like_id(&text) || text.split_whitespace().any(|word| tokens::token_of(word).is_some());
            self.add(piece, if is_id { Kind::Identifier } else { Kind::Value }, place);
        }
    }

    /// A line of the results.
    pub(super) fn line(&mut self, line: &str, at: usize) {
        let line = line.trim();
        if line.len() >= LINE {
            self.add(line.as_bytes(), Kind::Line, &|| format!("line {at}"));
        }
    }

    fn add(&mut self, bytes: &[u8], kind: Kind, place: &dyn Fn() -> String) {
        let key = hash(bytes, kind == Kind::Line);
        if self.values.contains_key(&key) {
            return;
        }
        if self.values.len() >= MAX_CANDIDATES {
            self.left_out = true;
            return;
        }
        self.values.insert(key, Candidate { path: self.path.clone(), place: place(), kind, hits: 0 });
    }

    /// Looks for them in the files below `dir`.
    ///
    /// # Errors
    /// Input/output.
    pub(super) fn look_into(&mut self, dir: &Path) -> Result<()> {
        let (mut open, mut files) = (vec![dir.to_owned()], 0);
        while let Some(path) = open.pop() {
            let found = fs::symlink_metadata(&path).doing("stat the data").at(path.display())?;
            if found.is_dir() {
                for entry in fs::read_dir(&path).doing("list the data").at(path.display())? {
                    open.push(entry.doing("list the data").at(path.display())?.path());
                }
            } else if found.is_file() {
                files += 1;
                if files > MAX_FILES {
                    self.left_out = true;
                    return Ok(());
                }
                self.look_into_file(&path).at(path.display())?;
            }
        }
        Ok(())
    }

    fn look_into_file(&mut self, path: &Path) -> Result<()> {
        let file = File::open(path).doing("open the data")?;
        let mut reader = BufReader::with_capacity(256 << 10, file);
        let is_gzip = std::io::BufRead::fill_buf(&mut reader).doing("read the data")?.starts_with(b"\x1f\x8b");
        let lines = |reader: &mut dyn Read, this: &mut Self| this.look_into_lines(reader);
        if is_gzip { lines(&mut MultiGzDecoder::new(reader), self) } else { lines(&mut reader, self) }
    }

    fn look_into_lines(&mut self, reader: &mut dyn Read) -> Result<()> {
        let (mut buffer, mut filled) = (vec![0; MAX_LINE], 0);
        let mut first = First::Awaited;
        loop {
            interrupt::check()?;
            let read = match reader.read(&mut buffer[filled..]) {
                Ok(read) => read,
                // A damaged archive among the data: what could be read of it has been looked at.
                Err(error)
                    if error.kind() == std::io::ErrorKind::InvalidInput
                        || error.kind() == std::io::ErrorKind::InvalidData =>
                {
                    0
                }
                Err(error) => return Err(error).doing("read the data"),
            };
            filled += read;
            let end = buffer[..filled].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            // A line longer than the buffer is looked at in pieces.
            let end = if read == 0 || end == 0 && filled == buffer.len() { filled } else { end };
            for line in buffer[..end].split(|&byte| byte == b'\n') {
                let line = line.trim_ascii();
                match std::mem::replace(&mut first, First::Seen) {
                    First::Awaited => first = First::Is(line.to_owned()),
                    // The names of columns are nobody's data, and results have them for the same reason.
                    First::Is(heading) if is_heading(&heading, line) => self.look_at(line),
                    First::Is(before) => {
                        self.look_at(&before);
                        self.look_at(line);
                    }
                    First::Seen => self.look_at(line),
                }
            }
            buffer.copy_within(end..filled, 0);
            filled -= end;
            if read == 0 {
                if let First::Is(only) = first {
                    self.look_at(&only);
                }
                return Ok(());
            }
        }
    }

    fn look_at(&mut self, line: &[u8]) {
        if line.len() >= LINE {
            self.hit(line, true);
        }
        for piece in pieces(line).filter(|piece| tells(piece)) {
            self.hit(piece, false);
        }
    }

    fn hit(&mut self, bytes: &[u8], is_line: bool) {
        if let Some(candidate) = self.values.get_mut(&hash(bytes, is_line)) {
            candidate.hits += 1;
        }
    }

    /// What was found.
    pub(super) fn findings(&self, policy: &ReleasePolicy) -> Vec<Finding> {
        let mut found: Vec<(&str, &str, &'static str)> = Vec::new();
        for candidate in self.values.values() {
            let what = match candidate.kind {
                Kind::Line if candidate.hits > 0 => "a line that stands verbatim in the data",
                Kind::Identifier if candidate.hits > 0 => "what looks like an identifier, and stands in the data",
                Kind::Value if (1..policy.min_count).contains(&candidate.hits) => {
                    "a value that stands in the data, in fewer places than the least count"
                }
                _ => continue,
            };
            found.push((&candidate.path, &candidate.place, what));
        }
        found.sort_unstable();
        let mut notes: Vec<Finding> = Vec::new();
        let (mut listed, mut path) = (0, "");
        for (of, place, what) in found {
            listed = if of == path { listed + 1 } else { 1 };
            path = of;
            if listed <= 20 {
                let (path, place) = (of.to_owned(), Some(place.to_owned()).filter(|place| !place.is_empty()));
                let evidence = what.to_owned();
                notes.push(Finding { check: ReviewCheck::Overlap, severity: Severity::Stop, path, place, evidence });
            }
        }
        if self.left_out {
            let evidence = "more values than are compared with the data".to_owned();
            let (path, place) = (String::new(), None);
            notes.push(Finding { check: ReviewCheck::Overlap, severity: Severity::Look, path, place, evidence });
        }
        notes
    }
}

/// The first line of a file of the data, which may be the heading of a table: the next one tells.
enum First {
    Awaited,
    Is(Vec<u8>),
    Seen,
}

/// True if a line is the heading of a table that goes on with `next`: as many fields, none of them a number, where the
/// next line has one.
fn is_heading(line: &[u8], next: &[u8]) -> bool {
    let Some(separator) = line.iter().find(|byte| b",;\t|".contains(byte)) else { return false };
    let fields = |line: &[u8]| -> Vec<Vec<u8>> {
        let field = |field: &[u8]| field.iter().copied().filter(|byte| !b"\" ".contains(byte)).collect();
        line.split(|byte| byte == separator).map(field).collect()
    };
    let is_number =
        |field: &Vec<u8>| field.iter().any(u8::is_ascii_digit) && !field.iter().any(u8::is_ascii_alphabetic);
    let is_name = |field: &Vec<u8>| field.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    let (names, values) = (fields(line), fields(next));
    names.len() == values.len() && names.iter().all(is_name) && values.iter().any(is_number)
}

fn hash(bytes: &[u8], is_line: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    (bytes, is_line).hash(&mut hasher);
    hasher.finish()
}

/// The values of a line, whatever form the data have.
fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let separates = |byte: &u8| b",;\t|\"{}[]<>=".contains(byte) || *byte < 0x20;
    line.split(separates).map(|piece| {
        let piece = piece.trim_ascii();
        let piece = piece.strip_suffix(b":").unwrap_or(piece);
        piece.strip_prefix(b":").unwrap_or(piece).trim_ascii()
    })
}

/// True if a value is long enough to tell something: six characters, and of a number six digits that are not all zeros.
fn tells(piece: &[u8]) -> bool {
    if piece.len() < VALUE {
        return false;
    }
    let is_number = piece.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
    let digits: Vec<u8> = piece.iter().copied().filter(u8::is_ascii_digit).collect();
    let significant = digits.iter().skip_while(|&&digit| digit == b'0').count();
    let zeros = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
    !is_number || significant.saturating_sub(zeros) >= VALUE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heading_of_a_table_is_nobody_s_data() {
        for (heading, next, is) in [
            ("sex,pressure,age", "f,120.5,30", true),
            ("\"sex\";\"blood pressure\"", "\"f\";120", true),
            ("name,diagnosis", "Anna,a rare disease", false),
            ("Anna,a rare disease,3", "Bert,another,4", false),
            ("Anna,a rare disease", "Bert,another,4", false),
            ("a rare disease", "3", false),
            ("", "", false),
        ] {
            assert_eq!(is_heading(heading.as_bytes(), next.as_bytes()), is, "{heading}");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("table.csv"), "sex,pressure\nf,120\n").unwrap();
        fs::write(dir.path().join("one-line"), "a rare disease").unwrap();
        let mut candidates = Candidates::default();
        for value in ["pressure", "a rare disease"] {
            candidates.value(value, &|| value.to_owned());
        }
        candidates.look_into(dir.path()).unwrap();
        let found = candidates.findings(&ReleasePolicy::default());
        assert_eq!(found.iter().filter_map(|one| one.place.as_deref()).collect::<Vec<_>>(), ["a rare disease"]);
    }

    #[test]
    fn finds_what_few_rows_of_the_data_have() {
        let dir = tempfile::tempdir().unwrap();
        let rows: Vec<String> =
            (0..50).map(|row| format!("PAT-{row:05},female,{}.{:05}", 50 + row, row * 7919 % 99_999 + 1)).collect();
        fs::write(dir.path().join("data.csv"), rows.join("\n")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, b"{\"diagnosis\": \"a rare disease\"}\n").unwrap();
        fs::create_dir(dir.path().join("more")).unwrap();
        fs::write(dir.path().join("more/data.json.gz"), packed.finish().unwrap()).unwrap();
        let mut candidates = Candidates::default();
        candidates.enter("r.csv");
        for (at, value) in
            ["PAT-00007", "female", rows[3].rsplit(',').next().unwrap(), "a rare disease", "0.912345", "absent"]
                .iter()
                .enumerate()
        {
            candidates.value(value, &|| format!("row {at}"));
        }
        candidates.line(&rows[9], 6);
        candidates.look_into(dir.path()).unwrap();
        let found = candidates.findings(&ReleasePolicy::default());
        let places: Vec<&str> = found.iter().filter_map(|finding| finding.place.as_deref()).collect();
        assert_eq!(places, ["line 6", "row 0", "row 2", "row 3"]);
        assert!(found.iter().all(|finding| finding.severity == Severity::Stop && finding.path == "r.csv"));
    }
}
