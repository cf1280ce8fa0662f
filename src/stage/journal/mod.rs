//! What a station did: a file of signed statements, each with the digest of the one before.
//!
//! Each line is a DSSE envelope with an in-toto statement (Statement v1), signed by the station with RSASSA-PKCS1-v1_5 and
//! SHA-256, so that programs of others verify it. Beside the file lies a copy of its last line (`FILE.head`): a chain of
//! digests shows what was changed, removed or moved within it, and the copy that lines are missing at its end. Whoever can
//! write to both can still put back an older pair; a receipt that is kept elsewhere shows that.

mod act;
mod entry;
mod facts;
mod record;
mod turn;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::crypto::dsse::{Envelope, IN_TOTO};
use crate::crypto::{PrivateKey, PublicKey, random};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::json::{self, Object, Value, json};
use crate::store::fs::{Waiting, is_not_regular, lock, not_regular, open_regular, parent_of, sync_published};
use crate::text::counted;

use entry::digest_of;

pub use act::{Act, Recording};
pub use entry::{JournalEntry, PREDICATE_TYPE};
pub use record::{closing_entry, recorded};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The largest journal that is read, in bytes: some hundred thousand acts.
const MAX_SIZE: u64 = 1 << 30;
/// The bytes that are set aside for a line and its copy before an act: a line of some hundred results has less.
const ROOM: usize = 64 << 10;

/// What to do where the directory of a journal is not there.
const NO_DIRECTORY: &str = "create the directory, for the station's user alone";

/// The lines of a journal.
struct Chain {
    entries: Vec<JournalEntry>,
    /// Where they end.
    end: u64,
    /// What stands behind them: the beginning of another one, mostly.
    rest: Vec<u8>,
    /// The copy of the last line is that of the one before, or not there yet.
    is_behind: bool,
}

