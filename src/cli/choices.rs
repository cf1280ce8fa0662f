//! Options whose values are known: the help lists them, and shells complete them.

use clap::builder::PossibleValuesParser;
#[cfg(feature = "engines")]
use clap::builder::TypedValueParser;

#[cfg(feature = "engines")]
use crate::engine::{ENGINES, Engine, engine_named};
use crate::train::wire::WIRES;

/// The name of a wire version.
pub(super) fn wires() -> PossibleValuesParser {
    PossibleValuesParser::new(WIRES.iter().map(|wire| wire.name()))
}

/// An engine by its name.
#[cfg(feature = "engines")]
pub(super) fn engines() -> impl TypedValueParser<Value = &'static dyn Engine> {
    PossibleValuesParser::new(ENGINES.iter().map(|engine| engine.name())).try_map(|name| engine_named(&name))
}
