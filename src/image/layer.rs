//! Reading the layers of an image: tar archives of files, whiteouts and links, plain or compressed (OCI image
//! specification, layer).

use std::io::{self, Read};
use std::path::Path;

use oci_spec::image::{Descriptor, Digest};

use self::order::LayerOrder;
use super::changeset::mark_of;
use super::overlay::too_many_files;
use crate::crypto::Sha256;
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::store::{Blob, DEFAULT_MAX_FILES, Digester, Extent, Source, Spool, Verified, interrupt, media_type};
use crate::tar::{self, Compression, Decoder, Entry, EntryKind, Sequential, Skip};

mod order;

pub use self::order::ImpliedDirs;

/// A layer whose entries have been read.
#[non_exhaustive]
pub struct ScannedLayer {
    /// The entries that were asked for, in the order of the archive; offsets refer to `contents`.
    pub entries: Vec<Entry>,
    /// The other files, links and whiteouts, by path, at most [`ScannedLayer::MAX_OTHERS`].
    pub others: Vec<Box<[u8]>>,
    /// The uncompressed layer, in which the contents of the files can be read at any position.
    pub contents: Extent,
    /// A plain layer is not read whole by looking at its entries: this remains to be verified, when all was read of it
    /// that is needed.
    pub unverified: Option<Extent>,
    /// Directories that this layer and those above it pass through, so far without an entry of their own.
    pub implied: ImpliedDirs,
}

impl ScannedLayer {
    /// The most paths, besides those asked for, that are remembered for reports.
    pub const MAX_OTHERS: usize = 1000;
}

/// Reads the entries of a layer for which `matters` holds, as if there were no layers above it.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed): a damaged archive, a blob or a layer that differs from its
/// digest, entries that engines could take for different files. [`Kind::Io`](crate::error::Kind::Io).
pub fn scan(
    source: &dyn Source,
    descriptor: &Descriptor,
    diff_id: &Digest,
    spool_dir: &Path,
    matters: &dyn Fn(&[u8]) -> bool,
) -> Result<ScannedLayer> {
    scan_below(source, descriptor, diff_id, spool_dir, Scan::new(matters, &ImpliedDirs::default()))
}

/// Reads the entries of a layer that `scan` asks for.
///
/// A plain layer in a local file is left where it is. Any other is read once through verification and decompression,
/// and the contents of the files that matter are spooled.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed): a damaged archive, a blob or a layer that differs from its
/// digest, entries that engines could take for different files. [`Kind::Io`](crate::error::Kind::Io).
pub(super) fn scan_below(
    source: &dyn Source,
    descriptor: &Descriptor,
    diff_id: &Digest,
    spool_dir: &Path,
    scan: Scan<'_>,
) -> Result<ScannedLayer> {
    let place = || format!("layer {}", descriptor.digest());
    match source.open(descriptor)? {
        // Of a plain layer diff ID and digest are the same, unless by another algorithm: then it must be read whole.
        Blob::Extent(extent)
            if descriptor.digest().algorithm() == diff_id.algorithm() && is_plain(&extent).at(place())? =>
        {
            scan_plain(extent, descriptor, diff_id, scan)
        }
        blob => scan_stream(blob, descriptor, diff_id, spool_dir, scan).map(|layer| {
            let task = source.progress().begin("processing", descriptor, layer.contents.len());
            ScannedLayer { contents: layer.contents.watched(task), ..layer }
        }),
    }
    .at(place())
}

fn is_plain(extent: &Extent) -> Result<bool> {
    Ok(extent.compression().doing("read the layer")? == Compression::None)
}

fn scan_plain(extent: Extent, descriptor: &Descriptor, diff_id: &Digest, mut scan: Scan<'_>) -> Result<ScannedLayer> {
    let extent = extent.hashed(descriptor)?;
    let scanned = match descriptor.digest() == diff_id {
        true => ensure_packed(descriptor, Compression::None).and_then(|()| scan.all_of_plain(&extent)),
        false => Err(lying_diff_id(diff_id)),
    };
    if let Err(fault) = scanned {
        // That the bytes are not the ones described says more than what is wrong with them.
        extent.verify(descriptor)?;
        return Err(fault);
    }
    Ok(scan.end(extent.clone(), Some(extent)))
}

