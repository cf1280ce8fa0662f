use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::store::fs::{Lock, open_regular, own_uid, try_lock};
use crate::store::tag::LATEST;
use crate::store::{Context, Reference, interrupt};
use crate::text::Printable;

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

/// Whoever looks on while a train runs: its output comes as it is written.
pub trait Onlooker: Write + Send {
    /// Something that the train has not said: how far the run is.
    fn tell(&mut self, text: &str);
}

/// Nobody looks on.
impl Onlooker for io::Sink {
    fn tell(&mut self, _text: &str) {}
}

/// The output of a train: a file that only this user can read, locked while the train runs, and whoever looks on.
///
/// Of more output than it may hold, the file keeps the beginning and the end; who looks on sees the beginning.
pub(super) struct Log<'a> {
    file: File,
    path: PathBuf,
    show: &'a mut dyn Onlooker,
    failed: Option<io::Error>,
    /// The bytes that still count as the beginning.
    beginning: u64,
    /// The bytes that the end may have, at most.
    end_limit: u64,
    end: Option<End>,
    /// The directory for the end, while it is not known to be it.
    spool: PathBuf,
}

impl<'a> Log<'a> {
    /// Begins a new file; the log of an earlier run goes.
    pub(super) fn begin(
        path: &Path,
        named: Named,
        limit: u64,
        show: &'a mut dyn Onlooker,
        context: &Context,
    ) -> Result<Self> {
        let file = new_file(path, named).at(path.display())?;
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (beginning, spool) = (limit / 2, context.temporary.clone());
        Ok(Log { file, path, show, failed: None, beginning, end_limit: limit - beginning, end: None, spool })
    }

