use super::parts::load::{Depth, Train};
use crate::error::{Advice, Error, ErrorContext, Result};
use crate::image::{
    Area, Attribute, Change, Difference, FileRecord, FileRecordKind, Image, LayerChange, compare_configs,
    compare_files, open_image, snapshot, snapshot_above,
};
use crate::path::{is_below, shown};
use crate::store::{Context, Reference};
use crate::tar::EntryKind;
use crate::text::Printable;
use crate::train::{Source, TrainConfig, paths};

/// The image that a train is compared with.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Master<'a> {
    /// This one.
    Image(&'a Reference),
    /// The empty image.
    Scratch,
    /// The one that the train's own config names as its `source`, in its registry.
    Named,
}

/// A request to compare a train with its master image.
#[non_exhaustive]
pub struct ValidateRequest<'a> {
    /// The train.
    pub source: &'a Reference,
    /// Its master image.
    pub master: Master<'a>,
}

impl<'a> ValidateRequest<'a> {
    /// A train against its master image.
    pub fn new(source: &'a Reference, master: Master<'a>) -> Self {
        ValidateRequest { source, master }
    }
}

/// By what means a train was held against its master image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Its lowest layers are the master image's, by their digests, and those above touch what a train may touch alone.
    Layers,
    /// Every file of both images was read.
    Files,
}

impl Method {
    /// The stable name in reports: `layers` or `files`.
    pub fn name(self) -> &'static str {
        match self {
            Method::Layers => "layers",
            Method::Files => "files",
        }
    }
}

/// The differences between a train and its master image.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Validation {
    /// The train.
    pub source: String,
    /// Its manifest's digest.
    pub digest: String,
    /// The wire version.
    pub wire: &'static str,
    /// The master image.
    pub master: String,
    /// Its manifest's digest; `None` for the empty image.
    pub master_digest: Option<String>,
    /// The method of the comparison.
    pub method: Method,
    /// The number of layers of the train.
    pub layers: usize,
    /// The number of them, from the bottom, that are the master image's.
    pub common_layers: usize,
    /// The number of these that were not read: their digests alone bind them.
    pub unread_layers: usize,
    /// Every difference that a train may not have: files in walk order, then the config's fields.
    pub differences: Vec<Difference>,
    /// Bytes read from both images.
    pub read: u64,
    /// Conditions that the person should know about; nothing failed.
    pub warnings: Vec<String>,
}

impl Validation {
    /// True if the train differs from its master image only in its own files.
    pub fn is_valid(&self) -> bool {
        self.differences.is_empty()
    }

    /// [`is_valid`](Self::is_valid), or an error.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if there is a difference.
    pub fn require_ok(&self) -> Result<()> {
        let Some(first) = self.differences.first() else { return Ok(()) };
        let more = match self.differences.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let what = format!(
            "the train differs from its master image ({}) outside its own files: {} was {}{more}",
            self.master,
            first.subject,
            first.change.name()
        );
        let hint = "do not run the train; have it built anew on the master image, or name the one that it was built on";
        Err(Error::verification(what).hint(hint).at(&self.source))
    }
}

/// Holds a train against its master image. It may differ in `/opt/pht_train`, `/opt/pht_results`,
/// `/opt/train_config.json` and `/opt/user_sym_key.key`, and its config in command, labels, history, layers and times.
///
/// Where its lowest layers are the master's by their digests, no layer of the master is read; those that were
/// compressed anew are read through, for their contents have to be what their digests promise. Where layers differ (an
/// image that was squashed or built anew), or one above them change anything else, all files of both images are
/// compared as all layers together show them: type, mode, owner, contents, target, extended attributes and ACLs.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if it is not known which the master image is;
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no train, and for whatever cannot be read: what was
/// not compared does not pass. A difference is no error but a finding.
pub fn validate(request: &ValidateRequest<'_>, context: &Context) -> Result<Validation> {
    let mut train = Train::load(open_image(request.source, context)?, &context.temporary, Depth::Config)?;
    train.view.verify()?;
    compare_with(&train, request.master, context)
}

/// [`validate`] of a train that has been read.
pub(super) fn compare_with(train: &Train, master: Master<'_>, context: &Context) -> Result<Validation> {
    let image = &train.image;
    // The master image of the train's platform, where there are several.
    let context = Context { platform: context.platform.clone().or_else(|| image.platform()), ..context.clone() };
    let is_scratch = matches!(master, Master::Scratch);
    let (name, master, warning) = open_master(master, &train.config, &context)?;
    let common = image.diff_ids().iter().zip(master.diff_ids()).take_while(|(own, masters)| own == masters).count();
    let (method, mut differences) =
        if image.is_based_on(&master) && touches_only_its_own(image, &master).at(train.name())? {
            (Method::Layers, Vec::new())
        } else {
            tracing::info!("comparing file by file");
            (Method::Files, compare(&snapshot(&master)?, &snapshot(image)?))
        };
    differences.extend(compare_configs(master.config(), image.config(), &["Cmd", "Labels"]));
    Ok(Validation {
        source: train.name(),
        digest: image.descriptor().digest().to_string(),
        wire: train.config.wire().name(),
        master: name,
        master_digest: (!is_scratch).then(|| master.descriptor().digest().to_string()),
        method,
        layers: image.layers().len(),
        common_layers: common,
        unread_layers: if method == Method::Layers { unread(image, &master) } else { 0 },
        differences,
        read: image.source().bytes_read() + master.source().bytes_read(),
        warnings: warning.into_iter().chain(train.lacks_layer()).collect(),
    })
}

