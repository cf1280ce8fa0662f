use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::store::fs::{Lock, open_regular, own_uid, try_lock};
use crate::store::{Context, Reference, interrupt};

/// How long the reader of a pipe may take to open it.
const READER: Duration = Duration::from_secs(10);
/// The interval at which that is looked for.
const LOOKS: Duration = Duration::from_millis(50);

/// Who has chosen the place of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// Somebody has named it: it may be a pipe or a terminal.
    ByUser,
    /// Nobody, so that everybody knows where it will be: it is a regular file.
    ByDefault,
}

/// The output of a train: a file that only this user can read, locked while the train runs, and whoever looks on.
pub(super) struct Log<'a> {
    file: File,
    path: PathBuf,
    show: &'a mut (dyn Write + Send),
    failed: Option<io::Error>,
}

impl<'a> Log<'a> {
    /// Begins a new file; the log of an earlier run goes.
    pub(super) fn begin(path: &Path, named: Named, show: &'a mut (dyn Write + Send)) -> Result<Self> {
        let file = new_file(path, named).at(path.display())?;
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(Log { file, path, show, failed: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The warning of an incomplete log.
    pub(super) fn warning(&self) -> Option<String> {
        let error = self.failed.as_ref()?;
        Some(format!("the train's output in {} is incomplete: {error}", self.path.display()))
    }
}

impl Write for Log<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A train does not fail because nobody can listen any more.
        if self.failed.is_none() {
            self.failed = self.file.write_all(bytes).err();
        }
        let _ = self.show.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Beside what is in a file system, else where temporary files go.
pub(super) fn default_path(target: &Reference, context: &Context) -> PathBuf {
    const END: &str = "run.log";
    let Some(path) = target.path() else {
        let name: String = target.without_tag().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
        return context.temporary.join(format!("{name}.{END}"));
    };
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{END}"));
    path.with_file_name(name)
}

/// A new file in place of the one that may be there; never through a link.
fn new_file(path: &Path, named: Named) -> Result<File> {
    match path.symlink_metadata() {
        Err(_) => {}
        Ok(found) if found.is_file() => {
            ensure_own(&found, "a file of somebody else's")?;
            if let Ok((old, _)) = open_regular(path) {
                take(&old)?;
            }
            fs::remove_file(path).doing("replace the log")?;
        }
        Ok(found) if found.file_type().is_fifo() && named == Named::ByUser => {
            ensure_own(&found, "a pipe of somebody else's")?;
            return open_pipe(path);
        }
        // A terminal, or a device that takes everything.
        Ok(found) if found.file_type().is_char_device() && named == Named::ByUser => {
            let flags = OFlags::NOFOLLOW | OFlags::NOCTTY;
            let mut options = File::options();
            options.write(true).custom_flags(flags.bits().cast_signed());
            return options.open(path).doing("open the log");
        }
        Ok(_) => {
            let what = "not a regular file that can be replaced";
            return Err(Error::usage(what).advise(Advice::ChooseLog));
        }
    }
    let file = File::options().write(true).mode(0o600).create_new(true).open(path).doing("create the log")?;
    take(&file)?;
    Ok(file)
}

fn ensure_own(found: &Metadata, what: &str) -> Result<()> {
    if found.uid() == own_uid() { Ok(()) } else { Err(Error::usage(what).advise(Advice::ChooseLog)) }
}

/// Opens a pipe when somebody reads from it, and nothing else that may have come to its place.
fn open_pipe(path: &Path) -> Result<File> {
    let begin = Instant::now();
    loop {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match File::options().write(true).custom_flags(flags.bits().cast_signed()).open(path) {
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                if begin.elapsed() > READER {
                    let what = "a named pipe that nobody reads from";
                    return Err(Error::usage(what).advise(Advice::ChooseLog));
                }
                interrupt::check()?;
                std::thread::sleep(LOOKS);
            }
            opened => {
                let file = opened.doing("open the log")?;
                let found = file.metadata().doing("stat the log")?;
                if !found.file_type().is_fifo() {
                    return Err(Error::usage("not a named pipe any more").advise(Advice::ChooseLog));
                }
                ensure_own(&found, "a pipe of somebody else's")?;
                // From now on a slow reader is waited for.
                fcntl_setfl(&file, OFlags::empty()).map_err(io::Error::from).doing("open the log")?;
                return Ok(file);
            }
        }
    }
}

/// Locks a log against other runs: those of another tag of the same place would replace it.
fn take(log: &File) -> Result<()> {
    match try_lock(log)? {
        Lock::Held | Lock::Unsupported => Ok(()),
        Lock::Busy => Err(Error::usage("another run is writing to this log").advise(Advice::ChooseLog)),
    }
}
