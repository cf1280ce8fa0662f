//! What a station did: a file of signed statements, each with the digest of the one before.
//!
//! Each line is a DSSE envelope with an in-toto statement (Statement v1), signed by the station with RSASSA-PKCS1-v1_5 and
//! SHA-256, so that programs of others verify it. Beside the file lies a copy of its last line (`FILE.head`): a chain of
//! digests shows what was changed, removed or moved within it, and the copy that lines are missing at its end. Whoever can
//! write to both can still put back an older pair; a receipt that is kept elsewhere shows that.

mod record;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::crypto::dsse::{Envelope, IN_TOTO};
use crate::crypto::{PrivateKey, PublicKey, Sha256, hex};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::json::{self, Object, Value, json};
use crate::store::fs::{Waiting, lock};
use crate::text::counted;

pub use record::{Act, Recording, recorded};

/// The type of the statements' predicates.
pub const PREDICATE_TYPE: &str = "https://personalhealthtrain.de/pht-oci/journal/v1";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The largest journal that is read, in bytes: some hundred thousand acts.
const MAX_SIZE: u64 = 1 << 30;

/// One line of a journal.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JournalEntry {
    /// The number of the line, from 1.
    pub line: usize,
    /// The statement.
    pub statement: Object,
    /// `sha256:` and the SHA-256 of the line, without its line feed.
    pub digest: String,
    envelope: Envelope,
    /// The line itself, without its line feed.
    text: Vec<u8>,
}

impl JournalEntry {
    fn parse(line: usize, text: &[u8]) -> Result<Self> {
        let envelope = Envelope::parse(text)?;
        let statement = json::parse_object(envelope.unverified()).at("its statement")?;
        if statement.get("predicateType").and_then(Value::as_str) != Some(PREDICATE_TYPE) {
            return Err(Error::malformed("a statement of another type"));
        }
        Ok(JournalEntry { line, statement, digest: digest_of(text), envelope, text: text.to_vec() })
    }

    /// A member of the predicate, by its JSON pointer.
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.statement.get("predicate")?.pointer(pointer)
    }

    /// A text of the predicate, by its JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer)?.as_str()
    }

    /// True if one of these keys has signed it.
    pub fn is_signed_by(&self, keys: &[PublicKey]) -> bool {
        self.signer(keys).is_some()
    }

    /// The key that has signed it, if it is one of these.
    pub fn signer<'k>(&self, keys: &'k [PublicKey]) -> Option<&'k PublicKey> {
        keys.iter().find(|key| self.envelope.verify(IN_TOTO, key).is_some())
    }
}

