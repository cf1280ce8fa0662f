use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

#[cfg(feature = "engines")]
use super::choices::engines;
use super::findings::{Findings, to_json, to_text};
use super::guest::Guest;
use super::output::Output;
use super::policy::PolicyOptions;
use super::quantity::count;
use super::release_options::load_reviewers;
use super::secrets::KeyOptions;
use super::settings;
use crate::crypto::PrivateKey;
#[cfg(feature = "engines")]
use crate::engine::{Engine, RunOptions, Volume};
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::image::{open_image, rfc3339};
use crate::stage::{Inspection, Journal, JournalEntry, Remains, kept_in, list_pins, read_trust};
#[cfg(feature = "engines")]
use crate::stage::{kept_runs, leftovers};
use crate::store::fs::free_in;
use crate::store::registry::Credentials;
use crate::store::{Context, Reference};
use crate::text::{Printable, counted};
use crate::train::{Role, TrustStore};

/// Less than this is too little for any train, and less than the other is worth a word, in bytes.
const LEAST_SPACE: u64 = 64 << 20;
const LITTLE_SPACE: u64 = 1 << 30;
/// No clock is right that says less: 2026-01-01.
const EARLIEST: i64 = 1_767_225_600;
/// By how much the clocks of two stations may differ, in seconds.
const DRIFT: i64 = 300;

/// Look whether this station is ready for a train, and say what to do where it is not.
///
/// Keys, pins, engine, journal, registries, clock, disk and leftovers are looked at as a run would use them, by the same
/// settings and options; nothing is changed. Podman starts a container with nothing but this program in it, for a moment.
/// With SRC also whether this very train could run here now.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci doctor
  pht-oci doctor train.tar --config station.toml")]
pub(super) struct Doctor {
    /// A train that is to run here
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Option<Reference>,
    /// The station's id [default: the stop with this key]
    #[arg(long, value_name = "ID", env = "STATION_ID")]
    station: Option<String>,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    policy: PolicyOptions,
    /// The station's signed record of what it did
    #[arg(long, value_name = "FILE", env = "PHT_JOURNAL")]
    journal: Option<PathBuf>,
    /// Container engine
    #[cfg(feature = "engines")]
    #[arg(long, value_name = "ENGINE", value_parser = engines())]
    engine: Option<&'static dyn Engine>,
    /// The setting `release.review`: results are held for a person
    #[arg(long, hide = true)]
    hold: bool,
    /// The setting `release.reviewers`
    #[arg(long, hide = true, value_name = "N", default_value_t = 1, value_parser = count)]
    reviewers: usize,
    /// A file or directory that a run would mount; repeat for more
    #[cfg(feature = "engines")]
    #[arg(long = "volume", value_name = "HOST:PATH[:rw]")]
    volumes: Vec<Volume>,
}

