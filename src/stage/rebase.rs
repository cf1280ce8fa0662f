use super::parts::as_built::as_built_tags;
use super::parts::base::BaseOrigin;
use super::parts::checks::{ensure_config, ensure_immutable, ensure_results_kinds, result_files, with_all_layers};
use super::parts::labels::{ImageState, Labels, labels};
use super::parts::load::{Depth, Train};
use super::parts::openness::{SignOfPlaintext, has_signed_results, sign_of_plaintext};
use super::parts::payload::{PayloadWriter, Transform, transform, write_control};
use super::parts::report::Report;
use super::parts::request::VerificationPolicy;
use super::parts::space::{ensure_stage, size_below};
use super::post_run::changes_elsewhere;
use super::validate::is_its_own;
use crate::error::{Advice, Error, ErrorContext, Result};
use crate::image::{
    AddedLayer, BytesMoved, Edit, Image, ImageReport, LayerCounts, LayerSink, PendingTarget, Target, layer_changes,
    open_image, rfc3339,
};
use crate::path::shown;
use crate::store::{Context, Reference, TagChange, spool_dir};
use crate::tar::Meta;
use crate::text::counted;
use crate::train::{Check, paths};

/// A request to put a train on a newer master image.
#[non_exhaustive]
pub struct RebaseRequest<'a> {
    /// The train, closed: as built, or as a station's post-run left it.
    pub source: &'a Reference,
    /// The destination; in place if absent.
    pub destination: Option<&'a Reference>,
    /// The new master image.
    pub base: &'a Reference,
    /// The image that the train was built on, if labels do not tell.
    pub old_base: Option<&'a Reference>,
    /// The policy that the train has to meet.
    pub policy: VerificationPolicy<'a>,
}

impl<'a> RebaseRequest<'a> {
    /// In place, onto this master image.
    pub fn new(source: &'a Reference, base: &'a Reference) -> Self {
        RebaseRequest { source, destination: None, base, old_base: None, policy: VerificationPolicy::default() }
    }
}

/// Puts a train on a newer master image, as building it anew on that would: layers, environment, entry point and
/// history are the new image's; the command, labels and annotations of its own are the train's. Above the new layers
/// come its payload and its control layer, whose contents stay as they are, encrypted. Nothing else of the old image is
/// taken along, and what the train's layers changed elsewhere is named.
///
/// A train of wire 3 cannot be rebased, for its creator has signed the base; nor can one that is open: it is rebased
/// between two stations. Published as `latest` it is the tag `base` as well, as a train that was just built: the
/// reference puts the files of a later state on that.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if the train is not based on the old image, or cannot go on the new one;
/// [`Kind::Verification`](crate::error::Kind::Verification) if a signature does not hold, or it is open. Then nothing has changed.
pub fn rebase(request: &RebaseRequest<'_>, context: &Context) -> Result<Report> {
    let pending = PendingTarget::open(request.source, request.destination, context)?;
    let image = open_image(request.source, context)?;
    let mut target = pending.resolve(request.source, request.destination, &image)?;
    let spool = spool_dir(&target.reference, context);
    if Labels::read(&image).state == Some(ImageState::PreRun) {
        return Err(is_open("its labels say that pre-run opened it")).at(request.source);
    }
    // Bases of the train's platform, where there are several.
    let of_train = Context { platform: context.platform.clone().or_else(|| image.platform()), ..context.clone() };
    let old_image = request.old_base.map(|old| open_image(old, &of_train)).transpose()?;
    let base = open_base(request.base, &of_train)?;
    let old = OldBase::find(request.old_base, old_image.as_ref(), &image)?;
    let mut train = Train::load(image, &spool, Depth::ListedFiles(old.layers))?;
    let name = train.name();
    request.policy.ensure_wire(&train.config).at(&name)?;
    ensure_is_free(&train).at(&name)?;
    old.ensure_holds_no_train(&train).at(&name)?;
    let mut rebase = Rebase { request, context, old, old_image, base };
    with_all_layers(&mut train, &spool, |train| rebase.attempt(train, &mut target)).at(name)
}

