//! Questions at the terminal; what is secret is not shown.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::crypto::Passphrase;
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::store::interrupt;
use crate::text::Printable;

/// The interval between two looks for the line, or for a signal.
const LOOKS: Duration = Duration::from_millis(50);
/// The longest line that a terminal hands over, in bytes.
const LONGEST: usize = 4096;

/// Asks for the passphrase of a key; nothing where nobody sits at a terminal.
///
/// # Errors
/// Nothing was typed, a signal came, or input/output.
pub(super) fn passphrase(key: &Path) -> Result<Option<Passphrase>> {
    let Some(terminal) = terminal() else { return Ok(None) };
    let silence = Silence::begin(&terminal).doing("turn off the echo of the terminal")?;
    let asked = write!(&terminal, "passphrase of {}: ", Printable::new(key.as_os_str().as_encoded_bytes()));
    asked.doing("write to the terminal")?;
    let line = read_line(&terminal).at(key.display());
    drop(silence);
    line.map(Some)
}

/// Asks for a new passphrase, twice; an empty one is none.
///
/// # Errors
/// The two differ, a signal came, or input/output.
pub(super) fn new_passphrase(key: &Path) -> Result<Option<Passphrase>> {
    let Some(terminal) = terminal() else { return Ok(None) };
    let silence = Silence::begin(&terminal).doing("turn off the echo of the terminal")?;
    let name = key.display();
    write!(&terminal, "passphrase for {name} (empty for none): ").doing("write to the terminal")?;
    let first = read_text(&terminal)?;
    let mut second = Zeroizing::new(Vec::new());
    if !first.is_empty() {
        write!(&terminal, "the same again: ").doing("write to the terminal")?;
        second = read_text(&terminal)?;
    }
    drop(silence);
    if first != second {
        return Err(Error::usage("the two passphrases differ").hint("try again").at(name));
    }
    Ok(Some(Passphrase::new(first.to_vec())))
}

/// Asks a question that is answered with yes or no; nothing where nobody sits at a terminal.
///
/// # Errors
/// A signal came, or input/output.
pub(super) fn confirm(question: &str) -> Result<Option<bool>> {
    let Some(terminal) = terminal() else { return Ok(None) };
    write!(&terminal, "{question} [y/N]: ").doing("write to the terminal")?;
    let answer = read_text(&terminal)?;
    Ok(Some(matches!(answer.to_ascii_lowercase().as_slice(), b"y" | b"yes")))
}

/// The terminal, if somebody sits at one. Reading must not block: a signal would not end it, and the terminal would stay
/// without echo.
fn terminal() -> Option<File> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    File::options().read(true).write(true).custom_flags(flags).open("/dev/tty").ok()
}

fn read_line(terminal: &File) -> Result<Passphrase> {
    let typed = read_text(terminal)?;
    if typed.is_empty() {
        return Err(Error::key("the private key is encrypted and no passphrase was typed"));
    }
    Ok(Passphrase::new(typed.to_vec()))
}

fn read_text(mut terminal: &File) -> Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(vec![0; LONGEST]);
    let mut len = 0;
    while len < LONGEST && !line[..len].ends_with(b"\n") {
        match terminal.read(&mut line[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                interrupt::check()?;
                std::thread::sleep(LOOKS);
            }
            Err(error) => return Err(Error::io("cannot read from the terminal", error)),
        }
    }
    Ok(Zeroizing::new(line[..len].strip_suffix(b"\n").unwrap_or(&line[..len]).to_vec()))
}

/// The terminal shows nothing of what is typed, but the end of the line, for as long as this lives.
struct Silence<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn begin(terminal: &'a File) -> std::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Now, &silent)?;
        Ok(Silence { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
