//! Key pairs that are there, in place of new ones, each of which takes half a second.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::program::pht_oci;
use crate::{project, utf8};

/// How many of them there are.
const KEYS: usize = 8;

/// Writes `PATH.pem` and `PATH.pub.pem`, as keygen does: the pair of this number, or a new one where there are no more.
pub fn write_pair(number: usize, path: &Path) -> Result<(), String> {
    if number >= KEYS {
        return pht_oci(&["keygen", utf8(path), "--bits", "2048"], &[]).expect(0).map(drop);
    }
    let dir = project().join("testdata/keys");
    for (end, mode) in [("pem", 0o600), ("pub.pem", 0o644)] {
        let to = PathBuf::from(format!("{}.{end}", path.display()));
        let copied = fs::copy(dir.join(format!("{number}.{end}")), &to);
        let copied = copied.and_then(|_| fs::set_permissions(&to, fs::Permissions::from_mode(mode)));
        copied.map_err(|error| format!("{}: {error}", to.display()))?;
    }
    Ok(())
}

/// The same for each of these names below a directory.
#[track_caller]
pub fn write_pairs(dir: &Path, names: &[&str]) {
    for (number, name) in names.iter().enumerate() {
        write_pair(number, &dir.join(name)).expect("a key pair");
    }
}
