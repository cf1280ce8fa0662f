use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci_spec::image::{Descriptor, Digest};
use rustix::fs::OFlags;

use super::docker;
use super::names::blob_name;
use crate::crypto::Sha256;
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::store::archive::{Archive, ArchiveFormat};
use crate::store::count::Count;
use crate::store::destination::{BlobSink, Destination, GcStats, TagChange, Transfer, Unreached, Written};
use crate::store::extent::Extent;
use crate::store::fs::{
    Audience, Waiting, free_in, is_at, lock, make_private, no_directory, own_uid, parent_of, sync_published,
};
use crate::store::index::Index;
use crate::store::interrupt;
use crate::store::parallel::Shared;
use crate::store::reach::reachable;
use crate::store::source::{Blob, ImageEntry, Source, read_document};
use crate::store::threaded_writer::BUFFER;
use crate::store::verify::sha256_digest;

const BLOCK: u64 = 512;
/// The longest name that a header holds; that of a `sha512` blob is longer.
const MAX_NAME: usize = 100;

/// An archive to write to.
///
/// All of it goes into a temporary file beside it (mode 0600, for it may hold plaintext), which takes its name when
/// everything is there; until then the old archive stays as it is. Images that the archive had before are carried over.
/// The temporary file has one name for each archive and is locked: so there is one writer at a time, and what an
/// interrupted one has left is overwritten by the next.
pub struct ArchiveWriter {
    path: PathBuf,
    format: ArchiveFormat,
    temporary: PathBuf,
    file: Arc<File>,
    content: Arc<Mutex<Content>>,
    old: Option<Archive>,
    written: Count,
    audience: Audience,
    published: bool,
}

/// The contents of the new archive so far.
#[derive(Debug, Default)]
struct Content {
    /// The position of the next member, in bytes.
    end: u64,
    /// The blobs by digest: where their contents begin, and their length.
    blobs: HashMap<String, (u64, u64)>,
    /// The number of the one unfinished blob that may write.
    current: u64,
}

impl ArchiveWriter {
    /// Opens an archive for writing what `audience` may read; it may be there already or not.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if the file is something else, [`Kind::Usage`] if it is no place for plaintext; input/output,
    /// or another process is writing and `waiting` says not to wait.
    pub fn open(
        path: &Path,
        format: ArchiveFormat,
        waiting: Waiting,
        audience: Audience,
        spool_dir: &Path,
    ) -> Result<Self> {
        let place = format!("{}:{}", format.name(), path.display());
        Self::open_here(path, format, waiting, audience, spool_dir).at(place)
    }

