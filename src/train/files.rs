//! The immutable files: what `file_list` names, and in which order their contents are hashed.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::text::Printable;

/// The name of the query among the immutable files.
pub const QUERY: &str = "query.json";

/// The most file names in one error message; the rest is only counted.
const NAMES_SHOWN: usize = 20;

/// A regular file of the train, as the image has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileMeta {
    /// Path relative to `/opt/pht_train` or `/opt/pht_results`, without a leading `./`.
    pub path: Vec<u8>,
    /// Permission bits, as in 0o755.
    pub mode: u32,
    /// Size of the plaintext in bytes.
    pub size: u64,
    /// True if it is a hard link: a further name of a file.
    pub is_link: bool,
}

/// The place of the query in a wire version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryRule {
    /// `query.json` stands in `file_list`; one that does not is an unlisted file.
    Listed,
    /// `query.json` is not listed and counts when it is there; one that is listed must be there.
    Unlisted,
}

/// The order in which the immutable files are hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashOrder {
    /// The files but for the query, in the order of `file_list`, as indexes into the files that are there.
    pub files: Vec<usize>,
    /// The query, hashed after the session id.
    pub query: Option<usize>,
}

/// An entry of `file_list` as a path, without the leading `./` that the central service writes.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if it names no file below `/opt/pht_train`: empty, absolute
/// elsewhere, a directory, or with an empty, `.` or `..` component.
pub fn normalise(entry: &str) -> Result<EntryName> {
    let (path, absolute) = match entry.strip_prefix('/') {
        Some(_) => match entry.strip_prefix("/opt/pht_train/") {
            Some(path) => (path, true),
            None => return Err(Error::malformed(format!("`{}` lies outside /opt/pht_train", show(entry.as_bytes())))),
        },
        None => (entry.strip_prefix("./").unwrap_or(entry), false),
    };
    let strange = |name: &str| matches!(name, "" | "." | "..") || name.contains('\0');
    if path.split('/').any(strange) {
        let what = format!("`{}` is not a relative path of a file under /opt/pht_train", show(entry.as_bytes()));
        return Err(Error::malformed(what));
    }
    Ok(EntryName { path: path.to_owned(), absolute })
}

/// An entry of `file_list`, normalised by [`normalise`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryName {
    path: String,
    absolute: bool,
}

impl EntryName {
    /// The path under `pht_train` that the entry names, given what is there.
    ///
    /// Some trains list `pht_train/x` for `x`. If a file `pht_train/pht_train/x` is really there, the literal reading
    /// is the right one; `x` is then either listed too or unlisted, hence an error, so nothing can hide behind it.
    pub fn resolve(&self, is_there: impl Fn(&[u8]) -> bool) -> &str {
        match self.path.strip_prefix("pht_train/") {
            Some(inner) if !self.absolute && !is_there(self.path.as_bytes()) => inner,
            _ => &self.path,
        }
    }
}

/// The order in which to hash the files that are there: `paths` are those of all regular files under `pht_train`.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) naming each listed file that is missing and each file that
/// is not listed; [`Kind::Malformed`](crate::error::Kind::Malformed) if an entry is no path or is listed twice.
pub fn hash_order(file_list: &[String], paths: &[&[u8]], rule: QueryRule) -> Result<HashOrder> {
    let mut there = HashMap::with_capacity(paths.len());
    for (index, path) in paths.iter().enumerate() {
        if there.insert(*path, index).is_some() {
            return Err(Error::malformed(format!("the file `{}` is listed twice", show(path))));
        }
    }
    let mut listed = Vec::new();
    let mut missing = Vec::new();
    let mut seen = HashSet::new();
    for entry in file_list {
        let name = normalise(entry)?;
        let path = name.resolve(|path| there.contains_key(path));
        if !seen.insert(path.to_owned()) {
            return Err(Error::malformed(format!("file_list names `{}` twice", show(path.as_bytes()))));
        }
        match there.get(path.as_bytes()) {
            Some(&index) => listed.push(index),
            None => missing.push(path.to_owned().into_bytes()),
        }
    }
    let query = there.get(QUERY.as_bytes()).copied();
    let known: HashSet<usize> = listed.iter().copied().chain(query.filter(|_| rule == QueryRule::Unlisted)).collect();
    let unlisted = paths.iter().enumerate().filter(|(index, _)| !known.contains(index)).map(|(_, path)| path.to_vec());
    refuse(&missing, &unlisted.collect::<Vec<_>>())?;
    listed.retain(|&index| Some(index) != query);
    Ok(HashOrder { files: listed, query })
}

