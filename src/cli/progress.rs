//! How long tasks go on, on standard error: bars on a terminal, plain lines elsewhere. Reports have standard output for
//! themselves, and begin when the bars are gone.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{BinaryBytes, MultiProgress, ProgressBar, ProgressStyle};

use super::format::Format;
use super::json_line::json_line;
use crate::json::json;
use crate::store::Progress;
use crate::store::progress::{ProgressListener, Task};
use crate::text::Printable;

/// The interval between two looks at the tasks.
const BEAT: Duration = Duration::from_millis(100);
/// A task that takes no longer gets no bar.
const BRIEF: Duration = Duration::from_millis(300);
/// The time after which a task gets its first line, and the time between lines.
const LONG: Duration = Duration::from_secs(10);
const BAR: &str = "{msg} [{wide_bar}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left";

/// When progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// Bars on a terminal; elsewhere a line every ten seconds
    Auto,
    /// Elsewhere a line for every task, too
    Always,
    /// Not at all
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines {
        /// Also for tasks that do not take long.
        all: bool,
    },
    /// A JSON document in a line of its own for every task.
    Documents,
}

/// The display on standard error while a command runs.
#[derive(Clone, Default)]
pub(super) struct Display(Option<Arc<Board>>);

#[derive(Debug)]
struct Board {
    style: Style,
    bars: MultiProgress,
    tasks: Mutex<Vec<Shown>>,
    painter: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

#[derive(Debug)]
struct Shown {
    task: Arc<Task>,
    begun: Instant,
    /// When the last line was written.
    message: Instant,
    bar: Option<ProgressBar>,
}

impl Display {
    /// As the options ask for it.
    pub(super) fn new(when: When, quiet: bool, format: Format) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let style = match when {
            _ if quiet => return Display(None),
            When::Never => return Display(None),
            // A program reads it, and expects documents.
            When::Auto if format == Format::Json => return Display(None),
            When::Always if format == Format::Json => Style::Documents,
            When::Auto | When::Always if is_terminal => Style::Bars,
            When::Auto => Style::Lines { all: false },
            When::Always => Style::Lines { all: true },
        };
        let (tasks, painter) = (Mutex::default(), Mutex::default());
        Display(Some(Arc::new(Board { style, bars: MultiProgress::new(), tasks, painter })))
    }

    /// The listener for the library's tasks.
    pub(super) fn progress(&self) -> Progress {
        self.0.as_ref().map_or_else(Progress::default, |board| Progress::new(Arc::new(Reporter(board.clone()))))
    }

    /// Whether anything is shown at all.
    #[cfg(feature = "engines")]
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Standard error, for lines that must not run into the bars.
    pub(super) fn stderr(&self) -> BesideBars {
        BesideBars(self.clone())
    }

    /// Ends showing anything; what was shown on a terminal is gone.
    pub(super) fn end(&self) {
        let Some(board) = &self.0 else { return };
        let painter = board.painter.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, thread)) = painter {
            drop(stop);
            // If it has panicked, nothing is shown any more; that is no reason to fail.
            let _ = thread.join();
        }
        board.color(true);
    }
}

/// Writes to standard error, beside the bars.
pub(super) struct BesideBars(Display);

impl Write for BesideBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0.0 {
            Some(board) if board.style == Style::Bars => board.bars.suspend(|| io::stderr().write(bytes)),
            _ => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[derive(Debug)]
struct Reporter(Arc<Board>);

impl ProgressListener for Reporter {
    fn begins(&self, task: Arc<Task>) {
        let now = Instant::now();
        let shown = Shown { task, begun: now, message: now, bar: None };
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(shown);
        let mut painter = self.0.painter.lock().unwrap_or_else(PoisonError::into_inner);
        painter.get_or_insert_with(|| {
            let (board, (stop, stopped)) = (self.0.clone(), channel());
            let thread = std::thread::spawn(move || {
                while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                    board.color(false);
                }
            });
            (stop, thread)
        });
    }
}

impl Board {
    /// Shows how far all is; the tasks that have ended, or all `at_the_end`, for the last time.
    fn color(&self, at_the_end: bool) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain_mut(|shown| {
            let ends = at_the_end || Arc::strong_count(&shown.task) == 1;
            match self.style {
                Style::Bars => shown.paint_bar(&self.bars, ends),
                Style::Lines { all } => {
                    let least = if all { Duration::ZERO } else { LONG };
                    shown.write_line(least, ends, Format::Text);
                }
                Style::Documents => shown.write_line(Duration::ZERO, ends, Format::Json),
            }
            !ends
        });
    }
}

impl Shown {
    fn paint_bar(&mut self, bars: &MultiProgress, ends: bool) {
        // What is opened and not read is nothing to wait for.
        let is_worth_it = !ends && self.task.done() > 0 && self.begun.elapsed() > BRIEF;
        if self.bar.is_none() && is_worth_it {
            let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(self.task.total()).with_message(self.task.what().to_owned());
            self.bar = Some(bars.add(bar.with_style(style.progress_chars("=> ")).with_elapsed(self.begun.elapsed())));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.task.done());
            if ends {
                bar.finish_and_clear();
                bars.remove(bar);
            }
        }
    }

    /// `least`: how long a task takes at the least whose end is told.
    fn write_line(&mut self, least: Duration, ends: bool, format: Format) {
        let (done, total, took) = (self.task.done(), self.task.total(), self.begun.elapsed());
        let is_due = if ends { took >= least } else { self.message.elapsed() >= LONG };
        if !is_due || done == 0 {
            return;
        }
        self.message = Instant::now();
        let what = self.task.what();
        if format == Format::Json {
            let progress = json!({ "task": what, "done": done, "total": total, "seconds": took.as_secs_f64() });
            let _ = io::stderr().write_all(json_line(&json!({ "progress": progress })).as_bytes());
            return;
        }
        let rate = done as f64 / took.as_secs_f64().max(0.001);
        let left = ((total - done) as f64 / rate).ceil();
        let rest = if ends { format!("in {:.1} s", took.as_secs_f64()) } else { format!("{left} s left") };
        let (what, percent) = (Printable::new(what), done.saturating_mul(100) / total.max(1));
        let (done, total, rate) = (BinaryBytes(done), BinaryBytes(total), BinaryBytes(rate as u64));
        // If standard error is closed there is nobody to tell.
        let _ = writeln!(io::stderr(), "pht-oci: {what}: {done} of {total} ({percent} %), {rate}/s, {rest}");
    }
}
