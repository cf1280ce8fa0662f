//! What a creator would be told at a hospital, or never, told at build: nothing here makes a train invalid but what can
//! only be a mistake.

use std::io::Read;

use super::labels::has_stage;
use super::load::has_config_on_top;
use crate::crypto::{MAX_KEY_FILE, PrivateKey, PublicKey};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::image::{Image, NodeKind, Tree};
use crate::json::{self, Value};
use crate::path::shown;
use crate::store::Context;
use crate::text::{Printable, some_of};
use crate::train::files::QUERY;
use crate::train::{DraftStop, PartyId, SignedImage, paths};

/// The number of names in a warning.
const NAMED: usize = 5;
/// Directories and files of tools, which no train needs.
const CLUTTER: [&str; 13] = [
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    ".venv",
    "venv",
    "node_modules",
    ".ipynb_checkpoints",
    ".DS_Store",
    "Thumbs.db",
    ".idea",
    ".vscode",
    ".Rproj.user",
];
/// Files and directories that hold passwords and the like.
const SECRETS: [&str; 11] = [
    ".env",
    ".netrc",
    ".pgpass",
    ".git-credentials",
    ".aws",
    ".ssh",
    ".gnupg",
    ".kube",
    ".docker",
    ".Renviron",
    ".pypirc",
];
/// Programs that wait for somebody to type, if nothing else is said.
const SHELLS: [&str; 13] =
    ["sh", "bash", "ash", "dash", "zsh", "busybox", "python", "python3", "ipython", "R", "julia", "node", "octave"];

/// Refuses a base that is a train already: its files would be hidden below the new ones, and travel in plaintext or as
/// ciphertext that nobody reads.
pub(in crate::stage) fn ensure_is_no_train(base: &Image, context: &Context) -> Result<()> {
    if !has_stage(base) && !has_config_on_top(base, &context.temporary)? {
        return Ok(());
    }
    let what = "the base is a train, not a master image";
    Err(Error::usage(what).hint("give the master image that it was built on").at(base.source().name()))
}

/// Refuses ids that no train config can have, and says which parties of a route will be trouble at a hospital.
pub(in crate::stage) fn route_warnings(route: &[DraftStop], creator: (&PartyId, &PublicKey)) -> Vec<String> {
    let mut warnings = Vec::new();
    let parties = route.iter().map(|stop| ("station", &stop.station)).chain([("creator", creator.0)]);
    for (role, id) in parties.filter(|(_, id)| !id.is_file_name()) {
        warnings.push(format!(
            "the id of {role} `{id}` is no file name, so no key can be pinned for it: choose one of letters, digits, - and _"
        ));
    }
    for (position, stop) in route.iter().enumerate() {
        if let Some(other) = route[..position].iter().find(|other| other.public_key == stop.public_key) {
            warnings.push(format!(
                "stations `{}` and `{}` have one key, so each can act and read for the other: ask both for keys of their own",
                other.station, stop.station
            ));
        }
        if stop.public_key == *creator.1 {
            let station = &stop.station;
            warnings.push(format!("station `{station}` has the creator's key: ask it for a key of its own"));
        }
    }
    warnings
}

/// How the train runs: refuses a command that names a file which is not there, and doubts others.
pub(in crate::stage) fn command_warnings(execution: &SignedImage, files: &Tree) -> Result<Vec<String>> {
    let command: Vec<&str> = ["Entrypoint", "Cmd"].into_iter().flat_map(|member| execution.list(member)).collect();
    let mut warnings = Vec::new();
    for argument in &command {
        let Some(place) = argument.strip_prefix('/').filter(|place| place.starts_with("opt/pht_train/")) else {
            continue;
        };
        let place = place.trim_end_matches('/').as_bytes();
        if !place.iter().any(u8::is_ascii_whitespace) && files.get(place).is_none() {
            return Err(missing(place, files));
        }
    }
    let first = command.first().map(|program| program.rsplit('/').next().unwrap_or(program));
    let runs_file = command.iter().any(|argument| argument.contains("/opt/pht_train"));
    match (first, &command[..]) {
        (None, _) => {
            warnings.push("the train has no command, neither its own nor the master image's: no engine can run it".to_owned());
        }
        (Some(shell), [_]) if SHELLS.contains(&shell) => warnings.push(format!(
            "the train's command is `{}`, the master image's, which does nothing by itself: give the train one of its own",
            Printable::new(shell)
        )),
        _ if !runs_file => {
            let relative = command.iter().find(|argument| is_among(argument, execution, files));
            warnings.extend(relative.map(|argument| {
                let argument = Printable::new(argument);
                format!(
                    "the command names `{argument}`, but runs in `{}`: write /opt/pht_train/{argument}",
                    Printable::new(execution.text("WorkingDir").unwrap_or("/"))
                )
            }));
        }
        _ => {}
    }
    if let Some(user) = execution.other_user() {
        warnings.push(format!(
            "the master image runs as user `{}`: /opt/pht_results is open to this user, who cannot change what stations with \
             other programs put there; a master image that runs as root works everywhere",
            Printable::new(user)
        ));
    }
    let volumes: Vec<String> = execution.volumes().map(|volume| Printable::new(volume).to_string()).collect();
    if let Some(volumes) = some_of(&volumes, NAMED) {
        warnings.push(format!(
            "the master image declares volumes ({volumes}): what the train writes there is lost; results go to /opt/pht_results"
        ));
    }
    Ok(warnings)
}

