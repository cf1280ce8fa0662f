//! Colours for terminals, and numbers and tables for text.

use std::io::IsTerminal;

/// Whether what goes there may be coloured: only to a terminal, and not where the person asks for none (no-color.org).
pub(super) fn may_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty())
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// It is as it should be.
    Good,
    /// Look at this.
    Doubtful,
    /// It is not as it should be.
    Bad,
    /// The heading of something.
    Heading,
    /// Of less weight than what is around it.
    Faint,
}

/// Colours text, or leaves it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Palette {
    colours: bool,
}

impl Palette {
    /// Colours if `colours`.
    pub(super) fn new(colours: bool) -> Self {
        Palette { colours }
    }

    /// The text in this tone.
    pub(super) fn tone(self, tone: Style, text: &str) -> String {
        let code = match tone {
            Style::Good => "32",
            Style::Doubtful => "33",
            Style::Bad => "1;31",
            Style::Heading => "1",
            Style::Faint => "2",
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Rows of a table, columns aligned; the last column has a tone.
pub(super) fn table(color: Palette, indent: usize, heading: &[&str], rows: &[(Vec<String>, Style)]) -> String {
    let columns = heading.len();
    let width = |column: usize| {
        let cells = rows.iter().map(|(cells, _)| cells[column].chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &[&str], last: Style, others: Option<Style>| {
        let mut line = " ".repeat(indent);
        for (column, cell) in cells.iter().enumerate() {
            let is_last = column + 1 == columns;
            let padded = if is_last { (*cell).to_owned() } else { format!("{cell:width$}  ", width = widths[column]) };
            line += &match if is_last { Some(last) } else { others } {
                Some(tone) => color.tone(tone, &padded),
                None => padded,
            };
        }
        line.push('\n');
        line
    };
    let mut text = line(heading, Style::Faint, Some(Style::Faint));
    for (cells, tone) in rows {
        text += &line(&cells.iter().map(String::as_str).collect::<Vec<_>>(), *tone, None);
    }
    text
}

/// Bytes as text count them, in powers of 1024.
pub(super) fn size(bytes: u64) -> String {
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

    #[test]
    fn columns_stand_below_one_another_whatever_is_in_them() {
        let row = |cells: [&str; 3], tone| (cells.map(str::to_owned).to_vec(), tone);
        let rows = [row(["0", "charit\u{e9}", "signed"], Style::Good), row(["10", "b", "waits"], Style::Faint)];
        let plain = "  #   station  state\n  0   charit\u{e9}  signed\n  10  b        waits\n";
        assert_eq!(table(Palette::default(), 2, &["#", "station", "state"], &rows), plain);
        let coloured = table(Palette::new(true), 2, &["#", "station", "state"], &rows);
        assert!(coloured.contains("b        \x1b[2mwaits\x1b[0m\n"), "{coloured:?}");
        assert_eq!(Palette::new(true).tone(Style::Bad, "x"), "\x1b[1;31mx\x1b[0m");
    }
}