/// A station's journal.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The journal in this file, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Journal { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The entries, in order; none, if there is no such file.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if a line was changed, removed or moved, as far as the
    /// digests show it; input/output.
    pub fn entries(&self) -> Result<Vec<JournalEntry>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.ensure_never_was().map(|()| Vec::new());
            }
            opened => opened.doing("open the journal").at(self.path.display())?,
        };
        // Between a line and its copy nobody may look.
        lock(&file, Waiting::Wait, "the journal").at(self.path.display())?;
        self.read(&file).at(self.path.display()).map(|(entries, _)| entries)
    }

    /// [`entries`](Self::entries), each of which one of `keys` has signed.
    ///
    /// # Errors
    /// As [`entries`](Self::entries); [`Kind::Verification`](crate::error::Kind::Verification) if a signature does not
    /// hold; [`Kind::Usage`](crate::error::Kind::Usage) if there is no such file.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<Vec<JournalEntry>> {
        if !self.path.exists() {
            self.ensure_never_was()?;
            return Err(Error::usage("there is no journal").at(self.path.display()));
        }
        let entries = self.entries()?;
        self.ensure_signed(&entries, keys)?;
        Ok(entries)
    }

    /// The entries of a copy that a station has handed on, each of which one of `keys` has signed; and true if the copy of
    /// the last line came with it: without, nothing shows whether lines are missing at the end.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_copy(&self, keys: &[PublicKey]) -> Result<(Vec<JournalEntry>, bool)> {
        let has_head = self.head_path().symlink_metadata().is_ok();
        if has_head || !self.path.exists() {
            return self.verify(keys).map(|entries| (entries, has_head));
        }
        let file = File::open(&self.path).doing("open the journal").at(self.path.display())?;
        let (entries, _) = Self::read_chain(&file).at(self.path.display())?;
        self.ensure_signed(&entries, keys)?;
        Ok((entries, false))
    }

    fn ensure_signed(&self, entries: &[JournalEntry], keys: &[PublicKey]) -> Result<()> {
        match entries.iter().find(|entry| !entry.is_signed_by(keys)) {
            None => Ok(()),
            Some(entry) => {
                let what =
                    "the signature is of none of the given keys: the line was changed, or the station had another key";
                Err(Error::verification(what).at(format_args!("line {}", entry.line)).at(self.path.display()))
            }
        }
    }

    /// Checks that the receipt in the file `path` is one of these entries.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if it is not; input/output.
    pub fn ensure_has(&self, path: &Path, entries: &[JournalEntry]) -> Result<()> {
        let receipt = fs::read(path).doing("read the receipt").at(path.display())?;
        let digest = digest_of(receipt.strip_suffix(b"\n").unwrap_or(&receipt));
        if entries.iter().any(|entry| entry.digest == digest) {
            return Ok(());
        }
        let what =
            format!("the receipt is no line of {}: the journal was changed, or is another's", self.path.display());
        Err(Error::verification(what).at(path.display()))
    }

    /// Appends a statement about `subject` (a name and the SHA-256 of what it is about), signed with `key`; the line.
    /// `predicate` gets the number of the line and the digest of the one before.
    ///
    /// # Errors
    /// As [`entries`](Self::entries); input/output.
    pub fn append(&self, subject: (&str, &str), predicate: Object, key: &PrivateKey) -> Result<Vec<u8>> {
        self.append_to(subject, predicate, key).at(self.path.display())
    }

    fn append_to(&self, (name, sha256): (&str, &str), mut predicate: Object, key: &PrivateKey) -> Result<Vec<u8>> {
        let mut file = self.open_for_writing()?;
        let (entries, end) = self.read(&file)?;
        predicate.insert("sequence".to_owned(), json!(entries.len() as u64 + 1));
        predicate.insert("previous".to_owned(), json!(entries.last().map(|entry| &entry.digest)));
        let statement = json!({
            "_type": STATEMENT_TYPE,
            "subject": [{ "name": name, "digest": { "sha256": sha256.strip_prefix("sha256:").unwrap_or(sha256) } }],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        });
        let envelope = Envelope::sign(IN_TOTO, json::to_vec(&statement), key)?;
        let line = envelope.to_json(&key.public_key());
        // What a write that was cut short has left behind the last line.
        file.set_len(end).doing("cut off an incomplete line")?;
        file.seek(SeekFrom::Start(end)).doing("seek in the journal")?;
        let written = file.write_all(&[&line[..], b"\n"].concat()).and_then(|()| file.sync_all());
        if let Err(error) = written {
            let _ = file.set_len(end);
            return Err(Error::io("cannot write to the journal", error));
        }
        self.write_head(&line)?;
        Ok(line)
    }

    /// Checks that it can be written to, and reads it, before an act that has to be recorded.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn ensure_writable(&self) -> Result<Vec<JournalEntry>> {
        let file = self.open_for_writing().at(self.path.display())?;
        let written = tempfile::tempfile_in(self.directory()).map(drop);
        written.doing("write beside the journal").at(self.path.display())?;
        self.read(&file).at(self.path.display()).map(|(entries, _)| entries)
    }

    fn open_for_writing(&self) -> Result<File> {
        let mut options = File::options();
        let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        let file = opened.map_err(|error| {
            let missing = error.kind() == io::ErrorKind::NotFound;
            let error = Error::io("cannot open the journal", error);
            if missing { error.hint("create the directory, for the station's user alone") } else { error }
        })?;
        lock(&file, Waiting::Wait, "the journal")?;
        Ok(file)
    }

    /// Where there is no journal, there must be no copy of its last line either.
    fn ensure_never_was(&self) -> Result<()> {
        match self.head_path().symlink_metadata() {
            Err(_) => Ok(()),
            Ok(_) => {
                let what = "the journal is gone, but the copy of its last line is there";
                Err(Error::verification(what).hint("put the journal back from a backup").at(self.path.display()))
            }
        }
    }

    /// The entries of an open journal, and where they end.
    fn read(&self, file: &File) -> Result<(Vec<JournalEntry>, u64)> {
        let (entries, end) = Self::read_chain(file)?;
        self.ensure_head(&entries)?;
        Ok((entries, end))
    }

    /// The same, whatever the copy of the last line says.
    fn read_chain(file: &File) -> Result<(Vec<JournalEntry>, u64)> {
        let mut text = Vec::new();
        let mut file = file;
        file.seek(SeekFrom::Start(0)).doing("seek in the journal")?;
        file.take(MAX_SIZE + 1).read_to_end(&mut text).doing("read the journal")?;
        if text.len() as u64 > MAX_SIZE {
            return Err(Error::usage(format!("a journal of more than {MAX_SIZE} bytes")).hint("begin a new file"));
        }
        let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (mut entries, mut previous) = (Vec::<JournalEntry>::new(), None);
        for (at, line) in text[..end].split_inclusive(|byte| *byte == b'\n').enumerate() {
            let (number, line) = (at + 1, &line[..line.len() - 1]);
            let place = format!("line {number}");
            let entry = JournalEntry::parse(number, line)
                .map_err(|error| Error::verification("not an entry of a journal").because(error.to_string()))
                .at(&place)?;
            let sequence = entry.get("/sequence").and_then(Value::as_u64);
            if entry.text("/previous") != previous.as_deref() || sequence != Some(number as u64) {
                let what = "does not follow the line before: a line was changed, removed or moved";
                return Err(Error::verification(what).at(place));
            }
            previous = Some(entry.digest.clone());
            entries.push(entry);
        }
        Ok((entries, end as u64))
    }

    /// The copy of the last line has to be one of the last two: a write may have been cut short between them.
    fn ensure_head(&self, entries: &[JournalEntry]) -> Result<()> {
        let head = match fs::read(self.head_path()) {
            Ok(head) => Some(digest_of(head.strip_suffix(b"\n").unwrap_or(&head))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("cannot read the copy of the journal's last line", error)),
        };
        let fits = match &head {
            None => entries.len() <= 1,
            Some(head) => entries.iter().rev().take(2).any(|entry| entry.digest == *head),
        };
        if fits {
            return Ok(());
        }
        let lines = counted(entries.len() as u64, "line");
        let what = match head {
            None => format!("{lines}, but the copy of the last one is gone ({})", self.head_path().display()),
            Some(_) => format!("{lines}, of which none of the last is the one in {}", self.head_path().display()),
        };
        Err(Error::verification(format!("{what}: lines were removed or changed")))
    }

    fn write_head(&self, line: &[u8]) -> Result<()> {
        let mut head = tempfile::Builder::new();
        let head = head.prefix(".pht-oci-journal-").tempfile_in(self.directory());
        let written = head.and_then(|mut head| {
            head.write_all(&[line, b"\n"].concat())?;
            head.as_file().sync_all()?;
            head.persist(self.head_path()).map_err(|failed| failed.error)?;
            File::open(self.directory())?.sync_all()
        });
        written.doing("write the copy of the journal's last line")
    }

    fn head_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".head");
        name.into()
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

fn digest_of(line: &[u8]) -> String {
    format!("sha256:{}", hex::encode(&Sha256::of(line)))
}

#[cfg(test)]
mod tests;
