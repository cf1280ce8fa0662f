use super::parts::execution::Execution;
use super::parts::labels::{ImageState, Labels};
use super::parts::load::{Depth, Train, has_config_in_sight};
use super::parts::openness::sign_of_plaintext;
use crate::crypto::{PublicKey, hex};
use crate::error::Result;
use crate::image::open_image;
use crate::store::{Context, Reference};

/// The state of a train by its own config; nothing of it is verified.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inspection {
    /// The image.
    pub source: String,
    /// Its manifest's digest.
    pub digest: String,
    /// The wire version.
    pub wire: &'static str,
    /// The train's id.
    pub id: String,
    /// The hash that the creator signs, hex: of the immutable files, or in wire 3 of all that the creator states.
    pub hash: String,
    /// The creator's id.
    pub creator: String,
    /// The fingerprint of the creator's public key.
    pub creator_key: String,
    /// The fingerprint of the builder's public key, where the wire version has a builder.
    pub builder_key: Option<String>,
    /// When it was built, if the builder has signed that.
    pub built_at: Option<String>,
    /// The master image or repository that the train was made from.
    pub master: String,
    /// The stops in route order.
    pub route: Vec<StopState>,
    /// Whose turn it is: a position in `route`; at its end nobody's.
    pub next: Option<usize>,
    /// True if it waits for its creator: nobody has signed for it yet, and no stage takes it.
    pub waits_for_creator: bool,
    /// True if it waits for its builder, who signs what the creator has signed.
    pub waits_for_builder: bool,
    /// The number of layers.
    pub layers: usize,
    /// How many of these are not there, since the train is thin and goes without its base.
    pub left_out: usize,
    /// The number of layers of the train as built, if the labels tell.
    pub base_layers: Option<usize>,
    /// The number of immutable files.
    pub files: usize,
    /// The immutable files as the config lists them.
    pub listed: Vec<ListedFile>,
    /// Bytes of the base's layers as they are stored, where these are known.
    pub base_size: Option<u64>,
    /// Bytes of all layers as they are stored.
    pub size: u64,
    /// The stage that made the image, if the labels tell: `built`, `pre-run` or `post-run`. After `pre-run` the train
    /// is open and waits for its run.
    pub stage: Option<&'static str>,
    /// True if pre-run has opened it and it has not been closed since.
    pub open: bool,
    /// How it runs.
    pub runs: Execution,
}

/// One stop of a route.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StopState {
    /// The position on the route, from 0.
    pub index: usize,
    /// The station's id.
    pub station: String,
    /// The network that it belongs to.
    pub eco_system: String,
    /// The fingerprint of its public key.
    pub key: String,
    /// True if it has signed.
    pub signed: bool,
    /// When it signed, if its signature covers that.
    pub signed_at: Option<String>,
}

/// An immutable file of a train.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListedFile {
    /// Its path below `/opt/pht_train`.
    pub path: String,
    /// Its size in bytes, where the creator has signed it.
    pub size: Option<u64>,
}

/// Where a train stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrainState {
    /// It waits for its creator's signature.
    Unsigned,
    /// It is encrypted, and a station is next.
    Closed,
    /// A station has opened it for its run.
    Open,
    /// Every station has signed.
    Complete,
}

impl TrainState {
    /// The stable name in reports.
    pub fn name(self) -> &'static str {
        match self {
            TrainState::Unsigned => "unsigned",
            TrainState::Closed => "closed",
            TrainState::Open => "open",
            TrainState::Complete => "complete",
        }
    }
}

impl Inspection {
    /// Where the train stands, by its route and its labels.
    pub fn state(&self) -> TrainState {
        match self.next {
            _ if self.waits_for_creator => TrainState::Unsigned,
            None => TrainState::Complete,
            Some(_) if self.open => TrainState::Open,
            Some(_) => TrainState::Closed,
        }
    }
}

/// Reads the state of a train.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no train.
pub fn inspect(source: &Reference, context: &Context) -> Result<Inspection> {
    let image = open_image(source, context)?;
    let mut train = Train::load(image, &context.temporary, Depth::Config)?;
    train.view.verify()?;
    Ok(describe(&train, context))
}

/// Makes sure that the layers of an image are there, as far as its place tells that at once.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if one is missing that the image does not say it goes without.
pub fn ensure_layers(source: &Reference, context: &Context) -> Result<()> {
    open_image(source, context)?.ensure_layers()
}

/// The state of a train that was read.
pub(in crate::stage) fn describe(train: &Train, context: &Context) -> Inspection {
    let config = &train.config;
    let route = config.route().stops().iter().map(|stop| StopState {
        index: stop.index,
        station: stop.station.to_string(),
        eco_system: stop.eco_system.clone(),
        key: stop.public_key.fingerprint(),
        signed: stop.signature.is_some(),
        signed_at: config.form().time_of(Some(stop.index)).map(str::to_owned),
    });
    let route: Vec<StopState> = route.collect();
    let from = config.source();
    let labels = Labels::read(&train.image);
    let sizes = config.form().file_sizes();
    let listed = config.file_list().iter().enumerate().map(|(at, path)| ListedFile {
        path: path.clone(),
        size: sizes.as_ref().and_then(|sizes| sizes.get(at)).copied(),
    });
    let runs = Execution::of(train, None, None, context);
    let stored = |layers: usize| -> u64 {
        train.image.layers().iter().take(layers).map(oci_spec::image::Descriptor::size).sum()
    };
    Inspection {
        creator_key: config.creator().public_key.fingerprint(),
        builder_key: config.form().builder_key().map(PublicKey::fingerprint),
        built_at: config.form().time_of(None).map(str::to_owned),
        listed: listed.collect(),
        base_size: runs.base.as_ref().map(|base| stored(base.layers)),
        open: labels.is_open(train),
        source: train.name(),
        digest: train.image.descriptor().digest().to_string(),
        wire: config.wire().name(),
        id: config.id().to_owned(),
        hash: hex::encode(config.hash()),
        creator: config.creator().id.to_string(),
        master: match &from.tag {
            Some(tag) => format!("{}:{tag}", from.address),
            None => from.address.clone(),
        },
        next: route.iter().position(|stop| !stop.signed),
        route,
        waits_for_creator: config.form().waits_for_creator(),
        waits_for_builder: config.form().waits_for_builder(),
        layers: train.image.layers().len(),
        left_out: train.image.left_out().len(),
        base_layers: labels.base_layers,
        stage: labels.state.map(ImageState::name),
        runs,
        files: config.file_list().len(),
        size: stored(train.image.layers().len()),
    }
}

/// True if the image is a train that pre-run has opened and that is not closed again: by its labels or, for the reference
/// writes none, by what its files are. What is no train is not open; of a train whose config cannot be read any more, the
/// labels tell.
///
/// # Errors
/// The image cannot be read.
pub fn is_open(source: &Reference, context: &Context) -> Result<bool> {
    let image = open_image(source, context)?;
    let labels = Labels::read(&image);
    if labels.any_verified_config().is_some() {
        return Ok(Train::load(image, &context.temporary, Depth::Config).map_or(true, |train| labels.is_open(&train)));
    }
    if !has_config_in_sight(&image, &context.temporary) {
        return Ok(false);
    }
    let train = Train::load(image, &context.temporary, Depth::ListedFiles(usize::MAX));
    // What is wrong with its layers is said by whoever copies them.
    Ok(train.and_then(|train| sign_of_plaintext(&train)).is_ok_and(|sign| sign.is_some()))
}