/// Room beside the journal for a line, from before the act until the line is written: a train that has run for days is not
/// to end without its record for a disk that others have filled meanwhile.
struct Room {
    _file: File,
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
        Ok(self.load()?.map(|chain| chain.entries).unwrap_or_default())
    }

    /// Its lines, if there is a journal.
    fn load(&self) -> Result<Option<Chain>> {
        let file = match open_regular(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.ensure_never_was().map(|()| None);
            }
            opened => opened.map_err(not_opened).at(self.path.display())?.0,
        };
        // Between a line and its copy nobody may look.
        lock(&file, Waiting::Wait, "the journal").at(self.path.display())?;
        let chain = self.read(&file).at(self.path.display())?;
        if !chain.rest.is_empty() {
            tracing::warn!("{}, and counts for nothing", self.torn(&chain));
        }
        Ok(Some(chain))
    }

    /// The same, if it could be written to now; nothing is changed, nor made.
    ///
    /// # Errors
    /// As [`entries`](Self::entries); input/output.
    pub fn examine(&self) -> Result<Vec<JournalEntry>> {
        if self.path.exists() {
            let opened = File::options().read(true).write(true).open(&self.path);
            opened.doing("open the journal for writing").at(self.path.display())?;
        }
        drop(self.take_room().at(self.path.display())?);
        self.entries()
    }

    /// True if the copy of the last line is there.
    pub fn has_head(&self) -> bool {
        self.head_path().symlink_metadata().is_ok()
    }

    /// [`entries`](Self::entries), each of which one of `keys` has signed.
    ///
    /// # Errors
    /// As [`entries`](Self::entries); [`Kind::Verification`](crate::error::Kind::Verification) if a signature does not
    /// hold; [`Kind::Usage`](crate::error::Kind::Usage) if there is no such file.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<Vec<JournalEntry>> {
        match self.load() {
            Ok(Some(chain)) => self.verified(chain, keys),
            Ok(None) => Err(Error::usage("there is no journal").at(self.path.display())),
            Err(error) => Err(self.changed_line(keys).unwrap_or(error)),
        }
    }

    /// Of a journal that does not hold, the first line whose signature does not: that is the one that was changed.
    fn changed_line(&self, keys: &[PublicKey]) -> Option<Error> {
        let text = read_line(&self.path).ok()?;
        let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate();
        let is_changed = |line: &[u8]| JournalEntry::parse(1, line).is_ok_and(|entry| !entry.is_signed_by(keys));
        let (at, _) = lines.find(|(_, line)| is_changed(line))?;
        Some(self.unsigned(at + 1))
    }

    fn unsigned(&self, line: usize) -> Error {
        let what = "the signature is of none of the given keys: the line was changed, the station had another key, or it is \
                    another station's journal";
        Error::verification(what).at(format_args!("line {line}")).at(self.path.display())
    }

    /// The entries of a copy that a station has handed on, each of which one of `keys` has signed; and true if the copy of
    /// the last line came with it: without, nothing shows whether lines are missing at the end.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_copy(&self, keys: &[PublicKey]) -> Result<(Vec<JournalEntry>, bool)> {
        let has_head = self.has_head();
        if has_head || !self.path.exists() {
            return self.verify(keys).map(|entries| (entries, has_head));
        }
        let (file, _) = open_regular(&self.path).map_err(not_opened).at(self.path.display())?;
        let chain = self.read_chain(&file).at(self.path.display());
        let chain = chain.map_err(|error| self.changed_line(keys).unwrap_or(error))?;
        self.verified(chain, keys).map(|entries| (entries, false))
    }

    /// The entries, if nothing stands behind them that was put there, and one of `keys` has signed each.
    fn verified(&self, chain: Chain, keys: &[PublicKey]) -> Result<Vec<JournalEntry>> {
        ensure_cut_short(&chain.rest).at(self.path.display())?;
        self.ensure_signed(&chain.entries, keys)?;
        Ok(chain.entries)
    }

    fn ensure_signed(&self, entries: &[JournalEntry], keys: &[PublicKey]) -> Result<()> {
        match entries.iter().find(|entry| !entry.is_signed_by(keys)) {
            None => Ok(()),
            Some(entry) => Err(self.unsigned(entry.line)),
        }
    }

    /// Checks that the receipt in the file `path`, signed by one of `keys`, is one of these entries.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if it is not; input/output.
    pub fn ensure_has(&self, path: &Path, entries: &[JournalEntry], keys: &[PublicKey]) -> Result<()> {
        let receipt = read_line(path).doing("read the receipt").at(path.display())?;
        let receipt = receipt.strip_suffix(b"\n").unwrap_or(&receipt);
        let digest = digest_of(receipt);
        if entries.iter().any(|entry| entry.digest == digest) {
            return Ok(());
        }
        let entry = JournalEntry::parse(1, receipt).map_err(|_| {
            Error::verification("not a receipt").hint("a receipt is one line of a journal, in a file of its own")
        });
        if !entry.at(path.display())?.is_signed_by(keys) {
            let what = "the receipt is signed by none of the given keys: another station's, or it was changed";
            return Err(Error::verification(what).at(path.display()));
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
        let mut line = Vec::new();
        self.append_line(subject, predicate, key, &mut line).map(|()| line)
    }

    /// The same; `line` gets the line as soon as it is made, so that it is not lost where it cannot be written.
    fn append_line(
        &self,
        subject: (&str, &str),
        predicate: Object,
        key: &PrivateKey,
        line: &mut Vec<u8>,
    ) -> Result<()> {
        self.append_to(subject, predicate, key, line).at(self.path.display())
    }

    fn append_to(
        &self,
        (name, sha256): (&str, &str),
        mut predicate: Object,
        key: &PrivateKey,
        line: &mut Vec<u8>,
    ) -> Result<()> {
        let mut file = self.open_for_writing()?;
        let chain = self.read(&file)?;
        let last = chain.entries.last();
        predicate.insert("sequence".to_owned(), json!(chain.entries.len() as u64 + 1));
        predicate.insert("previous".to_owned(), json!(last.map(|entry| &entry.digest)));
        let statement = json!({
            "_type": STATEMENT_TYPE,
            "subject": [{ "name": name, "digest": { "sha256": sha256.strip_prefix("sha256:").unwrap_or(sha256) } }],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        });
        let envelope = Envelope::sign(IN_TOTO, json::to_vec(&statement), key)?;
        *line = envelope.to_json(&key.public_key());
        if !chain.rest.is_empty() {
            tracing::warn!("{}, and is dropped", self.torn(&chain));
            file.set_len(chain.end).doing("cut off an incomplete line")?;
        }
        // The copy is behind by one line at most.
        if let Some(last) = last.filter(|_| chain.is_behind) {
            self.write_head(&last.text)?;
        }
        file.seek(SeekFrom::Start(chain.end)).doing("seek in the journal")?;
        let written = file.write_all(&[&line[..], b"\n"].concat()).and_then(|()| file.sync_all());
        if let Err(error) = written {
            let _ = file.set_len(chain.end);
            return Err(Error::io("cannot write to the journal", error));
        }
        // Then it is recorded, and the next line makes good for the copy.
        if let Err(error) = self.write_head(line) {
            tracing::warn!("{}: {error}", self.head_path().display());
        }
        Ok(())
    }

    /// What is to be said of a write that was cut short.
    fn torn(&self, chain: &Chain) -> String {
        let (path, line) = (self.path.display(), chain.entries.len() + 1);
        format!("{path}: line {line} is incomplete: a write was cut short; what it was about is not recorded")
    }

    /// Sees to it, before an act that has to be recorded, that it can be written to and that there is room for the record.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn prepare(&self) -> Result<Room> {
        drop(self.open_for_writing().at(self.path.display())?);
        self.take_room().at(self.path.display())
    }

    /// A file without a name that takes the room of a line, and gives it back when it is closed.
    fn take_room(&self) -> Result<Room> {
        // Some file systems store what repeats itself in no room at all.
        let mut bytes = vec![0; ROOM];
        random::fill(&mut bytes)?;
        let taken = tempfile::tempfile_in(parent_of(&self.path)).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_data()?;
            Ok(Room { _file: file })
        });
        taken.map_err(|error| {
            let kind = error.kind();
            let error = Error::io("cannot set room aside for a line of the journal", error);
            match kind {
                io::ErrorKind::NotFound => error.hint(NO_DIRECTORY),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    error.hint("free some space there first: nothing is done that cannot be recorded")
                }
                _ => error.hint("let the station's user write to the directory of the journal"),
            }
        })
    }

    fn open_for_writing(&self) -> Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&self.path).map_err(not_opened)?;
        if !file.metadata().doing("stat the journal")?.is_file() {
            return Err(not_opened(not_regular()));
        }
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

    /// The lines of an open journal.
    fn read(&self, file: &File) -> Result<Chain> {
        let mut chain = self.read_chain(file)?;
        chain.is_behind = self.ensure_head(&chain.entries)?;
        Ok(chain)
    }

    /// The same, whatever the copy of the last line says.
    fn read_chain(&self, file: &File) -> Result<Chain> {
        let mut text = Vec::new();
        let mut file = file;
        file.seek(SeekFrom::Start(0)).doing("seek in the journal")?;
        file.take(MAX_SIZE + 1).read_to_end(&mut text).doing("read the journal")?;
        if text.len() as u64 > MAX_SIZE {
            let hint = "keep it, and begin a new file; stops that this one says are closed are then no longer known, \
                        and could be closed twice";
            return Err(Error::usage(format!("a journal of more than {MAX_SIZE} bytes")).hint(hint));
        }
        if text.first().is_some_and(|first| *first != b'{') && !self.has_head() {
            return Err(Error::usage("not a journal").hint("name the file that the station's journal is in"));
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
                return Err(out_of_place(number, sequence).at(place));
            }
            previous = Some(entry.digest.clone());
            entries.push(entry);
        }
        Ok(Chain { entries, end: end as u64, rest: text.split_off(end), is_behind: false })
    }

    /// The copy of the last line has to be one of the last two: a write may have been cut short between them. True if it
    /// is not of the very last.
    fn ensure_head(&self, entries: &[JournalEntry]) -> Result<bool> {
        let head = match read_line(&self.head_path()) {
            Ok(head) => Some(digest_of(head.strip_suffix(b"\n").unwrap_or(&head))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("cannot read the copy of the journal's last line", error)),
        };
        let fits = match &head {
            None => entries.len() <= 1,
            Some(head) => entries.iter().rev().take(2).any(|entry| entry.digest == *head),
        };
        if fits {
            return Ok(entries.last().is_some_and(|last| head.as_ref() != Some(&last.digest)));
        }
        let (lines, copy) = (counted(entries.len() as u64, "line"), self.head_path());
        let copy = copy.display();
        Err(match head {
            None => {
                let hint = "put it back from a backup: without it nothing shows whether lines are missing at the end";
                Error::verification(format!("the copy of the last line is gone ({copy}), of {lines}")).hint(hint)
            }
            Some(_) => {
                let what = format!("the last recorded line is missing: {lines}, and none is the one in {copy}");
                Error::verification(what).hint("put the journal back from a backup, or find out who has changed it")
            }
        })
    }

    fn write_head(&self, line: &[u8]) -> Result<()> {
        let mut head = tempfile::Builder::new();
        let head = head.prefix(".pht-oci-journal-").tempfile_in(parent_of(&self.path));
        let written = head.and_then(|mut head| {
            head.write_all(&[line, b"\n"].concat())?;
            head.as_file().sync_all()?;
            head.persist(self.head_path()).map_err(|failed| failed.error)
        });
        written.map(drop).doing("write the copy of the journal's last line")?;
        // Both are written: what the file system cannot do for their names does not undo it.
        sync_published(parent_of(&self.path));
        Ok(())
    }

    fn head_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".head");
        name.into()
    }
}

