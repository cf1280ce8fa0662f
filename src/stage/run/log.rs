use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::store::fs::try_lock;
use crate::store::{Context, Reference};

/// The output of a train: a file that only this user can read, locked while the train runs, and whoever looks on.
pub(super) struct Log<'a> {
    file: File,
    path: PathBuf,
    show: &'a mut (dyn Write + Send),
    failed: Option<io::Error>,
}

impl<'a> Log<'a> {
    /// Begins a new file; the log of an earlier run goes.
    pub(super) fn begin(path: &Path, show: &'a mut (dyn Write + Send)) -> Result<Self> {
        let file = new_file(path).at(path.display())?;
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
fn new_file(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.write(true).mode(0o600);
    match path.symlink_metadata() {
        Ok(found) if found.is_file() => {
            if let Ok(old) = File::open(path) {
                take(&old)?;
            }
            fs::remove_file(path).doing("replace the log")?;
        }
        Ok(found) if found.is_dir() || found.is_symlink() => {
            let what = "not a regular file that can be replaced";
            return Err(Error::usage(what).advise(Advice::ChooseLog));
        }
        // A pipe or a device that somebody has named.
        Ok(_) => return options.open(path).doing("open the log"),
        Err(_) => {}
    }
    let file = options.create_new(true).open(path).doing("create the log")?;
    take(&file)?;
    Ok(file)
}

/// Locks a log against other runs: those of another tag of the same place would replace it.
fn take(log: &File) -> Result<()> {
    if try_lock(log)? {
        return Ok(());
    }
    Err(Error::usage("another run is writing to this log").advise(Advice::ChooseLog))
}
