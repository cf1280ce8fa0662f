//! What a train has written into the file system of its container, from where nobody gets it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::options::Mount;
use crate::error::{ErrorContext, IoContext, Result};

/// What engines put into a container, whatever the train does, or mount there.
const OF_ENGINES: [&str; 13] = [
    "/.dockerenv",
    "/dev",
    "/etc/group",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/proc",
    "/run/.containerenv",
    "/run/lock",
    "/run/secrets",
    "/sys",
];
/// Directories that are as they were before when a program has ended well, but for their times.
const SCRATCH: [&str; 4] = ["/run", "/tmp", "/var/tmp", "/root"];

/// The paths in what `podman diff` or `docker diff` lists: `A`, `C` or `D` and a path, one a line. Directories are listed
/// for what has changed in them; they are left out where that is listed, too.
pub(super) fn in_listing(listing: &[u8], mounts: &[Mount]) -> Vec<PathBuf> {
    let entry = |line: &[u8]| {
        let (kind, path) = (line.first().copied()?, line.get(2..)?);
        path.starts_with(b"/").then(|| (PathBuf::from(OsStr::from_bytes(path)), kind))
    };
    let mut all: Vec<(PathBuf, u8)> = listing.split(|byte| *byte == b'\n').filter_map(entry).collect();
    // By components: what is below a directory follows it at once.
    all.sort();
    let has_more = |at: usize| all.get(at + 1).is_some_and(|(next, _)| next.starts_with(&all[at].0));
    let is_scratch = |(path, kind): &(PathBuf, u8)| *kind == b'C' && SCRATCH.iter().any(|dir| path == Path::new(dir));
    let kept = (0..all.len()).filter(|at| !has_more(*at) && !is_scratch(&all[*at]));
    kept.map(|at| all[at].0.clone()).filter(|path| is_the_train_s(path, mounts)).collect()
}

/// The files below the upper directory of an overlay; what was removed has a file there, too.
///
/// # Errors
/// Input/output.
pub(super) fn in_upper(upper: &Path, mounts: &[Mount]) -> Result<Vec<PathBuf>> {
    let (mut open, mut found) = (vec![upper.to_owned()], Vec::new());
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).doing("list the directory").at(dir.display())? {
            let entry = entry.doing("list the directory").at(dir.display())?;
            if entry.file_type().doing("stat the file").at(dir.display())?.is_dir() {
                open.push(entry.path());
            } else {
                let path = entry.path();
                found.push(Path::new("/").join(path.strip_prefix(upper).unwrap_or(&path)));
            }
        }
    }
    found.retain(|path| is_the_train_s(path, mounts));
    found.sort();
    Ok(found)
}

/// False for what an engine makes for itself and for mounts: they need something to lie on, with directories above.
fn is_the_train_s(path: &Path, mounts: &[Mount]) -> bool {
    let below_engine_s = OF_ENGINES.iter().any(|own| path.starts_with(own) || Path::new(own).starts_with(path));
    let at_mount = mounts.iter().any(|mount| path.starts_with(&mount.path) || mount.path.starts_with(path));
    !below_engine_s && !at_mount
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts() -> Vec<Mount> {
        let at = |path: &str| Mount { host: "/srv".into(), path: path.into(), read_only: true, private: true };
        vec![at("/opt/pht_results"), at("/data/in")]
    }

    #[test]
    fn a_listing_names_what_the_train_has_written() {
        let listing =
            b"C /etc\nA /etc/mtab\nC /opt\nA /opt/pht_results\nA /data\nA /data/in\nC /tmp\nC /var\nA /var/model.pkl\n\
            D /usr/share/x\nC /usr\nC /usr/share\nA /optional\nA /with space\n";
        let shown = ["/optional", "/usr/share/x", "/var/model.pkl", "/with space"].map(PathBuf::from);
        assert_eq!(in_listing(listing, &mounts()), shown);
        assert_eq!(in_listing(b"C /tmp\nA /tmp/left\n", &mounts()), [PathBuf::from("/tmp/left")]);
        assert!(in_listing(b"", &mounts()).is_empty());
    }

    #[test]
    fn an_overlay_holds_what_the_train_has_written() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["opt/pht_results/.keep", "data/in/.keep", "root/out/model.pkl", "etc/hosts", "tmp/left"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "1").unwrap();
        }
        fs::create_dir_all(dir.path().join("empty/dir")).unwrap();
        let shown = ["/root/out/model.pkl", "/tmp/left"].map(PathBuf::from);
        assert_eq!(in_upper(dir.path(), &mounts()).unwrap(), shown);
    }
}