/// Refuses files that are missing and files that are there and should not be, all of them by name.
pub(crate) fn refuse(missing: &[Vec<u8>], unlisted: &[Vec<u8>]) -> Result<()> {
    let mut faults = Vec::new();
    if !missing.is_empty() {
        faults.push(format!("missing under pht_train: {}", show_all(missing)));
    }
    if !unlisted.is_empty() {
        let what = "not among the files that the creator signed, but under /opt/pht_train";
        faults.push(format!("{what}: {}", show_all(unlisted)));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => {
            let hint = "nothing but /opt/pht_results may change; take the train as it was before";
            Err(Error::verification(faults.join("; ")).hint(hint))
        }
    }
}

fn show_all(names: &[Vec<u8>]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{}`", show(name))).collect();
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown.join(", "),
        rest => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// A file name for a message.
pub(crate) fn show(name: &[u8]) -> String {
    Printable::new(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn order(list: &[&str], there: &[&str], rule: QueryRule) -> Result<(Vec<usize>, Option<usize>)> {
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        let there: Vec<&[u8]> = there.iter().map(|path| path.as_bytes()).collect();
        hash_order(&list, &there, rule).map(|order| (order.files, order.query))
    }

    #[test]
    fn finds_every_way_to_name_a_file() {
        let there = ["dir/y", "x"];
        for list in [
            ["x", "dir/y"],
            ["./x", "./dir/y"],
            ["pht_train/x", "pht_train/dir/y"],
            ["./pht_train/x", "dir/y"],
            ["/opt/pht_train/x", "/opt/pht_train/dir/y"],
        ] {
            assert_eq!(order(&list, &there, QueryRule::Listed).unwrap(), (vec![1, 0], None), "{list:?}");
        }
    }

    #[test]
    fn prefers_the_literal_name_where_it_is_there() {
        let there = ["pht_train/x", "x"];
        assert_eq!(order(&["x", "pht_train/x"], &there, QueryRule::Listed).unwrap().0, [1, 0]);
        assert_eq!(order(&["x", "/opt/pht_train/pht_train/x"], &there, QueryRule::Listed).unwrap().0, [1, 0]);
        // A planted `pht_train/x` takes the entry over, so `x` is no longer listed.
        let error = order(&["pht_train/x"], &there, QueryRule::Listed).unwrap_err();
        assert_eq!(error.to_string(), "not among the files that the creator signed, but under /opt/pht_train: `x`");
    }

    #[test]
    fn takes_the_query_out_of_the_order() {
        let there = ["a", "query.json", "sub/query.json"];
        let all = ["./query.json", "a", "sub/query.json"];
        assert_eq!(order(&all, &there, QueryRule::Listed).unwrap(), (vec![0, 2], Some(1)));
        assert_eq!(order(&all, &there, QueryRule::Unlisted).unwrap(), (vec![0, 2], Some(1)));
        assert_eq!(order(&all[1..], &there, QueryRule::Unlisted).unwrap(), (vec![0, 2], Some(1)));
        let error = order(&all[1..], &there, QueryRule::Listed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not among the files that the creator signed, but under /opt/pht_train: `query.json`"
        );
        let error = order(&["a", "query.json"], &["a"], QueryRule::Unlisted).unwrap_err();
        assert_eq!(error.to_string(), "missing under pht_train: `query.json`");
    }

    #[test]
    fn names_every_missing_and_unlisted_file() {
        let error = order(&["a", "b", "c"], &["a", "d\u{1b}[2J", "e"], QueryRule::Unlisted).unwrap_err();
        assert_eq!(error.kind(), Kind::Verification);
        let expected = "missing under pht_train: `b`, `c`; not among the files that the creator signed, but under /opt/pht_train: `d\\u{1b}[2J`, `e`";
        assert_eq!(error.to_string(), expected);
        let many: Vec<String> = (0..25).map(|number| format!("f{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(order(&[], &many, QueryRule::Listed).unwrap_err().to_string().ends_with("`f19` and 5 more"));
    }

    #[test]
    fn refuses_entries_that_are_no_path_or_stand_twice() {
        for entry in
            ["", ".", "./", "..", "../x", "a/../x", "a//b", "a/", "/etc/passwd", "/opt/pht_train/", "a\0b", "a/./b"]
        {
            assert_eq!(order(&[entry], &[], QueryRule::Listed).unwrap_err().kind(), Kind::Malformed, "{entry:?}");
        }
        for list in [["x", "x"], ["x", "./x"], ["x", "pht_train/x"], ["/opt/pht_train/x", "pht_train/x"]] {
            assert_eq!(order(&list, &["x"], QueryRule::Listed).unwrap_err().kind(), Kind::Malformed, "{list:?}");
        }
        assert_eq!(order(&["x"], &["x", "x"], QueryRule::Listed).unwrap_err().kind(), Kind::Malformed);
    }
}
