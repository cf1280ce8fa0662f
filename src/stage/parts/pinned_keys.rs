//! Pinned keys as files: `creators/ID.pem`, `builders/*.pem`, `stations/ID.pem`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::crypto::{MAX_KEY_FILE, PublicKey};
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::train::{Role, TrustStore};

const ENDING: &str = ".pem";

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
    for role in Role::ALL {
        for (path, name) in key_files(&dir.join(role.directory()))? {
            let key = read_key(&path).at(path.display())?;
            trust.pin(role, &name, key).at(path.display())?;
        }
    }
    Ok(trust)
}

/// The files of a directory that end in `.pem`, and the ids that they are named after, in the order of their names.
pub(super) fn key_files(dir: &Path) -> Result<Vec<(PathBuf, String)>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => {
            entries.and_then(Iterator::collect::<io::Result<Vec<_>>>).doing("list the directory").at(dir.display())?
        }
    };
    let named = |entry: &fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(ENDING)?.to_owned());
    let mut files: Vec<_> = entries.iter().filter_map(|entry| Some((entry.path(), named(entry)?))).collect();
    files.sort();
    Ok(files)
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