fn scan_stream(
    blob: Blob,
    descriptor: &Descriptor,
    diff_id: &Digest,
    spool_dir: &Path,
    mut scan: Scan<'_>,
) -> Result<ScannedLayer> {
    let mut spool = Spool::new(spool_dir)?;
    read_through(blob, descriptor, diff_id, |reader| scan.all_of_stream(reader, &mut spool))?;
    Ok(scan.end(spool.into_extent(), None))
}

/// A layer on its way through verification and decompression.
type Stream = Sequential<Digesting<Decoder<Verified<Box<dyn Read + Send>>>>>;

/// Reads a layer to its end, and checks that it is what descriptor and `diff_id` say; how it is packed.
pub(super) fn unpack(blob: Blob, descriptor: &Descriptor, diff_id: &Digest) -> Result<Compression> {
    read_through(blob, descriptor, diff_id, |_| Ok(()))
}

/// Reads a layer to its end, what `visit` leaves of it, too; how it is packed.
fn read_through(
    blob: Blob,
    descriptor: &Descriptor,
    diff_id: &Digest,
    visit: impl FnOnce(&mut tar::Reader<Stream>) -> Result<()>,
) -> Result<Compression> {
    let verified = Verified::new(blob.into_reader(), descriptor)?;
    let decoder = Decoder::new(verified)?;
    let compression = decoder.compression();
    let packed = ensure_packed(descriptor, compression);
    let mut reader = tar::Reader::new(Sequential(Digesting { inner: decoder, hasher: Digester::of(diff_id)? }));
    let visited = packed.and_then(|()| visit(&mut reader));
    let mut decoded = reader.into_inner().0;
    // Padding behind the end marker belongs to the digest.
    let padding = visited.and_then(|()| io::copy(&mut decoded, &mut io::sink()).doing("read the layer"));
    // That the bytes are not the ones described says more than what is wrong with them.
    decoded.inner.into_inner().drain().doing("read the layer")?;
    padding?;
    if decoded.hasher.matches(diff_id) { Ok(compression) } else { Err(lying_diff_id(diff_id)) }
}

/// The media type says how a layer is packed: some engines believe it, others look.
///
/// Plain contents may have a type for gzip: skopeo and docker write it where they find a plain blob at the destination
/// that they would have compressed. Engines read the contents, or stop.
pub(super) fn ensure_packed(descriptor: &Descriptor, found: Compression) -> Result<()> {
    let stated = stated_compression(descriptor);
    if stated == found || stated == Compression::Gzip && found == Compression::None {
        return Ok(());
    }
    Err(not_as_stated(descriptor, found))
}

/// Checks of a plain layer that its media type says so, or is Docker's for gzip, which every engine takes for either.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if not.
pub(super) fn ensure_plain_is_stated(descriptor: &Descriptor, diff_id: &Digest) -> Result<()> {
    let plain = descriptor.digest() == diff_id;
    let stated = stated_compression(descriptor) == Compression::None;
    if !plain || stated || descriptor.media_type().to_string() == media_type::DOCKER_GZIP_LAYER {
        return Ok(());
    }
    Err(not_as_stated(descriptor, Compression::None).at(format_args!("layer {}", descriptor.digest())))
}