/// The error of a line whose number or whose digest of the line before is not that of its place.
fn out_of_place(number: usize, sequence: Option<u64>) -> Error {
    match sequence {
        Some(sequence) if number == 1 && sequence > 1 => Error::verification(format!(
            "this is line {sequence} of a journal: a receipt or the copy of a last line, or the lines before it were removed or moved"
        )),
        _ => {
            let before = number - 1;
            Error::verification(format!(
                "does not follow line {before}: one of the two was changed, or lines were removed or moved"
            ))
        }
    }
}

/// What a write that was cut short has left behind the last line is said, and cut off by the next act; anything else there
/// was put in by somebody.
fn ensure_cut_short(rest: &[u8]) -> Result<()> {
    // A file that grew before its contents were written ends in zeros.
    let rest = rest.trim_ascii_end();
    let is_of_zeros = rest.iter().all(|byte| *byte == 0);
    if is_of_zeros || rest.starts_with(b"{\"") && json::parse(rest).is_err() {
        return Ok(());
    }
    let what = format!("{} bytes behind the last line, which nothing of the station's has written", rest.len());
    Err(Error::verification(what))
}

/// One line in a file of its own.
fn read_line(path: &Path) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    open_regular(path)?.0.take(MAX_SIZE).read_to_end(&mut line)?;
    Ok(line)
}

fn not_opened(error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => NO_DIRECTORY,
        _ if is_not_regular(&error) => {
            let hint = "a journal is a file that stays; give another path";
            return Error::usage("cannot open the journal").because(error).hint(hint);
        }
        _ => return Error::io("cannot open the journal", error),
    };
    Error::io("cannot open the journal", error).hint(hint)
}

#[cfg(test)]
mod tests;
