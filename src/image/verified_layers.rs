//! What compressed layers unpack to, remembered, so that one that was unpacked and hashed is not unpacked again.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci_spec::image::Digest;
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::store::fs::others_may_write;
use crate::store::is_supported;
use crate::tar::Compression;

/// The name of the file.
const FILE: &str = "verified-layers";
/// The largest such file, in bytes: some thousands of layers. One that would become larger begins anew.
const MAX_FILE: u64 = 1 << 20;

/// Pairs of digests, of a blob and of what it unpacks to. A pair is a fact that no image can change; only a layer that
/// this program has itself unpacked and hashed to its end gets in.
///
/// With a directory they outlive the process, in a file of lines `BLOB DIFF-ID COMPRESSION`. What somebody else could
/// have written there is not believed: directory and file are this user's, and nobody else may write to them, or there is
/// no memory. That is no fault, and neither is any other trouble with it: layers are unpacked again then.
#[derive(Debug, Default)]
pub struct VerifiedLayers {
    dir: Option<PathBuf>,
    known: Mutex<Option<Known>>,
}

/// How a blob is packed, by its digest and its diff ID.
type Known = HashMap<(String, String), Compression>;

impl VerifiedLayers {
    /// A memory that ends with the process.
    pub fn in_memory() -> Self {
        VerifiedLayers::default()
    }

    /// A memory in a directory of the user's, which is made when there is something to remember.
    pub fn in_directory(dir: impl Into<PathBuf>) -> Self {
        VerifiedLayers { dir: Some(dir.into()), known: Mutex::default() }
    }

    /// How a blob is packed that is known to unpack to this diff ID.
    pub fn compression_of(&self, blob: &Digest, diff_id: &Digest) -> Option<Compression> {
        let mut known = self.known();
        let known = known.get_or_insert_with(|| self.dir.as_deref().map(read).unwrap_or_default());
        known.get(&(blob.to_string(), diff_id.to_string())).copied()
    }

    /// Remembers a blob that was unpacked and hashed to its end.
    pub fn remember(&self, blob: &Digest, diff_id: &Digest, compression: Compression) {
        if self.compression_of(blob, diff_id).is_some() {
            return;
        }
        let pair = (blob.to_string(), diff_id.to_string());
        // One write, which is added at the end whoever else is writing. It begins with the end of a line: another may have
        // been killed in the middle of one.
        let line = format!("\n{blob} {diff_id} {}\n", compression.name());
        if let Some(dir) = self.dir.as_ref().filter(|_| compression != Compression::None)
            && let Err(error) = append(dir, line.as_bytes())
        {
            tracing::info!("{}: verified layers are not remembered: {error}", dir.display());
        }
        self.known().get_or_insert_default().insert(pair, compression);
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(dir: &Path) -> Known {
    let file = match open_ours(dir, OFlags::RDONLY) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Known::new(),
        Err(error) => {
            tracing::info!("{}: what was verified before is not used: {error}", dir.display());
            return Known::new();
        }
    };
    let mut bytes = Vec::new();
    if let Err(error) = file.take(MAX_FILE).read_to_end(&mut bytes) {
        tracing::info!("{}: what was verified before cannot be read: {error}", dir.display());
        return Known::new();
    }
    // Without its end a line is not whole.
    let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    whole.filter_map(|line| parse(std::str::from_utf8(line).ok()?)).collect()
}

fn parse(line: &str) -> Option<((String, String), Compression)> {
    let mut words = line.split(' ');
    let mut digest = || words.next().filter(|word| word.parse().is_ok_and(|digest| is_supported(&digest)));
    let pair = (digest()?.to_owned(), digest()?.to_owned());
    let name = words.next()?;
    let compression = [Compression::Gzip, Compression::Zstd].into_iter().find(|known| known.name() == name)?;
    words.next().is_none().then_some((pair, compression))
}

fn append(dir: &Path, line: &[u8]) -> io::Result<()> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let mut file = open_ours(dir, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)?;
    if file.metadata()?.len() + line.len() as u64 > MAX_FILE {
        file.set_len(0)?;
    }
    file.write_all(line)
}

/// Opens the file, if nobody but this user can have written to it or put it there.
fn open_ours(dir: &Path, flags: OFlags) -> io::Result<File> {
    let common = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let dir = File::from(openat(CWD, dir, OFlags::RDONLY | OFlags::DIRECTORY | common, Mode::empty())?);
    ensure_ours(&dir, "the directory")?;
    let file = File::from(openat(&dir, FILE, flags | common, Mode::RUSR | Mode::WUSR)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("`{FILE}` is no regular file")));
    }
    ensure_ours(&file, "the file")?;
    Ok(file)
}

