use super::parts::labels::{ImageState, Labels};
use super::parts::load::{Depth, Train};
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
    /// The creator's id.
    pub creator: String,
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
    /// The number of layers of the train as built, if the labels tell.
    pub base_layers: Option<usize>,
    /// The number of immutable files.
    pub files: usize,
    /// Bytes of all layers as they are stored.
    pub size: u64,
    /// The stage that made the image, if the labels tell: `built`, `pre-run` or `post-run`. After `pre-run` the train
    /// is open and waits for its run.
    pub stage: Option<&'static str>,
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
}

/// Reads the state of a train.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no train.
pub fn inspect(source: &Reference, context: &Context) -> Result<Inspection> {
    let image = open_image(source, context)?;
    let mut train = Train::load(image, &context.temporary, Depth::Config)?;
    train.view.verify()?;
    let config = &train.config;
    let route = config.route().stops().iter().map(|stop| StopState {
        index: stop.index,
        station: stop.station.to_string(),
        eco_system: stop.eco_system.clone(),
        key: stop.public_key.fingerprint(),
        signed: stop.signature.is_some(),
    });
    let route: Vec<StopState> = route.collect();
    let from = config.source();
    let labels = Labels::read(&train.image);
    Ok(Inspection {
        source: train.name(),
        digest: train.image.descriptor().digest().to_string(),
        wire: config.wire().name(),
        id: config.id().to_owned(),
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
        base_layers: labels.base_layers,
        stage: labels.state.map(ImageState::name),
        files: config.file_list().len(),
        size: train.image.layers().iter().map(oci_spec::image::Descriptor::size).sum(),
    })
}
