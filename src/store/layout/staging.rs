use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use oci_spec::image::{Descriptor, Digest};

use super::file::NewFile;
use crate::error::{ErrorContext, IoContext, Result};
use crate::store::count::Count;
use crate::store::destination::{BlobSink, Transfer, Written};
use crate::store::fs::{Audience, open_regular};
use crate::store::interrupt;
use crate::store::layout::Layout;
use crate::store::parallel::Shared;
use crate::store::source::Source;
use crate::store::verify::{is_supported, sha256_digest};

/// The prefix of our staging directories; a layout's readers ignore other files beside its own.
const PREFIX: &str = ".pht-oci-";
/// The bits that let everybody read a blob.
const SHARED: u32 = 0o044;
/// The file in a staging directory that lists blobs to remove from `blobs/` if no image reaches them.
const JOURNAL: &str = "journal";

/// A directory inside the layout, mode 0700, where new blobs wait until they are published.
#[derive(Debug)]
pub(in crate::store) struct Staging {
    dir: PathBuf,
    blobs: AtomicU32,
    written: Count,
    audience: Audience,
}

impl Staging {
    pub(in crate::store) fn new(layout: &Path, written: Count, audience: Audience) -> Result<Self> {
        let dir = layout.join(format!("{PREFIX}{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&dir).doing("create the staging directory").at(dir.display())?;
        let private = File::open(&dir).doing("open the directory").and_then(|dir| audience.close_to_others(&dir));
        if let Err(error) = private {
            let _ = fs::remove_dir(&dir);
            return Err(error.at(dir.display()));
        }
        Ok(Staging { dir, blobs: AtomicU32::new(0), written, audience })
    }

    /// A new blob, readable by this user alone.
    pub(in crate::store) fn create(&self) -> Result<StagedBlob> {
        let number = self.blobs.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("blob-{number}"));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.doing("create the blob").at(path.display())?;
        self.audience.close_to_others(&file).at(path.display())?;
        Ok(StagedBlob { file: NewFile::new(file), path, size: 0, count: self.written.clone() })
    }

    /// Takes a blob of a source. A second name for the same bytes costs nothing; across file systems it fails, and they
    /// are copied. `to` is the place for messages.
    pub(super) fn copy_blob(
        &self,
        source: &dyn Source,
        descriptor: &Descriptor,
        to: &str,
        shared: &Shared,
    ) -> Result<Transfer> {
        if let Some(path) = source.local_path(descriptor) {
            let name = self.path_of(descriptor.digest());
            if name.exists() || self.may_share(&path, descriptor) && fs::hard_link(&path, &name).is_ok() {
                return Ok(Transfer::Reused);
            }
        }
        self.copy(source, descriptor, to, shared)
    }

    /// True if a second name for a file is as good as a copy. A cut blob must not travel on unread, and one that only its
    /// owner can read cannot be a part of what everybody may read.
    pub(super) fn may_share(&self, path: &Path, descriptor: &Descriptor) -> bool {
        may_share(path, descriptor, self.audience)
    }

    /// Copies a blob of a source, verified; `to` is the place for messages.
    pub(in crate::store) fn copy(
        &self,
        source: &dyn Source,
        descriptor: &Descriptor,
        to: &str,
        shared: &Shared,
    ) -> Result<Transfer> {
        let mut blob = self.create().at(to)?;
        shared.copy(source, descriptor, to, &mut blob)?;
        let written = Box::new(blob).finish()?;
        if written.digest.algorithm() != descriptor.digest().algorithm() {
            self.rename(&written.digest, descriptor.digest())?;
        }
        Ok(Transfer::Copied(written.size))
    }

    /// The path of a finished blob until it is published.
    pub(in crate::store) fn path_of(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.as_ref().replace(':', "-"))
    }

    /// Adds blobs to the journal; it is on the disk when this returns.
    pub(super) fn journal<'a>(&self, digests: impl Iterator<Item = &'a Digest>) -> Result<()> {
        let path = self.dir.join(JOURNAL);
        let file = File::options().append(true).create(true).mode(0o600).open(&path);
        let mut out = BufWriter::new(file.doing("open the journal").at(path.display())?);
        for digest in digests {
            writeln!(out, "{digest}").doing("write the journal").at(path.display())?;
        }
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error).doing("write the journal")?;
        file.sync_all().doing("write the journal").at(path.display())
    }

    /// Writes a small file into the staging directory, to be renamed to `to`. Beside what only its owner may read, a new
    /// file is its owner's alone, too.
    pub(in crate::store) fn write(&self, to: &Path, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.dir.join(to.file_name().unwrap_or_default());
        let is_private = self.audience.is_owner() && !to.exists();
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(if is_private { 0o600 } else { 0o666 });
        let mut file = options.open(&path).doing("create the file").at(path.display())?;
        if is_private {
            self.audience.close_to_others(&file).at(path.display())?;
        }
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.doing("write the file").at(path.display())?;
        Ok(path)
    }

    /// The blobs that were finished and wait here.
    pub(in crate::store) fn finished(&self) -> Result<Vec<Digest>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).doing("list the directory").at(self.dir.display())? {
            let name = entry.doing("list the directory").at(self.dir.display())?.file_name();
            // `blob-1` and `journal` are no digests.
            found.extend(name.to_string_lossy().replacen('-', ":", 1).parse::<Digest>().ok().filter(is_supported));
        }
        Ok(found)
    }

    /// Gives a finished blob its name by another algorithm.
    pub(in crate::store) fn rename(&self, from: &Digest, to: &Digest) -> Result<()> {
        let path = self.path_of(from);
        fs::rename(&path, self.path_of(to)).doing("rename the blob").at(path.display())
    }

    pub(in crate::store) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Removes what an interrupted process has left in the layout: staging directories, and blobs from their journals that
