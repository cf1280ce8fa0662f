//! The last step of a stage that makes an image: the control layer, config, manifest, and the tag.

use std::path::Path;

use super::labels::{Apart, ImageState, Labels, ResultsOutside, labels, opened_apart, results_outside};
use super::load::{Depth, Train};
use super::payload::write_control;
use super::report::Report;
use super::volumes::volumes_of;
use crate::error::{Advice, Error, Result};
use crate::image::{AddedLayer, BytesMoved, Edit, ImageReport, LayerCounts, LayerSink, Target, open_image, rfc3339};
use crate::store::tag::{ENCRYPTED_SUFFIX, LATEST};
use crate::store::{Context, Digest, GcStats, Reference, TagChange, Unreached};
use crate::tar::Meta;
use crate::text::Printable;
use crate::train::{SignedImage, Stop, TrainConfig, paths};

/// The result of a stage.
pub(in crate::stage) struct StageOutput<'a> {
    pub(in crate::stage) state: ImageState,
    pub(in crate::stage) stop: &'a Stop,
    pub(in crate::stage) base_layers: usize,
    pub(in crate::stage) payload: AddedLayer,
    /// The config's bytes, and whether they are new.
    pub(in crate::stage) document: &'a [u8],
    pub(in crate::stage) config: &'a TrainConfig,
    pub(in crate::stage) rewritten: bool,
    /// If the base layers stay where they are: the new image is whole only together with the old one.
    pub(in crate::stage) apart: Option<Apart<'a>>,
    /// What becomes of the blobs that nothing reaches any more.
    pub(in crate::stage) unreached: Unreached,
    /// Opened images of the same train, without a tag, that go with it.
    pub(in crate::stage) forgotten: Vec<Digest>,
    /// Where the results are, if they are not in the image.
    pub(in crate::stage) results_outside: Option<ResultsOutside>,
}

impl StageOutput<'_> {
    /// Publishes the image; everything has been checked by now.
    pub(in crate::stage) fn publish(
        self,
        train: &mut Train,
        target: &mut Target,
        context: &Context,
    ) -> Result<(Report, GcStats)> {
        let now = context.now;
        let place = train.tree().get(paths::CONFIG);
        let meta = place.map_or_else(|| Meta::new(0o644, now), |node| node.meta.clone());
        let meta = if self.rewritten { meta.touched(now) } else { meta };
        let sink = LayerSink::new(&mut *target.destination, train.image.format())?;
        let control = write_control(sink, self.config, self.document, &meta, now)?;
        let digest = (self.state == ImageState::PreRun).then(|| train.config_digest());
        let mut stage_labels = labels(self.state, &train.image.diff_ids()[..self.base_layers], Some(self.stop), digest);
        stage_labels.extend(self.results_outside.iter().flat_map(results_outside));
        if let Some(apart) = self.apart {
            stage_labels.extend(opened_apart(apart, train.image.left_out().is_empty()));
        }
        let edit = Edit {
            keep: self.base_layers,
            added: vec![
                (self.payload.clone(), format!("pht-oci {}: payload", self.state.verb())),
                (control, format!("pht-oci {}: control", self.state.verb())),
            ],
            labels: stage_labels,
            settings: Vec::new(),
            without_volumes: self.without_volumes(train),
            // Committing an image adds to its config.
            execution: self.config.form().image().map(SignedImage::to_image_config),
            for_engine: self.is_for_engine(),
            apart: self.apart.is_some(),
            created: rfc3339(now)?,
        };
        let image = edit.write(&train.image, &mut *target.destination)?;
        // The layers that were read are verified by now or here: nothing unverified is published.
        train.view.verify()?;
        let tags = self.tags(train, target, &image.descriptor);
        let collected = target.destination.publish(&tags, self.unreached)?;
        let image = ImageReport {
            source: train.name(),
            destination: target.shown(),
            digest_before: Some(train.image.descriptor().digest().to_string()),
            digest_after: Some(image.descriptor.digest().to_string()),
            layers: layer_changes(train, &edit),
            bytes: BytesMoved {
                read: train.image.source().bytes_read(),
                written: target.destination.bytes_written(),
                transferred: image.copied,
            },
        };
        let volumes = edit.without_volumes.iter();
        let note = |volume| {
            format!(
                "the volume {} is not declared any more: what is written there would stay outside of the container",
                Printable::new(volume)
            )
        };
        let report = Report {
            notes: volumes.map(note).collect(),
            stage: self.state.verb(),
            station: Some(self.stop.station.to_string()),
            wire: Some(train.config.wire().name()),
            image,
            ..Report::default()
        };
        Ok((report, collected))
    }

    /// Volumes for which nobody has signed. Engines put them over what is there, through links of the base as well, and
    /// committing a container leaves out what is in them.
    fn without_volumes(&self, train: &Train) -> Vec<String> {
        let is_signed = self.config.form().image().is_some();
        if self.state == ImageState::PreRun && !is_signed { volumes_of(train.image.config()) } else { Vec::new() }
    }

    fn tags(&self, train: &Train, target: &Target, new: &oci_spec::image::Descriptor) -> Vec<TagChange> {
        let strip = self.is_for_engine().then(|| TagChange::Strip { tag: target.tag.clone() });
        let aside = format!("{}{ENCRYPTED_SUFFIX}", target.tag);
        let mut changes = vec![TagChange::Set {
            tag: target.tag.clone(),
            descriptor: Box::new(new.clone()),
            replaces: target.replaces.clone(),
        }];
        match self.state {
            // So that a run that failed can be started again.
            ImageState::PreRun if target.in_place => {
                let descriptor = Box::new(train.image.listed().descriptor.clone());
                changes.push(TagChange::Set { tag: aside, descriptor, replaces: None });
            }
            ImageState::PostRun if target.in_place => changes.push(TagChange::Drop { tag: aside }),
            _ => {}
        }
        changes.extend(strip);
        changes.extend(self.forgotten.iter().map(|digest| TagChange::Forget { digest: digest.clone() }));
        changes
    }

    /// Whether the image is to be run, and the wire version says what an engine may get.
    fn is_for_engine(&self) -> bool {
        self.state == ImageState::PreRun && self.config.form().image().is_some()
    }
}

