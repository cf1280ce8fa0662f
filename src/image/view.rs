use std::cell::RefCell;
use std::io;
use std::path::Path;

use oci_spec::image::Descriptor;

use super::document::Image;
use super::layer::{ImpliedDirs, Scan, ScannedLayer, scan_below};
use super::overlay::{Dangling, Overlay, PathFilter, targets_outside};
use super::tree::Tree;
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::path::shown;
use crate::store::Extent;
use crate::tar::Entry;

/// How long a chain of hard links outside the wanted paths is followed; archivers make none longer than one.
pub(super) const MAX_LINK_CHAIN: usize = 16;

/// The merged view of some paths of an image, read from the top layer down as far as needed.
pub struct View {
    /// The files.
    pub tree: Tree,
    /// The lowest layer that was read, counted from the bottom.
    pub lowest: usize,
    /// Whether nothing in lower layers could be seen.
    pub complete: bool,
    /// For each layer that was read, what it holds besides the wanted paths (a sample of it, if much).
    pub others: Vec<(usize, Vec<Box<[u8]>>)>,
    /// Layers that were looked into and remain to be verified, and whose they are.
    unverified: Vec<(Descriptor, Extent)>,
    source: String,
}

impl View {
    /// Reads the layers of `image` from the top down until nothing below can be seen, or `enough` says so after a
    /// layer.
    ///
    /// # Errors
    /// As [`scan`](crate::image::scan) and [`Overlay::push_lower`].
    pub fn read(
        image: &Image,
        wanted: PathFilter,
        spool_dir: &Path,
        enough: impl FnMut(&Partial<'_>) -> Result<bool>,
    ) -> Result<View> {
        let scope = Scope { wanted, spool_dir, beyond_links: false };
        Self::read_scope(image, scope, enough, |_| {})
    }

    /// The same, and reads on until no layer that was read can have been written through a link of a lower one.
    ///
    /// # Errors
    /// As [`View::read`].
    pub fn read_beyond_links(
        image: &Image,
        wanted: PathFilter,
        spool_dir: &Path,
        enough: impl FnMut(&Partial<'_>) -> Result<bool>,
    ) -> Result<View> {
        let scope = Scope { wanted, spool_dir, beyond_links: true };
        Self::read_scope(image, scope, enough, |_| {})
    }

    /// [`read`](View::read), and `inspect` sees the entries of each layer before they are merged.
    ///
    /// # Errors
    /// As [`read`](View::read).
    pub fn read_inspecting(
        image: &Image,
        wanted: PathFilter,
        spool_dir: &Path,
        enough: impl FnMut(&Partial<'_>) -> Result<bool>,
        inspect: impl FnMut(&LayerEntries<'_>),
    ) -> Result<View> {
        Self::read_scope(image, Scope { wanted, spool_dir, beyond_links: false }, enough, inspect)
    }

    fn read_scope(
        image: &Image,
        scope: Scope<'_>,
        mut enough: impl FnMut(&Partial<'_>) -> Result<bool>,
        mut inspect: impl FnMut(&LayerEntries<'_>),
    ) -> Result<View> {
        let layers = image.layers().len();
        let Scope { wanted, spool_dir, beyond_links } = scope;
        let (stray, implied) = (RefCell::new(None), ImpliedDirs::default());
        let (contents, unverified) = (vec![None; layers], Vec::new());
        let mut reading = Reading { image, spool_dir, contents, unverified, implied, stray };
        let mut overlay = Overlay::new(wanted).limited(image.max_files());
        let (mut lowest, mut others) = (layers, Vec::new());
        for layer in (0..layers).rev() {
            let mut scanned = reading.scan(layer, overlay.wanted())?;
            reading.implied = std::mem::take(&mut scanned.implied);
            let stray = reading.stray.take();
            inspect(&LayerEntries { layer, entries: &scanned.entries, stray: stray.as_deref() });
            reading.contents[layer] = Some(scanned.contents.clone());
            others.push((layer, scanned.others));
            let place = || format!("layer {}", image.layers()[layer].digest());
            let dangling = overlay.push_lower(layer, layer, scanned.entries).at(place())?;
            for link in dangling {
                let lower = reading.view_below(&link).at(place())?;
                overlay.resolve(&link, lower).at(place())?;
            }
            lowest = layer;
            let partial = Partial { overlay: &overlay, contents: &reading.contents, layer };
            let has_enough = overlay.is_complete() || enough(&partial)?;
            if has_enough && (!beyond_links || reading.implied.is_empty()) {
                break;
            }
        }
        let complete = lowest == 0 || overlay.is_complete();
        let (unverified, source) = (reading.unverified, image.source().name());
        Ok(View { tree: overlay.into_tree(reading.contents)?, lowest, complete, others, unverified, source })
    }

    /// Verifies every layer that was looked into against its digest: call it when the contents have been read, for what
    /// was read in the order of the layer is not read again. Nothing that comes from the view may be published before.
    ///
    /// # Errors
    /// A blob that is not what its descriptor says.
    pub fn verify(&mut self) -> Result<()> {
        while let Some((descriptor, extent)) = self.unverified.last() {
            extent.verify(descriptor).at(format_args!("{}: layer {}", self.source, descriptor.digest()))?;
            self.unverified.pop();
        }
        Ok(())
    }

    /// The damage that [`verify`](View::verify) finds, if there is any, instead of the `fault` that followed from it:
    /// damaged bytes may accuse anybody.
    #[must_use]
    pub fn damage_or(&mut self, fault: Error) -> Error {
        if !matches!(fault.kind(), Kind::Verification | Kind::Malformed | Kind::Key | Kind::Decision) {
            return fault;
        }
        let is_damage = |error: &Error| matches!(error.kind(), Kind::Verification | Kind::Malformed);
        self.verify().err().filter(is_damage).unwrap_or(fault)
    }
}

/// The entries of one layer, in the order of the archive.
pub struct LayerEntries<'a> {
    /// The layer, counted from the bottom.
    pub layer: usize,
    /// The entries at, above and below the wanted paths.
    pub entries: &'a [Entry],
    /// The first entry elsewhere, if there is one.
    pub stray: Option<&'a [u8]>,
}

/// What can be seen so far, while a view is read.
pub struct Partial<'a> {
    overlay: &'a Overlay,
    contents: &'a [Option<Extent>],
    /// The layer that was read last, counted from the bottom.
    pub layer: usize,
}

impl Partial<'_> {
    /// Whether something can be seen at `path`.
    pub fn shows(&self, path: &[u8]) -> bool {
        self.overlay.shows(path)
    }

    /// Whether a regular file can be seen at `path`.
    pub fn shows_file(&self, path: &[u8]) -> bool {
        self.overlay.file(path).is_some()
    }

    /// Reads a small regular file; `None` if none can be seen there.
    ///
    /// # Errors
    /// Input/output; files above `most` bytes are malformed.
    pub fn read_file(&self, path: &[u8], most: u64) -> Result<Option<Vec<u8>>> {
        let Some((size, layer, offset)) = self.overlay.file(path) else { return Ok(None) };
        if size > most {
            return Err(Error::malformed(format!("{size} bytes; at most {most} are read")).at(shown(path)));
        }
        let Some(contents) = self.contents.get(layer).and_then(Option::as_ref) else { return Ok(None) };
        let mut bytes = Vec::new();
        let mut reader = contents.part(offset, size).reader();
        io::Read::read_to_end(&mut reader, &mut bytes).doing("read the file").at(shown(path))?;
        Ok(Some(bytes))
    }
}

/// What of an image is read, and how far.
struct Scope<'a> {
    wanted: PathFilter,
    spool_dir: &'a Path,
    beyond_links: bool,
}

struct Reading<'a> {
    image: &'a Image,
    spool_dir: &'a Path,
    contents: Vec<Option<Extent>>,
    unverified: Vec<(Descriptor, Extent)>,
    /// What the layers that were read have something in, without an entry for it.
    implied: ImpliedDirs,
    /// The first path that did not matter when a layer was last read.
    stray: RefCell<Option<Box<[u8]>>>,
}

impl Reading<'_> {
    fn scan(&mut self, layer: usize, wanted: &PathFilter) -> Result<ScannedLayer> {
        let mut scanned = self.scan_once(layer, wanted)?;
        let mut wanted = wanted.clone();
        let mut chain = 0;
        while let Some(more) = targets_outside(&wanted, &scanned.entries) {
            chain += 1;
            if chain > MAX_LINK_CHAIN {
                return Err(Error::malformed(format!("hard links to hard links, more than {MAX_LINK_CHAIN} in a row")));
            }
            scanned = self.scan_once(layer, &more)?;
            wanted = more;
        }
        if let Some(extent) = scanned.unverified.take() {
            let descriptor = &self.image.layers()[layer];
            // A layer may be looked into more than once; one digest of it is enough.
            if self.unverified.iter().any(|(known, _)| known.digest() == descriptor.digest()) {
                scanned.contents = extent.unhashed();
            } else {
                self.unverified.push((descriptor.clone(), extent));
            }
        }
        Ok(scanned)
    }

