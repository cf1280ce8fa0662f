//! A train that is being built: what goes into its config besides hashes and signatures.

use super::common::Source;
use super::image::LayerFacts;
use super::party::PartyId;
use super::signed_image::SignedImage;
use crate::crypto::{PublicKey, hex};
use crate::error::{Error, Result};
use crate::json::{Object, Value, json};

/// The builder's decisions about a train.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Draft {
    /// The train's id (`@id`).
    pub id: String,
    /// The proposal that it belongs to.
    pub proposal_id: PartyId,
    /// The origin of the master image.
    pub source: Source,
    /// The creator's identity.
    pub creator: PartyId,
    /// The creator's key.
    pub creator_key: PublicKey,
    /// The creator's Paillier public key, as its JSON text, if stations are to compute under one.
    pub paillier_key: Option<String>,
    /// The stations in the order of the route.
    pub route: Vec<DraftStop>,
    /// 64 random bytes.
    pub session_id: [u8; 64],
    /// The files in the order in which a central service lists them, for wire versions whose hash depends on it.
    pub file_list: Option<Vec<String>>,
    /// The builder's key, for wire versions in which the creator vouches for it.
    pub builder_key: Option<PublicKey>,
    /// The layers of the master image, for wire versions that bind them.
    pub base_layers: Vec<LayerFacts>,
    /// The image's command, environment and platform, for wire versions that bind them.
    pub image: SignedImage,
}

/// A station of a [`Draft`]; its index is its position.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DraftStop {
    /// The station's identity.
    pub station: PartyId,
    /// The network that the station belongs to.
    pub eco_system: String,
    /// Its key.
    pub public_key: PublicKey,
}

impl DraftStop {
    /// A station with its key, in a network.
    pub fn new(station: PartyId, eco_system: impl Into<String>, public_key: PublicKey) -> Self {
        DraftStop { station, eco_system: eco_system.into(), public_key }
    }
}

impl Draft {
    /// The fields that all wire versions begin with, in the order in which the reference writes them.
    pub(crate) fn to_object(&self, file_list: &[String]) -> Object {
        let mut config = Object::new();
        let mut put = |key: &str, value: Value| config.insert(key.to_owned(), value);
        let source = &self.source;
        put(
            "source",
            json!({"type": source.kind, "address": source.address, "tag": source.tag, "branch": source.branch}),
        );
        put("creator", self.creator_object());
        put("proposal_id", self.proposal_id.to_json());
        put("@id", json!(self.id));
        put("@context", Value::Null);
        put("session_id", json!(hex::encode(&self.session_id)));
        put("route", self.route.iter().enumerate().map(|(index, stop)| stop.to_json(index)).collect());
        put("file_list", json!(file_list));
        config
    }

    /// Checks what no type can: that there is a route, and that no station is on it twice.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) otherwise, also if a station's network is none of `eco_systems`.
    pub(crate) fn check(&self, eco_systems: &[&str]) -> Result<()> {
        if self.route.is_empty() {
            return Err(Error::usage("the route has no station"));
        }
        for (position, stop) in self.route.iter().enumerate() {
            if self.route[..position].iter().any(|earlier| earlier.station == stop.station) {
                return Err(Error::usage(format!("station `{}` is on the route twice", stop.station)));
            }
            if !eco_systems.contains(&stop.eco_system.as_str()) {
                let what = format!("the eco_system of station `{}` is `{}`", stop.station, stop.eco_system);
                return Err(Error::usage(what).hint(format!("this wire version has {}", eco_systems.join(", "))));
            }
        }
        Ok(())
    }

    fn creator_object(&self) -> Value {
        json!({
            "id": self.creator.to_json(),
            "rsa_public_key": key_hex(&self.creator_key),
            "paillier_public_key": self.paillier_key,
            "encrypted_key": null,
        })
    }
}

impl DraftStop {
    fn to_json(&self, index: usize) -> Value {
        json!({
            "station": self.station.to_json(),
            "eco_system": self.eco_system,
            "rsa_public_key": key_hex(&self.public_key),
            "index": index,
            "signature": null,
            "encrypted_key": null,
        })
    }
}

/// A public key as configs hold it: the hex of its PEM text.
pub(crate) fn key_hex(key: &PublicKey) -> String {
    hex::encode(key.to_pem().as_bytes())
}
