//! The output of a train while it runs, on standard error: decoded, with nothing in it that a terminal would act on, and
//! each line with a mark of its own, so that none can pass for one of ours.

use std::io::{self, Write};

use super::color::columns;
use super::format::Format;
use super::json_line::json_line;
use super::progress::Display;
use crate::json::json;
use crate::stage::Onlooker;
use crate::text::{MAX_SHOWN, Printable, is_visible};

/// What stands before every line of a train.
const PREFIX: &str = "| ";
/// The longest line; what is longer is shown as several, in bytes.
const LONGEST: usize = MAX_SHOWN;
/// The columns of a tab.
const TAB: &str = "    ";

/// Shows a train's output line by line. A line ends by a line feed or a carriage return: what would be written over the
/// one before stands below it.
pub(super) struct Screen<W: Write> {
    out: W,
    format: Format,
    quiet: bool,
    /// The columns of the terminal; none where it is none.
    columns: Option<usize>,
    line: Vec<u8>,
    after_return: bool,
}

impl Screen<super::progress::BesideBars> {
    /// On standard error; nothing if `quiet`.
    pub(super) fn new(format: Format, quiet: bool, display: &Display) -> Self {
        Screen::to(display.stderr(), format, quiet, columns(&io::stderr()))
    }
}

impl<W: Write> Screen<W> {
    fn to(out: W, format: Format, quiet: bool, columns: Option<usize>) -> Self {
        Screen { out, format, quiet, columns, line: Vec::new(), after_return: false }
    }

    /// Shows the last line, which may have no end.
    pub(super) fn end(&mut self) {
        let mut shown = String::new();
        if !self.line.is_empty() {
            self.end_line(&mut shown);
        }
        // If standard error is closed there is nobody to tell.
        let _ = self.out.write_all(shown.as_bytes());
    }

    fn take(&mut self, bytes: &[u8], shown: &mut String) {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let end = piece.last().copied().filter(|byte| matches!(byte, b'\n' | b'\r'));
            let words = &piece[..piece.len() - usize::from(end.is_some())];
            for part in words.chunks(LONGEST) {
                if self.line.len() + part.len() > LONGEST {
                    self.cut_line(shown);
                }
                self.line.extend_from_slice(part);
            }
            let begins = self.line.is_empty();
            let is_second_end = begins && (end == Some(b'\r') || end == Some(b'\n') && self.after_return);
            if end.is_some() && !is_second_end {
                self.end_line(shown);
            }
            self.after_return = end == Some(b'\r') || self.after_return && piece.is_empty();
        }
    }

    /// Shows what there is of a long line, but for a character that is not complete.
    fn cut_line(&mut self, shown: &mut String) {
        let rest = match std::str::from_utf8(&self.line) {
            Err(error) if error.error_len().is_none() => self.line.split_off(error.valid_up_to()),
            _ => Vec::new(),
        };
        if !self.line.is_empty() {
            self.end_line(shown);
        }
        self.line = rest;
    }

    fn end_line(&mut self, shown: &mut String) {
        let line = std::mem::take(&mut self.line);
        if self.format == Format::Json {
            shown.push_str(&json_line(&json!({ "train": String::from_utf8_lossy(&line) })));
            return;
        }
        shown.push_str(PREFIX);
        let words: Vec<String> =
            line.split(|byte| *byte == b'\t').map(|part| Printable::new(part).to_string()).collect();
        let (mut column, columns) = (PREFIX.len(), self.columns.unwrap_or(usize::MAX).max(4 * PREFIX.len()));
        for c in words.join(TAB).chars().filter(|c| is_visible(*c)) {
            // How wide other characters are is the terminal's to say; none is wider than two columns.
            let width = if c.is_ascii() { 1 } else { 2 };
            if column + width > columns {
                // The terminal would go on at the beginning of the next line, without a mark.
                shown.push('\n');
                shown.push_str(PREFIX);
                column = PREFIX.len();
            }
            shown.push(c);
            column += width;
        }
        shown.push('\n');
    }
}

