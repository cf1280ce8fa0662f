//! Colors for terminals, and numbers and tables for text.

use std::fmt::Write;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use crate::text::{Printable, is_visible};

/// Marks the beginning of styled text, its style follows; and the end. No text of others has them: no character will ever
/// have these numbers, so [`Printable`] escapes them.
const BEGIN: char = '\u{fdd0}';
const END: char = '\u{fdd1}';

/// True if output to `stream` may be colored: only on a terminal that can, and not if `NO_COLOR` is set (no-color.org).
fn may_color(stream: &impl IsTerminal) -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    stream.is_terminal() && !is_dumb && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty())
}

/// Columns of a terminal that does not tell.
const COLUMNS: usize = 80;
/// The fewest columns that a name in a table is cut to: its beginning and its end still tell it from others.
const LEAST: usize = 24;
/// The headings of columns that are compared, or typed again, as a whole.
const WHOLE: [&str; 2] = ["key", "party"];

/// The columns of a terminal; none where `stream` is none.
pub(super) fn columns(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    let told = || rustix::termios::tcgetwinsize(stream).map_or(0, |size| usize::from(size.ws_col));
    stream.is_terminal().then(|| if told() == 0 { COLUMNS } else { told() })
}

/// The meaning of a color.
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

/// Colors text, or leaves it as it is; and how wide it may be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Palette {
    enabled: bool,
    columns: Option<usize>,
}

impl Palette {
    /// Colors if `enabled`.
    pub(super) fn new(enabled: bool) -> Self {
        Palette { enabled, columns: None }
    }

    /// As it fits where `stream` goes.
    pub(super) fn of(stream: &(impl IsTerminal + AsFd)) -> Self {
        Palette { columns: columns(stream), ..Palette::new(may_color(stream)) }
    }

    /// The text marked for this style, which [`paint`](Self::paint) gives it.
    pub(super) fn style(self, style: Style, text: &str) -> String {
        let mark = match style {
            Style::Good => 'g',
            Style::Doubtful => 'd',
            Style::Bad => 'b',
            Style::Heading => 'h',
            Style::Faint => 'f',
        };
        if self.enabled { format!("{BEGIN}{mark}{text}{END}") } else { text.to_owned() }
    }

    /// Lines as they are written: the styles as colors, and nothing else that a terminal would act on.
    pub(super) fn paint(self, text: &str) -> String {
        let mut painted = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let code = match c {
                BEGIN if self.enabled => match chars.next() {
                    Some('g') => "\x1b[32m",
                    Some('d') => "\x1b[33m",
                    Some('b') => "\x1b[1;31m",
                    Some('h') => "\x1b[1m",
                    _ => "\x1b[2m",
                },
                END if self.enabled => "\x1b[0m",
                c if c == '\n' || is_visible(c) => {
                    painted.push(c);
                    continue;
                }
                c => {
                    let _ = write!(painted, "{}", Printable::new(&*c.encode_utf8(&mut [0; 4])));
                    continue;
                }
            };
            painted += code;
        }
        painted
    }
}

