//! Pinned keys as files: `creators/ID.pem` or `ID.pub.pem`, so also `builders`, `stations` and `reviewers`; and beside them
//! `min-wire`, the oldest wire version that is accepted with them.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::crypto::{MAX_KEY_FILE, PublicKey};
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::store::fs::others_may_write;
use crate::train::{MinWire, Role, TrustStore};

/// The endings of key files, the longer first: `keygen` writes public keys as `NAME.pub.pem`.
const ENDINGS: [&str; 2] = [".pub.pem", ".pem"];
/// The file with the name of a wire version.
const MIN_WIRE: &str = "min-wire";
/// The largest such file, in bytes.
const MAX_MIN_WIRE: u64 = 64;

/// Reads the pinned keys in a directory. Files are found by listing it, and no path is ever made of an id of a train.
///
/// # Errors
/// [`Kind::Usage`] if there is no such directory or a file in it is no public key; input/output.
pub fn read_trust(dir: &Path) -> Result<TrustStore> {
    if !dir.is_dir() {
        let hint = "create the directory, with creators/ID.pem, builders/NAME.pem and stations/ID.pem";
        return Err(Error::usage("there is no such directory of pinned keys").hint(hint).at(dir.display()));
    }
    let mut trust = TrustStore::default();
    warn_of_writers(dir);
    Role::ALL.into_iter().for_each(|role| warn_of_writers(&dir.join(role.directory())));
    for pin in list_pins(dir)? {
        warn_of_writers(&pin.path);
        trust.pin(pin.role, &pin.name, pin.key).at(pin.path.display())?;
    }
    if let Some(minimum) = read_min_wire(&dir.join(MIN_WIRE))? {
        trust.demand(minimum);
    }
    Ok(trust)
}

/// Whoever may write there decides whose trains run here.
fn warn_of_writers(path: &Path) {
    let is_open = |found: Metadata| others_may_write(&found) && !found.file_type().is_symlink();
    if path.symlink_metadata().is_ok_and(is_open) {
        tracing::warn!("others can write {}, where keys are pinned; protect it with chmod go-w", path.display());
    }
}

/// A pinned key and its file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pin {
    /// The role of its owner.
    pub role: Role,
    /// The id of its owner; of a builder any name.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// Its file.
    pub path: PathBuf,
}

/// The pinned keys in a directory, by role and name. Files that are none, and so pin nothing, are warned of.
///
/// # Errors
/// As [`read_trust`].
pub fn list_pins(dir: &Path) -> Result<Vec<Pin>> {
    let mut pins = Vec::new();
    for role in Role::ALL {
        for (path, name) in key_files(&dir.join(role.directory()))? {
            let key = read_key(&path).at(path.display())?;
            pins.push(Pin { role, name, key, path });
        }
    }
    let known = |name: &str| name == MIN_WIRE || Role::ALL.iter().any(|role| role.directory() == name);
    let above = |path: &Path| path.file_name().is_some_and(|name| !known(&name.to_string_lossy()));
    for path in entries_of(dir)?.into_iter().filter(|path| above(path)) {
        tracing::warn!("{}: pins nothing: keys are in creators, builders, stations and reviewers", path.display());
    }
    Ok(pins)
}

/// The oldest wire version that is accepted, if the file is there. One that cannot be read demands something, too.
fn read_min_wire(path: &Path) -> Result<Option<MinWire>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map(drop).doing("open the file").at(path.display())?,
    }
    // A link that leads nowhere is a demand that cannot be read.
    let found = fs::metadata(path).doing("open the file").at(path.display())?;
    if !found.is_file() || found.len() > MAX_MIN_WIRE {
        let hint = "write the name of a wire version into it, as in 3";
        return Err(Error::usage("not a file with a wire version").hint(hint).at(path.display()));
    }
    let text = fs::read_to_string(path).doing("read the wire version").at(path.display())?;
    MinWire::new(text.trim(), path.display().to_string()).map(Some).at(path.display())
}

/// The files of a directory that end in `.pem`, and the ids that they are named after, in the order of their names.
pub(super) fn key_files(dir: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for path in entries_of(dir)? {
        let name = path.file_name().and_then(|name| name.to_str());
        match name.and_then(|name| ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))) {
            Some(name) if !name.is_empty() => files.push((path.clone(), name.to_owned())),
            _ => tracing::warn!("{}: pins nothing: the name of a key file is ID.pem or ID.pub.pem", path.display()),
        }
    }
    Ok(files)
}

/// What is in a directory and not hidden, in the order of the names; nothing, if there is none.
fn entries_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.doing("list the directory").at(dir.display())?;
    let is_hidden = |entry: &&fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut paths: Vec<PathBuf> = entries.iter().filter(|entry| !is_hidden(entry)).map(fs::DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

pub(super) fn read_key(path: &Path) -> Result<PublicKey> {
    let found = fs::metadata(path).doing("open the pinned key")?;
    if !found.is_file() || found.len() > MAX_KEY_FILE as u64 {
        return Err(Error::usage("not a key file"));
    }
    let pem = fs::read(path).doing("read the pinned key")?;
    // A fault of whoever keeps the directory, not of the train.
    PublicKey::from_pem(&pem).map_err(|error| error.as_kind(Kind::Usage))
}
