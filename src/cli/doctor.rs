use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::advice::words;
#[cfg(feature = "engines")]
use super::choices::engines;
use super::color::Style;
use super::output::Output;
use super::policy::PolicyOptions;
use super::secrets::KeyOptions;
use super::settings;
use crate::crypto::{PrivateKey, PublicKey};
#[cfg(feature = "engines")]
use crate::engine::{Engine, RunOptions, Volume};
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::image::{open_image, rfc3339};
use crate::json::{self, Value, json};
#[cfg(feature = "engines")]
use crate::stage::leftovers;
use crate::stage::{Inspection, Journal, Parties, inspect, list_pins, parties, read_trust};
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
/// The beginnings of the names of what `run` keeps for a person to see to, and what is to be done with it.
const KEPT: [(&str, &str, &str); 2] = [
    ("pht-oci-closed-", "has a closed train that could not be sent", "send what is in it, then remove it"),
    (
        "pht-oci-run-",
        "has the results of a train that has run, in plaintext",
        "close the train with pht-oci post-run and --results, then remove it",
    ),
];

/// Look whether this station is ready for a train, and say what to do where it is not.
///
/// Keys, pins, engine, journal, registries, clock, disk and leftovers are looked at as a run would use them, by the same
/// settings and options; nothing is changed. With SRC also whether this very train could run here now.
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
    /// A file or directory that a run would mount; repeat for more
    #[cfg(feature = "engines")]
    #[arg(long = "volume", value_name = "HOST:PATH[:rw]")]
    volumes: Vec<Volume>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Warning,
    Fault(Kind),
}

/// What was found of one thing.
struct Finding {
    id: &'static str,
    verdict: Verdict,
    what: String,
    advice: Option<String>,
}

/// What was looked at, and what was found.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, id: &'static str, what: impl Into<String>) {
        self.0.push(Finding { id, verdict: Verdict::Good, what: what.into(), advice: None });
    }

    fn warning(&mut self, id: &'static str, what: impl Into<String>, advice: &str) {
        let advice = Some(advice.to_owned());
        self.0.push(Finding { id, verdict: Verdict::Warning, what: what.into(), advice });
    }

    fn fault(&mut self, id: &'static str, error: &Error) {
        let advice = error.advice().map(words);
        self.0.push(Finding { id, verdict: Verdict::Fault(error.kind()), what: error.to_string(), advice });
    }

    /// The value, or its fault.
    fn found<T>(&mut self, id: &'static str, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.fault(id, &error)).ok()
    }

    fn count(&self, of: impl Fn(Verdict) -> bool) -> u64 {
        self.0.iter().filter(|finding| of(finding.verdict)).count() as u64
    }
}

impl Doctor {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let mut found = Findings::default();
        look_at_settings(&mut found);
        let key = self.look_at_key(&mut found);
        let trust = self.look_at_trust(&mut found);
        let train = self.source.as_ref().and_then(|source| {
            let train = found.found("train", inspect(source, context))?;
            found.good(
                "train",
                format!("{} (wire {}), {}", Printable::new(&train.id), train.wire, train.state().name()),
            );
            Some(train)
        });
        if let (Some(source), Some(train)) = (&self.source, &train) {
            if let Some(key) = &key {
                self.look_at_route(&key.public_key(), train, &mut found);
            }
            self.look_at_parties(source, trust.as_ref(), context, &mut found);
        }
        self.look_at_journal(key.as_ref(), context, &mut found);
        #[cfg(feature = "engines")]
        self.look_at_engine(&mut found);
        self.look_at_registries(context, &mut found);
        look_at_clock(train.as_ref(), context, &mut found);
        self.look_at_disk(context, &mut found);
        #[cfg(feature = "engines")]
        look_at_leftovers(context, &mut found);
        output.value(&to_text(output, &found), &to_json(&found))?;
        match found.0.iter().find_map(|finding| match finding.verdict {
            Verdict::Fault(kind) => Some((kind, finding)),
            _ => None,
        }) {
            None => Ok(()),
            Some((kind, finding)) => {
                let faults = counted(found.count(|verdict| matches!(verdict, Verdict::Fault(_))), "fault");
                let error = Error::new(kind, format!("not ready: {faults}, the first with the {}", finding.id));
                Err(match &finding.advice {
                    Some(advice) => error.hint(advice.clone()),
                    None => error,
                })
            }
        }
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
        let Some(dir) = self.policy.trust_dir() else {
            let advice = "make a directory, name it in the settings as trust, and fill it with pht-oci trust add";
            found.warning("trust", "no keys are pinned: nobody vouches for the creator of any train", advice);
            found.found("accept", self.policy.load().map(drop))?;
            return None;
        };
        let trust = found.found("trust", read_trust(dir))?;
        found.found("accept", self.policy.load().map(drop))?;
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

