//! Paths in an image, normalised (relative to its root, no empty component, no `.` or `..`), as bytes.

use std::cmp::Ordering;
use std::fmt;

use crate::text::Printable;

/// A path for messages: absolute, with nothing in it that a terminal would act on. It is put together only when there is a
/// message to write.
#[derive(Debug, Clone, Copy)]
pub struct ShownPath<'a>(Printable<'a>);

impl fmt::Display for ShownPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

/// The path for messages.
pub fn shown(path: &[u8]) -> ShownPath<'_> {
    ShownPath(Printable::new(path))
}

/// True if `path` lies below the directory `dir` (the empty path is the root).
pub fn is_below(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() && !path.is_empty() || path.len() > dir.len() && path.starts_with(dir) && path[dir.len()] == b'/'
}

/// The directories above `path`, nearest first, the root left out.
pub fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let slash = rest.iter().rposition(|&byte| byte == b'/')?;
        rest = &rest[..slash];
        Some(rest)
    })
}

/// Docker's walk order: depth first, the names of each directory in byte order, a directory before its contents.
pub fn walk_order(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { u16::from(*byte) + 1 };
    a.iter().map(rank).cmp(b.iter().map(rank))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_names_and_not_whole_paths() {
        let walked =
            [".hidden", "A", "a/b/c", "a/b-c", "blob.bin", "sub", "sub/x", "sub-a/y", "sub.txt", "\u{fc} name"];
        for (i, a) in walked.iter().enumerate() {
            for (j, b) in walked.iter().enumerate() {
                assert_eq!(walk_order(a.as_bytes(), b.as_bytes()), i.cmp(&j), "{a} {b}");
            }
        }
    }
}
