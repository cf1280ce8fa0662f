//! A command that may take long: watched until it ends, and ended when somebody asks for it.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::interface::SECRETS;
use crate::error::{Error, IoContext, Result};
use crate::store::interrupt;
use crate::text::Printable;

/// The interval between two looks at the process.
const LOOKS: Duration = Duration::from_millis(20);
/// How many times as long as a look of its watcher takes a command is left alone.
const COST: u32 = 20;
/// The bytes of its output that are read at once.
const PIECE: usize = 64 << 10;

/// The end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitReason {
    /// By itself.
    Exited(ExitStatus),
    /// It took longer than it may.
    TimedOut,
    /// Whoever watched it said so.
    Stopped,
}

/// What a command is watched for.
pub(crate) struct Watch<'a> {
    /// The time that it may take.
    pub(crate) limit: Option<Duration>,
    /// The time between two calls of `stop`, at least; a call that takes long is made less often.
    pub(crate) interval: Duration,
    /// Says that it is to be ended.
    pub(crate) stop: &'a mut dyn FnMut() -> bool,
}

impl<'a> Watch<'a> {
    /// For nothing; `never` is not called.
    pub(crate) fn none(never: &'a mut dyn FnMut() -> bool) -> Self {
        Watch { limit: None, interval: Duration::MAX, stop: never }
    }
}

/// Runs `command` until its end, its output and its errors into `output` as they come. When it is to be ended, or
/// somebody asks the program to end, `end` has to end what the command attends; then the command itself is ended.
///
/// # Errors
/// It cannot be started; [`Kind::Interrupted`](crate::error::Kind::Interrupted).
pub(crate) fn supervise(
    mut command: Command,
    watch: Watch<'_>,
    output: &mut (dyn Write + Send),
    end: &dyn Fn(),
) -> Result<ExitReason> {
    let mut child = spawn(&mut command)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = Mutex::new(output);
    thread::scope(|scope| {
        let forward = |pipe: Option<Box<dyn Read + Send>>| pipe.map(|pipe| scope.spawn(|| forward(pipe, &output)));
        forward(stdout.map(|pipe| Box::new(pipe) as _));
        forward(stderr.map(|pipe| Box::new(pipe) as _));
        let ending = wait(&mut child, watch);
        if !matches!(ending, Ok(ExitReason::Exited(_))) {
            end();
            // It may have ended with what it attended.
            let _ = child.kill();
            let _ = child.wait();
        }
        ending
    })
}

/// Runs `command` until its end; what it prints. If it fails, what it says of it.
///
/// # Errors
/// It cannot be started or it fails; [`Kind::Interrupted`](crate::error::Kind::Interrupted).
pub(super) fn run_capture(mut command: Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = spawn(&mut command)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let stdout = scope.spawn(|| read_all(stdout));
        let stderr = scope.spawn(|| read_all(stderr));
        let ending = wait(&mut child, Watch::none(&mut || false));
        if ending.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
        match ending? {
            ExitReason::Exited(status) if status.success() => Ok(stdout),
            _ => Err(Error::io(format!("{program} failed"), io::Error::other(last_line(&stderr)))),
        }
    })
}

/// Runs `command` whatever has happened so far; whether it went well.
pub(super) fn run_quiet(mut command: Command) -> bool {
    quiet(&mut command).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs `command` whatever has happened so far; what it prints, or what it says if it fails.
pub(super) fn output_of(mut command: Command) -> std::result::Result<String, String> {
    let output = quiet(&mut command).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(last_line(&output.stderr)) }
}

/// Nothing to read, nothing to know, and none of the signals that a terminal sends to all.
fn quiet(command: &mut Command) -> &mut Command {
    SECRETS.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.stdin(Stdio::null()).process_group(0)
}

fn spawn(command: &mut Command) -> Result<Child> {
    interrupt::check()?;
    let program = command.get_program().to_string_lossy().into_owned();
    quiet(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().doing(format_args!("start {program}"))
}

fn wait(child: &mut Child, watch: Watch<'_>) -> Result<ExitReason> {
    let Watch { limit, interval, stop } = watch;
    let begin = Instant::now();
    let (mut looked, mut pause) = (begin, interval);
    loop {
        if let Some(status) = child.try_wait().doing("wait for the engine")? {
            return Ok(ExitReason::Exited(status));
        }
        interrupt::check()?;
        if limit.is_some_and(|limit| begin.elapsed() >= limit) {
            return Ok(ExitReason::TimedOut);
        }
        if looked.elapsed() >= pause {
            let start = Instant::now();
            if stop() {
                return Ok(ExitReason::Stopped);
            }
            looked = Instant::now();
            pause = interval.max(start.elapsed() * COST);
        }
        thread::sleep(LOOKS);
    }
}

/// Reads to the end, come what may: who writes must not have to wait.
fn forward(mut pipe: Box<dyn Read + Send>, output: &Mutex<&mut (dyn Write + Send)>) {
    let mut piece = vec![0; PIECE];
    loop {
        match pipe.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => {
                if let Ok(mut output) = output.lock() {
                    let _ = output.write_all(&piece[..read]);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn read_all(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

/// The last line of a program's output, safe to show.
fn last_line(text: &[u8]) -> String {
    let last = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).rfind(|line| !line.is_empty());
    last.map_or_else(|| "no message".to_owned(), |line| Printable::new(line).to_string())
}
