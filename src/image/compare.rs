//! In what two images differ: file by file, and field by field of their configs.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::snapshot::{FileRecord, FileRecordKind};
use crate::crypto::hex;
use crate::json::{Object, Value};
use crate::path::{shown, walk_order};
use crate::text::Printable;

/// The part of an image in which two images differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Area {
    /// In their files.
    Files,
    /// In their image configs.
    Config,
}

impl Area {
    /// The stable name in reports: `files` or `config`.
    pub fn name(self) -> &'static str {
        match self {
            Area::Files => "files",
            Area::Config => "config",
        }
    }
}

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

impl Change {
    /// The stable name in reports: `added`, `removed` or `changed`.
    pub fn name(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        }
    }
}

/// One thing in which two images differ.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Files or config.
    pub area: Area,
    /// A path, as in `/usr/bin/python3`, or a field, as in `config.Env: PATH`.
    pub subject: String,
    /// The kind of change.
    pub change: Change,
    /// The attributes that changed.
    pub attributes: Vec<Attribute>,
}

/// An attribute of a file or a field that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attribute {
    /// A stable name: `type`, `mode`, `owner`, `content`, `target`, `device`, `xattrs`, `hard-link` or `value`.
    pub name: &'static str,
    /// As it was; empty where that says nothing to a person, or is nobody's to see.
    pub before: String,
    /// As it is now.
    pub after: String,
}

impl Attribute {
    /// An attribute and how it looks before and after.
    pub fn new(name: &'static str, before: impl Into<String>, after: impl Into<String>) -> Self {
        Attribute { name, before: before.into(), after: after.into() }
    }
}

/// Compares what two images show, both in walk order; paths for which `counts` does not hold are left out. Times are
/// not compared, and neither is which files are one file with several names.
pub fn compare_files(old: &[FileRecord], new: &[FileRecord], counts: impl Fn(&[u8]) -> bool) -> Vec<Difference> {
    let mut found = Vec::new();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(old), Some(new)) => walk_order(&old.path, &new.path),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return found,
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        let Some(path) = before.or(after).map(|seen| &*seen.path).filter(|path| counts(path)) else { continue };
        let (change, attributes) = match (before, after) {
            (Some(before), Some(after)) => (Change::Changed, attributes(before, after)),
            (Some(_), None) => (Change::Removed, Vec::new()),
            _ => (Change::Added, Vec::new()),
        };
        if change != Change::Changed || !attributes.is_empty() {
            found.push(Difference { area: Area::Files, subject: shown(path).to_string(), change, attributes });
        }
    }
}

fn attributes(old: &FileRecord, new: &FileRecord) -> Vec<Attribute> {
    let mut found = kind_attributes(&old.kind, &new.kind);
    if old.mode != new.mode {
        found.push(Attribute::new("mode", format!("{:04o}", old.mode), format!("{:04o}", new.mode)));
    }
    if old.owner != new.owner {
        let owner = |(user, group): (u64, u64)| format!("{user}:{group}");
        found.push(Attribute::new("owner", owner(old.owner), owner(new.owner)));
    }
    if old.attributes != new.attributes {
        let names = |seen: &FileRecord| {
            let keys = seen.attributes.iter().map(|(key, _)| Printable::new(key).to_string());
            keys.collect::<Vec<_>>().join(" ")
        };
        found.push(Attribute::new("xattrs", names(old), names(new)));
    }
    found
}

fn kind_attributes(old: &FileRecordKind, new: &FileRecordKind) -> Vec<Attribute> {
    let text = |bytes: &[u8]| Printable::new(bytes).to_string();
    match (old, new) {
        (
            FileRecordKind::File { size, digest, .. },
            FileRecordKind::File { size: new_size, digest: new_digest, .. },
        ) => {
            let looks = |size: &u64, digest: &[u8; 32]| format!("{size} bytes, sha256:{}", hex::encode(digest));
            let same = (size, digest) == (new_size, new_digest);
            let attribute = || Attribute::new("content", looks(size, digest), looks(new_size, new_digest));
            if same { Vec::new() } else { vec![attribute()] }
        }
        (FileRecordKind::Symlink(target), FileRecordKind::Symlink(new)) if target != new => {
            vec![Attribute::new("target", text(target), text(new))]
        }
        (FileRecordKind::Device(character, number), FileRecordKind::Device(new_character, new_number)) => {
            let name = |(major, minor): &(u32, u32)| format!("{major}:{minor}");
            match (character == new_character, number == new_number) {
                (true, true) => Vec::new(),
                (true, false) => vec![Attribute::new("device", name(number), name(new_number))],
                (false, _) => vec![Attribute::new("type", old.name(), new.name())],
            }
        }
        (old, new) if std::mem::discriminant(old) != std::mem::discriminant(new) => {
            vec![Attribute::new("type", old.name(), new.name())]
        }
        _ => Vec::new(),
    }
}