    /// Whether it is the turn of the station that has the key.
    fn look_at_route(&self, key: &PublicKey, train: &Inspection, found: &mut Findings) {
        let own = key.fingerprint();
        let is_own =
            |name: &str| self.station.as_deref().is_none_or(|id| crate::train::PartyId::from(name).is_named(id));
        let Some(stop) = train.route.iter().find(|stop| stop.key == own && is_own(&stop.station)) else {
            let names: Vec<&str> = train.route.iter().map(|stop| stop.station.as_str()).collect();
            let who = self.station.as_deref().map(|id| format!(" as `{}`", Printable::new(id))).unwrap_or_default();
            let what = format!("the key {own} is not on the route{who}: {}", Printable::new(&names.join(", ")));
            let hint = "give the key and the station that the route's planner has, or ask for a new route: a new key needs one";
            return found.fault("route", &Error::key(what).hint(hint));
        };
        let station = Printable::new(&stop.station);
        match train.next {
            Some(next) if next == stop.index => found.good("route", format!("next is `{station}`, this station")),
            _ if stop.signed => {
                let error = Error::verification(format!("`{station}` has signed already"));
                found.fault("route", &error.hint("send the train on; nothing is to be done here"));
            }
            _ => {
                let next = train.next.map(|next| train.route[next].station.clone()).unwrap_or_default();
                let what = format!("not the turn of `{station}`: next is `{}`", Printable::new(&next));
                found.fault("route", &Error::verification(what).hint("wait until the stations before have signed"));
            }
        }
    }