fn stated_compression(descriptor: &Descriptor) -> Compression {
    match descriptor.media_type().to_string().rsplit_once(['+', '.']).map_or("", |(_, end)| end) {
        "gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    }
}

fn not_as_stated(descriptor: &Descriptor, found: Compression) -> Error {
    let (contents, stated) = (found.name(), descriptor.media_type());
    let what = format!("its contents are {contents}, contrary to its media type `{stated}`");
    Error::malformed(what).hint("the image was put together wrongly or tampered with; fetch it again")
}

/// Reads a layer to its end, and checks that it is what descriptor and `diff_id` say; how it is packed.
///
/// # Errors
/// As [`scan`].
pub fn ensure_contents(source: &dyn Source, descriptor: &Descriptor, diff_id: &Digest) -> Result<Compression> {
    read_layer(source, descriptor, diff_id, |_| Ok(()))
}

fn read_layer(
    source: &dyn Source,
    descriptor: &Descriptor,
    diff_id: &Digest,
    visit: impl FnOnce(&mut tar::Reader<Stream>) -> Result<()>,
) -> Result<Compression> {
    let read = source.open(descriptor).and_then(|blob| read_through(blob, descriptor, diff_id, visit));
    read.at(format_args!("layer {}", descriptor.digest()))
}

/// The most entries of one layer that are kept: bounds memory on hostile images.
const MAX_DIGESTED: usize = 1 << 20;

/// Reads a layer to its end, with a digest in the place of each file's contents: the `offset` of an entry is the
/// position of its SHA-256 in `digests`. Nothing is spooled, and the names of owners and groups are left out. `implied`
/// are the directories that the layers above have passed through, and then those that this one has, too.
///
/// # Errors
/// As [`scan`].
pub(crate) fn digest_files(
    source: &dyn Source,
    descriptor: &Descriptor,
    diff_id: &Digest,
    digests: &mut Vec<[u8; 32]>,
    implied: &mut ImpliedDirs,
) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut order = LayerOrder::new(implied);
    let visit = |reader: &mut tar::Reader<Stream>| {
        while let Some(mut entry) = reader.next_entry()? {
            order.add(&entry)?;
            if entries.len() == MAX_DIGESTED {
                return Err(Error::malformed(format!("more than {MAX_DIGESTED} entries in one layer")));
            }
            if entry.kind == EntryKind::File {
                let mut hasher = Sha256::new();
                reader.copy_contents(&mut hasher)?;
                entry.offset = digests.len() as u64;
                digests.push(hasher.finish());
            }
            (entry.meta.user, entry.meta.group) = Default::default();
            entries.push(entry);
        }
        Ok(())
    };
    read_layer(source, descriptor, diff_id, visit)?;
    *implied = order.finish();
    Ok(entries)
}

fn lying_diff_id(diff_id: &Digest) -> Error {
    Error::malformed(format!("its contents do not have the diff ID {diff_id} that the image config gives"))
        .hint("the image was put together wrongly or tampered with; fetch it again")
}

/// The findings so far while a layer is read.
pub(super) struct Scan<'a> {
    matters: &'a dyn Fn(&[u8]) -> bool,
    entries: Vec<Entry>,
    others: Vec<Box<[u8]>>,
    order: LayerOrder<'a>,
    max_files: usize,
    files: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(matters: &'a dyn Fn(&[u8]) -> bool, above: &'a ImpliedDirs) -> Self {
        let (entries, others, files) = Default::default();
        Scan { matters, entries, others, order: LayerOrder::new(above), max_files: DEFAULT_MAX_FILES, files }
    }

    /// The same with another limit on the files that are kept, and as many directories.
    pub(super) fn limited(self, max_files: usize) -> Self {
        Scan { max_files, order: self.order.for_files(max_files), ..self }
    }

    fn end(self, contents: Extent, unverified: Option<Extent>) -> ScannedLayer {
        let Scan { entries, others, order, .. } = self;
        ScannedLayer { entries, others, contents, unverified, implied: order.finish() }
    }

    fn all_of_plain(&mut self, extent: &Extent) -> Result<()> {
        let mut reader = extent.tar_reader();
        while let Some(entry) = reader.next_entry()? {
            if entry.offset.checked_add(entry.size).is_none_or(|end| end > extent.len()) {
                return Err(Error::malformed("the layer ends in the middle of a file"));
            }
            self.order.add(&entry)?;
            self.add(entry)?;
        }
        self.entries.shrink_to_fit();
        Ok(())
    }

    fn all_of_stream<R: Skip>(&mut self, reader: &mut tar::Reader<R>, spool: &mut Spool) -> Result<()> {
        while let Some(mut entry) = reader.next_entry()? {
            self.order.add(&entry)?;
            if entry.kind == EntryKind::File && (self.matters)(&entry.path) {
                entry.offset = spool.position();
                reader.copy_contents(spool)?;
            }
            self.add(entry)?;
        }
        Ok(())
    }

    fn add(&mut self, entry: Entry) -> Result<()> {
        if (self.matters)(&entry.path) {
            self.files += usize::from(entry.kind != EntryKind::Directory && mark_of(&entry.path).is_none());
            // As many directories and whiteouts.
            if self.files > self.max_files || self.entries.len() >= self.max_files.saturating_mul(2) {
                return Err(too_many_files(self.max_files));
            }
            self.entries.push(entry);
        } else if entry.kind != EntryKind::Directory && self.others.len() < ScannedLayer::MAX_OTHERS {
            self.others.push(entry.path);
        }
        Ok(())
    }
}

/// Digests what is read through it.
struct Digesting<R> {
    inner: R,
    hasher: Digester,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        interrupt::check()?;
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
