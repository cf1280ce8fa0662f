//! The last step of a stage that makes an image: the control layer, config, manifest, and the tag.

use super::labels::{Made, labels};
use super::load::Train;
use super::locate::{ENCRYPTED, Target};
use super::payload::write_control;
use super::report::{Bytes, Layers, Report};
use super::{World, paths};
use crate::error::{Error, Result};
use crate::image::layer::Meta;
use crate::image::{AddedLayer, Edit, LayerSink};
use crate::store::{Swept, TagChange};
use crate::train::{Stop, TrainConfig};

/// What a stage has made of a train.
pub(super) struct Outcome<'a> {
    pub(super) made: Made,
    pub(super) stop: &'a Stop,
    pub(super) base_layers: usize,
    pub(super) payload: AddedLayer,
    /// The config's bytes, and whether they are new.
    pub(super) document: &'a [u8],
    pub(super) config: &'a TrainConfig,
    pub(super) rewritten: bool,
}

impl Outcome<'_> {
    /// Publishes the image; everything has been checked by now.
    pub(super) fn publish(self, train: &mut Train, target: &mut Target, world: &World) -> Result<(Report, Swept)> {
        let now = world.now;
        let place = train.tree().get(paths::CONFIG);
        let meta = place.map_or_else(|| Meta::new(0o644, now), |node| node.meta.clone());
        let meta = if self.rewritten { meta.touched(now) } else { meta };
        let sink = LayerSink::new(&mut *target.destination, train.image.family())?;
        let creator_key = self.config.creator().encrypted_key.as_deref();
        let control = write_control(sink, (self.document, &meta), creator_key, now)?;
        let digest = (self.made == Made::PreRun).then(|| train.config_digest());
        let edit = Edit {
            keep: self.base_layers,
            added: vec![
                (self.payload.clone(), format!("pht-oci {}: payload", self.made.verb())),
                (control, format!("pht-oci {}: control", self.made.verb())),
            ],
            labels: labels(self.made, &train.image.diff_ids()[..self.base_layers], Some(self.stop), digest),
            settings: Vec::new(),
            created: rfc3339(now)?,
        };
        let image = edit.write(&train.image, &mut *target.destination)?;
        // The layers that were read are verified by now or here: nothing unverified is published.
        train.view.verify()?;
        let tags = self.tags(train, target, &image.descriptor);
        let swept = target.destination.publish(&tags, self.sweeps(target))?;
        let report = Report {
            stage: self.made.verb(),
            station: Some(self.stop.station.to_string()),
            wire: train.config.wire().name(),
            source: train.name(),
            destination: format!("{}:{}", target.destination.name(), target.tag),
            digest_before: Some(train.image.descriptor().digest().to_string()),
            digest_after: Some(image.descriptor.digest().to_string()),
            layers: layers_of(train, &edit),
            bytes: Bytes {
                read: train.image.source().bytes_read(),
                written: target.destination.bytes_written(),
                transferred: image.copied,
            },
            ..Report::default()
        };
        Ok((report, swept))
    }

    /// After post-run in place nothing of the plaintext may stay, not even what another run has left.
    fn sweeps(&self, target: &Target) -> bool {
        self.made == Made::PostRun && target.in_place
    }

    fn tags(&self, train: &Train, target: &Target, new: &oci_spec::image::Descriptor) -> Vec<TagChange> {
        let aside = format!("{}{ENCRYPTED}", target.tag);
        let mut changes = vec![TagChange::Set {
            tag: target.tag.clone(),
            descriptor: Box::new(new.clone()),
            replaces: target.replaces.clone(),
        }];
        match self.made {
            // So that a run that failed can be started again.
            Made::PreRun if target.in_place => {
                let descriptor = Box::new(train.image.listed().descriptor.clone());
                changes.push(TagChange::Set { tag: aside, descriptor, replaces: None });
            }
            Made::PostRun if target.in_place => changes.push(TagChange::Drop { tag: aside }),
            _ => {}
        }
        changes
    }
}

fn layers_of(train: &Train, edit: &Edit) -> Layers {
    let digest = |descriptor: &oci_spec::image::Descriptor| descriptor.digest().to_string();
    Layers {
        added: edit.added_digests(),
        dropped: train.image.layers()[edit.keep..].iter().map(digest).collect(),
        reused: edit.keep,
    }
}

/// A time as image configs have it (RFC 3339).
pub(super) fn rfc3339(seconds: i64) -> Result<String> {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok())
        .ok_or_else(|| Error::usage(format!("{seconds} seconds after 1970 is no time that can be written")))
}