    fn look_at_parties(&self, source: &Reference, trust: Option<&TrustStore>, context: &Context, found: &mut Findings) {
        let Some(of_train) = found.found("signatures", parties(source, context)) else { return };
        found.good("signatures", "the creator's signature and those of the route hold");
        let Some(trust) = trust else { return };
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

    fn look_at_journal(&self, key: Option<&PrivateKey>, context: &Context, found: &mut Findings) {
        let Some(path) = &self.journal else {
            let advice = "name a file in the settings as journal";
            return found.warning("journal", "nothing is recorded, and a stop could be closed twice", advice);
        };
        let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let writable = tempfile::tempfile_in(directory).doing("write beside the journal").at(path.display());
        let writable = writable.map_err(|error| error.hint("make the directory, for the station's user alone"));
        if found.found("journal", writable).is_none() {
            return;
        }
        let journal = Journal::new(path);
        let Some(entries) = found.found("journal", journal.entries()) else { return };
        if let (Some(key), Some(last)) = (key, entries.last())
            && !last.is_signed_by(&[key.public_key()])
        {
            let what =
                "the last line was signed with another key: another station's journal, or the station has a new key";
            return found.warning(
                "journal",
                format!("{}: {what}", path.display()),
                "begin a new file if it is another's",
            );
        }
        let now = rfc3339(context.now).unwrap_or_default();
        match entries.last().and_then(|entry| entry.text("/time")).filter(|time| is_later(time, context.now)) {
            Some(time) => {
                let what = format!("the journal's last line is of {}, and it is {now} now", Printable::new(time));
                found.fault("clock", &Error::usage(what).hint("set the clock of this machine"));
            }
            None => found.good("journal", format!("{} in {}", counted(entries.len() as u64, "line"), path.display())),
        }
    }

    #[cfg(feature = "engines")]
    fn look_at_engine(&self, found: &mut Findings) {
        let Some(engine) = self.engine else {
            let advice =
                "name one in the settings as run.engine; without, only the steps pre-run and post-run are done here";
            return found.warning("engine", "no engine is given", advice);
        };
        let options = RunOptions { volumes: self.volumes.clone(), ..RunOptions::default() };
        let resolved = options.resolved();
        let Some(options) = found.found("volumes", resolved) else { return };
        if !options.volumes.is_empty() {
            found.good("volumes", counted(options.volumes.len() as u64, "volume"));
        }
        if found.found("engine", engine.check(&options).at(engine.name())).is_some() {
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
                let read = match fs::read(&file.path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound && !file.required => continue,
                    read => read.doing("read the credentials"),
                };
                let parsed = read.and_then(|bytes| json::parse_object(&bytes)).map(drop).at(file.path.display());
                let parsed = parsed.map_err(|error| error.hint("log in again, or name another file with --authfile"));
                if found.0.iter().all(|known| !known.what.starts_with(&file.path.display().to_string()))
                    && found.found("logins", parsed).is_some()
                {
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
            for (path, what, advice) in kept_in(dir) {
                found.warning("leftovers", format!("{} {what}", path.display()), advice);
            }
        }
    }
}

/// What killed runs of this user have left anywhere.
#[cfg(feature = "engines")]
fn look_at_leftovers(context: &Context, found: &mut Findings) {
    for left in found.found("leftovers", leftovers(context)).unwrap_or_default() {
        let container = left.engine.map(|engine| format!(", perhaps with a container in {engine}")).unwrap_or_default();
        let what =
            format!("{} is left of a run that was killed: it may hold plaintext{container}", left.path.display());
        found.warning("leftovers", what, "remove it with pht-oci cleanup");
    }
}

fn look_at_settings(found: &mut Findings) {
    match settings::used() {
        None => found.good("settings", "none; options and environment alone"),
        Some(path) if mode_of(path) & 0o022 != 0 && path.is_file() => {
            let hint = "others decide what runs here: chmod go-w";
            let error = Error::usage("others can change the settings").hint(hint);
            found.fault("settings", &error.at(path.display()));
        }
        Some(path) => found.good("settings", path.display().to_string()),
    }
}

/// What runs have kept in a directory, in the order of its names, with what it is and what is to be done.
fn kept_in(dir: &Path) -> Vec<(PathBuf, &'static str, &'static str)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let kept = entries.filter_map(|entry| {
        let name = entry.file_name();
        let (_, what, advice) =
            KEPT.iter().find(|(prefix, ..)| name.as_encoded_bytes().starts_with(prefix.as_bytes()))?;
        Some((entry.path(), *what, *advice))
    });
    let mut kept: Vec<_> = kept.filter(|(path, ..)| path.is_dir()).collect();
    kept.sort();
    kept
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

fn to_text(output: &Output, found: &Findings) -> String {
    let color = output.color();
    let mut text = String::new();
    for finding in &found.0 {
        let (mark, style) = match finding.verdict {
            Verdict::Good => ("ok     ", Style::Good),
            Verdict::Warning => ("warning", Style::Doubtful),
            Verdict::Fault(_) => ("FAULT  ", Style::Bad),
        };
        text += &format!("  {} {:10} {}\n", color.style(style, mark), finding.id, Printable::new(&finding.what));
        if let Some(advice) = &finding.advice {
            text += &format!("                     {}\n", Printable::new(advice));
        }
    }
    let faults = found.count(|verdict| matches!(verdict, Verdict::Fault(_)));
    let warnings = found.count(|verdict| verdict == Verdict::Warning);
    text + &match (faults, warnings) {
        (0, 0) => "ready\n".to_owned(),
        (0, warnings) => format!("ready, with {}\n", counted(warnings, "warning")),
        (faults, _) => format!("NOT ready: {}\n", counted(faults, "fault")),
    }
}

fn to_json(found: &Findings) -> Value {
    let findings = found.0.iter().map(|finding| {
        let verdict = match finding.verdict {
            Verdict::Good => "ok",
            Verdict::Warning => "warning",
            Verdict::Fault(_) => "fault",
        };
        json!({ "id": finding.id, "verdict": verdict, "what": finding.what, "advice": finding.advice })
    });
    let ready = found.count(|verdict| matches!(verdict, Verdict::Fault(_))) == 0;
    json!({ "ready": ready, "findings": findings.collect::<Vec<_>>() })
}