fn open_base(reference: &Reference, context: &Context) -> Result<Image> {
    let base = open_image(reference, context)?;
    if Labels::read(&base).state.is_some() {
        let hint = "give the new master image, without a train";
        return Err(Error::usage("the image is a train itself").hint(hint).at(reference));
    }
    Ok(base)
}

/// Where the creator has signed the base there is no other.
fn ensure_is_free(train: &Train) -> Result<()> {
    let wire = train.config.wire();
    match train.config.form().base() {
        None => Ok(()),
        Some(_) => {
            let what = format!("a train of wire {} cannot be rebased: its creator has signed the base", wire.name());
            Err(Error::usage(what).hint("have the creator build the train anew on the new base"))
        }
    }
}

fn is_open(why: &str) -> Error {
    let what = format!("the train is open ({why}): its files are in plaintext");
    Error::verification(what).hint("rebase the train before pre-run or after post-run")
}

/// The layers of what the train was built on.
struct OldBase {
    layers: usize,
    found: BaseOrigin,
}

impl OldBase {
    /// By what was given, by labels, or by content: the highest layer that changes what is no train's business.
    fn find(reference: Option<&Reference>, given: Option<&Image>, image: &Image) -> Result<Self> {
        if let (Some(reference), Some(given)) = (reference, given) {
            if !image.is_based_on(given) {
                let error = Error::usage("the train is not based on this image").advise(Advice::CheckOldBase);
                return Err(error.at(reference));
            }
            return Ok(OldBase { layers: given.layers().len(), found: BaseOrigin::Given });
        }
        if let Some(layers) = Labels::read(image).base_layers {
            return Ok(OldBase { layers, found: BaseOrigin::Labels });
        }
        let mut layers = image.layers().len();
        while layers > 0 {
            let mut only_its_own = true;
            layer_changes(image, layers - 1, &mut |change| only_its_own &= is_its_own(change))?;
            if !only_its_own {
                break;
            }
            layers -= 1;
        }
        Ok(OldBase { layers, found: BaseOrigin::Content })
    }

    /// Told by content, what is left in lower layers must be no part of the train.
    fn ensure_holds_no_train(&self, train: &Train) -> Result<()> {
        if self.found == BaseOrigin::Content && train.view.lowest < self.layers {
            let what = format!(
                "the train's base is unknown: layer {} of {} holds files of the train and others",
                self.layers,
                train.image.layers().len()
            );
            return Err(Error::usage(what).advise(Advice::GiveOldBase));
        }
        Ok(())
    }
}

struct Rebase<'a> {
    request: &'a RebaseRequest<'a>,
    context: &'a Context,
    old: OldBase,
    old_image: Option<Image>,
    base: Image,
}

