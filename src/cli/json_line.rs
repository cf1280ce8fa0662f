use std::fmt::Write;

use crate::json::Value;
use crate::text::is_visible;

/// A document in one line. What a terminal would act on, or nobody could see, is written by its number: the document is
/// the same.
pub(super) fn json_line(document: &Value) -> String {
    let compact = document.to_string();
    let mut line = String::with_capacity(compact.len() + 1);
    for c in compact.chars() {
        if is_visible(c) {
            line.push(c);
        } else {
            // Such characters stand in texts only, which have an escape for them.
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, json};

    #[test]
    fn a_document_stays_the_same_and_drives_no_terminal() {
        let text = "a\n\u{1b}[2J\u{7f}\u{9b}2J\u{202e}\u{200b}\u{2028}\u{e0041}\u{fe0f}\"\\ \u{e9}\u{65e5}";
        let document = json!({ text: [text, { "x": 1.5 }] });
        let line = json_line(&document);
        assert_eq!(json::parse(line.as_bytes()).unwrap(), document);
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(line.trim_end().chars().all(is_visible), "{line}");
        assert!(line.contains("\\udb40\\udc41") && line.contains("\u{e9}\u{65e5}"), "{line}");
    }
}
