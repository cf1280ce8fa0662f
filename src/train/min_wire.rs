//! The lowest wire version that somebody accepts.

use super::check::{Check, CheckId};
use super::config::TrainConfig;
use super::wire::{Wire, by_name, rank};
use crate::error::Result;

/// The lowest wire version that is accepted, and who says so.
#[derive(Debug, Clone)]
pub struct MinWire {
    wire: &'static dyn Wire,
    origin: String,
}

impl MinWire {
    /// A minimum by the name of a wire version, as in `2.0`; `origin` is where it was found, for messages.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if there is no such version.
    pub fn new(name: &str, origin: impl Into<String>) -> Result<Self> {
        Ok(MinWire { wire: by_name(name)?, origin: origin.into() })
    }

    /// The strictest of several minimums. A minimum is a demand: whoever makes one can be outdone, but not overruled.
    pub fn strictest<'a>(all: impl IntoIterator<Item = &'a MinWire>) -> Option<&'a MinWire> {
        all.into_iter().max_by_key(|minimum| rank(minimum.wire))
    }

    /// Holds the wire version of a train against the minimum.
    pub fn check(&self, config: &TrainConfig) -> Check {
        let (found, wanted) = (config.wire(), self.wire);
        let reason =
            format!("wire {}, but at least wire {} is demanded by {}", found.name(), wanted.name(), self.origin);
        Check::of(rank(found) >= rank(wanted), CheckId::MinWire, "wire version", reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::travelled;
    use crate::train::wire::WIRES;
    use crate::train::wire::classic::{V1_1_2, V2_0};

    #[test]
    fn older_wires_are_broken_and_the_strictest_counts() {
        let minimum = |name: &str| MinWire::new(name, format!("source of {name}")).unwrap();
        let verdicts = |name: &str| {
            let minimum = minimum(name);
            [&V1_1_2, &V2_0].map(|wire| minimum.check(&travelled(wire, 1)).verdict.name())
        };
        assert_eq!(verdicts("1.1.1"), ["sound", "sound"]);
        assert_eq!(verdicts("1.1.2"), ["sound", "sound"]);
        assert_eq!(verdicts("2.0"), ["broken", "sound"]);
        assert_eq!(verdicts("3"), ["broken", "broken"]);
        let check = minimum("3").check(&travelled(&V2_0, 1));
        assert_eq!(check.reason(), Some("wire 2.0, but at least wire 3 is demanded by source of 3"));
        let all = ["2.0", "3", "1.1.1"].map(minimum);
        assert_eq!(MinWire::strictest(&all).map(|strictest| strictest.origin.as_str()), Some("source of 3"));
        assert!(MinWire::strictest([]).is_none());
        assert!(["", "4", "3.0", "2", " 3"].iter().all(|name| MinWire::new(name, "").is_err()));
        assert!(WIRES.iter().all(|wire| MinWire::new(wire.name(), "").is_ok()));
    }
}