impl Rebase<'_> {
    fn attempt(&mut self, train: &mut Train, target: &mut Target) -> Result<Report> {
        let mut checks = ensure_config(train, self.request.policy)?;
        checks.extend(ensure_is_closed(train)?);
        ensure_results_kinds(train.tree())?;
        let checks = self.request.policy.enforce(checks)?;
        let size = [paths::RESULTS, paths::TRAIN].map(|root| size_below(train.tree(), root)).iter().sum();
        ensure_stage(&*target.destination, &self.base, self.base.layers().len(), size)?;
        let payload = self.write_payload(train, target)?;
        let control = self.write_control(train, target)?;
        train.view.verify()?;
        let mut report = self.publish(train, target, payload, control)?;
        report.checks = checks;
        report.warnings.extend(self.request.policy.warnings_of_others());
        Ok(report)
    }

    fn write_payload(&self, train: &Train, target: &mut Target) -> Result<AddedLayer> {
        let sink = LayerSink::new(&mut *target.destination, self.base.format())?;
        let mut payload = PayloadWriter::new(sink, train.config.wire(), train.tree(), self.context.now)?;
        for root in [paths::RESULTS, paths::TRAIN] {
            payload.begin(root, train.tree())?;
            transform(train.tree(), root, Transform::Keep, None, payload.sink())?;
        }
        payload.finish()
    }

    fn write_control(&self, train: &Train, target: &mut Target) -> Result<AddedLayer> {
        let now = self.context.now;
        let meta = train.tree().get(paths::CONFIG).map_or_else(|| Meta::new(0o644, now), |node| node.meta.clone());
        let sink = LayerSink::new(&mut *target.destination, self.base.format())?;
        write_control(sink, &train.config, &train.document, &meta, now)
    }

    fn publish(
        &mut self,
        train: &Train,
        target: &mut Target,
        payload: AddedLayer,
        control: AddedLayer,
    ) -> Result<Report> {
        self.base.inherit_metadata(&train.image, self.old_image.as_ref());
        let keep = self.base.layers().len();
        let edit = Edit {
            apart: false,
            keep,
            added: vec![
                (payload, "pht-oci rebase: payload".to_owned()),
                (control, "pht-oci rebase: control".to_owned()),
            ],
            labels: labels(ImageState::Rebased, self.base.diff_ids(), None, None),
            settings: Vec::new(),
            without_volumes: Vec::new(),
            execution: None,
            for_engine: false,
            created: rfc3339(self.context.now)?,
        };
        let image = edit.write(&self.base, &mut *target.destination)?;
        let set = TagChange::Set {
            tag: target.tag.clone(),
            descriptor: Box::new(image.descriptor.clone()),
            replaces: target.replaces.clone(),
        };
        let tags = as_built_tags(&image, set, &mut *target.destination)?;
        let collected = target.destination.publish(&tags, target.unreached())?;
        let kept = |layer: &&oci_spec::image::Descriptor| !self.base.layers().contains(layer);
        let digest = |layer: &oci_spec::image::Descriptor| layer.digest().to_string();
        let image = ImageReport {
            source: train.name(),
            destination: target.shown(),
            digest_before: Some(train.image.descriptor().digest().to_string()),
            digest_after: Some(image.descriptor.digest().to_string()),
            layers: LayerCounts {
                added: edit.added_digests(),
                dropped: train.image.layers().iter().filter(kept).map(digest).collect(),
                reused: keep,
            },
            bytes: BytesMoved {
                read: train.image.source().bytes_read() + self.base.source().bytes_read(),
                written: target.destination.bytes_written(),
                transferred: image.copied,
            },
        };
        let (stage, wire) = (ImageState::Rebased.verb(), Some(train.config.wire().name()));
        let mut report = Report { stage, wire, image, ..Report::default() };
        let (old, found) = (self.old.layers, self.old.found.name());
        report.notes.push(format!("old base: {} (from {found})", counted(old as u64, "layer")));
        if let Some(paths) = changes_elsewhere(train, old) {
            report.warnings.push(format!("changes of the train's layers elsewhere were dropped: {paths}"));
        }
        report.notes.extend(collected.note());
        Ok(report)
    }
}

/// What is published must be encrypted, as far as can be told without a key.
fn ensure_is_closed(train: &Train) -> Result<Vec<Check>> {
    let has_signed = train.config.route_state()?.last_signed().is_some();
    let results = result_files(train.tree(), Transform::Keep)?;
    if let Some(first) = results.first().filter(|_| !has_signed) {
        let what = format!("{} found, but no station has signed yet", counted(results.len() as u64, "result"));
        let hint = "if the train is open, finish its stage first; if the results were built in, build the train anew on the new base";
        return Err(Error::verification(what).hint(hint).at(shown(&[paths::RESULTS, b"/", &first.path].concat())));
    }
    if let Some(SignOfPlaintext { what, place }) = sign_of_plaintext(train)? {
        let error = is_open(what);
        return Err(place.iter().fold(error, |error, place| error.at(place)));
    }
    if has_signed_results(train)? {
        return Err(is_open("the results are the ones that the last station signed"));
    }
    if train.config.wire().encrypts_train() { Ok(Vec::new()) } else { ensure_immutable(train, Transform::Keep) }
}
