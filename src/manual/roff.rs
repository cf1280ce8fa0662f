//! Pages of the manual for `man`: as much of Markdown as they use, as roff.
//!
//! Headings become sections, rows of tables and items of lists tagged paragraphs, fenced blocks are kept line by line.

use std::fmt::Write;

use super::Page;

impl Page {
    /// The page as roff, to be set with `-man`.
    pub fn to_roff(&self) -> String {
        let name = format!("pht-oci-{}", self.topic);
        let mut writer = Writer::default();
        let _ = writeln!(writer.out, ".TH {name} 1 \"\" \"pht-oci {}\" \"\"", env!("CARGO_PKG_VERSION"));
        let _ = writeln!(writer.out, ".SH NAME\n{} \\- {}", escape(&name), inline(self.about));
        self.text.lines().for_each(|line| writer.line(line));
        writer.end_paragraph();
        writer.out
    }
}

/// Text whose lines stay as they are, for the commands' own pages.
#[cfg(feature = "cli")]
pub(crate) fn literal(text: &str) -> String {
    text.lines().map(|line| guard(&escape(line)) + "\n").collect()
}

/// What has been written, and what is not complete.
#[derive(Default)]
struct Writer {
    out: String,
    /// The lines of the current paragraph; marks of emphasis may span them.
    paragraph: String,
    fenced: bool,
    /// The position in the current table: its heading comes first.
    row: usize,
}

impl Writer {
    fn line(&mut self, line: &str) {
        if line.starts_with("```") {
            self.end_paragraph();
            self.fenced = !self.fenced;
            self.out += if self.fenced { ".PP\n.RS 4\n.nf\n" } else { ".fi\n.RE\n" };
        } else if self.fenced {
            self.out += &guard(&escape(line));
            self.out.push('\n');
        } else if let Some(row) = line.strip_prefix('|') {
            self.end_paragraph();
            self.table_row(row.trim_end().trim_end_matches('|'));
            self.row += 1;
        } else {
            self.row = 0;
            self.text(line);
        }
    }

    fn text(&mut self, line: &str) {
        let heading = line.trim_start_matches('#');
        let item = line.find(' ').map(|at| line.split_at(at)).filter(|(mark, _)| is_item(mark));
        if line.is_empty() {
            self.end_paragraph();
        } else if heading.len() < line.len() {
            self.end_paragraph();
            let _ = writeln!(self.out, ".SH {}", inline(heading.trim()));
        } else if let Some((mark, text)) = item {
            self.end_paragraph();
            let _ = writeln!(self.out, ".IP {} 4", if mark == "-" { "\\(bu" } else { mark });
            self.paragraph = text.trim().to_owned();
        } else if self.paragraph.is_empty() {
            self.out += ".PP\n";
            self.paragraph = line.to_owned();
        } else {
            self.paragraph.push(' ');
            self.paragraph += line.trim();
        }
    }

    /// A row: the first cell is the tag, the others are its text. The line below the heading is none.
    fn table_row(&mut self, row: &str) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if cells.iter().all(|cell| cell.chars().all(|c| c == '-')) {
            return;
        }
        let bold = |cell: &str| if self.row == 0 { format!("\\fB{}\\fR", inline(cell)) } else { inline(cell) };
        let texts: Vec<String> = cells[1..].iter().filter(|cell| !cell.is_empty()).map(|cell| bold(cell)).collect();
        let _ = writeln!(self.out, ".TP\n{}\n{}", guard(&bold(cells[0])), guard(&texts.join(": ")));
    }

    fn end_paragraph(&mut self) {
        if !self.paragraph.is_empty() {
            self.out += &guard(&inline(&self.paragraph));
            self.out.push('\n');
            self.paragraph.clear();
        }
    }
}

fn is_item(mark: &str) -> bool {
    mark == "-" || mark.strip_suffix('.').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Text with `code`, *words* and **strong** words in the faces that manuals have for them.
fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("\\fB{}\\fR", escape(part)) } else { emphasised(part) }).collect()
}

/// Emphasis begins directly before a letter; a star by itself, as tables have it, is a star.
fn emphasised(text: &str) -> String {
    let (mut out, mut open, mut rest) = (String::new(), None, text);
    while let Some(at) = rest.find('*') {
        let mark = if rest[at..].starts_with("**") { "**" } else { "*" };
        out += &escape(&rest[..at]);
        rest = &rest[at + mark.len()..];
        if open == Some(mark) {
            out += "\\fR";
            open = None;
        } else if open.is_none() && rest.starts_with(char::is_alphanumeric) {
            out += if mark == "*" { "\\fI" } else { "\\fB" };
            open = Some(mark);
        } else {
            out += mark;
        }
    }
    out + &escape(rest)
}

fn escape(text: &str) -> String {
    let escaped = |c: char| match c {
        '\\' => "\\e".to_owned(),
        '-' => "\\-".to_owned(),
        '\'' => "\\(aq".to_owned(),
        '^' => "\\(ha".to_owned(),
        '~' => "\\(ti".to_owned(),
        c if c.is_ascii() => c.to_string(),
        c => format!("\\[u{:04X}]", u32::from(c)),
    };
    text.chars().map(escaped).collect()
}

/// A line that begins like a request is text all the same.
fn guard(line: &str) -> String {
    if line.starts_with('.') { format!("\\&{line}") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roff(text: &'static str) -> String {
        let page = Page { topic: "t", about: "about *it*", text }.to_roff();
        page.split_once(".SH NAME\npht\\-oci\\-t \\- about \\fIit\\fR\n").unwrap().1.to_owned()
    }

    #[test]
    fn writes_what_the_pages_have() {
        for (text, expected) in [
            ("# A `b`\n\none\ntwo", ".SH A \\fBb\\fR\n.PP\none two\n"),
            ("**all** of *it* 2 * 3 \\ \u{fc}", ".PP\n\\fBall\\fR of \\fIit\\fR 2 * 3 \\e \\[u00FC]\n"),
            ("- one\n  more\n- `*`", ".IP \\(bu 4\none more\n.IP \\(bu 4\n\\fB*\\fR\n"),
            ("1. one\n\n.x", ".IP 1. 4\none\n.PP\n\\&.x\n"),
            ("| a | b |\n| --- | --- |\n| `c` * | d | ", ".TP\n\\fBa\\fR\n\\fBb\\fR\n.TP\n\\fBc\\fR *\nd\n"),
            ("```text\n.a-b\n# c\n```", ".PP\n.RS 4\n.nf\n\\&.a\\-b\n# c\n.fi\n.RE\n"),
        ] {
            assert_eq!(roff(text), expected, "{text}");
        }
    }

    #[test]
    fn every_page_closes_what_it_opens() {
        for page in &super::super::PAGES {
            let text = page.to_roff();
            assert_eq!(text.matches(".nf\n").count(), text.matches(".fi\n").count(), "{}", page.topic);
            assert_eq!(page.text.matches('`').count() % 2, 0, "{}", page.topic);
        }
    }
}
