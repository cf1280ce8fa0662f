//! `.phtignore`: what of a directory is not part of the train. The patterns are those of `.gitignore`.

use crate::error::{Error, Result};
use crate::text::Printable;

/// The name of the file with the patterns, at the root of the train's files. It is never part of the train itself.
pub(in crate::stage) const IGNORE_FILE: &str = ".phtignore";

/// The most lines that are read.
const MAX_LINES: usize = 10_000;

/// The patterns of one file, in order: the last that fits decides.
#[derive(Debug, Default)]
pub(in crate::stage) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    /// Components, from the root of the files; `**` stands for any number of them.
    parts: Vec<Vec<u8>>,
    /// It takes back what an earlier one left out.
    keeps: bool,
    only_directories: bool,
}

impl Ignore {
    /// Reads the lines of a `.phtignore`.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a line that is no pattern, by its number.
    pub(in crate::stage) fn parse(text: &[u8]) -> Result<Self> {
        let mut patterns = Vec::new();
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            if number == MAX_LINES {
                return Err(Error::usage(format!("more than {MAX_LINES} lines")));
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            patterns.extend(Pattern::parse(line).map_err(|error| error.at(format_args!("line {}", number + 1)))?);
        }
        Ok(Ignore { patterns })
    }

    /// True if a path, relative to the root of the files, is left out by itself; what lies in a directory that is left out
    /// is for the caller to leave out with it.
    pub(in crate::stage) fn leaves_out(&self, path: &[u8], is_directory: bool) -> bool {
        let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
        let fits = |pattern: &&Pattern| (is_directory || !pattern.only_directories) && matches(&pattern.parts, &parts);
        self.patterns.iter().rev().find(fits).is_some_and(|pattern| !pattern.keeps)
    }
}

impl Pattern {
    fn parse(line: &[u8]) -> Result<Option<Self>> {
        let line = trim_end(line);
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(None);
        }
        let (keeps, line) = line.strip_prefix(b"!").map_or((false, line), |rest| (true, rest));
        let (only_directories, line) = line.strip_suffix(b"/").map_or((false, line), |rest| (true, rest));
        // With a slash in it a pattern is one from the root; without, one for a name anywhere.
        let is_rooted = line.contains(&b'/');
        let line = line.strip_prefix(b"/").unwrap_or(line);
        let mut parts: Vec<Vec<u8>> = line.split(|&byte| byte == b'/').map(<[u8]>::to_vec).collect();
        if let Some(strange) = parts.iter().find(|part| matches!(part.as_slice(), b"" | b"." | b"..")) {
            let what = format!("`{}` is no name in a pattern", Printable::new(strange));
            return Err(Error::usage(what).hint("patterns are those of .gitignore: *.csv, /data/, !keep.csv"));
        }
        if !is_rooted {
            parts.insert(0, b"**".to_vec());
        }
        Ok(Some(Pattern { parts, keeps, only_directories }))
    }
}

/// Blanks at the end do not count, unless escaped.
fn trim_end(mut line: &[u8]) -> &[u8] {
    while let Some(shorter) = line.strip_suffix(b" ").filter(|shorter| !shorter.ends_with(b"\\")) {
        line = shorter;
    }
    line
}

/// Whether the components of a path are those of a pattern.
fn matches(pattern: &[Vec<u8>], path: &[&[u8]]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((first, rest)) if first == b"**" => {
            // At the end it stands for what lies below, not for the directory itself.
            let least = usize::from(rest.is_empty());
            (least..=path.len()).any(|skipped| matches(rest, &path[skipped..]))
        }
        Some((first, rest)) => {
            path.split_first().is_some_and(|(name, below)| fits(first, name) && matches(rest, below))
        }
    }
}

/// Whether a name fits a pattern of `*`, `?`, `[a-z]` and `\` before a character that stands for itself. It goes back to
/// the last star only, so that it takes no more steps than both are long together, squared.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match one(&pattern[at..], name[seen]) {
            Step::Star => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Step::Fits(length) => {
                at += length;
                seen += 1;
            }
            Step::Differs => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (at, seen) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