impl Doctor {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let mut found = Findings::default();
        look_at_settings(&mut found);
        let key = self.look_at_key(&mut found);
        let trust = self.look_at_trust(&mut found);
        let guest = self.source.as_ref().map(|source| Guest {
            source,
            station: self.station.as_deref(),
            key: key.as_ref(),
            trust: trust.as_ref(),
            context,
        });
        let train = guest.as_ref().and_then(|guest| guest.look(&mut found));
        let guest = guest.as_ref().zip(train.as_ref());
        if let Some((journal, entries)) = self.look_at_journal(key.as_ref(), context, &mut found)
            && let Some((guest, train)) = guest
        {
            guest.look_at_entries(train, &journal, &entries, &mut found);
        }
        self.look_at_reviewers(&mut found);
        #[cfg(feature = "engines")]
        self.look_at_engine(context, &mut found);
        #[cfg(feature = "engines")]
        if let Some((guest, train)) = guest {
            guest.look_at_run(train, self.engine, &mut found);
        }
        self.look_at_registries(context, &mut found);
        look_at_clock(train.as_ref(), context, &mut found);
        self.look_at_disk(context, &mut found);
        self.look_at_leftovers(context, &mut found);
        output.value(&to_text(output, &found), &to_json(&found))?;
        found.enforce()
    }

    fn look_at_key(&self, found: &mut Findings) -> Option<PrivateKey> {
        let key = found.found("key", self.key.load())?;
        let what = format!("{} bits, {}", key.bits(), key.public_key().fingerprint());
        match self.key.path().filter(|path| mode_of(path) & 0o077 != 0) {
            Some(path) => {
                let error = Error::key("others can read the private key").hint("protect it with chmod 600");
                found.fault("key", &error.at(path.display()));
            }
            None => found.good("key", what),
        }
        Some(key)
    }

    fn look_at_trust(&self, found: &mut Findings) -> Option<TrustStore> {
        found.found("accept", self.policy.demanded_wire().map(drop));
        let Some(dir) = self.policy.trust_dir() else {
            let advice = "make a directory, name it in the settings as trust, and fill it with pht-oci trust add";
            found.warning("trust", "no keys are pinned: nobody vouches for the creator of any train", advice);
            return None;
        };
        let trust = found.found("trust", read_trust(dir))?;
        if let Some(place) = std::iter::once(dir.to_owned())
            .chain(Role::ALL.map(|role| dir.join(role.directory())))
            .find(|place| mode_of(place) & 0o002 != 0)
        {
            let error = Error::verification("anybody can pin keys here").hint("take the right to write from others");
            found.fault("trust", &error.at(place.display()));
        }
        let pins = list_pins(dir).unwrap_or_default();
        let creators = pins.iter().filter(|pin| pin.role == Role::Creator).count();
        if creators == 0 {
            let hint = "pin the creators whose trains you run, with pht-oci trust add";
            let error = Error::verification("no creator is pinned here: every train is refused").hint(hint);
            found.fault("trust", &error.at(dir.display()));
        } else {
            found.good("trust", format!("{} in {}", counted(pins.len() as u64, "pinned key"), dir.display()));
        }
        Some(trust)
    }

    /// The journal and its entries, if it is in order.
    fn look_at_journal(
        &self,
        key: Option<&PrivateKey>,
        context: &Context,
        found: &mut Findings,
    ) -> Option<(Journal, Vec<JournalEntry>)> {
        let Some(path) = &self.journal else {
            let advice = "name a file in the settings as journal";
            found.warning("journal", "nothing is recorded, and a stop could be closed twice", advice);
            return None;
        };
        let journal = Journal::new(path);
        let entries = found.found("journal", journal.examine())?;
        if let (Some(key), Some(last)) = (key, entries.last())
            && !last.is_signed_by(&[key.public_key()])
        {
            let what =
                "the last line was signed with another key: another station's journal, or the station has a new key";
            let advice = "name a new file if it is another station's";
            found.warning("journal", format!("{}: {what}", path.display()), advice);
            return Some((journal, entries));
        }
        let now = rfc3339(context.now).unwrap_or_default();
        match entries.last().and_then(|entry| entry.text("/time")).filter(|time| is_later(time, context.now)) {
            Some(time) => {
                let what = format!("the journal's last line is of {}, and it is {now} now", Printable::new(time));
                found.fault("clock", &Error::usage(what).hint("set the clock of this machine"));
            }
            None => found.good("journal", format!("{} in {}", counted(entries.len() as u64, "line"), path.display())),
        }
        Some((journal, entries))
    }

    /// Whether there are people enough to approve what is held.
    fn look_at_reviewers(&self, found: &mut Findings) {
        if !self.hold {
            return;
        }
        let Some(reviewers) = found.found("reviewers", load_reviewers(self.policy.trust_dir())) else { return };
        let (known, wanted) = (reviewers.len(), self.reviewers);
        if known >= wanted {
            return found
                .good("reviewers", format!("{} of {known} approve what leaves", counted(wanted as u64, "reviewer")));
        }
        let what = format!("{} to approve what leaves, and {known} pinned", counted(wanted as u64, "reviewer"));
        let hint = "put the public keys of reviewers into the directory of pinned keys, as reviewers/NAME.pem";
        found.fault("reviewers", &Error::usage(what).hint(hint));
    }

    #[cfg(feature = "engines")]
    fn look_at_engine(&self, context: &Context, found: &mut Findings) {
        let Some(engine) = self.engine else {
            let advice =
                "name one in the settings as run.engine; without, only the steps pre-run and post-run are done here";
            return found.warning("engine", "no engine is given", advice);
        };
        let options = RunOptions { volumes: self.volumes.clone(), ..RunOptions::default() };
        // What is wrong with a volume says nothing of the engine.
        let options = found.found("volumes", options.resolved()).unwrap_or_default();
        if !options.volumes.is_empty() {
            found.good("volumes", counted(options.volumes.len() as u64, "volume"));
        }
        let works = engine.check(&options).and_then(|()| engine.try_out(context));
        if found.found("engine", works.at(engine.name())).is_some() {
            found.good("engine", engine.name());
        }
        if let Some(isolated) = found.found("network", ensure_isolation(engine.name())) {
            found.good("network", isolated);
        }
    }

    fn look_at_registries(&self, context: &Context, found: &mut Findings) {
        for access in [&context.pull, &context.push] {
            let Credentials::Files(files) = &access.credentials else { continue };
            for file in files {
                let checked = match file.check() {
                    Ok(false) => continue,
                    checked => {
                        checked.map_err(|error| error.hint("log in again, or name another file with --authfile"))
                    }
                };
                if !found.mention(&file.path.display().to_string()) && found.found("logins", checked).is_some() {
                    found.good("logins", format!("{} can be read", file.path.display()));
                }
            }
        }
        for master in self.policy.masters() {
            if found.found("masters", open_image(master, context).map(drop).at("accept.masters")).is_some() {
                found.good("masters", master.to_string());
            }
        }
    }

    fn look_at_disk(&self, context: &Context, found: &mut Findings) {
        let beside = self.source.as_ref().and_then(Reference::path).and_then(Path::parent);
        let beside = beside.map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
        for dir in [Some(context.temporary.as_path()), beside].into_iter().flatten() {
            let probe = tempfile::tempfile_in(dir).doing("write a temporary file").at(dir.display());
            let probe = probe.map_err(|error| error.hint("choose another place with --tmpdir, or give a DEST"));
            let Some(free) = found.found("disk", probe.and_then(|_| free_in(dir))) else { continue };
            let what = format!("{} free in {}", crate::text::size(free), dir.display());
            match free {
                ..LEAST_SPACE => {
                    let error =
                        Error::new(Kind::Io, what).hint("free some space, or choose another place with --tmpdir");
                    found.fault("disk", &error);
                }
                LEAST_SPACE..LITTLE_SPACE => {
                    found.warning("disk", what, "a train takes its size twice, and its results");
                }
                _ => found.good("disk", what),
            }
        }
    }

    /// What runs have kept here or in a place that is known, and what killed runs of this user have left anywhere.
    fn look_at_leftovers(&self, context: &Context, found: &mut Findings) {
        let beside = self.source.as_ref().and_then(Reference::path).and_then(Path::parent);
        let mut kept: Vec<PathBuf> =
            [Some(context.temporary.as_path()), beside].into_iter().flatten().flat_map(kept_in).collect();
        #[cfg(feature = "engines")]
        kept.extend(kept_runs(context).into_iter().map(|kept| kept.path));
        // One directory may be found in two ways.
        kept = kept.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
        kept.sort();
        kept.dedup();
        for path in kept {
            let Some(remains) = Remains::of(&path) else { continue };
            let (what, advice) = match remains {
                Remains::Closed => ("has a closed train that could not be sent", "send what is in it, then remove it"),
                Remains::NoResults => ("is what a run has kept, without its results", "remove the directory"),
                Remains::Results if self.hold => (
                    "has the results of a train that has run, in plaintext",
                    "see to them with pht-oci review, then pht-oci release or pht-oci reject, and remove it",
                ),
                Remains::Results => (
                    "has the results of a train that has run, in plaintext",
                    "see to them with pht-oci review, then pht-oci release or pht-oci reject, or pht-oci post-run where \
                     nobody reviews; then remove it",
                ),
            };
            found.warning("leftovers", format!("{} {what}", path.display()), advice);
        }
        #[cfg(feature = "engines")]
        look_at_killed(context, found);
    }
}