    fn open_here(
        path: &Path,
        format: ArchiveFormat,
        waiting: Waiting,
        audience: Audience,
        spool_dir: &Path,
    ) -> Result<Self> {
        let path = &resolve(path, audience)?;
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(Error::usage("the path exists and is not a regular file").hint("give a file to write"));
        }
        let name = path.file_name().ok_or_else(|| Error::usage("the path ends in no file name"))?;
        let mut hidden = OsString::from(".pht-oci-");
        hidden.push(name);
        let temporary = path.with_file_name(hidden);
        if !parent_of(path).is_dir() {
            return Err(no_directory().at(path.display()));
        }
        let file = take_temporary(&temporary, waiting, audience, &path.display().to_string()).at(temporary.display())?;
        let mut writer = ArchiveWriter {
            path: path.to_owned(),
            format,
            temporary,
            file: Arc::new(file),
            content: Arc::default(),
            old: None,
            written: Count::default(),
            audience,
            published: false,
        };
        match fs::metadata(path) {
            Ok(found) if found.len() > 0 => writer.old = Some(Archive::open_here(path, Some(format), spool_dir)?),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("cannot stat the archive", error));
            }
            _ => {}
        }
        Ok(writer)
    }

    fn index(&self) -> Index {
        self.old.as_ref().map_or_else(Index::empty, |old| old.images.index.clone())
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        self.content().blobs.contains_key(descriptor.digest().as_ref())
    }

    /// Begins a blob; one that is called by a digest which is known takes its name from it.
    fn begin(&self, digest: Option<&Digest>) -> ArchivedBlob {
        let mut content = self.content();
        content.current += 1;
        ArchivedBlob {
            id: content.current,
            start: content.end,
            lead: digest.map_or(BLOCK, |digest| lead(&blob_name(digest))),
            len: 0,
            file: self.file.clone(),
            content: self.content.clone(),
            hasher: Sha256::new(),
            count: self.written.clone(),
        }
    }

    fn copy(&self, source: &dyn Source, descriptor: &Descriptor) -> Result<u64> {
        let mut sink = BufWriter::with_capacity(BUFFER, self.begin(Some(descriptor.digest())));
        Shared::default().copy(source, descriptor, &self.name(), &mut sink)?;
        let sink = sink.into_inner().map_err(io::IntoInnerError::into_error).doing("write the archive")?;
        Ok(sink.finish_as(descriptor.digest().as_ref())?.size)
    }

    /// Copies what the images of `index` need and only the old archive has.
    fn carry_over(&self, index: &Index) -> Result<()> {
        let Some(old) = &self.old else { return Ok(()) };
        let both = Both { writer: self, old: Some(old) };
        for descriptor in reachable(&both, index, &|descriptor| self.has(descriptor) || old.has(descriptor))? {
            if !self.has(&descriptor) && old.has(&descriptor) {
                self.copy(old, &descriptor)?;
            }
        }
        Ok(())
    }

    /// Writes what says which images there are.
    fn conclude(&self, index: &Index) -> Result<()> {
        self.add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        self.add("index.json", &index.to_vec())?;
        if self.format == ArchiveFormat::Docker {
            let both = Both { writer: self, old: None };
            let images = index.list()?.into_iter().map(|listed| {
                let manifest = read_document(&both, &listed.descriptor)?;
                Ok((listed.tag, manifest))
            });
            let images = images.collect::<Result<Vec<_>>>()?;
            let name = |digest: &str| digest.parse().map_or_else(|_| digest.to_owned(), |digest| blob_name(&digest));
            self.add("manifest.json", &docker::manifest_json(&images, &name)?)?;
        }
        let end = self.content().end;
        // Two blocks of zeros end a tar file. What a blob that was not kept has left behind must not take their place.
        self.file.set_len(end).and_then(|()| self.file.set_len(end + 2 * BLOCK)).doing("write the archive")
    }

    fn add(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut content = self.content();
        let at = content.end;
        self.file.write_all_at(bytes, at + BLOCK).doing("write the archive")?;
        content.end = write_header(&self.file, name, at, bytes.len() as u64).doing("write the archive")?;
        Ok(())
    }

    fn publish_all(&mut self, changes: &[TagChange]) -> Result<()> {
        let mut index = self.index();
        let full = |tag: &String| self.qualify_tag(tag);
        let changes = changes.iter().map(|change| change.with_tag(full)).collect::<Result<Vec<_>>>()?;
        index.apply(&changes)?;
        self.carry_over(&index)?;
        self.conclude(&index)?;
        self.share()?;
        self.file.sync_all().doing("write the archive")?;
        fs::rename(&self.temporary, &self.path).doing("rename the new archive into place")?;
        self.published = true;
        sync_published(parent_of(&self.path));
        Ok(())
    }

    /// Gives the new archive the mode of the old one, or lets everybody read it: nobody else where it holds plaintext.
    fn share(&self) -> Result<()> {
        if self.audience.is_owner() {
            return Ok(());
        }
        let mode = fs::metadata(&self.path).map_or(0o644, |old| old.permissions().mode() & 0o7777);
        let now = self.file.metadata().doing("stat the archive")?.mode() & 0o7777;
        if now != mode
            && let Err(error) = self.file.set_permissions(fs::Permissions::from_mode(mode))
        {
            tracing::warn!("others may be unable to read the archive: its mode cannot be set ({error})");
        }
        Ok(())
    }
}

impl Destination for ArchiveWriter {
    fn name(&self) -> String {
        format!("{}:{}", self.format.name(), self.path.display())
    }

    fn bytes_written(&self) -> u64 {
        self.written.get()
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        self.index().list().at(self.name())
    }

    fn qualify_tag(&self, tag: &str) -> Result<String> {
        Ok(if self.format == ArchiveFormat::Docker { docker::qualify_tag(&self.list()?, tag) } else { tag.to_owned() })
    }

