//! The execution parameters of the image: the members of its config that the creator signs.

use super::fields::{FieldReader, ensure_members};
use super::image::ImageFacts;
use crate::error::{Error, Result};
use crate::json::{Object, Value, drop_nulls};

/// The labels that this program gives to images, which are not signed, begin so.
const OWN_LABELS: &str = "de.personalhealthtrain.";

/// The members of the image config at its top.
const PLATFORM: [&str; 3] = ["architecture", "os", "variant"];
/// The members of the image config's `config` (OCI image specification, image configuration).
const EXECUTION: [&str; 9] =
    ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "StopSignal", "Labels"];
/// Other members allowed in an image config, since no engine acts on them or the layers bind them.
const UNSIGNED: [&str; 4] = ["rootfs", "created", "author", "history"];

/// The signed execution parameters of a train's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedImage {
    platform: Object,
    config: Object,
}

/// The most characters of a value that a message shows.
const SHOWN: usize = 200;

impl SignedImage {
    /// The member `image` of a train config.
    pub(super) fn read(fields: &FieldReader<'_>) -> Result<Self> {
        ensure_members(fields, &["architecture", "os", "variant", "config"])?;
        let config = fields.required("config", FieldReader::object)?;
        ensure_members(&config, &EXECUTION)?;
        let mut image = SignedImage { platform: Object::new(), config: Object::new() };
        for name in PLATFORM {
            let value =
                if name == "variant" { fields.text(name)? } else { Some(fields.required(name, FieldReader::text)?) };
            image.platform.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        for name in EXECUTION {
            let Some(value) = config.get(name).map(stated_part) else { continue };
            if is_empty(&value) {
                return Err(config.error(name, "is empty, so it must be absent"));
            }
            image.config.insert(name.to_owned(), value);
        }
        if image.config.get("Labels").and_then(Value::as_object).is_some_and(has_own_labels) {
            return Err(config.error("Labels", format!("has labels that begin with {OWN_LABELS}")));
        }
        Ok(image)
    }

    /// The execution parameters in an image config, and the names of its other members, which cannot be signed.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if it does not say what it runs on.
    pub fn of(config: &Object) -> Result<(Self, Vec<String>)> {
        let mut image = SignedImage { platform: Object::new(), config: Object::new() };
        for name in PLATFORM {
            match full(config.get(name)) {
                Some(Value::String(text)) => drop(image.platform.insert(name.to_owned(), text.clone().into())),
                Some(_) => return Err(Error::usage(format!("the image's {name} is not a string"))),
                None if name == "variant" => {}
                None => return Err(Error::usage(format!("the image config has no {name}"))),
            }
        }
        let execution = config.get("config").and_then(Value::as_object);
        for name in EXECUTION {
            let value = full(execution.and_then(|execution| execution.get(name)))
                .map(|value| stated_part(&own_left_out(name, value)));
            image.config.extend(value.filter(|value| !is_empty(value)).map(|value| (name.to_owned(), value)));
        }
        Ok((image, unsigned(config)))
    }

    /// Sets a member of `config`, such as the command.
    pub fn set(&mut self, name: &'static str, value: Value) {
        match is_empty(&value) {
            true => drop(self.config.shift_remove(name)),
            false => drop(self.config.insert(name.to_owned(), value)),
        }
    }

    /// The paths that the image declares as volumes.
    pub fn volumes(&self) -> impl Iterator<Item = &String> {
        self.config.get("Volumes").and_then(Value::as_object).into_iter().flat_map(Object::keys)
    }

    /// A member of `config` that is a text, such as the user.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.config.get(name).and_then(Value::as_str)
    }

    /// The user as whom it runs, `USER[:GROUP]`, if that is not root.
    pub fn other_user(&self) -> Option<&str> {
        self.text("User").filter(|user| !matches!(user.split(':').next(), Some("root" | "0" | "")))
    }

    /// A member of `config` that is a list of texts, such as the command.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.config.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// As the member `image` of a train config.
    pub(super) fn to_json(&self) -> Value {
        let mut image = self.platform.clone();
        image.insert("config".to_owned(), self.config.clone().into());
        image.into()
    }

    /// As the members of an image config: platform and `config`.
    pub fn to_image_config(&self) -> Object {
        let mut image = self.platform.clone();
        image.insert("config".to_owned(), self.config.clone().into());
        image
    }

    /// In what an image runs otherwise, in words; nothing if it runs so.
    pub(super) fn difference(&self, image: &ImageFacts) -> Option<String> {
        let differs = |name: &str, found: Option<&Value>| {
            let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
            let shown: String = found.chars().take(SHOWN).collect();
            let more = if shown.len() < found.len() { "..." } else { "" };
            format!("{name} is not what the creator signed, but {shown}{more}")
        };
        for name in PLATFORM {
            let found = full(image.config.get(name));
            if found != self.platform.get(name) {
                return Some(differs(name, found));
            }
        }
        let execution = full(image.config.get("config"));
        if execution.is_some_and(|value| !value.is_object()) {
            return Some(differs("config", execution));
        }
        for name in EXECUTION {
            let found =
                full(execution.and_then(|execution| execution.get(name))).map(|value| own_left_out(name, value));
            let found = found.as_ref().filter(|value| !is_empty(value));
            if found != self.config.get(name) {
                return Some(differs(name, found));
            }
        }
        let others = unsigned(&image.config);
        others.first().map(|name| format!("{name} is present, unsigned, and engines may act on it"))
    }
}

/// The members with a value that the creator cannot sign.
fn unsigned(config: &Object) -> Vec<String> {
    let with_value = |(_, value): &(&String, &Value)| !is_empty(value);
    let top = config.iter().filter(with_value).map(|(name, _)| name.as_str());
    let known = |name: &&str| PLATFORM.contains(name) || UNSIGNED.contains(name) || *name == "config";
    let execution = config.get("config").and_then(Value::as_object).into_iter().flatten();
    let inner = execution.filter(with_value).map(|(name, _)| name.as_str()).filter(|name| !EXECUTION.contains(name));
    top.filter(|name| !known(name)).chain(inner).map(str::to_owned).collect()
}

fn has_own_labels(labels: &Object) -> bool {
    labels.keys().any(|name| name.starts_with(OWN_LABELS))
}

/// The value of a member of `config`, of labels without ours.
fn own_left_out(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(labels) if name == "Labels" => labels
            .iter()
            .filter(|(name, _)| !name.starts_with(OWN_LABELS))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect(),
        value => value.clone(),
    }
}

/// The part of a value that is in the statement: no members that are `null`, whatever the config has.
fn stated_part(value: &Value) -> Value {
    let mut value = value.clone();
    drop_nulls(&mut value);
    value
}

fn full(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !is_empty(value))
}

/// True for the values that tools write for an absent one.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
    }
}
