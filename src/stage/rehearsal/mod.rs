//! A whole route on one machine, with throw-away keys: what fails here fails at the stations.
//!
//! Nothing is done in another way than there: the train is built, run and closed by the verbs that stations and centres
//! use. What is added is that somebody looks on.

mod listener;
mod report;
mod request;
mod witness;

use std::io;
use std::path::Path;

use super::build::{BuildCreator, BuildRequest, BuildStop, build};
use super::parts::request::{StageRequest, Station, VerificationPolicy};
use super::results::{ResultsRequest, ResultsTo, results};
use super::run::{IN_TRAIN, Onlooker, RunRequest, TrainFailed, VARIABLE, WorkDir, run_observed};
use crate::crypto::{PrivateKey, hex, random};
use crate::engine::{Variable, Volume};
use crate::error::{Advice, Error, ErrorContext, Kind, Result};
use crate::image::VerifiedLayers;
use crate::store::fs::StagedDir;
use crate::store::tag::LATEST;
use crate::store::{Audience, Context, Reference};
use crate::text::Printable;
use crate::train::{Role, TrustStore};

pub use report::{Rehearsal, RehearsedStop, StopFailure};
pub use request::{RehearsalRequest, RehearsalStop};

use listener::Listener;
use report::reasons;
use witness::Witness;

/// The length of the keys, which nobody keeps.
const KEY_BITS: usize = 2048;
/// The id of the creator of a train that nobody sends.
const CREATOR: &str = "creator";
/// The proposal of a train that belongs to none.
const PROPOSAL: &str = "0";
/// The network of all stations: wire 3 knows those of the field alone.
const NETWORK: &str = "tue";
/// Where no station looks for a master image that is on this machine alone (RFC 2606).
const NOWHERE: &str = "docker://rehearsal.invalid/base:latest";

/// Builds a train with throw-away keys, runs it at every stop and decrypts its results. All that this leaves is in
/// `request.out`, if there is one; keys are never on a disk.
///
/// # Errors
/// As [`build`], before anything runs. What ends the train at a stop is part of the rehearsal ([`Rehearsal::error`]), but
/// for [`Kind::Interrupted`].
pub fn rehearse(request: &RehearsalRequest<'_>, show: &mut dyn Onlooker, context: &Context) -> Result<Rehearsal> {
    if request.stops.is_empty() {
        return Err(Error::usage("a route without stations"));
    }
    if let Some(out) = request.out {
        StagedDir::new(out, Audience::Owner { shared: false })?;
    }
    request.engine.check(request.options).at(request.engine.name())?;
    // No other run or rehearsal has this name.
    let name = format!("try-{}", hex::encode(&random::bytes::<8>()?));
    let work = WorkDir::new(&Reference::layout(context.temporary.join(name), None), context)?;
    let inner = Context { temporary: work.join(""), ..context.clone() };
    let journey = Journey::begin(request, &work)?;
    let mut rehearsal = Rehearsal {
        base: request.base.map_or_else(|| "scratch".to_owned(), Reference::to_string),
        engine: request.engine.name(),
        warnings: journey.build(&inner)?,
        ..Rehearsal::default()
    };
    rehearsal.stations = request.stops.iter().map(|stop| stop.station.clone()).collect();
    for (index, stop) in request.stops.iter().enumerate() {
        let of = request.stops.len();
        show.tell(&format!("stop {} of {of}: {}", index + 1, stop.station));
        let (rehearsed, error) = journey.stop(index, show, &inner);
        rehearsal.stops.push(rehearsed);
        if let Some(error) = error {
            let place = format!("stop {} of {of}, station {}", index + 1, Printable::new(&stop.station));
            rehearsal.error = Some(error.at(place));
            break;
        }
    }
    match rehearsal.error.take() {
        None => rehearsal.results = Some(journey.results(&inner)?),
        Some(error) if error.kind() == Kind::Interrupted => return Err(error),
        Some(error) => rehearsal.error = Some(error),
    }
    work.remove()?;
    Ok(rehearsal)
}

/// A train that is built for a rehearsal, and everybody's keys.
struct Journey<'a> {
    request: &'a RehearsalRequest<'a>,
    train: Reference,
    creator: PrivateKey,
    builder: PrivateKey,
    stations: Vec<PrivateKey>,
    trust: TrustStore,
}

impl<'a> Journey<'a> {
    fn begin(request: &'a RehearsalRequest<'a>, work: &WorkDir) -> Result<Self> {
        let creator = PrivateKey::generate(KEY_BITS)?;
        let mut trust = TrustStore::default();
        trust.pin(Role::Creator, CREATOR, creator.public_key())?;
        Ok(Journey {
            request,
            train: Reference::layout(work.join("train"), Some(LATEST.to_owned())),
            creator,
            builder: PrivateKey::generate(KEY_BITS)?,
            stations: request.stops.iter().map(|_| PrivateKey::generate(KEY_BITS)).collect::<Result<_>>()?,
            trust,
        })
    }

