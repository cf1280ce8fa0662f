//! Where the lines of the log go: to standard error, all of them that the person has asked for, and one more.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::format::Format;
use super::progress::Display;
use crate::stage::UNPINNED;

/// Makes a writer for each line.
pub(super) struct LogWriter {
    display: Display,
    quiet: bool,
    /// The format of reports.
    format: Format,
    /// What has been said already and need not be again: both stages of a stop look at the keys.
    said: Arc<Mutex<HashSet<Vec<u8>>>>,
}

impl LogWriter {
    pub(super) fn new(display: Display, quiet: bool, format: Format) -> Self {
        LogWriter { display, quiet, format, said: Arc::default() }
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Box<dyn Write + 'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Box::new(self.display.stderr())
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Self::Writer {
        // Then standard error is for one document at most, and the warning stands in the report.
        if of.target() == UNPINNED && self.format == Format::Json {
            return Box::new(io::sink());
        }
        if of.target() == UNPINNED {
            return Box::new(Once { to: self.make_writer(), said: &self.said });
        }
        if self.quiet && *of.level() > Level::ERROR { Box::new(io::sink()) } else { self.make_writer() }
    }
}

/// Leaves out lines that were written before.
struct Once<'a> {
    to: Box<dyn Write + 'a>,
    said: &'a Mutex<HashSet<Vec<u8>>>,
}

impl Write for Once<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_new = self.said.lock().map_or(true, |mut said| said.insert(line.to_vec()));
        if is_new {
            self.to.write_all(line)?
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