fn open_master(master: Master<'_>, config: &TrainConfig, context: &Context) -> Result<(String, Image, Option<String>)> {
    match master {
        Master::Image(reference) => Ok((reference.to_string(), open_image(reference, context)?, None)),
        Master::Scratch => Ok(("scratch".to_owned(), Image::scratch(context.platform.as_ref()), None)),
        Master::Named => {
            let reference = named_by(config.source()).at("the train config's source")?;
            let warning =
                format!("the train itself names {reference} as its master image; nobody else vouches for that");
            Ok((reference.to_string(), open_image(&reference, context)?, Some(warning)))
        }
    }
}

/// The master image that a train names: in a registry, never a file of this machine that a stranger has chosen.
fn named_by(source: &Source) -> Result<Reference> {
    let is_image = source.kind == "docker_repository";
    let place = source.address.strip_prefix("docker://").unwrap_or(&source.address);
    if !is_image || matches!(place, "" | "scratch") || Reference::is_local(&source.address) {
        let what = format!(
            "`{}` ({}) is not an image in a registry",
            Printable::new(&source.address),
            Printable::new(&source.kind)
        );
        return Err(Error::usage(what).advise(Advice::NameMaster));
    }
    let tag = source.tag.as_deref().map(|tag| format!(":{tag}")).unwrap_or_default();
    format!("docker://{place}{tag}").parse().map_err(|error: Error| error.advise(Advice::NameMaster))
}

/// The number of the master's layers that nobody reads, since both images name the same blobs.
fn unread(image: &Image, master: &Image) -> usize {
    image.layers().iter().zip(master.layers()).filter(|(own, masters)| own.digest() == masters.digest()).count()
}

/// True if what lies above the master's layers change nothing but what a train may touch. The master's own
/// layers are read where they are not the blobs that the master has.
fn touches_only_its_own(image: &Image, master: &Image) -> Result<bool> {
    for (layer, masters) in master.layers().iter().enumerate() {
        let (own, diff_id) = (image.layers()[layer].digest(), &image.diff_ids()[layer]);
        // Of a plain layer the blob's digest is the diff ID.
        if own != masters.digest() && own != diff_id {
            let _compression = image.ensure_layer(layer)?;
        }
    }
    let mut only_its_own = true;
    let above = snapshot_above(image, master.layers().len(), &mut |change| only_its_own &= is_its_own(change));
    // What is wrong with these layers is found again, and said, where all layers are read.
    Ok(only_its_own && above.is_ok_and(|above| above.iter().all(|seen| misplaced(seen, &above).is_none())))
}

/// True if a train's layers may do what this entry of a layer does.
pub(super) fn is_its_own(change: LayerChange<'_>) -> bool {
    match change {
        LayerChange::Removed(path) | LayerChange::Emptied(path) => is_free(path),
        LayerChange::Entry(path, EntryKind::HardLink(target)) => is_free(path) && is_free(target),
        LayerChange::Entry(b"" | paths::OPT | paths::TRAIN | paths::RESULTS, kind) => *kind == EntryKind::Directory,
        LayerChange::Entry(paths::CONFIG | paths::USER_KEY, kind) => *kind == EntryKind::File,
        LayerChange::Entry(path, _) => is_free(path),
    }
}

/// True if a train may have something of its own at `path`.
fn is_free(path: &[u8]) -> bool {
    let below = |dir| path == dir || is_below(path, dir);
    matches!(path, paths::CONFIG | paths::USER_KEY) || below(paths::TRAIN) || below(paths::RESULTS)
}

fn compare(master: &[FileRecord], train: &[FileRecord]) -> Vec<Difference> {
    let mut differences = compare_files(master, train, |path| !is_free(path));
    // The directory on the way may be new, and its mode and owner are the train's.
    let opt = shown(paths::OPT).to_string();
    differences.retain(|found| {
        let is_other =
            found.change == Change::Removed || found.attributes.iter().any(|attribute| attribute.name == "type");
        found.subject != opt || is_other
    });
    differences.extend(train.iter().filter_map(|seen| misplaced(seen, train)));
    differences
}

/// The fault of something at a path that a train may use.
fn misplaced(seen: &FileRecord, train: &[FileRecord]) -> Option<Difference> {
    let attribute = match (&*seen.path, &seen.kind) {
        (paths::OPT | paths::TRAIN | paths::RESULTS, FileRecordKind::Directory) => return None,
        (paths::OPT | paths::TRAIN | paths::RESULTS, other) => Attribute::new("type", "a directory", other.name()),
        (path, FileRecordKind::File { first_name: Some(first), .. }) => {
            let first = &train[*first].path;
            if is_free(path) == is_free(first) {
                return None;
            }
            // To write to one is to write to the other.
            Attribute::new("hard-link", "", shown(first).to_string())
        }
        (paths::CONFIG | paths::USER_KEY, FileRecordKind::File { .. }) => return None,
        (paths::CONFIG | paths::USER_KEY, other) => Attribute::new("type", "a regular file", other.name()),
        _ => return None,
    };
    let subject = shown(&seen.path).to_string();
    Some(Difference { area: Area::Files, subject, change: Change::Changed, attributes: vec![attribute] })
}
