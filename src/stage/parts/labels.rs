//! The labels that carry an image's base through `docker commit` and `podman commit`. They are hints about layers,
//! never a reason to trust content.

use oci_spec::image::Digest;

use super::load::Train;
use crate::image::{Image, chain_id};
use crate::train::Stop;

const STAGE: &str = "de.personalhealthtrain.stage";
const BASE_LAYERS: &str = "de.personalhealthtrain.base-layers";
const BASE_CHAIN: &str = "de.personalhealthtrain.base-chain";
const STATION: &str = "de.personalhealthtrain.station";
const CONFIG_DIGEST: &str = "de.personalhealthtrain.config-digest";
const RESULTS: &str = "de.personalhealthtrain.results";
/// The value of [`RESULTS`] where pre-run wrote them into a directory.
const OUTSIDE: &str = "outside";
/// What tells that directory from others: device and inode.
const RESULTS_DIRECTORY: &str = "de.personalhealthtrain.results-directory";
/// What tells the results in it as pre-run has left them from others.
const RESULTS_BEFORE: &str = "de.personalhealthtrain.results-before";
/// The image whose base an image goes without that was opened for a run; absent if the train itself came without it.
const OPENED_FROM: &str = "de.personalhealthtrain.opened-from";
/// The value of [`APPROVAL`] where nothing leaves that nobody has approved.
const REQUIRED: &str = "required";
const APPROVAL: &str = "de.personalhealthtrain.approval";

/// The stage that made an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stage) enum ImageState {
    Built,
    PreRun,
    PostRun,
    Rebased,
}

impl ImageState {
    /// The name of the command, as in `post-run`.
    pub(in crate::stage) fn verb(self) -> &'static str {
        if self == ImageState::Built { "build" } else { self.name() }
    }

    pub(in crate::stage) fn name(self) -> &'static str {
        match self {
            ImageState::Built => "built",
            ImageState::PreRun => "pre-run",
            ImageState::PostRun => "post-run",
            ImageState::Rebased => "rebase",
        }
    }
}

/// The labels of an image, as far as they fit its layers.
#[derive(Debug, Clone, Default)]
pub(in crate::stage) struct Labels {
    /// The stage that made the image, or an image that it was committed from.
    pub(in crate::stage) state: Option<ImageState>,
    /// The number of layers of the train as built.
    pub(in crate::stage) base_layers: Option<usize>,
    station: Option<String>,
    config_digest: Option<String>,
    /// True if pre-run wrote the previous results into a directory instead of the image.
    pub(in crate::stage) results_outside: bool,
    /// The [identity](crate::store::fs::identity) of that directory.
    pub(in crate::stage) results_directory: Option<String>,
    /// What tells the results in it as pre-run has left them: the [digest](super::results_before::ResultsBefore::digest).
    pub(in crate::stage) results_before: Option<String>,
    /// The image that has the base, where the opened one goes without it.
    pub(in crate::stage) opened_from: Option<String>,
    /// True if the results were held for a person to approve.
    pub(in crate::stage) needs_approval: bool,
}

/// An image that is opened for a run: its base stays in the encrypted one.
#[derive(Debug, Clone, Copy)]
pub(in crate::stage) struct Apart<'a> {
    /// The encrypted image.
    pub(in crate::stage) from: &'a str,
    /// Whether the results will be held for a person to approve.
    pub(in crate::stage) hold: bool,
}

impl Labels {
    /// Reads the labels; those of another base are as good as missing.
    pub(in crate::stage) fn read(image: &Image) -> Self {
        let fitting = |layers: &usize| {
            let chain = image.chain_id(*layers).map(|chain| chain.to_string()).unwrap_or_default();
            *layers <= image.layers().len() && image.label(BASE_CHAIN) == Some(&chain)
        };
        let base_layers = image.label(BASE_LAYERS).and_then(|text| text.parse().ok()).filter(fitting);
        if base_layers.is_none() {
            return Labels::default();
        }
        let stages = [ImageState::Built, ImageState::PreRun, ImageState::PostRun, ImageState::Rebased];
        Labels {
            state: stages.into_iter().find(|state| image.label(STAGE) == Some(state.name())),
            base_layers,
            station: image.label(STATION).map(str::to_owned),
            config_digest: image.label(CONFIG_DIGEST).map(str::to_owned),
            results_outside: image.label(RESULTS) == Some(OUTSIDE),
            results_directory: image.label(RESULTS_DIRECTORY).map(str::to_owned),
            results_before: image.label(RESULTS_BEFORE).map(str::to_owned),
            opened_from: image.label(OPENED_FROM).map(str::to_owned),
            needs_approval: image.label(APPROVAL) == Some(REQUIRED),
        }
    }

