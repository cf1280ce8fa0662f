use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::color::{Style, table};
use super::output::Output;
use crate::error::{Error, ErrorContext, Result};
use crate::json::json;
use crate::stage::{Parties, PartyKey, add_pin, list_pins, parties, read_trust};
use crate::store::{Context, Reference};
use crate::text::Printable;
use crate::train::{Role, TrustStore};

/// See whose keys a train brings along, and pin them.
///
/// A pinned key is one that you have compared with what its owner told you, by telephone for instance. With the directory
/// of --trust a train must have the pinned keys: in wire 3 the creator's is enough, in earlier versions each party needs
/// its own.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci trust show ./train
  pht-oci trust add ./train creators/alice --trust ./trust \\
    --fingerprint sha256:61be...
  pht-oci trust list --trust ./trust")]
pub(super) struct Trust {
    #[command(subcommand)]
    command: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    Show(Show),
    Add(Add),
    List(List),
}

/// The directory of pinned keys.
#[derive(Debug, Args)]
struct Directory {
    /// Directory of pinned keys: creators/ID.pem or ID.pub.pem, and so builders, stations and reviewers
    #[arg(long, value_name = "DIR", env = "PHT_TRUST_DIR")]
    trust: Option<PathBuf>,
}

impl Directory {
    fn given(&self) -> Result<&Path> {
        let hint = "give one with --trust, the variable PHT_TRUST_DIR, or trust in the settings";
        self.trust.as_deref().ok_or_else(|| Error::usage("no directory of pinned keys is given").hint(hint))
    }
}

/// Show the keys of a train's parties, and which of them are pinned.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci trust show ./train")]
struct Show {
    /// The train
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    #[command(flatten)]
    directory: Directory,
}

/// Pin the key that a party has in a train.
///
/// Ask the owner of the key for its fingerprint (pht-oci fingerprint), and give what you are told: it must be the one in
/// the train.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  pht-oci trust add ./train creators/alice --fingerprint sha256:61be...")]
struct Add {
    /// The train
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// Whose key: creators/ID, stations/ID, or builders/NAME under a name that you choose
    #[arg(value_name = "PARTY")]
    party: String,
    /// The fingerprint that the owner of the key has told you
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    #[command(flatten)]
    directory: Directory,
}

/// List the pinned keys.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci trust list --trust ./trust")]
struct List {
    #[command(flatten)]
    directory: Directory,
}

impl Trust {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        match &self.command {
            Act::Show(show) => show.run(context, output),
            Act::Add(add) => add.run(context, output),
            Act::List(list) => list.run(output),
        }
    }
}

impl Show {
    fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        // Before the first pin there is no directory.
        let trust = self.directory.trust.as_deref().filter(|dir| dir.exists()).map(read_trust).transpose()?;
        let found = parties(&self.source, context)?;
        let rows = found.parties.iter().map(|party| {
            let (state, style) = state(&found, party, trust.as_ref());
            let cells = [Printable::new(&party.path()).to_string(), party.key.fingerprint(), state.to_owned()];
            (cells.to_vec(), style)
        });
        let heading = format!("{} (train {})", Printable::new(&found.source), Printable::new(&found.id));
        let color = output.color();
        let mut text = format!("{}\n", color.style(Style::Heading, &heading));
        text += &table(color, 2, &["party", "key", "state"], &rows.collect::<Vec<_>>());
        let who = if found.creator_vouches {
            "the creator's signature names the other keys: to pin the creator's is enough"
        } else {
            "in this wire version no signature names the keys: each has to be pinned"
        };
        let is_pinned = |party: &PartyKey| state(&found, party, trust.as_ref()).1 == Style::Good;
        let ask = "ask each owner for the fingerprint, then: pht-oci trust add SRC PARTY --fingerprint ...";
        text += &match found.parties.iter().all(is_pinned) {
            true => format!("\n  {who}\n"),
            false => format!("\n  {who}\n  {ask}\n"),
        };
        let json = found.parties.iter().map(|party| {
            json!({
                "role": party.role.name(),
                "id": party.party.to_string(),
                "party": party.path(),
                "fingerprint": party.key.fingerprint(),
                "bits": party.key.bits(),
                "pem": party.key.to_pem(),
                "state": state(&found, party, trust.as_ref()).0,
            })
        });
        let json = json!({
            "source": found.source,
            "id": found.id,
            "creator_vouches": found.creator_vouches,
            "parties": json.collect::<Vec<_>>(),
        });
        output.value(&text, &json)
    }
}

