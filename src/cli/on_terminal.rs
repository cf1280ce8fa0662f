//! Contents of images on their way to a terminal: text is shown with nothing in it that a terminal would act on.

use std::io::{self, Write};

use crate::error::{Error, Result};
use crate::text::Printable;

/// Refuses to hand an archive to a terminal, as other archivers do.
pub(super) fn ensure_no_terminal(out: &impl io::IsTerminal) -> Result<()> {
    if !out.is_terminal() {
        return Ok(());
    }
    let hint = "give --out a file or a directory, or send standard output elsewhere with | or >";
    Err(Error::usage("an archive is not written to a terminal").hint(hint))
}

/// Writes text to a terminal. Binary contents are refused.
pub(super) struct OnTerminal<W: Write> {
    out: W,
    /// The beginning of a character whose other bytes are still to come.
    begun: Vec<u8>,
}

impl<W: Write> OnTerminal<W> {
    pub(super) fn new(out: W) -> Self {
        OnTerminal { out, begun: Vec::new() }
    }

    /// Writes what is left of a character that is not complete.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let begun = std::mem::take(&mut self.begun);
        self.out.write_all(Printable::whole(&begun).to_string().as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Write for OnTerminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.contains(&0) {
            let hint = "write it to a file with --out FILE";
            return Err(Error::usage("the contents are binary, and not shown on a terminal").hint(hint).into());
        }
        let mut text = std::mem::take(&mut self.begun);
        text.extend_from_slice(bytes);
        if let Some(end) = text.utf8_chunks().last().map(|chunk| chunk.invalid().len())
            && std::str::from_utf8(&text[text.len() - end..]).is_err_and(|error| error.error_len().is_none())
        {
            self.begun = text.split_off(text.len() - end);
        }
        let mut shown = String::with_capacity(text.len());
        for piece in text.split_inclusive(|byte| b"\n\t".contains(byte)) {
            let (words, layout) = match piece {
                [words @ .., b'\n'] => (words, "\n"),
                [words @ .., b'\t'] => (words, "\t"),
                words => (words, ""),
            };
            shown += &Printable::whole(words).to_string();
            shown += layout;
        }
        self.out.write_all(shown.as_bytes()).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_and_binary_contents_are_refused() {
        let mut writer = OnTerminal::new(Vec::new());
        for part in [&b"a\tb\n\x1b[2J\r\xc3"[..], b"\xa9\x9b\xe2\x80", b"\xae\n\xe2"] {
            writer.write_all(part).unwrap();
        }
        writer.end().unwrap();
        let shown = String::from_utf8(writer.out).unwrap();
        assert_eq!(shown, "a\tb\n\\u{1b}[2J\\r\u{e9}\\x9b\\u{202e}\n\\xe2");
        assert!(OnTerminal::new(Vec::new()).write_all(b"\x7fELF\0").is_err());
    }
}
