//! Wire versions: what each policy of a train, behind one trait, so that no stage asks which version it has.
//!
//! The earlier versions (1.1.1, 1.1.2, 2.0) are one implementation, [`classic`], driven by a table of what differs;
//! version 3 is another, [`authenticated`]. A new version is one more implementation and one more line in [`WIRES`].

use crate::error::{Error, ErrorContext, Result};
use crate::json::Object;
use crate::train::fields::FieldReader;

pub mod authenticated;
pub mod classic;
pub(crate) mod feed;
mod interface;
mod patch;

pub use interface::{
    BuildSeal, ContentCheck, ContentFeed, CreatorSeal, DraftFeed, HasFeed, Produced, SignatureSeal, SignedDraft,
    StopSeal, Wire, WireConfig,
};

/// Every wire version that this program speaks.
pub static WIRES: &[&dyn Wire] = &[&classic::V1_1_1, &classic::V1_1_2, &classic::V2_0, &authenticated::V3];

/// The wire version that a config is written in: by its field `wire`, or by its shape if it has none, as the earlier
/// versions do.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if `wire` is unknown or contradicts the shape, or if the shape is
/// that of no version or of several.
pub fn recognise(config: &Object) -> Result<&'static dyn Wire> {
    let Some(declared) = FieldReader::root(config).text("wire")? else { return by_shape(config) };
    let wire = by_name(&declared).map_err(|unknown| Error::malformed(unknown.what())).at("wire")?;
    if wire.recognises(config) {
        return Ok(wire);
    }
    let what = format!("is `{}`, but the other fields are those of another version", wire.name());
    Err(Error::malformed(what).at("wire"))
}

fn by_shape(config: &Object) -> Result<&'static dyn Wire> {
    let fitting: Vec<&dyn Wire> = WIRES.iter().copied().filter(|wire| wire.recognises(config)).collect();
    match fitting[..] {
        [wire] => Ok(wire),
        [] => Err(Error::malformed("has neither `hash` nor `immutable_file_hash`, so it is of no known wire version")),
        _ => Err(Error::malformed("has the fields of several wire versions")),
    }
}

/// The place of a wire version among all of them, the oldest first.
pub fn rank(wire: &dyn Wire) -> usize {
    WIRES.iter().position(|known| known.name() == wire.name()).unwrap_or_default()
}

/// The newest wire version, which new trains have.
pub fn newest() -> &'static dyn Wire {
    WIRES[WIRES.len() - 1]
}

/// The wire version of this name, as in `2.0`.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if there is none; the message lists them.
pub fn by_name(name: &str) -> Result<&'static dyn Wire> {
    WIRES.iter().copied().find(|wire| wire.name() == name).ok_or_else(|| {
        let known = WIRES.iter().map(|wire| wire.name()).collect::<Vec<_>>().join(", ");
        Error::usage(format!(
            "the wire version `{}` is not known; there are {known}",
            crate::text::Printable::new(name)
        ))
    })
}