/// What the pinned keys say of a party's.
fn state(found: &Parties, party: &PartyKey, trust: Option<&TrustStore>) -> (&'static str, Style) {
    let creator_is_pinned = |trust: &TrustStore| {
        let mut creators = found.parties.iter().filter(|party| party.role == Role::Creator);
        creators.any(|creator| creator.pinned(trust) == Some(&creator.key))
    };
    match trust.map(|trust| (trust, party.pinned(trust))) {
        Some((_, Some(pinned))) if *pinned == party.key => ("pinned", Style::Good),
        Some((_, Some(_))) => ("ANOTHER KEY IS PINNED", Style::Bad),
        Some((trust, None)) if found.creator_vouches && creator_is_pinned(trust) => {
            ("named by the pinned creator", Style::Good)
        }
        _ => ("not pinned", Style::Doubtful),
    }
}

impl Add {
    fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let dir = self.directory.given()?;
        let found = parties(&self.source, context)?;
        let (party, name) = self.choose(&found)?;
        let key = party.key.fingerprint();
        let Some(told) = &self.fingerprint else {
            let what = format!("{} has the key {key} in this train; is that what its owner says?", party.path());
            return Err(Error::usage(what).hint("ask the owner, and give the answer with --fingerprint"));
        };
        let told = fingerprint(told)?;
        if told != key {
            let what = format!("the key in the train is {key}, not {told}");
            let hint =
                "do not run this train before you know why: its creator, or somebody on the way, has another key";
            return Err(Error::verification(what).hint(hint).at(party.path()));
        }
        let path = add_pin(dir, party.role, &name, &party.key).at(party.path())?;
        let path = path.display().to_string();
        let text = format!("{}\n  {key}\n", Printable::new(&path));
        output.value(&text, &json!({ "party": party.path(), "fingerprint": key, "file": path }))
    }

    /// The party that was named, and the name for its file.
    fn choose<'f>(&self, found: &'f Parties) -> Result<(&'f PartyKey, String)> {
        let names = || {
            let names: Vec<String> = found.parties.iter().map(PartyKey::path).collect();
            format!("the parties of this train are: {}", names.join(", "))
        };
        let unknown =
            || Error::usage(format!("`{}` is not a party of this train", Printable::new(&self.party))).hint(names());
        let (role, id) = match self.party.split_once('/') {
            Some((role, id)) => (Role::named(role).ok_or_else(unknown)?, Some(id)),
            None => (Role::named(&self.party).ok_or_else(unknown)?, None),
        };
        let is_named = |party: &&PartyKey| role == Role::Builder || id.is_none_or(|id| party.party.is_named(id));
        let mut fitting = found.parties.iter().filter(|party| party.role == role).filter(is_named);
        match (fitting.next(), fitting.next()) {
            (Some(party), None) => {
                let own = party.party.canonical().to_owned();
                Ok((party, if role == Role::Builder { id.map_or(own, str::to_owned) } else { own }))
            }
            _ => Err(unknown()),
        }
    }
}

/// The fingerprint as this program writes it: people also have the digits alone, as `sha256sum` prints them.
fn fingerprint(told: &str) -> Result<String> {
    let told = told.trim().to_ascii_lowercase();
    let digits = told.strip_prefix("sha256:").unwrap_or(&told);
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(format!("sha256:{digits}"));
    }
    let hint = "give what pht-oci fingerprint prints for the owner, or the digits alone";
    let what = format!("`{}` is not a fingerprint: 64 hexadecimal digits", Printable::new(&told));
    Err(Error::usage(what).hint(hint).at("--fingerprint"))
}

impl List {
    fn run(&self, output: &mut Output) -> Result<()> {
        let dir = self.directory.given()?;
        // What stages refuse, is refused here.
        read_trust(dir)?;
        let pins = list_pins(dir)?;
        let rows = pins.iter().map(|pin| {
            let name = format!("{}/{}", pin.role.directory(), Printable::new(&pin.name));
            (
                vec![name, pin.key.fingerprint(), Printable::new(&pin.path.display().to_string()).to_string()],
                Style::Good,
            )
        });
        let text = match pins.len() {
            0 => "no keys are pinned\n".to_owned(),
            _ => table(output.color(), 0, &["party", "key", "file"], &rows.collect::<Vec<_>>()),
        };
        let pins = pins.iter().map(|pin| {
            json!({
                "role": pin.role.name(),
                "id": pin.name,
                "fingerprint": pin.key.fingerprint(),
                "bits": pin.key.bits(),
                "file": pin.path.display().to_string(),
            })
        });
        output.value(&text, &json!({ "directory": dir.display().to_string(), "pins": pins.collect::<Vec<_>>() }))
    }
}
