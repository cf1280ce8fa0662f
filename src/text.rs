//! Text of strangers (ids, tags, file names, what a registry answers), made safe to show to a person.

use std::fmt::{self, Write};

/// Text from a train, a registry or a file name, shown with everything escaped that a terminal would act on or a person
/// could not see: control and format characters (bidirectional and zero-width ones too), line and paragraph separators,
/// unassigned code points, and bytes that are not UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(&'a [u8]);

impl<'a> Printable<'a> {
    /// The text to show.
    pub fn new(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Printable(text.as_ref())
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if is_visible(c) { f.write_char(c)? } else { write!(f, "{}", c.escape_debug())? }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// Characters that stand for themselves. What Rust's `Debug` for text shows as it is, is visible; combining marks count as
/// visible, but not at the beginning of a text, so one is asked about behind a letter.
fn is_visible(c: char) -> bool {
    if matches!(c, '\'' | '"' | '\\') {
        return true;
    }
    let mut buffer = [b'a'; 5];
    let length = c.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..=length]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
}

/// A number of things, as in "1 layer" and "2 layers".
pub fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_plural() {
        assert_eq!([0, 1, 2].map(|number| counted(number, "layer")), ["0 layers", "1 layer", "2 layers"]);
    }

    #[test]
    fn shows_what_is_visible_and_escapes_the_rest() {
        for (text, shown) in [
            ("train 1", "train 1"),
            (r#"it's "C:\x""#, r#"it's "C:\x""#),
            ("J\u{fc}rgen Zo\u{eb} \u{65}\u{301} \u{65e5}", "J\u{fc}rgen Zo\u{eb} \u{65}\u{301} \u{65e5}"),
            ("a\nb\r\t\0", r"a\nb\r\t\0"),
            ("\u{1b}[31mred", r"\u{1b}[31mred"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}", r"a\u{202e}b\u{2066}c\u{200b}d\u{feff}"),
            ("a\u{2028}b\u{2029}", r"a\u{2028}b\u{2029}"),
            ("a\u{ad}b", r"a\u{ad}b"),
        ] {
            assert_eq!(Printable::new(text).to_string(), shown);
        }
        assert_eq!(Printable::new(b"a\xff\xc3z").to_string(), r"a\xff\xc3z");
    }
}
