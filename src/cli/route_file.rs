//! ROUTE.json: the route of a new train, as its builder writes it.

use std::fs;
use std::path::Path;

use super::secrets::load_public_key;
use crate::crypto::{PublicKey, hex};
use crate::error::{Error, ErrorContext, Kind, Result};
use crate::json::{self, Object, Value};
use crate::stage::BuildStop;
use crate::text::Printable;
use crate::train::PartyId;

/// The default `eco_system`.
pub(super) const DEFAULT_ECO_SYSTEM: &str = "tue";

/// Reads the stops in the order of the route.
pub(super) fn read_route(path: &Path) -> Result<Vec<BuildStop>> {
    let bytes =
        fs::read(path).map_err(|error| Error::usage("cannot read the route").because(error)).at(path.display())?;
    parse(&bytes, path.parent().unwrap_or(Path::new(""))).map_err(as_usage).at(path.display())
}

/// Faults of the route, and of a public key on it, are for the author of the route to mend.
fn as_usage(error: Error) -> Error {
    error.as_kind(Kind::Usage)
}

fn parse(bytes: &[u8], dir: &Path) -> Result<Vec<BuildStop>> {
    let Value::Array(entries) = json::parse(bytes)? else { return Err(Error::usage("not a list of stops")) };
    let mut stops = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        let stop = entry.as_object().ok_or_else(|| Error::usage("not an object"));
        let name = entry.get("station").and_then(PartyId::from_json).map(|station| format!(", station `{station}`"));
        let place = format!("stop {}{}", position + 1, name.unwrap_or_default());
        stops.push(stop.and_then(|entry| read_stop(entry, position, dir)).at(place)?);
    }
    stops.sort_by_key(|(index, _)| *index);
    if let Some(pair) = stops.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let what = format!(
            "stations `{}` and `{}` both have index {}; give 0 to {}, or leave index out",
            pair[0].1.station,
            pair[1].1.station,
            pair[0].0,
            stops.len() - 1
        );
        return Err(Error::usage(what));
    }
    if let Some((missing, _)) = stops.iter().enumerate().find(|(position, (index, _))| position != index) {
        let rule = format!("the indexes must be 0 to {} without gaps", stops.len() - 1);
        return Err(Error::usage(format!("{rule}; {missing} is missing")));
    }
    Ok(stops.into_iter().map(|(_, stop)| stop).collect())
}

fn read_stop(entry: &Object, position: usize, dir: &Path) -> Result<(usize, BuildStop)> {
    const KNOWN: [&str; 5] = ["station", "eco_system", "index", "rsa_public_key", "public_key_file"];
    if let Some(unknown) = entry.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        let what = format!("the field `{}` is unknown; there are {}", Printable::new(unknown), KNOWN.join(", "));
        return Err(Error::usage(what));
    }
    let index = match entry.get("index") {
        None => position,
        Some(index) => index
            .as_u64()
            .and_then(|index| usize::try_from(index).ok())
            .ok_or_else(|| Error::usage("`index` is not a position on the route"))?,
    };
    let station = entry.get("station").ok_or_else(|| Error::usage("`station` is missing"))?;
    if station.as_str() == Some("") {
        return Err(Error::usage("`station` is empty"));
    }
    let eco_system = match entry.get("eco_system") {
        None => DEFAULT_ECO_SYSTEM,
        Some(text) => text.as_str().ok_or_else(|| Error::usage("`eco_system` is not a string"))?,
    };
    let stop = BuildStop {
        station: PartyId::from_json(station)
            .ok_or_else(|| Error::usage("`station` is neither a string nor an integer"))?,
        eco_system: eco_system.to_owned(),
        public_key: read_key(entry, dir)?,
    };
    Ok((index, stop))
}

fn not_a_key(error: Error) -> Error {
    let what = "`rsa_public_key` is neither PEM nor the hexadecimal form of PEM";
    Error::usage(what).because(error).hint("to name a file use `public_key_file`")
}

fn read_key(entry: &Object, dir: &Path) -> Result<PublicKey> {
    let text = |key| entry.get(key).and_then(Value::as_str);
    match (text("rsa_public_key"), text("public_key_file")) {
        (Some(key), None) if key.contains("-----BEGIN") => PublicKey::from_pem(key.as_bytes()),
        // As train configs have it.
        (Some(key), None) => PublicKey::from_pem(&hex::decode(key).map_err(not_a_key)?),
        (None, Some(file)) => load_public_key(&dir.join(file)),
        _ => Err(Error::usage("give either `rsa_public_key` or `public_key_file`")),
    }
}
