//! The layout of a JSON document, so that a patched one is laid out alike.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use crate::error::{IoContext, Result};
use crate::json::Object;

/// The layout of a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonFormat {
    spacing: Spacing,
    ends_with_newline: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Spacing {
    /// `{"a":1,"b":2}`
    Compact,
    /// `{"a": 1, "b": 2}`, as Python's `json.dumps` writes
    Spaced,
    /// One member a line, indented by this a level.
    Indented(Vec<u8>),
}

impl JsonFormat {
    /// The layout that the reference writes: two blanks a level, no final newline.
    pub(crate) fn reference() -> Self {
        JsonFormat { spacing: Spacing::Indented(b"  ".to_vec()), ends_with_newline: false }
    }

    /// The layout of a document that is a JSON object, judged by its first member.
    pub(crate) fn of(document: &[u8]) -> Self {
        JsonFormat { spacing: spacing_of(document), ends_with_newline: document.ends_with(b"\n") }
    }

    /// The document in this layout.
    pub(crate) fn write(&self, object: &Object) -> Result<Vec<u8>> {
        let mut document = match &self.spacing {
            Spacing::Compact => write_with(object, CompactFormatter),
            Spacing::Spaced => write_with(object, SpacedFormatter),
            Spacing::Indented(indent) => write_with(object, PrettyFormatter::with_indent(indent)),
        }?;
        if self.ends_with_newline {
            document.push(b'\n');
        }
        Ok(document)
    }
}

fn spacing_of(document: &[u8]) -> Spacing {
    let document = document.trim_ascii_start();
    let inside = document.strip_prefix(b"{").unwrap_or(document);
    let blanks = &inside[..inside.len() - inside.trim_ascii_start().len()];
    if let Some(newline) = blanks.iter().rposition(|&byte| byte == b'\n') {
        return Spacing::Indented(blanks[newline + 1..].to_vec());
    }
    match after_first_name(inside.trim_ascii_start()) {
        [b':', b' ', ..] => Spacing::Spaced,
        _ => Spacing::Compact,
    }
}

/// The rest after the string that `text` begins with.
fn after_first_name(text: &[u8]) -> &[u8] {
    let mut escaped = true; // the opening quote does not close
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return &text[at + 1..],
            _ => {}
        }
    }
    &[]
}

fn write_with<F: Formatter>(object: &Object, formatter: F) -> Result<Vec<u8>> {
    let mut document = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut document, formatter);
    object.serialize(&mut serializer).map_err(io::Error::from).doing("write JSON")?;
    Ok(document)
}

/// Compact, with a blank after each comma and colon.
struct SpacedFormatter;

impl Formatter for SpacedFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse_object;

    #[test]
    fn writes_a_document_as_it_was() {
        for document in [
            r#"{"a":1,"b":[1,{"c":null}],"d":{}}"#,
            r#"{"a": 1, "b": [1, {"c": null}], "d": {}}"#,
            "{\n  \"a\": 1,\n  \"b\": [\n    1,\n    {\n      \"c\": null\n    }\n  ],\n  \"d\": []\n}",
            "{\n\t\"a\": {\n\t\t\"b\": 1.10\n\t}\n}\n",
            "{\n    \"a\\\"\": 1\n}\n",
            r#"{"a\":":1}"#,
            "{}",
        ] {
            let object = parse_object(document.as_bytes()).unwrap();
            assert_eq!(
                String::from_utf8(JsonFormat::of(document.as_bytes()).write(&object).unwrap()).unwrap(),
                document
            );
        }
    }
}
