//! The keys of a train's parties: shown to a person, and pinned by one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::parts::checks::collect_config;
use super::parts::load::{Depth, Train};
use super::parts::pinned_keys::list_pins;
use super::parts::request::VerificationPolicy;
use crate::crypto::PublicKey;
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::image::open_image;
use crate::store::{Context, Reference};
use crate::text::Printable;
use crate::train::check::require_ok;
use crate::train::{PartyId, Role, TrustStore};

/// The name of a pinned builder's file, where nobody has chosen one: a train does not name its builder.
const BUILDER: &str = "builder";
/// The most bytes of a name in a directory, without the ending.
const MAX_NAME: usize = 200;

/// The parties of a train.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parties {
    /// The image.
    pub source: String,
    /// The train's id.
    pub id: String,
    /// True if the creator's signature names the keys of builder and stations: then the creator's pin is enough.
    pub creator_vouches: bool,
    /// The creator, the builder where there is one, and the stations by their stops.
    pub parties: Vec<PartyKey>,
}

/// A party of a train and its key there.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PartyKey {
    /// Its role.
    pub role: Role,
    /// Its id; a train gives its builder none.
    pub party: PartyId,
    /// Its key.
    pub key: PublicKey,
}

impl PartyKey {
    /// Its name as one types it, as in `creators/alice`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.role.directory(), self.party)
    }

    /// The key that is pinned for it.
    pub fn pinned<'t>(&self, trust: &'t TrustStore) -> Option<&'t PublicKey> {
        if self.role == Role::Builder {
            let builders = trust.pins().filter(|(role, _, _)| *role == Role::Builder).map(|(_, _, key)| key);
            // Any of several is right.
            return builders.max_by_key(|key| **key == self.key);
        }
        trust.pinned(self.role, &self.party)
    }
}

/// The parties of a train with their keys. Whose keys they really are, only their owners can say.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) if a signature of the train does not hold: such keys are not
/// worth a look; [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no train.
pub fn parties(source: &Reference, context: &Context) -> Result<Parties> {
    let mut train = Train::load(open_image(source, context)?, &context.temporary, Depth::Config)?;
    train.view.verify()?;
    let config = &train.config;
    require_ok(collect_config(config, VerificationPolicy::default())).at(train.name())?;
    let party = |role, party: &PartyId, key: &PublicKey| PartyKey { role, party: party.clone(), key: key.clone() };
    let creator = config.creator();
    let mut parties = vec![party(Role::Creator, &creator.id, &creator.public_key)];
    let builder = config.form().builder_key();
    parties.extend(builder.map(|key| party(Role::Builder, &PartyId::from(BUILDER), key)));
    parties.extend(config.route().stops().iter().map(|stop| party(Role::Station, &stop.station, &stop.public_key)));
    Ok(Parties {
        source: train.name(),
        id: config.id().to_owned(),
        creator_vouches: config.form().creator_vouches(),
        parties,
    })
}

/// Pins a key for the party `name` in the directory `dir`, which is made if it is not there; the file. Nothing changes
/// if the very key is pinned already.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if another key is pinned for it, or its id is no name of a file.
pub fn add_pin(dir: &Path, role: Role, name: &str, key: &PublicKey) -> Result<PathBuf> {
    let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']) && name.len() <= MAX_NAME;
    // A reader would cut the ending off and take the rest for the id.
    if !is_name || name.ends_with(".pub") {
        let what = format!("`{}` is not a name for a file, so that no key can be pinned for it", Printable::new(name));
        return Err(Error::usage(what));
    }
    let pins = if dir.exists() { list_pins(dir)? } else { Vec::new() };
    let party = PartyId::from(name);
    if let Some(pin) = pins.iter().find(|pin| pin.role == role && PartyId::from(pin.name.as_str()) == party) {
        if pin.key == *key {
            return Ok(pin.path.clone());
        }
        let what = format!("another key is pinned for `{party}` already: {}", pin.key.fingerprint());
        return Err(Error::usage(what)
            .hint("remove the old key file if the owner has a new key")
            .at(pin.path.display()));
    }
    let below = dir.join(role.directory());
    fs::create_dir_all(&below).doing("create the directory").at(below.display())?;
    let path = below.join(format!("{name}.pub.pem"));
    let mut file = tempfile::Builder::new();
    let mut file = file.prefix(".pht-oci-").tempfile_in(&below).doing("create the key file").at(below.display())?;
    let written = file.write_all(key.to_pem().as_bytes()).and_then(|()| file.as_file().sync_all());
    written.doing("write the key file").at(path.display())?;
    // Public keys are for everybody to read.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).doing("set the mode of the key file").at(path.display())?;
    file.persist_noclobber(&path).map_err(|failed| failed.error).doing("name the key file").at(path.display())?;
    Ok(path)
}
