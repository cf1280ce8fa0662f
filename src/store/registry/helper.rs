//! Credential helpers: programs that keep passwords (Docker's protocol: the server on standard input, JSON on standard
//! output). One may ask a person or a vault, and never come back.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::login::Login;
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::json::{self, Value};
use crate::store::interrupt;
use crate::text::Printable;

/// The interval at which it is looked whether the program has ended.
const BEAT: Duration = Duration::from_millis(20);
/// How long output is waited for once the program has ended: a child of it may hold that open.
const AFTERWARDS: Duration = Duration::from_millis(500);
/// The bytes of its output that are read.
const MAX_OUTPUT: u64 = 1 << 20;
/// The characters of what it says on standard error that are shown.
const MAX_SHOWN: usize = 500;

/// The login that the helper of this name has for a server, and the program's name. It has so long for its answer.
///
/// # Errors
/// [`Kind::Registry`] if there is no such program, or it fails or does not answer. What it says on standard error is
/// repeated; its standard output, which may hold a secret, never.
pub(super) fn ask(name: &str, server: &str, limit: Duration) -> Result<Option<(Login, String)>> {
    let program = format!("docker-credential-{name}");
    if Path::new(&program).components().count() != 1 {
        return Err(Error::new(Kind::Registry, "the name of the credential helper is not a program name"));
    }
    let Answer { status, output, said } = run(&program, server, limit)?;
    if !status.success() {
        // Only the one phrase of the protocol is looked for.
        if String::from_utf8_lossy(&output).contains("credentials not found") {
            return Ok(None);
        }
        let said: Vec<_> = String::from_utf8_lossy(&said).split_whitespace().map(str::to_owned).collect();
        let said: String = said.join(" ").chars().take(MAX_SHOWN).collect();
        let said = if said.is_empty() { said } else { format!(": {}", Printable::new(&said)) };
        return Err(Error::new(Kind::Registry, format!("{program} failed ({status}){said}")));
    }
    let answer = json::parse_object(&output).map_err(|_| Error::new(Kind::Registry, "the answer is not JSON"));
    let answer = answer.at(&program)?;
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    match (text("Username"), text("Secret")) {
        (Some("<token>"), Some(secret)) => Ok(Some((Login::identity(secret), program))),
        (Some(user), Some(secret)) => Ok(Some((Login::new(user, secret), program))),
        _ => Err(Error::new(Kind::Registry, "the answer has no `Username` and `Secret`").at(program)),
    }
}

struct Answer {
    status: ExitStatus,
    output: Zeroizing<Vec<u8>>,
    said: Zeroizing<Vec<u8>>,
}

fn run(program: &str, server: &str, limit: Duration) -> Result<Answer> {
    let cannot = |error: Error| error.as_kind(Kind::Registry);
    let mut command = Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().doing(format_args!("run {program}")).map_err(cannot)?;
    let output = child.stdout.take().map(Reading::begin);
    let said = child.stderr.take().map(Reading::begin);
    // One that knows a single login need not read which is asked for.
    let told = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(server.as_bytes()));
    let ended = match told {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).doing(format_args!("ask {program}")),
        _ => wait(&mut child, program, limit),
    };
    let status = ended.inspect_err(|_| {
        // Gone already, if this fails.
        let _ = child.kill().and_then(|()| child.wait());
    });
    let status = status.map_err(|error| if error.kind() == Kind::Io { cannot(error) } else { error })?;
    let until = Instant::now() + AFTERWARDS;
    let [output, said] = [output, said].map(|reading| reading.map_or_else(Zeroizing::default, |one| one.end(until)));
    Ok(Answer { status, output, said })
}

fn wait(child: &mut Child, program: &str, limit: Duration) -> Result<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().doing(format_args!("wait for {program}"))? {
            return Ok(status);
        }
        interrupt::check()?;
        if begun.elapsed() > limit {
            let what = format!("{program} has not answered within {} s and was ended", limit.as_secs());
            let hint =
                "see whether the program waits for something, as for a password; or give credentials in another way";
            return Err(Error::new(Kind::Registry, what).hint(hint));
        }
        std::thread::sleep(BEAT);
    }
}

/// Output that is read while the program runs, so that a full pipe does not hold it.
struct Reading {
    read: Arc<Mutex<Zeroizing<Vec<u8>>>>,
    thread: JoinHandle<()>,
}

impl Reading {
    fn begin(stream: impl Read + Send + 'static) -> Self {
        let read = Arc::new(Mutex::new(Zeroizing::new(Vec::new())));
        let into = read.clone();
        let thread = std::thread::spawn(move || {
            let mut stream = stream.take(MAX_OUTPUT);
            let mut buffer = Zeroizing::new(vec![0; 4096]);
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..length]);
            }
        });
        Reading { read, thread }
    }

    /// What has come, at the latest then.
    fn end(self, until: Instant) -> Zeroizing<Vec<u8>> {
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(BEAT);
        }
        std::mem::take(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