/// The fields of an image config that builders and engines note down and no engine acts upon.
const NOTES: [&str; 10] = [
    "created",
    "author",
    "comment",
    "history",
    "rootfs",
    "container",
    "container_config",
    "docker_version",
    "id",
    "parent",
];
/// The fields of `config` in which Docker describes the container that was committed; a new container gets none of it.
const NOTES_OF_CONTAINER: [&str; 11] = [
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Image",
    "NetworkDisabled",
    "MacAddress",
];

/// Compares two image configs in everything that an engine acts upon, but for the fields of `config` that are named in
/// `free`. `Env` is compared by variables, whose values are not told; what is empty is as good as absent.
pub fn compare_configs(old: &Object, new: &Object, free: &[&str]) -> Vec<Difference> {
    let is_note = |key: &str| NOTES.contains(&key) || key.starts_with("moby.buildkit.");
    let mut found = compare_fields("", old, new, |key| !is_note(key) && key != "config");
    let inner = |config: &Object| config.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
    let (old, new) = (inner(old), inner(new));
    let counts = |key: &str| !free.contains(&key) && !NOTES_OF_CONTAINER.contains(&key) && key != "Env";
    found.extend(compare_fields("config.", &old, &new, counts));
    found.extend(compare_variables(&old, &new));
    found
}

fn compare_fields(prefix: &str, old: &Object, new: &Object, counts: impl Fn(&str) -> bool) -> Vec<Difference> {
    let message = |object: &'_ Object| -> BTreeMap<String, Value> {
        let fields = object.iter().filter(|(key, value)| counts(key) && !says_nothing(key, value));
        fields.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let attribute = |old: Option<&Value>, new: Option<&Value>| {
        let text = |value: Option<&Value>| value.map(Value::to_string).unwrap_or_default();
        vec![Attribute::new("value", text(old), text(new))]
    };
    compare_maps(&message(old), &message(new), |key| format!("{prefix}{}", Printable::new(key)), attribute)
}

/// Without a working directory it is the root.
fn says_nothing(key: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty() || key == "WorkingDir" && text == "/",
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

fn compare_variables(old: &Object, new: &Object) -> Vec<Difference> {
    let (old, mut new) = (variables(old), variables(new));
    new.retain(|name, values| old.contains_key(name) || !values.iter().all(|value| is_of_engine(name, value)));
    // Values may be secrets.
    compare_maps(
        &old,
        &new,
        |name| format!("config.Env: {}", Printable::new(name)),
        |_, _| vec![Attribute::new("value", "", "")],
    )
}

/// The variables of a config. Of several values of one, programs do not agree which counts: all do.
fn variables(config: &Object) -> BTreeMap<String, Vec<String>> {
    let mut variables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in config.get("Env").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
        let line = line.as_str().map_or_else(|| line.to_string(), str::to_owned);
        let (name, value) = line.split_once('=').unwrap_or((&line, ""));
        variables.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    variables
}

/// Podman writes what it gave a container into the image that is committed from it.
fn is_of_engine(name: &str, value: &str) -> bool {
    matches!(
        (name, value),
        ("container", "podman" | "oci") | ("TERM", "xterm") | ("HOME", "/root" | "/") | ("HOSTNAME", _)
    )
}

fn compare_maps<V: PartialEq>(
    old: &BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
    subject: impl Fn(&str) -> String,
    attribute: impl Fn(Option<&V>, Option<&V>) -> Vec<Attribute>,
) -> Vec<Difference> {
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    let differences = names.filter_map(|name| {
        let (before, after) = (old.get(name), new.get(name));
        let change = match (before, after) {
            (Some(before), Some(after)) if before == after => return None,
            (Some(_), Some(_)) => Change::Changed,
            (Some(_), None) => Change::Removed,
            _ => Change::Added,
        };
        let attributes = if change == Change::Changed { attribute(before, after) } else { Vec::new() };
        Some(Difference { area: Area::Config, subject: subject(name), change, attributes })
    });
    differences.collect()
}