    /// What is to be said of the train.
    fn build(&self, context: &Context) -> Result<Vec<String>> {
        let request = self.request;
        let stops = request.stops.iter().zip(&self.stations);
        let route = stops.map(|(stop, key)| BuildStop::new(stop.station.as_str().into(), NETWORK, key.public_key()));
        // That a base is on this machine is no fault of a rehearsal.
        let nowhere: Reference = NOWHERE.parse()?;
        let is_local = request.base.is_some_and(|base| !base.is_shared());
        let built = build(
            &BuildRequest {
                base: request.base,
                master: Some(&nowhere).filter(|_| is_local),
                query: request.query,
                route: route.collect(),
                creator_key: BuildCreator::Key(&self.creator),
                paillier_key: request.paillier_key,
                builder_key: Some(&self.builder),
                command: request.command,
                proposal: PROPOSAL,
                ..BuildRequest::new(&self.train, request.files, CREATOR, &self.creator)
            },
            context,
        );
        Ok(built?.warnings)
    }

    /// Runs the train at a stop; what has been seen, and the error with which it has ended there.
    fn stop(&self, index: usize, show: &mut dyn Onlooker, context: &Context) -> (RehearsedStop, Option<Error>) {
        let (request, key, stop) = (self.request, &self.stations[index], &self.request.stops[index]);
        let mut options = request.options.clone();
        let is_default = |volume: &Volume| volume.path == Path::new(IN_TRAIN);
        options.variables.extend(stop.data.iter().find(|volume| is_default(volume)).map(told_by_variable));
        options.volumes.extend(stop.data.iter().cloned());
        let memory = match &context.cache {
            Some(cache) => VerifiedLayers::in_directory(cache),
            None => VerifiedLayers::in_memory(),
        };
        let policy =
            VerificationPolicy { trust: Some(&self.trust), memory: Some(&memory), ..VerificationPolicy::default() };
        let stage = StageRequest { policy, ..StageRequest::new(&self.train, Station::of(key)) };
        let run = RunRequest {
            limit: request.limit,
            results_limit: request.results_limit,
            announce: request.announce.filter(|_| index == 0),
            ..RunRequest::new(stage, request.engine, &options)
        };
        let witness = Witness::new(&self.train, key, stop, request.policy, context);
        let mut listener = Listener::new(show);
        let ran = run_observed(&run, Some(&witness), &mut listener, context);
        let wanted_network = listener.wanted_network();
        let mut rehearsed = witness.finish(index);
        if wanted_network {
            rehearsed.warnings.push(
                "the train's output speaks of a network that cannot be reached: no station has one for trains"
                    .to_owned(),
            );
        }
        rehearsed.warnings.extend(reasons(&rehearsed, index));
        match ran {
            Ok(report) => {
                let is_new = |warning: &String| !rehearsed.warnings.contains(warning);
                let further: Vec<String> = report.warnings.into_iter().filter(is_new).collect();
                rehearsed.warnings.extend(further);
                (rehearsed, None)
            }
            Err(error) => {
                let failed = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<TrainFailed>());
                rehearsed.failed = failed.map(|failed| StopFailure::new(failed.exit_status, failed.limit));
                let error = match failed {
                    Some(failed) => Error::new(Kind::Train, format!("the train failed: {failed}"))
                        .hint("see what the train has printed: at a station it would fail in the same way"),
                    None => without_places(error),
                };
                (rehearsed, Some(error))
            }
        }
    }

    /// Decrypts the results; where they are.
    fn results(&self, context: &Context) -> Result<String> {
        let mut nobody = io::sink();
        let to = self.request.out.map_or(ResultsTo::Stream(&mut nobody), ResultsTo::Directory);
        let policy = VerificationPolicy { trust: Some(&self.trust), ..VerificationPolicy::default() };
        let request = ResultsRequest { policy, ..ResultsRequest::new(&self.train, &self.creator, to) };
        let report = results(request, context)?;
        Ok(report.image.destination)
    }
}

fn told_by_variable(volume: &Volume) -> Variable {
    Variable::new(VARIABLE, volume.path.display().to_string())
}

/// The error without advice on what a station would keep: here all of it is gone.
fn without_places(error: Error) -> Error {
    match error.advice() {
        Some(Advice::CloseKept { first, .. }) => {
            let hint = first.clone().unwrap_or_else(|| "the results cannot travel as they are".to_owned());
            error.hint(hint)
        }
        _ => error,
    }
}