    /// Docker's own programs stumble over a layer that is not there.
    fn holds_thin_images(&self) -> bool {
        self.format == ArchiveFormat::Oci
    }

    fn has_blob(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.has(descriptor) || self.old.as_ref().is_some_and(|old| old.has(descriptor)))
    }

    fn available_space(&self) -> Result<Option<u64>> {
        free_in(self.path.parent().unwrap_or(Path::new("."))).map(Some)
    }

    fn create(&mut self) -> Result<Box<dyn BlobSink>> {
        Ok(Box::new(self.begin(None)))
    }

    /// One after the other, as they stand in the file.
    fn estimate_bytes(&self, _source: &dyn Source, descriptor: &Descriptor) -> u64 {
        if self.has(descriptor) { 0 } else { descriptor.size() }
    }

    fn copy_blobs(&mut self, source: &dyn Source, descriptors: &[Descriptor]) -> Result<Vec<Transfer>> {
        let take = |descriptor: &Descriptor| {
            if self.has(descriptor) {
                return Ok(Transfer::Reused);
            }
            self.copy(source, descriptor).map(Transfer::Copied)
        };
        descriptors.iter().map(take).collect()
    }

    /// An archive is written anew, so that nothing is in it that no image needs: `gc` makes no difference.
    fn publish(&mut self, changes: &[TagChange], _unreached: Unreached) -> Result<GcStats> {
        let name = self.name();
        self.publish_all(changes).at(name)?;
        Ok(GcStats::default())
    }
}

impl Drop for ArchiveWriter {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// The part of the new archive already written, and the old archive behind it.
struct Both<'a> {
    writer: &'a ArchiveWriter,
    old: Option<&'a Archive>,
}

impl Source for Both<'_> {
    fn name(&self) -> String {
        self.writer.name()
    }

    fn bytes_read(&self) -> u64 {
        0
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        self.writer.list()
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let found = self.writer.content().blobs.get(descriptor.digest().as_ref()).copied();
        match (found, self.old) {
            (Some((at, len)), _) => Ok(Blob::Extent(Extent::new(self.writer.file.clone(), at, len, Count::default()))),
            (None, Some(old)) => old.open(descriptor),
            (None, None) => Err(Error::malformed("the blob is absent").at(descriptor.digest())),
        }
    }
}

/// A member that is being written. Its header is written last, when its name and size are known. A blob that is begun
/// takes the place of one that was not finished.
struct ArchivedBlob {
    id: u64,
    start: u64,
    /// The length of the headers before its contents, in bytes.
    lead: u64,
    len: u64,
    file: Arc<File>,
    content: Arc<Mutex<Content>>,
    hasher: Sha256,
    count: Count,
}

impl ArchivedBlob {
    fn finish_as(self, digest: &str) -> Result<Written> {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let written = Written { digest: sha256_digest(self.hasher.finish()), size: self.len };
        if content.current != self.id {
            return Err(Error::io("cannot write the archive", superseded()));
        }
        // The same bytes once more: the next member overwrites them.
        if !content.blobs.contains_key(digest) {
            let name = digest.parse().map_or_else(|_| digest.to_owned(), |digest| blob_name(&digest));
            content.end = write_header(&self.file, &name, self.start, self.len).doing("write the archive")?;
            content.blobs.insert(digest.to_owned(), (self.start + self.lead, self.len));
        }
        Ok(written)
    }
}

impl Write for ArchivedBlob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt::check()?;
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        if content.current != self.id {
            return Err(superseded());
        }
        self.file.write_all_at(bytes, self.start + self.lead + self.len)?;
        drop(content);
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        self.count.add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobSink for ArchivedBlob {
    fn finish(self: Box<Self>) -> Result<Written> {
        let digest = sha256_digest(self.hasher.clone().finish());
        self.finish_as(digest.as_ref())
    }
}

fn superseded() -> io::Error {
    io::Error::other("another blob was begun before this one was finished")
}

