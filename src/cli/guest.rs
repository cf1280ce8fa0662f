//! What `doctor` says of the train that is to run here.

use super::findings::Findings;
use crate::crypto::{PrivateKey, PublicKey};
#[cfg(feature = "engines")]
use crate::engine::Engine;
use crate::error::{Advice, Error};
use crate::stage::{
    Inspection, Journal, JournalEntry, Parties, StageRequest, Station, TrainState, closing_entry, ensure_layers,
    inspect, parties,
};
#[cfg(feature = "engines")]
use crate::stage::{keeps_base, kept_anywhere};
use crate::store::{Context, Reference};
use crate::text::{Printable, counted};
use crate::train::{PartyId, Role, TrustStore};

/// The train, and what is known of the station by then.
pub(super) struct Guest<'a> {
    pub(super) source: &'a Reference,
    pub(super) station: Option<&'a str>,
    pub(super) key: Option<&'a PrivateKey>,
    pub(super) trust: Option<&'a TrustStore>,
    pub(super) context: &'a Context,
}

impl Guest<'_> {
    /// The train, if it is one: its state, its signatures, its route and its pins.
    pub(super) fn look(&self, found: &mut Findings) -> Option<Inspection> {
        let train = found.found("train", inspect(self.source, self.context))?;
        let what = format!("{} (wire {}), {}", Printable::new(&train.id), train.wire, train.state().name());
        match train.state() {
            TrainState::Unsigned => {
                let error = Error::verification(what).hint("nobody has signed for it yet: send it back to its creator");
                found.fault("train", &error);
            }
            TrainState::Open => {
                let hint = "if it has run here, see to its results: pht-oci review, then release or reject (or post-run, where \
                            nobody reviews); else begin again from the encrypted train, at TAG-encrypted or as it was sent";
                found.fault("train", &Error::verification(format!("{what} already")).hint(hint));
            }
            _ => found.good("train", what),
        }
        if found.found("layers", ensure_layers(self.source, self.context)).is_some() && !self.source.is_shared() {
            let here = counted((train.layers - train.left_out) as u64, "layer");
            found.good("layers", format!("{here} found; whether they are sound is for pht-oci verify"));
        }
        if let Some(key) = self.key {
            self.look_at_route(&key.public_key(), &train, found);
        }
        self.look_at_parties(found);
        Some(train)
    }

    /// Whether the journal says that the stop is closed.
    pub(super) fn look_at_entries(
        &self,
        train: &Inspection,
        journal: &Journal,
        entries: &[JournalEntry],
        found: &mut Findings,
    ) {
        let Some(key) = self.key else { return };
        // A stop that has signed is closed by the train's own account.
        if !train.route.iter().any(|stop| stop.key == key.public_key().fingerprint() && !stop.signed) {
            return;
        }
        let request = StageRequest::new(self.source, Station { id: self.station, key });
        let Ok(Some(closed)) = closing_entry(&request, entries, self.context) else { return };
        let text = |pointer| Printable::new(closed.text(pointer).unwrap_or_default()).to_string();
        let what = format!(
            "this stop of the train is closed already, by {} {} (to {}, line {} of {})",
            text("/act"),
            text("/time"),
            text("/destination"),
            closed.line,
            journal.path().display()
        );
        found.fault("journal", &Error::verification(what).advise(Advice::Again));
    }

    /// Whether its base is here, and whether the results of an earlier run wait for a person: then none is held besides.
    #[cfg(feature = "engines")]
    pub(super) fn look_at_run(&self, train: &Inspection, engine: Option<&'static dyn Engine>, found: &mut Findings) {
        if train.left_out > 0 {
            let without =
                format!("the train is thin: it comes without {} of its base", counted(train.left_out as u64, "layer"));
            let keeps = |engine: &dyn Engine| keeps_base(self.source, engine, self.context).unwrap_or_default();
            match engine.filter(|engine| keeps(*engine)) {
                Some(engine) => found.good("base", format!("{without}, and {} has kept that", engine.name())),
                None => {
                    let error = Error::malformed(format!("{without}, which is not here either"));
                    found.fault("base", &error.advise(Advice::CompleteImage));
                }
            }
        }
        for before in kept_anywhere(self.source, self.context).unwrap_or_default() {
            if before.is_of_train && before.is_held {
                let place = before.run.path.display();
                let what = format!("the results of an earlier run of this train are held in {place}");
                found.fault("held", &Error::decision(what).hint("review them, then release or reject them"));
            }
        }
    }

    /// Whether it is the turn of the station that has the key.
    fn look_at_route(&self, key: &PublicKey, train: &Inspection, found: &mut Findings) {
        let own = key.fingerprint();
        let is_own = |name: &str| self.station.is_none_or(|id| PartyId::from(name).is_named(id));
        let Some(stop) = train.route.iter().find(|stop| stop.key == own && is_own(&stop.station)) else {
            let names: Vec<&str> = train.route.iter().map(|stop| stop.station.as_str()).collect();
            let who = self.station.map(|id| format!(" as `{}`", Printable::new(id))).unwrap_or_default();
            let what = format!("the key {own} is not on the route{who}: {}", Printable::new(&names.join(", ")));
            let hint = "give the key and the station that the route's planner has, or ask for a new route: a new key needs one";
            return found.fault("route", &Error::key(what).hint(hint));
        };
        let station = Printable::new(&stop.station);
        match train.next {
            Some(next) if next == stop.index => found.good("route", format!("next is `{station}`, this station")),
            _ if stop.signed => {
                let error = Error::verification(format!("`{station}` has signed already"));
                let hint = match train.next {
                    Some(next) => format!("send it to station `{}`", Printable::new(&train.route[next].station)),
                    None => "send it to its creator: every station has signed".to_owned(),
                };
                found.fault("route", &error.hint(format!("{hint}; nothing is to be done here")));
            }
            _ => {
                let next = train.next.map(|next| train.route[next].station.clone()).unwrap_or_default();
                let what = format!("not the turn of `{station}`: next is `{}`", Printable::new(&next));
                found.fault("route", &Error::verification(what).hint("wait until the stations before have signed"));
            }
        }
    }

    fn look_at_parties(&self, found: &mut Findings) {
        let Some(of_train) = found.found("signatures", parties(self.source, self.context)) else { return };
        found.good("signatures", "the creator's signature and those of the route hold");
        let Some(trust) = self.trust else { return };
        let needed = |role| role == Role::Creator || !of_train.creator_vouches;
        let Parties { parties, .. } = &of_train;
        for party in parties.iter().filter(|party| needed(party.role)) {
            let key = party.key.fingerprint();
            match party.pinned(trust) {
                Some(pinned) if *pinned == party.key => found.good("pin", format!("{} is pinned", party.path())),
                Some(pinned) => {
                    let what = format!("{} has the key {key}, but {} is pinned", party.path(), pinned.fingerprint());
                    let hint =
                        "ask the owner which is right; if nobody knows of a new key, the train is not the owner's";
                    found.fault("pin", &Error::verification(what).hint(hint));
                }
                None => {
                    let what = format!("{} has the key {key}, and no key is pinned for it", party.path());
                    let hint = "ask the owner for the fingerprint, then pht-oci trust add";
                    found.fault("pin", &Error::verification(what).hint(hint));
                }
            }
        }
    }
}