fn layer_changes(train: &Train, edit: &Edit) -> LayerCounts {
    let digest = |descriptor: &oci_spec::image::Descriptor| descriptor.digest().to_string();
    LayerCounts {
        added: edit.added_digests(),
        dropped: train.image.layers()[edit.keep..].iter().map(digest).collect(),
        reused: edit.keep,
    }
}

/// What is to be said of the train whose place an image has taken at the destination: that it [was there](what_is_there).
pub(in crate::stage) fn what_is_replaced(
    target: &Target,
    train: &Train,
    stop: &Stop,
    context: &Context,
) -> Option<String> {
    let what = what_is_there(target, train, stop, context)?;
    Some(format!("`{}` held {what}: it is replaced", Printable::new(&target.tag)))
}

/// The train whose place an image will take at the destination: another train, this very stop, signed, or an opened one in
/// which a train has run. Without a journal nobody else says so. Of what is in a registry nothing is asked.
pub(in crate::stage) fn what_is_there(
    target: &Target,
    train: &Train,
    stop: &Stop,
    context: &Context,
) -> Option<String> {
    if target.in_place || target.reference.is_shared() {
        return None;
    }
    let image = open_image(&target.reference.with_tag(Some(target.tag.clone())), context).ok()?;
    let labels = Labels::read(&image);
    let has_run = labels.layers_of_run(&image).is_some_and(|of_run| of_run > 0);
    let there = Train::load(image, &context.temporary, Depth::Config).ok()?;
    let is_signed = |other: &Stop| other.index == stop.index && other.signature.is_some();
    Some(if there.config.hash() != train.config.hash() {
        format!("another train, {}", Printable::new(there.config.id()))
    } else if has_run {
        "this train with what a run had added to it".to_owned()
    } else if labels.state == Some(ImageState::PreRun) && labels.results_outside {
        "this train as pre-run had opened it, with results in a directory, which stays as it is, in plaintext"
            .to_owned()
    } else if there.config.route().stops().iter().any(is_signed) {
        "the train as this stop has signed it".to_owned()
    } else {
        return None;
    })
}

/// Refuses to open a train in place in a registry: its plaintext would take the place of the train for all to fetch.
pub(in crate::stage) fn ensure_not_in_registry(source: &Reference, destination: Option<&Reference>) -> Result<()> {
    if !source.is_shared() {
        return Ok(());
    }
    let tag = |reference: &Reference| reference.tag().unwrap_or(LATEST).to_owned();
    let same = destination.is_none_or(|destination| {
        let keeps_tag = destination.tag().is_none() || tag(destination) == tag(source);
        source.is_same_place(destination) && keeps_tag
    });
    let what = "pre-run would publish plaintext in the registry";
    if same { Err(open_elsewhere(what, source).at(source)) } else { Ok(()) }
}

/// Refuses to open a train in place in an archive, which is what is carried on, on a stick perhaps. Who wants it opened
/// there names the archive as DEST, too.
pub(in crate::stage) fn ensure_not_in_archive(source: &Reference, destination: Option<&Reference>) -> Result<()> {
    if destination.is_some() || !source.path().is_some_and(Path::is_file) {
        return Ok(());
    }
    Err(open_elsewhere("pre-run would put plaintext into the archive, which is what travels", source))
}

fn open_elsewhere(what: &str, source: &Reference) -> Error {
    Error::usage(what).advise(Advice::PreRunTo { source: source.absolute() })
}