    /// The station whose pre-run has opened the image.
    pub(in crate::stage) fn opened_at(&self) -> Option<&str> {
        self.station.as_deref().filter(|_| self.state == Some(ImageState::PreRun))
    }

    /// The digest of the config that this very station's pre-run verified.
    pub(in crate::stage) fn verified_config(&self, stop: &Stop) -> Option<&str> {
        let own = self.state == Some(ImageState::PreRun) && self.station.as_deref() == Some(&stop.station.to_string());
        self.config_digest.as_deref().filter(|_| own)
    }

    /// True if pre-run has opened this train and nobody has closed it since: an engine carries labels on, also to an image
    /// that the reference has closed, but then the config is another.
    pub(in crate::stage) fn is_open(&self, train: &Train) -> bool {
        self.any_verified_config() == Some(&train.config_digest())
    }

    /// The number of layers that a run has added to an opened image: above its base that has the payload and the control
    /// layer. `None` if it is none, or somebody has put its layers together anew.
    pub(in crate::stage) fn layers_of_run(&self, image: &Image) -> Option<usize> {
        let base = self.base_layers.filter(|_| self.state == Some(ImageState::PreRun))?;
        image.layers().len().checked_sub(base + 2)
    }

    /// The digest of the config that some pre-run verified.
    pub(in crate::stage) fn any_verified_config(&self) -> Option<&str> {
        self.config_digest.as_deref().filter(|_| self.state == Some(ImageState::PreRun))
    }
}

/// True if an image says that a stage made it, or an image that it comes from.
pub(in crate::stage) fn has_stage(image: &Image) -> bool {
    image.label(STAGE).is_some()
}

/// The labels of an image that a stage makes; `base` are the diff IDs of the train as built.
pub(in crate::stage) fn labels(
    state: ImageState,
    base: &[Digest],
    station: Option<&Stop>,
    config_digest: Option<String>,
) -> Vec<(&'static str, Option<String>)> {
    let chain = chain_id(base).map(|chain| chain.to_string()).unwrap_or_default();
    vec![
        (STAGE, Some(state.name().to_owned())),
        (BASE_LAYERS, Some(base.len().to_string())),
        (BASE_CHAIN, Some(chain)),
        (STATION, station.map(|stop| stop.station.to_string())),
        (CONFIG_DIGEST, config_digest),
        (RESULTS, None),
        (RESULTS_DIRECTORY, None),
        (RESULTS_BEFORE, None),
        (OPENED_FROM, None),
        (APPROVAL, None),
    ]
}

/// The labels of an image that was opened for a run; `is_whole` says whether the encrypted one has the base.
pub(in crate::stage) fn opened_apart(apart: Apart<'_>, is_whole: bool) -> [(&'static str, Option<String>); 2] {
    let from = is_whole.then(|| apart.from.to_owned());
    [(OPENED_FROM, from), (APPROVAL, apart.hold.then(|| REQUIRED.to_owned()))]
}

/// The labels of an image whose results pre-run has written into a directory.
pub(in crate::stage) fn results_outside(outside: &ResultsOutside) -> [(&'static str, Option<String>); 3] {
    let ResultsOutside { directory, before } = outside;
    [
        (RESULTS, Some(OUTSIDE.to_owned())),
        (RESULTS_DIRECTORY, Some(directory.clone())),
        (RESULTS_BEFORE, Some(before.clone())),
    ]
}

/// The directory into which pre-run has written results.
pub(in crate::stage) struct ResultsOutside {
    /// Its [identity](crate::store::fs::identity).
    pub(in crate::stage) directory: String,
    /// What tells the results in it from others.
    pub(in crate::stage) before: String,
}

impl Labels {
    /// True if the image was opened for a run, in a directory that is kept for a person alone.
    pub(in crate::stage) fn was_opened_apart(&self) -> bool {
        self.opened_from.is_some() || self.needs_approval
    }
}
