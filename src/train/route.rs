//! The route, and where on it the train stands.

use std::collections::HashMap;
use std::fmt;

use super::check::Subject;
use super::fields::FieldReader;
use super::party::PartyId;
use crate::crypto::{PublicKey, Sha256, hex};
use crate::error::{Advice, Error, ErrorContext, Result};

/// A station on the route.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stop {
    /// Position on the route, from 0 on.
    pub index: usize,
    /// The station's identity.
    pub station: PartyId,
    /// The network that the station belongs to, as in `tue`.
    pub eco_system: String,
    /// The key that its signatures verify with and that the stage's key is wrapped for.
    pub public_key: PublicKey,
    /// Its route signature, once it has run the train.
    pub signature: Option<StopSignature>,
    /// The key of the last stage, wrapped for this station.
    pub encrypted_key: Option<Vec<u8>>,
}

impl Stop {
    fn parse(fields: &FieldReader<'_>) -> Result<Self> {
        Ok(Stop {
            index: fields.required("index", FieldReader::index)?,
            station: fields.required("station", FieldReader::party)?,
            eco_system: fields.required("eco_system", FieldReader::text)?,
            public_key: fields.required("rsa_public_key", FieldReader::public_key)?,
            signature: fields.object("signature")?.map(|signature| StopSignature::parse(&signature)).transpose()?,
            encrypted_key: fields.bytes("encrypted_key")?,
        })
    }

    /// The name in reports and errors, as in ``station `charite` ``.
    pub fn subject(&self) -> Subject {
        Subject::Stop { index: self.index, station: self.station.clone() }
    }
}

/// A station's route signature (train security protocol, route signature).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopSignature {
    /// The digest that was signed.
    pub digest: [u8; 64],
    /// The station's signature of the digest.
    pub signature: Vec<u8>,
}

impl StopSignature {
    /// The SHA-256 of the signature, in hexadecimal. Signatures are salted, so that no two are the same.
    pub fn sha256(&self) -> String {
        hex::encode(&Sha256::of(&self.signature))
    }

    fn parse(fields: &FieldReader<'_>) -> Result<Self> {
        Ok(StopSignature {
            digest: fields.required("digest", FieldReader::digest)?,
            signature: fields.required("signature", FieldReader::bytes)?,
        })
    }
}

/// The stations that the train visits, by ascending index; the indexes are 0, 1, 2 and so on.
#[derive(Debug, Clone)]
pub struct Route {
    stops: Vec<Stop>,
}

impl Route {
    /// Reads the list `route` of a train config.
    pub(crate) fn parse(config: &FieldReader<'_>) -> Result<Self> {
        let entries = config.required("route", FieldReader::objects)?;
        if entries.is_empty() {
            return Err(config.error("route", "has no station"));
        }
        let mut stops = entries.iter().map(Stop::parse).collect::<Result<Vec<_>>>()?;
        let (mut stations, mut indexes) = (HashMap::new(), HashMap::new());
        for (position, stop) in stops.iter().enumerate() {
            if let Some(first) = stations.insert(stop.station.canonical(), position) {
                let what = format!("is `{}`, as is route[{first}].station", stop.station);
                return Err(entries[position].error("station", what));
            }
            if let Some(first) = indexes.insert(stop.index, position) {
                let what = format!("is {}, as is route[{first}].index", stop.index);
                return Err(entries[position].error("index", what));
            }
        }
        stops.sort_by_key(|stop| stop.index);
        match stops.iter().enumerate().find(|(position, stop)| stop.index != *position) {
            Some((gap, _)) => Err(config.error("route", format!("has no stop with index {gap}"))),
            None => Ok(Route { stops }),
        }
    }

    /// The stops by ascending index.
    pub fn stops(&self) -> &[Stop] {
        &self.stops
    }

    /// The stop with this index.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if the route is shorter.
    pub fn stop(&self, index: usize) -> Result<&Stop> {
        self.stops.get(index).ok_or_else(|| Error::verification(format!("the route has no stop with index {index}")))
    }

