//! The labels that carry an image's lineage through `docker commit` and `podman commit`. They are hints about layers,
//! never a reason to trust content.

use oci_spec::image::Digest;

use crate::image::{Image, chain_id};
use crate::train::Stop;

const STAGE: &str = "de.personalhealthtrain.stage";
const BASE_LAYERS: &str = "de.personalhealthtrain.base-layers";
const BASE_CHAIN: &str = "de.personalhealthtrain.base-chain";
const STATION: &str = "de.personalhealthtrain.station";
const CONFIG_DIGEST: &str = "de.personalhealthtrain.config-digest";

/// Which stage made an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Built,
    PreRun,
    PostRun,
    Rebased,
}

impl Made {
    /// What a person asked for, as in `post-run`.
    pub(super) fn verb(self) -> &'static str {
        if self == Made::Built { "build" } else { self.name() }
    }

    fn name(self) -> &'static str {
        match self {
            Made::Built => "built",
            Made::PreRun => "pre-run",
            Made::PostRun => "post-run",
            Made::Rebased => "rebase",
        }
    }
}

/// What the labels of an image say, as far as they fit its layers.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels {
    /// Which stage made the image, or an image that it was committed from.
    pub(super) made: Option<Made>,
    /// How many layers the train had as built.
    pub(super) base_layers: Option<usize>,
    station: Option<String>,
    config_digest: Option<String>,
}

impl Labels {
    /// Reads the labels; those of another base are as good as missing.
    pub(super) fn read(image: &Image) -> Self {
        let fitting = |layers: &usize| {
            let chain = image.chain_id(*layers).map(|chain| chain.to_string()).unwrap_or_default();
            *layers <= image.layers().len() && image.label(BASE_CHAIN) == Some(&chain)
        };
        let base_layers = image.label(BASE_LAYERS).and_then(|text| text.parse().ok()).filter(fitting);
        if base_layers.is_none() {
            return Labels::default();
        }
        let stages = [Made::Built, Made::PreRun, Made::PostRun, Made::Rebased];
        Labels {
            made: stages.into_iter().find(|made| image.label(STAGE) == Some(made.name())),
            base_layers,
            station: image.label(STATION).map(str::to_owned),
            config_digest: image.label(CONFIG_DIGEST).map(str::to_owned),
        }
    }

    /// The digest of the config that this very station's pre-run verified.
    pub(super) fn verified_config(&self, stop: &Stop) -> Option<&str> {
        let own = self.made == Some(Made::PreRun) && self.station.as_deref() == Some(&stop.station.to_string());
        self.config_digest.as_deref().filter(|_| own)
    }

    /// The digest of the config that some pre-run verified.
    pub(super) fn any_verified_config(&self) -> Option<&str> {
        self.config_digest.as_deref().filter(|_| self.made == Some(Made::PreRun))
    }
}

/// The labels of an image that a stage makes; `base` are the diff IDs of the train as built.
pub(super) fn labels(
    made: Made,
    base: &[Digest],
    station: Option<&Stop>,
    config_digest: Option<String>,
) -> Vec<(&'static str, Option<String>)> {
    let chain = chain_id(base).map(|chain| chain.to_string()).unwrap_or_default();
    vec![
        (STAGE, Some(made.name().to_owned())),
        (BASE_LAYERS, Some(base.len().to_string())),
        (BASE_CHAIN, Some(chain)),
        (STATION, station.map(|stop| stop.station.to_string())),
        (CONFIG_DIGEST, config_digest),
    ]
}
