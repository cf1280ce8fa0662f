//! Asking for a passphrase on the terminal, without showing it.

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
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    // Reading must not block: a signal would not end it, and the terminal would stay without echo.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let Ok(terminal) = File::options().read(true).write(true).custom_flags(flags).open("/dev/tty") else {
        return Ok(None);
    };
    let silence = Silence::begin(&terminal).doing("turn off the echo of the terminal")?;
    let asked = write!(&terminal, "passphrase of {}: ", Printable::new(key.as_os_str().as_encoded_bytes()));
    asked.doing("write to the terminal")?;
    let line = read_line(&terminal).at(key.display());
    drop(silence);
    line.map(Some)
}

fn read_line(mut terminal: &File) -> Result<Passphrase> {
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
    let typed = line[..len].strip_suffix(b"\n").unwrap_or(&line[..len]);
    if typed.is_empty() {
        return Err(Error::key("the private key is encrypted and no passphrase was typed"));
    }
    Ok(Passphrase::new(typed.to_vec()))
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
