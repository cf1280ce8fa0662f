//! The file systems that lie below a directory of this machine. A container gets them with it, and no engine that is in
//! use today makes them read-only with it: each has to be a mount of its own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::options::{Mount, mountable};
use crate::error::Result;

/// The mounts of this process, one a line (proc_pid_mountinfo(5)).
const TABLE: &str = "/proc/self/mountinfo";

/// The mount, and one for each file system below it if it is read-only, in the order in which they have to be made.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if one of them is at a path that no engine takes.
pub(crate) fn with_submounts(mount: Mount) -> Result<Vec<Mount>> {
    let below = if mount.read_only { below(&mount.host, &fs::read(TABLE).unwrap_or_default()) } else { Vec::new() };
    let inner = below.into_iter().map(|inside| Mount {
        host: mount.host.join(&inside),
        path: mount.path.join(&inside),
        ..mount.clone()
    });
    // What this user cannot reach, nobody whom this user starts can.
    let inner: Vec<Mount> = inner.filter(|inner| inner.host.metadata().is_ok()).collect();
    inner.iter().try_for_each(|inner| mountable(inner.host.clone()).map(drop))?;
    Ok(std::iter::once(mount).chain(inner).collect())
}

/// The paths, relative to `host`, at which file systems of `table` are mounted below it; outer ones first.
fn below(host: &Path, table: &[u8]) -> Vec<PathBuf> {
    let Ok(host) = host.canonicalize() else { return Vec::new() };
    let points = table.split(|&byte| byte == b'\n').filter_map(|line| line.split(|&byte| byte == b' ').nth(4));
    let points = points.map(|point| PathBuf::from(OsString::from_vec(unescaped(point))));
    let inside = |point: PathBuf| point.strip_prefix(&host).ok().map(Path::to_owned);
    let mut found: Vec<PathBuf> = points.filter_map(inside).filter(|path| !path.as_os_str().is_empty()).collect();
    found.sort();
    found.dedup();
    found
}

/// Blanks, tabs, line feeds and backslashes are three octal digits each.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(field.len()), field);
    while let [first, after @ ..] = rest {
        let code = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[3..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_mounted_below_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        fs::create_dir(real.join("data")).unwrap();
        std::os::unix::fs::symlink("data", real.join("link")).unwrap();
        let line = |at: &str| format!("36 35 98:0 / {}{at} rw,noatime master:1 - ext3 /dev/root rw\n", real.display());
        let table = [
            line("/data"),
            line("/data/b/c"),
            line("/data/b"),
            line("/data/b"),
            line("/data/a\\040b"),
            line("/data2/x"),
        ];
        let table = table.concat() + "1 1 0:1 / / rw - ext4 / rw\n";
        for host in ["data", "link", "data/."] {
            let found = below(&real.join(host), table.as_bytes());
            assert_eq!(found, [Path::new("a b"), Path::new("b"), Path::new("b/c")], "{host}");
        }
        assert_eq!(below(&real.join("none"), table.as_bytes()), Vec::<PathBuf>::new());
    }
}
