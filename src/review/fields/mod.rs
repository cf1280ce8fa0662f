//! What text says, value by value: the cells of tables, the members of JSON, the lines of anything else. Checks look on.

pub(super) mod field;
pub(super) mod json;
pub(super) mod table;
pub(super) mod text;

use field::Observers;

use super::finding::Notes;
use super::format::Format;

/// Shows the values of a text of this format to the checks.
pub(super) fn scan(format: Format, text: &str, observers: &mut Observers, notes: &mut Notes<'_>) {
    match format {
        Format::Csv | Format::Tsv => match table::delimiter(text) {
            Some(delimiter) => table::scan(text, delimiter, observers, notes),
            None => text::scan(text, "", observers, notes),
        },
        Format::Json | Format::Notebook => json::scan(text, observers, notes),
        Format::JsonLines => json::scan_lines(text, observers, notes),
        Format::Html | Format::Svg | Format::Xml => text::scan(&text::without_tags(text), "", observers, notes),
        _ => text::scan(text, "", observers, notes),
    }
}
