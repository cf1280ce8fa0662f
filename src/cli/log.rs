//! The program's log on standard error: a line for each event, or a JSON document in one line with `--format json`.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::color::{Palette, Style};
use super::format::Format;
use super::json_line::json_line;
use super::progress::Display;
use crate::json::{Object, Value, json};
use crate::stage::UNPINNED;
use crate::text::Printable;

/// Begins the log: warnings, or more with every `verbose`; errors only if `quiet`.
pub(super) fn start(format: Format, quiet: bool, verbose: u8, display: &Display) {
    let level = match verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        _ => Level::DEBUG,
    };
    let display = display.clone();
    let lines = Lines { format, quiet, color: Palette::of(&std::io::stderr()), said: Mutex::default() };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(move || display.stderr());
    // A second subscriber in one process (in tests of this library) is no fault.
    let _ = builder.event_format(lines).try_init();
}

/// How events are written.
struct Lines {
    format: Format,
    quiet: bool,
    color: Palette,
    /// The warnings that have been shown: both stages of a stop look at the keys, and some commands twice at a directory.
    said: Mutex<HashSet<String>>,
}

impl Lines {
    /// Whether an event is shown: a warning once, and that nobody vouches for the keys whatever else is asked for.
    fn shows(&self, of: &Metadata<'_>, message: &str) -> bool {
        let is_new = || self.said.lock().map_or(true, |mut said| said.insert(message.to_owned()));
        match *of.level() {
            // In JSON the warning stands in the report.
            _ if of.target() == UNPINNED => self.format == Format::Text && is_new(),
            Level::WARN => !self.quiet && is_new(),
            level => !self.quiet || level <= Level::ERROR,
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (level, style) = match *event.metadata().level() {
            Level::ERROR => ("error", Style::Bad),
            Level::WARN => ("warning", Style::Doubtful),
            Level::INFO => ("info", Style::Faint),
            _ => ("debug", Style::Faint),
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { message, others } = fields;
        if !self.shows(event.metadata(), &message) {
            return Ok(());
        }
        if self.format == Format::Json {
            let document = json!({ "level": level, "message": message, "fields": others });
            return writer.write_str(&json_line(&document));
        }
        let mut text = message;
        others.iter().try_for_each(|(name, value)| match value {
            Value::String(value) => write!(text, " {name}={value}"),
            value => write!(text, " {name}={value}"),
        })?;
        let label = self.color.style(style, level);
        writer.write_str(&self.color.paint(&format!("pht-oci: {label}: {}\n", Printable::new(&text))))
    }
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    others: Object,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => drop(self.others.insert(name.to_owned(), value)),
        }
    }
}