fn ensure_ours(file: &File, what: &str) -> io::Result<()> {
    let found = file.metadata()?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("{what} is another user's")));
    }
    if others_may_write(&found) {
        return Err(io::Error::other(format!("others may write to {what}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;
    use crate::store::digest_of;

    fn pair(of: u64) -> (Digest, Digest) {
        (digest_of(&of.to_le_bytes()), digest_of(&(of + 1).to_le_bytes()))
    }

    fn remember(memory: &VerifiedLayers, of: u64) {
        let (blob, diff_id) = pair(of);
        memory.remember(&blob, &diff_id, Compression::Gzip);
    }

    fn knows(memory: &VerifiedLayers, of: u64) -> bool {
        let (blob, diff_id) = pair(of);
        memory.compression_of(&blob, &diff_id) == Some(Compression::Gzip)
    }

    #[test]
    fn what_is_remembered_outlives_the_process_and_nothing_else_is_known() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("cache/pht-oci");
        let memory = || VerifiedLayers::in_directory(&dir);
        assert!(!knows(&memory(), 1) && !dir.exists(), "reading makes nothing");
        let first = memory();
        remember(&first, 1);
        remember(&first, 1);
        remember(&memory(), 10);
        assert!(knows(&first, 1) && knows(&memory(), 1) && knows(&memory(), 10) && !knows(&memory(), 2));
        let (blob, diff_id) = pair(1);
        assert_eq!(memory().compression_of(&diff_id, &blob), None, "the order counts");
        assert_eq!(memory().compression_of(&blob, &blob), None);
        assert_eq!(fs::read_to_string(dir.join(FILE)).unwrap().matches(blob.as_ref()).count(), 1);
        let modes = [dir.clone(), dir.join(FILE)].map(|path| fs::metadata(path).unwrap().mode() & 0o777);
        assert_eq!(modes, [0o700, 0o600]);
        let ended = VerifiedLayers::in_memory();
        remember(&ended, 1);
        assert!(knows(&ended, 1) && !knows(&VerifiedLayers::in_memory(), 1));
    }

    #[test]
    fn lines_that_are_not_whole_count_for_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("pht-oci");
        remember(&VerifiedLayers::in_directory(&dir), 1);
        let (blob, diff_id) = pair(20);
        let whole = format!("{blob} {diff_id} gzip");
        let wrong = [
            whole.replace("gzip", "not compressed"),
            whole.replace("gzip", "lzma"),
            whole.replace(' ', "  "),
            format!("{whole} x"),
            format!(" {whole}"),
            format!("{whole}\r"),
            whole.replace("sha256:", "md5:"),
            whole.to_uppercase(),
            whole[1..].to_owned(),
            format!("{blob} {diff_id}"),
        ];
        for line in wrong {
            fs::write(dir.join(FILE), format!("{line}\n")).unwrap();
            assert!(!knows(&VerifiedLayers::in_directory(&dir), 20), "{line}");
        }
        for torn in [&whole[..], &whole[..whole.len() - 20]] {
            fs::write(dir.join(FILE), torn).unwrap();
            assert!(!knows(&VerifiedLayers::in_directory(&dir), 20), "{torn}");
            remember(&VerifiedLayers::in_directory(&dir), 30);
            assert!(knows(&VerifiedLayers::in_directory(&dir), 30), "a torn line takes no other with it");
        }
        fs::write(dir.join(FILE), [b"\xff\xfe\n\n".as_slice(), whole.as_bytes(), b"\n"].concat()).unwrap();
        assert!(knows(&VerifiedLayers::in_directory(&dir), 20));
    }

    #[test]
    fn the_file_is_bounded() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("pht-oci");
        remember(&VerifiedLayers::in_directory(&dir), 1);
        let file = File::options().write(true).open(dir.join(FILE)).unwrap();
        file.set_len(MAX_FILE - 100).unwrap();
        remember(&VerifiedLayers::in_directory(&dir), 5);
        assert!(fs::metadata(dir.join(FILE)).unwrap().len() < 1000);
        assert!(knows(&VerifiedLayers::in_directory(&dir), 5));
    }

    /// As root another user's file can be made; as anybody else one that others may write to.
    #[test]
    fn nothing_that_others_could_have_written_is_believed() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("pht-oci");
        let file = dir.join(FILE);
        remember(&VerifiedLayers::in_directory(&dir), 1);
        let fresh = || VerifiedLayers::in_directory(&dir);
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (path, wrong, right) in
            [(&dir, 0o770, 0o700), (&dir, 0o707, 0o755), (&file, 0o620, 0o600), (&file, 0o602, 0o644)]
        {
            mode(path, wrong);
            assert!(!knows(&fresh(), 1), "{} {wrong:o}", path.display());
            let before = fs::read(&file).unwrap();
            remember(&fresh(), 2);
            assert_eq!(fs::read(&file).unwrap(), before);
            mode(path, right);
            assert!(knows(&fresh(), 1), "{} {right:o}", path.display());
        }
        if rustix::process::geteuid().is_root() {
            for path in [&dir, &file] {
                chown(path, Some(12345), None).unwrap();
                assert!(!knows(&fresh(), 1), "{}", path.display());
                chown(path, Some(0), None).unwrap();
            }
        }
        fs::rename(&file, dir.join("elsewhere")).unwrap();
        symlink("elsewhere", &file).unwrap();
        assert!(!knows(&fresh(), 1), "a link");
        fs::remove_file(&file).unwrap();
        fs::rename(dir.join("elsewhere"), &file).unwrap();
        symlink(&dir, parent.path().join("link")).unwrap();
        assert!(!knows(&VerifiedLayers::in_directory(parent.path().join("link")), 1), "the directory is a link");
        fs::remove_file(&file).unwrap();
        rustix::fs::mkfifoat(CWD, &file, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(!knows(&fresh(), 1), "and it does not wait for the other end");
    }
}