/// Rows of a table, columns aligned; the last column has a style. On a terminal that is too narrow for it, names are cut.
pub(super) fn table(color: Palette, indent: usize, heading: &[&str], rows: &[(Vec<String>, Style)]) -> String {
    let columns = heading.len();
    let width = |column: usize| {
        let cells = rows.iter().map(|(cells, _)| cells[column].chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..columns).map(width).collect();
    if let Some(room) = color.columns {
        fit(&mut widths, heading, room.saturating_sub(indent + 2 * (columns - 1)));
    }
    let line = |cells: &[&str], last: Style, others: Option<Style>| {
        let mut line = " ".repeat(indent);
        for (column, cell) in cells.iter().enumerate() {
            let is_last = column + 1 == columns;
            let width = widths[column];
            let padded = if is_last { (*cell).to_owned() } else { format!("{:width$}  ", cut(cell, width)) };
            line += &match if is_last { Some(last) } else { others } {
                Some(style) => color.style(style, &padded),
                None => padded,
            };
        }
        line.push('\n');
        line
    };
    let mut text = line(heading, Style::Faint, Some(Style::Faint));
    for (cells, style) in rows {
        text += &line(&cells.iter().map(String::as_str).collect::<Vec<_>>(), *style, None);
    }
    text
}

/// Narrows the columns of names until all fit into so much room, the widest first.
fn fit(widths: &mut [usize], heading: &[&str], room: usize) {
    loop {
        let total: usize = widths.iter().sum();
        let names = (0..widths.len() - 1).filter(|at| !WHOLE.contains(&heading[*at]) && widths[*at] > LEAST);
        match names.max_by_key(|at| widths[*at]) {
            Some(widest) if total > room => widths[widest] -= 1,
            _ => return,
        }
    }
}

/// A name in so many columns: what is too long loses its middle.
fn cut(name: &str, width: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= width {
        return name.to_owned();
    }
    let tail = width / 3;
    let (head, end) = (&chars[..width - tail - 1], &chars[chars.len() - tail..]);
    head.iter().chain(&['\u{2026}']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_where_a_table_is_too_wide_for_the_terminal() {
        let long = format!("first-{}-last", "x".repeat(90));
        let key = format!("sha256:{}", "0".repeat(64));
        let rows = [(vec!["1".to_owned(), long.clone(), key.clone(), "waits".to_owned()], Style::Faint)];
        let on = |columns| {
            let palette = Palette { columns, ..Palette::default() };
            let text = table(palette, 2, &["#", "station", "key", "state"], &rows);
            text.lines().last().unwrap().to_owned()
        };
        assert!(on(None).contains(&long) && on(Some(400)).contains(&long));
        let narrow = on(Some(130));
        assert!(narrow.chars().count() == 130 && narrow.contains("first-xx") && narrow.contains("xx-last"), "{narrow}");
        // Nothing makes it fit, and a fingerprint is never cut.
        let narrowest = on(Some(40));
        assert!(narrowest.contains(&key) && narrowest.contains("first-xxxxxxxxx\u{2026}xxx-last  "), "{narrowest}");
    }

    #[test]
    fn columns_stand_below_one_another_whatever_is_in_them() {
        let row = |cells: [&str; 3], style| (cells.map(str::to_owned).to_vec(), style);
        let rows = [row(["0", "charit\u{e9}", "signed"], Style::Good), row(["10", "b", "waits"], Style::Faint)];
        let plain = "  #   station  state\n  0   charit\u{e9}  signed\n  10  b        waits\n";
        assert_eq!(table(Palette::default(), 2, &["#", "station", "state"], &rows), plain);
        let colored = table(Palette::new(true), 2, &["#", "station", "state"], &rows);
        let colored = Palette::new(true).paint(&colored);
        assert!(colored.contains("b        \x1b[2mwaits\x1b[0m\n"), "{colored:?}");
    }

    #[test]
    fn nothing_but_our_colors_acts_on_a_terminal() {
        let (color, plain) = (Palette::new(true), Palette::default());
        let evil = "\x1b[2J\u{9b}31m\u{202e}\r";
        for style in [Style::Good, Style::Doubtful, Style::Bad, Style::Heading, Style::Faint] {
            let text = format!("{}\n{evil}\n", color.style(style, evil));
            let escaped = r"\u{1b}[2J\u{9b}31m\u{202e}\r";
            let painted = color.paint(&text);
            let (code, rest) = painted.strip_prefix("\x1b[").and_then(|rest| rest.split_once('m')).unwrap();
            assert!(code.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'), "{code}");
            assert_eq!(rest, format!("{escaped}\x1b[0m\n{escaped}\n"));
            assert_eq!(plain.paint(&plain.style(style, evil)), escaped);
        }
        assert_eq!(color.paint(&color.style(Style::Bad, "x")), "\x1b[1;31mx\x1b[0m");
        assert_eq!(plain.paint("\u{fdd0}bx\u{fdd1}"), r"\u{fdd0}bx\u{fdd1}", "marks of others");
    }
}