/// no image reaches. Call it only with the lock of the layout.
pub(super) fn recover(layout: &Layout, keep: impl FnOnce() -> Result<HashSet<String>>) -> Result<()> {
    let left = left_staging(&layout.dir)?;
    let journals: Vec<String> = left.iter().filter_map(|dir| read_journal(dir)).collect();
    if !journals.is_empty() {
        let reached = keep()?;
        let unreached = journals.iter().flat_map(|text| text.lines()).filter(|line| !reached.contains(*line));
        for digest in unreached.filter_map(|line| line.parse::<Digest>().ok()) {
            remove_if_there(&layout.blob_path(&digest))?;
        }
    }
    if !layout.dir.join("oci-layout").exists() && !left.is_empty() {
        // It was to become a layout. What is not empty stays.
        let blobs = layout.dir.join("blobs");
        let _ = fs::remove_dir(blobs.join("sha256"));
        let _ = fs::remove_dir(blobs.join("sha512"));
        let _ = fs::remove_dir(blobs);
    }
    left.iter().try_for_each(|dir| remove_left(dir))
}

fn read_journal(staging: &Path) -> Option<String> {
    let mut text = String::new();
    let (mut file, _) = open_regular(&staging.join(JOURNAL)).ok()?;
    file.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Removes the staging directories that an interrupted process has left in `dir`; whether there were any.
pub(in crate::store) fn remove_left_staging(dir: &Path) -> Result<bool> {
    let left = left_staging(dir)?;
    left.iter().try_for_each(|dir| remove_left(dir))?;
    Ok(!left.is_empty())
}

fn left_staging(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(dir).doing("list the directory").at(dir.display())? {
        let entry = entry.doing("list the directory").at(dir.display())?;
        if is_staging(&entry.file_name()) {
            left.push(entry.path());
        }
    }
    Ok(left)
}

/// True for the name of a staging directory; not for other directories of ours, as for a run or for results.
pub(in crate::store) fn is_staging(name: &OsStr) -> bool {
    let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

fn remove_left(dir: &Path) -> Result<()> {
    fs::remove_dir_all(dir).doing("remove the leftovers of an interrupted run").at(dir.display())
}

/// As [`Staging::may_share`], before there is a staging directory.
pub(super) fn may_share(path: &Path, descriptor: &Descriptor, audience: Audience) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| {
        let is_whole = found.is_file() && found.len() == descriptor.size();
        is_whole && (audience.is_owner() || found.mode() & SHARED != 0)
    })
}

/// Lets everybody read blobs that are published, if they are for everybody. A blob shared with another place (a hard
/// link) is left alone. Where the file system has no modes of ours that is said, and nothing fails.
pub(in crate::store) fn share_modes<'a>(blobs: impl IntoIterator<Item = &'a Path>, audience: Audience) -> Result<()> {
    let mut refused = None;
    for blob in blobs {
        let found = fs::metadata(blob).doing("stat the blob").at(blob.display())?;
        if audience.is_owner() || found.nlink() > 1 || found.mode() & 0o777 == 0o600 | SHARED {
            continue;
        }
        let changed = fs::set_permissions(blob, fs::Permissions::from_mode(0o600 | SHARED));
        refused = refused.or(changed.err().filter(|_| found.mode() & SHARED != SHARED));
    }
    if let Some(error) = refused {
        tracing::warn!("others may be unable to read the image: the modes of its blobs cannot be set ({error})");
    }
    Ok(())
}

/// True if the directory holds nothing, or nothing but what an interrupted process that was to make a layout of it has
/// left: it is as good as empty.
pub(super) fn holds_only_ours(dir: &Path) -> Result<bool> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).doing("list the directory").at(dir.display())? {
        names.push(entry.doing("list the directory").at(dir.display())?.file_name());
    }
    let was_interrupted = names.iter().any(|name| is_staging(name));
    Ok(names.iter().all(|name| is_staging(name) || was_interrupted && name == "blobs"))
}

/// Removes a file that may be gone already.
pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing("remove the file").at(path.display())
        }
        _ => Ok(()),
    }
}

/// A blob in the staging directory, digested while it is written.
pub(in crate::store) struct StagedBlob {
    file: NewFile,
    path: PathBuf,
    size: u64,
    count: Count,
}

impl Write for StagedBlob {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        interrupt::check()?;
        self.file.write(bytes)?;
        self.size += bytes.len() as u64;
        self.count.add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl BlobSink for StagedBlob {
    fn is_apart(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let digest = sha256_digest(self.file.finish().doing("write the blob").at(self.path.display())?);
        let finished = self.path.with_file_name(digest.as_ref().replace(':', "-"));
        fs::rename(&self.path, &finished).doing("rename the blob").at(self.path.display())?;
        Ok(Written { digest, size: self.size })
    }
}