fn missing(place: &[u8], files: &Tree) -> Error {
    let name = place.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let has_name = |path: &[u8]| path.rsplit(|&byte| byte == b'/').next() == Some(name);
    let like = files.nodes().iter().find(|node| has_name(&node.path)).map(|node| shown(&node.path));
    let there: Vec<String> = files
        .nodes()
        .iter()
        .filter(|node| matches!(node.kind, NodeKind::File { .. }))
        .map(|node| shown(&node.path).to_string())
        .collect();
    let hint = match (like, some_of(&there, NAMED)) {
        (Some(like), _) => format!("did you mean {like}?"),
        (None, Some(there)) => format!("there are: {there}"),
        (None, None) => "give the directory with the train's files".to_owned(),
    };
    Error::usage("the command names a file that is not among the train's").hint(hint).at(shown(place))
}

/// True if a word of a command is a file of the train that is not looked for where it is.
fn is_among(argument: &str, execution: &SignedImage, files: &Tree) -> bool {
    let at_home = execution.text("WorkingDir").is_some_and(|dir| dir.trim_end_matches('/') == "/opt/pht_train");
    let name = argument.strip_prefix("./").unwrap_or(argument);
    let path = [paths::TRAIN, b"/", name.as_bytes()].concat();
    !at_home && !argument.starts_with('/') && files.get(&path).is_some()
}

/// What is among the files that hardly anybody wants to send to hospitals.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if a party's private key is among them; input/output.
pub(in crate::stage) fn file_warnings(files: &Tree, parties: &[&PublicKey]) -> Result<Vec<String>> {
    let (mut clutter, mut secrets) = (Vec::new(), Vec::new());
    let mut inside: Option<&[u8]> = None;
    for node in &files.nodes()[files.below(paths::TRAIN)] {
        if inside.is_some_and(|above| crate::path::is_below(&node.path, above)) {
            continue;
        }
        let name = node.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let is = |names: &[&str]| names.iter().any(|known| known.as_bytes() == name);
        let group = if is(&CLUTTER) || name.ends_with(b".pyc") {
            &mut clutter
        } else if is(&SECRETS) || name.starts_with(b".env.") || is_private_key(files, node, parties)? {
            &mut secrets
        } else {
            continue;
        };
        group.push(shown(&node.path).to_string());
        inside = Some(&node.path);
    }
    let mut warnings = Vec::new();
    if let Some(names) = some_of(&secrets, NAMED) {
        warnings.push(format!(
            "passwords or keys may be among the files, which every station reads: {names}; leave them out by a line in .phtignore"
        ));
    }
    if let Some(names) = some_of(&clutter, NAMED) {
        warnings.push(format!("no train needs these files: {names}; leave them out by a line in .phtignore"));
    }
    let query = files.get(&[paths::TRAIN, b"/", QUERY.as_bytes()].concat());
    let is_json =
        |query| -> Result<bool> { Ok(matches!(json::parse(&files.read(query, 16 << 20)?), Ok(Value::Object(_)))) };
    if query.map(is_json).transpose()? == Some(false) {
        warnings.push(format!("{QUERY} is not a JSON object: stations cannot send it to a FHIR server"));
    }
    Ok(warnings)
}

/// True if a file is a private key. One of the train's parties' is refused: whoever has it acts as that party.
fn is_private_key(files: &Tree, node: &crate::image::Node, parties: &[&PublicKey]) -> Result<bool> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    if !matches!(&node.kind, NodeKind::File { size, .. } if *size >= BEGIN.len() as u64 && *size <= MAX_KEY_FILE as u64)
    {
        return Ok(false);
    }
    let mut text = zeroize::Zeroizing::new(Vec::new());
    let mut file = files.open(node)?.take(MAX_KEY_FILE as u64);
    file.by_ref().take(BEGIN.len() as u64).read_to_end(&mut text).doing("read the file").at(node.shown())?;
    if text.as_slice() != BEGIN {
        return Ok(false);
    }
    file.read_to_end(&mut text).doing("read the file").at(node.shown())?;
    let is_key = text.windows(16).any(|window| window == b"PRIVATE KEY-----");
    let owner = PrivateKey::from_pem(&text, None).ok().filter(|_| is_key);
    if owner.is_some_and(|key| parties.contains(&&key.public_key())) {
        let what = "the private key of a party of this train is among its files";
        let hint = "keep it elsewhere, or leave it out by a line in .phtignore";
        return Err(Error::usage(what).hint(hint).at(node.shown()));
    }
    Ok(is_key)
}