/// What killed runs of this user have left anywhere.
#[cfg(feature = "engines")]
fn look_at_killed(context: &Context, found: &mut Findings) {
    for left in found.found("leftovers", leftovers(context)).unwrap_or_default() {
        let container = left.engine.map(|engine| format!(", perhaps with a container in {engine}")).unwrap_or_default();
        let what =
            format!("{} is left of a run that was killed: it may hold plaintext{container}", left.path.display());
        found.warning("leftovers", what, "remove it with pht-oci cleanup");
    }
}

fn look_at_settings(found: &mut Findings) {
    for fault in settings::faults() {
        found.fault("settings", fault);
    }
    match settings::used() {
        None => {
            let places = settings::usual_places();
            let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            let places = places.join(" and ");
            found.good("settings", format!("none: looked for {places} (what is in it: pht-oci help station)"));
        }
        Some(path) if settings::others_can_change(path) => {
            let hint = "others decide what runs here: chmod go-w";
            let error = Error::usage("others can change the settings").hint(hint);
            found.fault("settings", &error.at(path.display()));
        }
        Some(path) if settings::faults().is_empty() => found.good("settings", path.display().to_string()),
        Some(_) => {}
    }
}

/// Whether the kernel gives containers networks of their own, which are empty; how it is known.
#[cfg(feature = "engines")]
fn ensure_isolation(engine: &str) -> Result<&'static str> {
    let number = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    if engine == "docker" {
        return Ok("the daemon makes a network namespace for each train");
    }
    if !Path::new("/proc/self/ns/net").exists() || number("/proc/sys/user/max_net_namespaces") == Some(0) {
        let hint = "use a kernel with CONFIG_NET_NS, and set user.max_net_namespaces";
        return Err(Error::usage("the kernel has no network namespaces: a train would have a network").hint(hint));
    }
    let is_root = rustix::process::geteuid().is_root();
    let switches = ["/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/unprivileged_userns_clone"];
    if !is_root && switches.iter().any(|switch| number(switch) == Some(0)) {
        let hint = "set user.max_user_namespaces and kernel.unprivileged_userns_clone, or run as root";
        return Err(Error::usage("users other than root may not have namespaces").hint(hint));
    }
    Ok("a train gets a network namespace of its own, with nothing in it")
}