impl<W: Write + Send> Onlooker for Screen<W> {
    fn tell(&mut self, text: &str) {
        if !self.quiet && self.format == Format::Text {
            let _ = writeln!(self.out, "pht-oci: {}", Printable::new(text));
        }
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.quiet {
            let mut shown = String::new();
            self.take(bytes, &mut shown);
            self.out.write_all(shown.as_bytes())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    /// What is shown of these writes.
    fn shown(format: Format, columns: Option<usize>, writes: &[&[u8]]) -> String {
        let mut screen = Screen::to(Vec::new(), format, false, columns);
        writes.iter().for_each(|bytes| screen.write_all(bytes).unwrap());
        screen.end();
        String::from_utf8(screen.out).unwrap()
    }

    #[test]
    fn every_line_has_its_mark_whatever_a_train_writes() {
        let cases: [(&[&[u8]], &str); 9] = [
            (
                &[b"50 %\r\tb\xc3", b"\xa9b\xe9\x1b[2J\xe2\x80\xae\n"],
                "| 50 %\n|     b\u{e9}b\\xe9\\u{1b}[2J\\u{202e}\n",
            ),
            (&[b"a\r\nb\r", b"\nc\n\nd"], "| a\n| b\n| c\n| \n| d\n"),
            (&[b"\r  ok     forged\n"], "|   ok     forged\n"),
            (&[b"x", b"\r  ok     forged"], "| x\n|   ok     forged\n"),
            (&[b"a\x0bb\x0cc\xc2\x85d\xe2\x80\xa8e"], "| a\\u{b}b\\u{c}c\\u{85}d\\u{2028}e\n"),
            (&[b"\xc2\x9b2J"], "| \\u{9b}2J\n"),
            (&[b"\x9b2J"], "| \\x9b2J\n"),
            (&[b"\r\r\n\r"], ""),
            (&[b"\n"], "| \n"),
        ];
        for (writes, expected) in cases {
            assert_eq!(shown(Format::Text, None, writes), expected, "{writes:?}");
        }
    }

    #[test]
    fn a_line_that_a_terminal_would_wrap_has_its_mark_on_every_row() {
        assert_eq!(
            shown(Format::Text, Some(12), &[b"0123456789  ok     forged\n"]),
            "| 0123456789\n|   ok     f\n| orged\n"
        );
        assert_eq!(
            shown(Format::Text, Some(12), &["\u{65e5}".repeat(6).as_bytes()]),
            "| \u{65e5}\u{65e5}\u{65e5}\u{65e5}\u{65e5}\n| \u{65e5}\n"
        );
        let long = [&vec![b'x'; 3 * LONGEST][..], "\u{65e5}".as_bytes()].concat();
        for length in [1, 7, LONGEST - 1, LONGEST, long.len()] {
            let writes: Vec<&[u8]> = long.chunks(length).collect();
            let text = shown(Format::Text, None, &writes);
            assert!(text.lines().all(|line| line.starts_with(PREFIX)) && text.ends_with("\u{65e5}\n"), "{length}");
            assert_eq!(text.matches('x').count(), 3 * LONGEST);
        }
    }

    #[test]
    fn for_programs_every_line_is_a_document() {
        let text = shown(Format::Json, Some(10), &[b"{\"error\": 1}\r\x1b[2J\xff\xe2\x80", b"\xae\nlast"]);
        let lines: Vec<_> = text.lines().map(|line| json::parse(line.as_bytes()).unwrap()).collect();
        assert_eq!(
            lines,
            [
                json!({ "train": "{\"error\": 1}" }),
                json!({ "train": "\u{1b}[2J\u{fffd}\u{202e}" }),
                json!({ "train": "last" })
            ]
        );
        assert!(!text.contains(['\u{1b}', '\u{202e}']));
    }
}