    /// The stop of the station that `text` names; `1` names the station 1 as well as the station `"1"`.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if it is not on the route; the message lists who is.
    pub fn stop_named(&self, text: &str) -> Result<&Stop> {
        self.stops.iter().find(|stop| stop.station.is_named(text)).ok_or_else(|| {
            Error::verification(format!("station `{text}` is not on the route: {}", list(&self.stops)))
                .hint("give the id that the station has on the route")
        })
    }

    /// The stop whose public key this is.
    ///
    /// # Errors
    /// [`Kind::Key`](crate::error::Kind::Key) if it is nobody's, [`Kind::Usage`](crate::error::Kind::Usage) if several
    /// stations have this key.
    pub fn stop_with_key(&self, key: &PublicKey) -> Result<&Stop> {
        let owners: Vec<&Stop> = self.stops.iter().filter(|stop| stop.public_key == *key).collect();
        match owners[..] {
            [owner] => Ok(owner),
            [] => Err(Error::key(format!(
                "the private key belongs to no station on the route: {}; its public key is {}",
                list(&self.stops),
                key.fingerprint()
            ))
            .hint("give the private key of one of these stations")),
            _ => Err(Error::usage(format!("the private key belongs to several stations: {}", list(owners)))
                .advise(Advice::NameStation)),
        }
    }

    /// The train's position on its route, by the signatures.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if a station has signed before one that it follows.
    pub fn route_state(&self) -> Result<RouteState<'_>> {
        let signed = self.stops.iter().take_while(|stop| stop.signature.is_some()).count();
        match self.stops[signed..].iter().find(|stop| stop.signature.is_some()) {
            None => Ok(RouteState { stops: &self.stops, signed }),
            Some(early) => Err(Error::verification(format!(
                "station `{}` (stop {}) has signed, but station `{}` (stop {}) before it has not",
                early.station,
                early.index + 1,
                self.stops[signed].station,
                signed + 1
            )))
            .at("route"),
        }
    }
}

/// The most stations that a message names.
const MAX_NAMED: usize = 5;

fn list<'a>(stops: impl IntoIterator<Item = &'a Stop>) -> String {
    let mut names: Vec<String> = stops.into_iter().map(|stop| format!("`{}`", stop.station)).collect();
    let more = names.len().saturating_sub(MAX_NAMED);
    if more > 1 {
        names.truncate(MAX_NAMED);
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

/// A verb of the protocol that a station does when it is its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StageKind {
    /// Verify and decrypt, before the train runs.
    PreRun,
    /// Sign and encrypt, after it ran.
    PostRun,
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StageKind::PreRun => "pre-run",
            StageKind::PostRun => "post-run",
        })
    }
}

/// The train's position on its route. It follows from the signatures on the route and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct RouteState<'a> {
    stops: &'a [Stop],
    signed: usize,
}

impl<'a> RouteState<'a> {
    /// The stops that have signed, in order.
    pub fn signed(&self) -> &'a [Stop] {
        &self.stops[..self.signed]
    }

    /// The stop that signed last; nobody on a train as built.
    pub fn last_signed(&self) -> Option<&'a Stop> {
        self.signed().last()
    }

    /// The stop whose turn it is; nobody when the train is at its end.
    pub fn next(&self) -> Option<&'a Stop> {
        self.stops.get(self.signed)
    }

    /// Checks that it is the turn of `stop`.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if it has signed already or if one before it has not;
    /// the message says whose turn it is.
    pub fn ensure_turn(&self, stop: &Stop, stage: StageKind) -> Result<()> {
        let turn = match self.next() {
            Some(next) if next.index == stop.index => return Ok(()),
            Some(next) => format!("next is station `{}` (stop {})", next.station, next.index + 1),
            None => "every station on the route has signed".to_owned(),
        };
        let has_signed = stop.index < self.signed;
        let fault = if has_signed { "has signed already" } else { "has to wait" };
        let what = format!("station `{}` (stop {}) {fault}: {turn}", stop.station, stop.index + 1);
        let hint = match self.next() {
            None => "send the train to its creator".to_owned(),
            Some(next) if has_signed => format!("send the train to station `{}`", next.station),
            Some(_) => "wait until the stations before have signed".to_owned(),
        };
        Err(Error::verification(what).hint(hint).at(format_args!("cannot {stage}")))
    }
}

#[cfg(test)]
mod tests;