    fn scan_once(&self, layer: usize, wanted: &PathFilter) -> Result<ScannedLayer> {
        let (descriptor, diff_id) = (&self.image.layers()[layer], &self.image.diff_ids()[layer]);
        tracing::debug!(layer, digest = %descriptor.digest(), "reading a layer");
        self.stray.replace(None);
        let matters = |path: &[u8]| {
            let matters = wanted.matters(path);
            if !matters && self.stray.borrow().is_none() {
                self.stray.replace(Some(path.into()));
            }
            matters
        };
        let scan = Scan::new(&matters, &self.implied).limited(self.image.max_files());
        scan_below(self.image.source(), descriptor, diff_id, self.spool_dir, scan)
    }

    /// What the layers below that of a hard link have at its target.
    fn view_below(&mut self, link: &Dangling) -> Result<Overlay> {
        let mut overlay = Overlay::new(PathFilter::new([&*link.target])).limited(self.image.max_files());
        let implied = self.implied.clone();
        for layer in (0..link.layer).rev() {
            let mut scanned = self.scan(layer, overlay.wanted())?;
            self.implied = std::mem::take(&mut scanned.implied);
            // The same layer is spooled anew when it is read for the view; keep what this link refers to apart.
            self.contents.push(Some(scanned.contents.clone()));
            let contents = self.contents.len() - 1;
            for further in overlay.push_lower(layer, contents, scanned.entries)? {
                let lower = self.view_below(&further)?;
                overlay.resolve(&further, lower)?;
            }
            if overlay.shows(&link.target) || overlay.is_complete() {
                break;
            }
        }
        self.implied = implied;
        Ok(overlay)
    }
}
