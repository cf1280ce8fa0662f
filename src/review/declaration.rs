//! What a creator says of the results that a train will leave: `outputs.json` among the files that the creator signs.

use crate::error::{Error, ErrorContext, Result};
use crate::json::{self, Value};
use crate::text::Printable;

/// The name of the file.
pub const OUTPUTS: &str = "outputs.json";
/// The largest one that is read.
pub const MAX_OUTPUTS: u64 = 1 << 20;

/// The results that a train is to leave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declaration {
    outputs: Vec<Output>,
}

/// One declared result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// A pattern of paths below the results: `*` is any text without a slash, `**` any text, `?` one character.
    pub name: String,
    /// The type by content, if it is declared.
    pub kind: Option<String>,
    /// The most bytes, if they are declared.
    pub largest: Option<u64>,
    /// What it means, in the creator's words.
    pub meaning: Option<String>,
}

impl Declaration {
    /// Reads `{"outputs": [{"name": PATTERN, "kind": TYPE, "largest": BYTES, "meaning": TEXT}, ...]}`.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is anything else.
    pub fn parse(document: &[u8]) -> Result<Self> {
        let document = json::parse_object(document)?;
        let Some(outputs) = document.get("outputs").and_then(Value::as_array) else {
            return Err(Error::malformed("a declaration of outputs without the list `outputs`"));
        };
        let outputs =
            outputs.iter().enumerate().map(|(at, output)| output_of(output).at(format_args!("outputs[{at}]")));
        Ok(Declaration { outputs: outputs.collect::<Result<_>>()? })
    }

    /// What is declared of the file at `path`.
    pub fn of(&self, path: &[u8]) -> Option<&Output> {
        self.outputs.iter().find(|output| matches(output.name.as_bytes(), path))
    }
}

fn output_of(output: &Value) -> Result<Output> {
    let members = output.as_object().ok_or_else(|| Error::malformed("an output that is no object"))?;
    if let Some(other) = members.keys().find(|key| !["name", "kind", "largest", "meaning"].contains(&key.as_str())) {
        return Err(Error::malformed(format!("an output with the unknown member `{}`", Printable::new(other))));
    }
    let text = |key: &str| match members.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::malformed(format!("`{key}` of an output is no text"))),
    };
    let largest = match members.get("largest") {
        None | Some(Value::Null) => None,
        Some(size) => {
            Some(size.as_u64().ok_or_else(|| Error::malformed("`largest` of an output is no number of bytes"))?)
        }
    };
    let name = text("name")?.ok_or_else(|| Error::malformed("an output without `name`"))?;
    Ok(Output { name, kind: text("kind")?, largest, meaning: text("meaning")? })
}

/// Matches a path against a pattern, in time that grows with the product of their lengths.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    // For each length of the path, whether the pattern so far matches that much of it.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let (any, deep) = (pattern[at] == b'*', pattern[at..].starts_with(b"**"));
        at += if deep { 2 } else { 1 };
        let mut next = vec![false; path.len() + 1];
        if any {
            let mut open = false;
            for length in 0..=path.len() {
                open = reached[length] || open && (deep || path[length - 1] != b'/');
                next[length] = open;
            }
        } else {
            let wanted = pattern[at - 1];
            for length in 0..path.len() {
                next[length + 1] =
                    reached[length] && (wanted == path[length] || wanted == b'?' && path[length] != b'/');
            }
        }
        reached = next;
    }
    reached[path.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_paths() {
        for (pattern, path, expected) in [
            ("a.csv", "a.csv", true),
            ("a.csv", "b/a.csv", false),
            ("*.csv", "a.csv", true),
            ("*.csv", "b/a.csv", false),
            ("**.csv", "b/a.csv", true),
            ("model_?.pkl", "model_1.pkl", true),
            ("model_?.pkl", "model_12.pkl", false),
            ("a/*/c", "a/b/c", true),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), path.as_bytes()), expected, "{pattern} {path}");
        }
        assert!(!matches(&b"*a".repeat(500), &b"a".repeat(499)), "in reasonable time");
    }

    #[test]
    fn reads_what_is_declared_and_nothing_else() {
        let text = br#"{"outputs": [{"name": "*.json", "kind": "json", "largest": 10, "meaning": "mean age"}]}"#;
        let declaration = Declaration::parse(text).unwrap();
        assert_eq!(declaration.of(b"a.json").unwrap().largest, Some(10));
        assert!(declaration.of(b"a.csv").is_none());
        for wrong in [
            "[]",
            "{}",
            r#"{"outputs": 1}"#,
            r#"{"outputs": [1]}"#,
            r#"{"outputs": [{}]}"#,
            r#"{"outputs": [{"name": 1}]}"#,
            r#"{"outputs": [{"name": "a", "largest": "1M"}]}"#,
            r#"{"outputs": [{"name": "a", "size": 1}]}"#,
        ] {
            assert!(Declaration::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