fn look_at_clock(train: Option<&Inspection>, context: &Context, found: &mut Findings) {
    let now = rfc3339(context.now).unwrap_or_else(|_| context.now.to_string());
    if context.now < EARLIEST {
        let hint = "set the clock of this machine, and leave SOURCE_DATE_EPOCH unset";
        return found.fault("clock", &Error::usage(format!("the clock says {now}, which is past")).hint(hint));
    }
    let times = train
        .iter()
        .flat_map(|train| train.built_at.iter().chain(train.route.iter().filter_map(|stop| stop.signed_at.as_ref())));
    match times.max().filter(|time| is_later(time, context.now)) {
        Some(time) => {
            let what = format!("the train was signed at {}, and it is {now} now", Printable::new(time));
            let hint = "set the clock of this machine, or ask whose clock was wrong";
            found.fault("clock", &Error::usage(what).hint(hint));
        }
        None if std::env::var_os("SOURCE_DATE_EPOCH").is_some() => {
            found.warning(
                "clock",
                format!("SOURCE_DATE_EPOCH says {now}"),
                "leave it unset: signatures say when they were made",
            );
        }
        None => found.good("clock", now),
    }
}

/// True if the time, as records have it, is later than now by more than clocks may differ.
fn is_later(time: &str, now: i64) -> bool {
    // Both have one form, in which texts are ordered as times are.
    rfc3339(now + DRIFT).is_ok_and(|now| time > now.as_str())
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).map_or(0, |found| found.permissions().mode())
}
