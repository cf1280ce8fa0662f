//! Text of strangers (ids, tags, file names, what a registry answers), made safe to show to a person.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Text from a train, a registry or a file name, shown with everything escaped that a terminal would act on or a person
/// could not see: control and format characters (bidirectional and zero-width ones too), line and paragraph separators,
/// unassigned code points, and bytes that are not UTF-8. Of a text of megabytes the beginning is shown, and how much is
/// left out: nothing else that is said may scroll away.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a> {
    text: &'a [u8],
    /// The bytes that are shown.
    most: usize,
}

/// The most bytes of one text that are shown. Longer than any path.
pub(crate) const MAX_SHOWN: usize = 16 << 10;

impl<'a> Printable<'a> {
    /// The text to show.
    pub fn new(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Printable { text: text.as_ref(), most: MAX_SHOWN }
    }

    /// The text to show, however long it is: somebody has asked for it.
    pub fn whole(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Printable { text: text.as_ref(), most: usize::MAX }
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Printable { text, most } = *self;
        // Not in the middle of a character.
        let is_inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        let end = if text.len() > most {
            (most - 3..=most).rev().find(|at| !is_inside(*at)).unwrap_or(most)
        } else {
            text.len()
        };
        for chunk in text[..end].utf8_chunks() {
            let mut rest = chunk.valid();
            while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_visible(*c)) {
                f.write_str(&rest[..at])?;
                match c {
                    '\0' | '\t' | '\n' | '\r' => write!(f, "{}", c.escape_debug())?,
                    c => write!(f, "{}", c.escape_unicode())?,
                }
                rest = &rest[at + c.len_utf8()..];
            }
            f.write_str(rest)?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        match text.len() - end {
            0 => Ok(()),
            rest => write!(f, "... ({rest} more bytes)"),
        }
    }
}

/// Characters that leave nothing to be seen although Unicode counts them as letters, marks or symbols: fillers, and what
/// chooses among the forms of the character before.
const BLANK: [RangeInclusive<char>; 10] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// True for characters that stand for themselves, in one line. What Rust's `Debug` for text shows as it is, is visible; combining marks count as
/// visible, but not at the beginning of a text, so one is asked about behind a letter.
pub(crate) fn is_visible(c: char) -> bool {
    if (' '..='~').contains(&c) {
        return true;
    }
    if BLANK.iter().any(|blank| blank.contains(&c)) {
        return false;
    }
    let mut buffer = [b'a'; 5];
    let length = c.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..=length]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
}

/// A word of a command line, so that a shell takes it as one.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%".contains(c);
    match word.chars().all(is_plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// A number of things, as in "1 layer" and "2 layers".
pub fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The first `most` names of a list, and how many more there are; nothing of an empty list.
pub fn some_of(names: &[String], most: usize) -> Option<String> {
    let named = names.get(..most).unwrap_or(names).join(", ");
    match names.len().saturating_sub(most) {
        0 if names.is_empty() => None,
        0 => Some(named),
        more => Some(format!("{named} and {more} more")),
    }
}

/// A duration for people: of a short one a tenth of a second counts.
pub fn seconds_text(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}

/// A time limit for people, as they would give it: in the largest unit of which it is a whole number.
pub fn limit_text(limit: Duration) -> String {
    let seconds = limit.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    match units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} s"),
    }
}

/// Bytes for people, in powers of 1024.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "";
    for next in UNITS {
        if tenths < 10_240 && !unit.is_empty() {
            break;
        }
        (tenths, unit) = (tenths.div_ceil(1024), next);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shown_as_they_are_given() {
        let shown = [0, 2, 90, 1800, 5400, 43_200, 604_800].map(|seconds| limit_text(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0 s", "2 s", "90 s", "30 min", "90 min", "12 h", "7 d"]);
    }

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
            ("a\u{fe0f}\u{3164}\u{2800}\u{34f}\u{e0041}", r"a\u{fe0f}\u{3164}\u{2800}\u{34f}\u{e0041}"),
            ("\u{fdd0}b\u{fdd1}\u{e000}\u{a0}", r"\u{fdd0}b\u{fdd1}\u{e000}\u{a0}"),
        ] {
            assert_eq!(Printable::new(text).to_string(), shown);
        }
        assert_eq!(Printable::new(b"a\xff\xc3z").to_string(), r"a\xff\xc3z");
    }

    #[test]
    fn of_a_long_text_the_beginning_is_shown() {
        let whole = "x".repeat(MAX_SHOWN);
        assert_eq!(Printable::new(&whole).to_string(), whole);
        for (text, shown, rest) in [
            (whole.clone() + "yz", whole.clone(), 2),
            ("\u{65e5}".repeat(MAX_SHOWN), "\u{65e5}".repeat(MAX_SHOWN / 3), 2 * MAX_SHOWN + 1),
        ] {
            assert_eq!(Printable::new(&text).to_string(), format!("{shown}... ({rest} more bytes)"));
        }
    }

    /// All of Cc; of Cf, whose blocks are listed here as Unicode 16 has them; and the separators of lines.
    #[test]
    fn no_control_or_format_character_is_visible() {
        let ranges = [
            0..=0x1f,
            0x7f..=0x9f,
            0xad..=0xad,
            0x600..=0x605,
            0x61c..=0x61c,
            0x6dd..=0x6dd,
            0x70f..=0x70f,
            0x890..=0x891,
            0x8e2..=0x8e2,
            0x180e..=0x180e,
            0x200b..=0x200f,
            0x2028..=0x202e,
            0x2060..=0x206f,
            0xfeff..=0xfeff,
            0xfff9..=0xfffb,
            0x110bd..=0x110bd,
            0x110cd..=0x110cd,
            0x13430..=0x1343f,
            0x1bca0..=0x1bca3,
            0x1d173..=0x1d17a,
            0xe0001..=0xe0001,
            0xe0020..=0xe007f,
        ];
        for c in ranges.into_iter().flatten().filter_map(char::from_u32) {
            assert!(!is_visible(c), "{:x}", u32::from(c));
            assert!(Printable::new(&c.to_string()).to_string().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }

    #[test]
    fn short_durations_have_tenths() {
        for (seconds, shown) in [(0.0, "0.0 s"), (0.26, "0.3 s"), (9.94, "9.9 s"), (10.4, "10 s"), (7200.0, "7200 s")] {
            assert_eq!(seconds_text(seconds), shown);
        }
    }

    #[test]
    fn sizes_have_one_decimal_and_a_unit_that_fits() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            (3 << 30, "3.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