    /// Completes the file, when the train has ended.
    pub(super) fn finish(&mut self) {
        if let Some(end) = self.end.take() {
            let left_out = end.left_out();
            let said = if left_out == 0 { String::new() } else { format!("\n[{left_out} bytes are left out here]\n") };
            let written = self.file.write_all(said.as_bytes()).and_then(|()| end.copy_to(&mut self.file));
            self.failed = self.failed.take().or(written.err());
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells who looks on something that the train has not said.
    pub(super) fn tell(&mut self, text: &str) {
        self.show.tell(text);
    }

    /// The last line that is in the file, if it can be read: what an engine says last is why it failed.
    pub(super) fn last_line(&self) -> Option<String> {
        const TAIL: i64 = 4096;
        let mut file = File::open(&self.path).ok()?;
        let length = i64::try_from(file.metadata().ok()?.len()).ok()?;
        file.seek(io::SeekFrom::End(-length.min(TAIL))).ok()?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).ok()?;
        let last = tail.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).rfind(|line| !line.is_empty())?;
        Some(Printable::new(last).to_string())
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
        let (first, rest) = bytes.split_at(usize::try_from(self.beginning).unwrap_or(usize::MAX).min(bytes.len()));
        self.beginning -= first.len() as u64;
        let _ = self.show.write_all(first);
        if self.failed.is_none() {
            let written = self.file.write_all(first).and_then(|()| self.keep_end(rest));
            self.failed = written.err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log<'_> {
    fn keep_end(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.end.is_none() {
            self.show.tell("the train says more; the end of it will be in the log");
            self.end = Some(End::new(self.end_limit, &self.spool)?);
        }
        self.end.as_mut().map_or(Ok(()), |end| end.write(bytes))
    }
}

/// The last bytes of a stream, at most so many: in two files without names, of which the older is overwritten when the
/// newer is full.
struct End {
    newer: File,
    older: File,
    /// The size of each, at most.
    half: u64,
    /// Bytes in the newer and in the older one.
    filled: (u64, u64),
    total: u64,
}

impl End {
    fn new(limit: u64, dir: &Path) -> io::Result<Self> {
        let (newer, older) = (tempfile::tempfile_in(dir)?, tempfile::tempfile_in(dir)?);
        Ok(End { newer, older, half: (limit / 2).max(1), filled: (0, 0), total: 0 })
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.total += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.filled.0 == self.half {
                std::mem::swap(&mut self.newer, &mut self.older);
                self.newer.set_len(0)?;
                self.newer.rewind()?;
                self.filled = (0, self.half);
            }
            let room = usize::try_from(self.half - self.filled.0).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.newer.write_all(now)?;
            self.filled.0 += now.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn left_out(&self) -> u64 {
        self.total - self.filled.0 - self.filled.1
    }

    fn copy_to(mut self, out: &mut File) -> io::Result<()> {
        for file in [&mut self.older, &mut self.newer] {
            file.rewind()?;
            io::copy(file, out)?;
        }
        Ok(())
    }
}

/// Beside what is in a file system, with the tag in its name unless that is the usual one: runs to several tags of one place
/// keep their logs. For a registry in a directory of its own where temporary files go, since nobody else can take its name
/// first.
pub(super) fn default_path(target: &Reference, context: &Context) -> Result<PathBuf> {
    const END: &str = "run.log";
    let plain = |text: &str| text.replace(|c: char| !c.is_alphanumeric(), "-");
    let Some(path) = target.path() else {
        let name = plain(&target.without_tag());
        let mut dir = tempfile::Builder::new();
        let dir = dir.prefix("pht-oci-log-").permissions(Permissions::from_mode(0o700)).tempdir_in(&context.temporary);
        let dir = dir.doing("create a directory for the log").at(context.temporary.display())?;
        return Ok(dir.keep().join(format!("{name}.{END}")));
    };
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    let tag = target.tag().filter(|tag| *tag != LATEST).map(|tag| format!(".{}", plain(tag)));
    name.push(tag.unwrap_or_default() + "." + END);
    Ok(path.with_file_name(name))
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Screen(Vec<u8>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Onlooker for Screen {
        fn tell(&mut self, text: &str) {
            self.0.extend_from_slice(text.as_bytes());
        }
    }

    #[test]
    fn every_tag_of_a_place_has_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::new(0, dir.path());
        let names = [(None, "out.run.log"), (Some("latest"), "out.run.log"), (Some("v1.2"), "out.v1-2.run.log")];
        for (tag, name) in names {
            let target = Reference::layout(dir.path().join("out"), tag.map(str::to_owned));
            assert_eq!(default_path(&target, &context).unwrap(), dir.path().join(name));
        }
    }

    #[cfg(feature = "registry")]
    #[test]
    fn nobody_else_can_take_the_name_of_a_log() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::new(0, dir.path());
        let target = Reference::locate("docker://registry.example/out/train:latest").unwrap();
        let paths = [(); 2].map(|()| default_path(&target, &context).unwrap());
        assert_ne!(paths[0], paths[1]);
        for path in paths {
            let parent = path.parent().unwrap();
            assert_eq!(path.file_name().unwrap(), "docker---registry-example-out-train.run.log");
            assert_eq!((parent.metadata().unwrap().mode() & 0o777, parent.parent()), (0o700, Some(dir.path())));
        }
    }

    #[test]
    fn the_middle_of_much_output_is_left_out_and_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::new(0, dir.path());
        for (length, whole) in [(0, true), (50, true), (99, true), (150, false), (5000, false)] {
            let output: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
            let (path, mut shown) = (dir.path().join("log"), Screen(Vec::new()));
            let mut log = Log::begin(&path, Named::ByUser, 200, &mut shown, &context).unwrap();
            output.chunks(7).for_each(|chunk| log.write_all(chunk).unwrap());
            log.finish();
            assert!(log.warning().is_none());
            let kept = fs::read(&path).unwrap();
            if whole || length <= 150 {
                assert_eq!(kept, output, "{length}");
                continue;
            }
            let text = String::from_utf8(kept).unwrap();
            let (first, rest) = text.split_once("\n[").unwrap();
            let (left_out, last) = rest.split_once(" bytes are left out here]\n").unwrap();
            assert_eq!(first.as_bytes(), &output[..100]);
            assert!(last.len() >= 50 && output.ends_with(last.as_bytes()), "{last}");
            assert_eq!(left_out.parse::<usize>().unwrap(), length - 100 - last.len());
            assert!(shown.0.len() < 200, "{}", shown.0.len());
        }
    }
}