enum Step {
    Star,
    /// The first so many bytes of the pattern fit.
    Fits(usize),
    Differs,
}

fn one(pattern: &[u8], byte: u8) -> Step {
    let literal = |wanted: u8, length: usize| if wanted == byte { Step::Fits(length) } else { Step::Differs };
    match pattern {
        [] => Step::Differs,
        [b'*', ..] => Step::Star,
        [b'?', ..] => Step::Fits(1),
        [b'\\', escaped, ..] => literal(*escaped, 2),
        [b'[', rest @ ..] => class(rest, byte).unwrap_or_else(|| literal(b'[', 1)),
        [wanted, ..] => literal(*wanted, 1),
    }
}

/// A class of bytes, as in `[a-z]` or `[!0-9]`, from behind its bracket; none if it has no end.
fn class(pattern: &[u8], byte: u8) -> Option<Step> {
    let (negated, rest) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    // A bracket that comes first stands for itself.
    let end = rest.iter().skip(1).position(|&byte| byte == b']')? + 1;
    let (mut within, mut members) = (false, &rest[..end]);
    while let [first, others @ ..] = members {
        members = match others {
            [b'-', last, others @ ..] => {
                within |= (*first..=*last).contains(&byte);
                others
            }
            others => {
                within |= *first == byte;
                others
            }
        };
    }
    Some(if within == negated { Step::Differs } else { Step::Fits(end + 2 + usize::from(negated)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out<'a>(lines: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let ignore = Ignore::parse(lines.as_bytes()).unwrap();
        let is_left_out = |path: &&str| {
            let name = path.strip_suffix('/').unwrap_or(path);
            ignore.leaves_out(name.as_bytes(), path.ends_with('/'))
        };
        paths.iter().copied().filter(is_left_out).collect()
    }

    #[test]
    fn patterns_are_those_of_gitignore() {
        let paths = ["a.csv", "lib/a.csv", "data/", "lib/data/", "data/x", "main.py", "lib/deep/x.py", "[x]", "b c"];
        for (lines, expected) in [
            ("", vec![]),
            ("# data\n\n", vec![]),
            ("*.csv", vec!["a.csv", "lib/a.csv"]),
            ("*.csv\r\n!lib/a.csv\r\n", vec!["a.csv"]),
            ("!a.csv\n*.csv", vec!["a.csv", "lib/a.csv"]),
            ("/a.csv", vec!["a.csv"]),
            ("data/", vec!["data/", "lib/data/"]),
            ("/data/", vec!["data/"]),
            ("data", vec!["data/", "lib/data/"]),
            ("lib/*", vec!["lib/a.csv", "lib/data/"]),
            ("lib/**", vec!["lib/a.csv", "lib/data/", "lib/deep/x.py"]),
            ("**/x.py", vec!["lib/deep/x.py"]),
            ("lib/**/x.py", vec!["lib/deep/x.py"]),
            ("?.csv", vec!["a.csv", "lib/a.csv"]),
            ("[a-b].csv", vec!["a.csv", "lib/a.csv"]),
            ("[!b].csv", vec!["a.csv", "lib/a.csv"]),
            ("[b-z].csv", vec![]),
            ("[]].csv", vec![]),
            (r"\[x]", vec!["[x]"]),
            ("[x", vec![]),
            ("b c   ", vec!["b c"]),
            ("m*n*.p*y", vec!["main.py"]),
        ] {
            assert_eq!(left_out(lines, &paths), expected, "{lines:?}");
        }
    }

    #[test]
    fn strange_lines_are_named_and_long_ones_take_no_time() {
        for line in ["a//b", "../x", "a/./b", "/", "!"] {
            let error = Ignore::parse(format!("ok\n{line}").as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("line 2"), "{line}: {error}");
        }
        let (pattern, name) = ("*a".repeat(2000), "a".repeat(200) + &"b".repeat(2000));
        assert!(left_out(&pattern, &[&name]).is_empty());
    }
}