/// Where the archive is: a link stays one, and what it leads to is replaced. For plaintext, one that comes to the path
/// from now on is not followed.
fn resolve(path: &Path, audience: Audience) -> Result<PathBuf> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    audience.ensure_path(path)?;
    let resolved = match (is_link, path.parent(), path.file_name()) {
        (false, Some(parent), Some(name)) if audience.is_owner() && path.exists() => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            parent.canonicalize().map(|parent| parent.join(name))
        }
        (false, ..) if audience.is_owner() => Ok(path.to_owned()),
        _ => path.canonicalize(),
    };
    Ok(resolved.unwrap_or_else(|_| path.to_owned()))
}

/// Opens and locks the temporary file of an archive, empty: a new one, or a leftover of ours. `name` is for the message
/// while it waits.
fn take_temporary(path: &Path, waiting: Waiting, audience: Audience, name: &str) -> Result<File> {
    loop {
        let (file, is_new) = open_temporary(path)?;
        let taken = ensure_ours(&file)
            .and_then(|()| lock(&file, waiting, name))
            .and_then(|()| if is_at(&file, path) { empty(&file, audience).map(|()| true) } else { Ok(false) });
        match taken {
            Ok(true) => return Ok(file),
            Ok(false) => {}
            Err(error) => {
                if is_new {
                    let _ = fs::remove_file(path);
                }
                return Err(error);
            }
        }
    }
}

/// Opens the temporary file; whether it was made.
fn open_temporary(path: &Path) -> Result<(File, bool)> {
    let mut options = File::options();
    // What lies at this name may be no leftover of ours: no link is followed, and nobody is waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).write(true).mode(0o600).custom_flags(flags.bits().cast_signed());
    match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(no_directory());
        }
        made => return made.doing("create a temporary file").map(|file| (file, true)),
    }
    match options.open(path) {
        // Its writer has just ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            options.create(true).open(path).doing("create a temporary file").map(|file| (file, false))
        }
        opened => opened.doing("open the temporary file").map(|file| (file, false)),
    }
}

fn ensure_ours(file: &File) -> Result<()> {
    let found = file.metadata().doing("stat the temporary file")?;
    if !found.is_file() || found.nlink() > 1 || found.uid() != own_uid() {
        let what = "the path of the temporary file is taken by somebody else";
        return Err(Error::new(Kind::Io, what).hint("remove the file, or write to another directory"));
    }
    Ok(())
}

/// Empties the temporary file, which nobody else can read from now on. Where the file system has no modes of ours, that
/// matters for plaintext only.
fn empty(file: &File, audience: Audience) -> Result<()> {
    let private = if audience.is_owner() { audience.close_to_others(file) } else { make_private(file) };
    match private {
        Err(error) if audience.is_owner() => return Err(error),
        Err(error) => tracing::debug!("{error}"),
        Ok(()) => {}
    }
    file.set_len(0).doing("truncate the temporary file")
}

/// The length of the headers before the contents of a member with this name, in bytes.
fn lead(name: &str) -> u64 {
    if name.len() > MAX_NAME { 3 * BLOCK } else { BLOCK }
}

/// Writes the header of a member whose contents are there, and pads them; where the next member begins.
fn write_header(file: &File, name: &str, at: u64, len: u64) -> io::Result<u64> {
    let own = at + lead(name) - BLOCK;
    if name.len() > MAX_NAME {
        // GNU's way: a member of its own holds the name, and a zero.
        let header = header("././@LongLink", tar::EntryType::GNULongName, name.len() as u64 + 1)?;
        file.write_all_at(header.as_bytes(), at)?;
        let mut block = [0; BLOCK as usize];
        block[..name.len()].copy_from_slice(name.as_bytes());
        file.write_all_at(&block, at + BLOCK)?;
    }
    let short = name.get(..MAX_NAME).unwrap_or(name);
    file.write_all_at(header(short, tar::EntryType::Regular, len)?.as_bytes(), own)?;
    let end = own + BLOCK + len;
    let padded = end.next_multiple_of(BLOCK);
    let padding = [0; BLOCK as usize];
    file.write_all_at(&padding[..usize::try_from(padded - end).unwrap_or_default()], end)?;
    Ok(padded)
}

fn header(name: &str, kind: tar::EntryType, len: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_entry_type(kind);
    header.set_size(len);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}
