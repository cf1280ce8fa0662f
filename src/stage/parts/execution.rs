//! What will run: shown to a person before it does.

use oci_spec::image::Digest;

use super::labels::Labels;
use super::load::Train;
use crate::image::{Image, chain_id};
use crate::json::{Object, Value};
use crate::store::tag::BASE;
use crate::store::{Context, Platform};
use crate::train::SignedImage;

/// How the image of a train runs: by what the creator has signed where the wire version signs it, else by the image
/// config, which anybody with the image can change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Execution {
    /// True if it is a part of what the creator signs (check `image-config`); else no signature covers it.
    pub signed: bool,
    /// Operating system, architecture and variant, as in `linux/amd64`.
    pub platform: Option<String>,
    /// The entry point.
    pub entrypoint: Vec<String>,
    /// The command, which follows the entry point.
    pub command: Vec<String>,
    /// The user, and perhaps the group.
    pub user: Option<String>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// The names of the environment's variables.
    pub env: Vec<String>,
    /// The names of the variables that the base sets otherwise, or not at all, or that it alone sets; `None` if the
    /// base's image is not at hand.
    pub env_changed: Option<Vec<String>>,
    /// The layers below those of the train, where they are known.
    pub base: Option<BaseOfRun>,
}

/// The base layers under a train that will run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaseOfRun {
    /// Their number.
    pub layers: usize,
    /// The chain ID of their contents (OCI image specification, layer chain ID); `None` if there are none.
    pub chain_id: Option<String>,
}

impl Execution {
    /// How `train` runs. Its base is the one that its creator has signed, or `base` (the number of its layers), or the one
    /// that the labels tell; its image is `given`, or the one with the tag `base` beside the train.
    pub(in crate::stage) fn of(train: &Train, base: Option<usize>, given: Option<&Image>, context: &Context) -> Self {
        let (image, form) = (&train.image, train.config.form());
        // Nothing depends on it: a base that cannot be read is one that is not at hand.
        let beside = || image.beside(BASE, context.platform.as_ref()).ok().flatten();
        // As built, a train whose base is signed has layers of its own above it.
        let fits = |built: &Image| match form.base().map(<[_]>::len) {
            Some(base) => built.diff_ids().get(..base).is_some_and(|base| image.diff_ids().starts_with(base)),
            None => image.is_based_on(built),
        };
        let beside = if given.is_some() { None } else { beside().filter(fits) };
        let of_base = given.or(beside.as_ref());
        let diff_ids: Option<Vec<Digest>> = match form.base() {
            Some(signed) => signed.iter().map(|layer| layer.diff_id.parse().ok()).collect(),
            None => base
                .or(Labels::read(image).base_layers)
                .or(of_base.map(|base| base.layers().len()))
                .and_then(|layers| image.diff_ids().get(..layers).map(<[Digest]>::to_vec)),
        };
        let base = diff_ids.map(|diff_ids| BaseOfRun {
            layers: diff_ids.len(),
            chain_id: chain_id(&diff_ids).map(|id| id.to_string()),
        });
        let signed = form.image().map(SignedImage::to_image_config);
        let config = signed.as_ref().unwrap_or(image.config());
        let env = env_of(config);
        let env_changed = of_base.map(|base| changed(&env_of(base.config()), &env));
        let mut names: Vec<String> = env.into_iter().map(|(name, _)| name).collect();
        names.dedup();
        Execution {
            signed: signed.is_some() && !form.waits_for_creator(),
            platform: Platform::read(config).map(|platform| platform.to_string()),
            entrypoint: words(config, "Entrypoint"),
            command: words(config, "Cmd"),
            user: text(config, "User"),
            working_dir: text(config, "WorkingDir"),
            env: names,
            env_changed,
            base,
        }
    }
}

/// A member of the image config's `config` with a value.
fn member<'a>(config: &'a Object, name: &str) -> Option<&'a Value> {
    config.get("config")?.get(name).filter(|value| !value.is_null())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text; what is none is shown as it stands.
fn text(config: &Object, name: &str) -> Option<String> {
    member(config, name).map(plain).filter(|text| !text.is_empty())
}

/// A list of texts; what is none is shown as it stands.
fn words(config: &Object, name: &str) -> Vec<String> {
    match member(config, name) {
        None => Vec::new(),
        Some(Value::Array(words)) => words.iter().map(plain).collect(),
        Some(other) => vec![plain(other)],
    }
}

/// The variables with their values, by name; of two with one name both.
fn env_of(config: &Object) -> Vec<(String, String)> {
    let split = |entry: String| match entry.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (entry, String::new()),
    };
    let mut env: Vec<(String, String)> = words(config, "Env").into_iter().map(split).collect();
    env.sort();
    env
}

/// The names of the variables that two environments do not have alike.
fn changed(old: &[(String, String)], new: &[(String, String)]) -> Vec<String> {
    let only = |some: &[(String, String)], others: &[(String, String)]| -> Vec<String> {
        some.iter().filter(|variable| !others.contains(variable)).map(|(name, _)| name.clone()).collect()
    };
    let mut names = [only(old, new), only(new, old)].concat();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::json;

    #[test]
    fn names_variables_that_are_new_gone_or_other() {
        let env = |list: Value| env_of(json!({ "config": { "Env": list } }).as_object().unwrap());
        let old = env(json!(["PATH=/bin", "LANG=C", "HOME=/", "TWICE=1"]));
        let new = env(json!(["LANG=C", "PATH=/opt", "LD_PRELOAD=/x.so", "TWICE=1", "TWICE=2"]));
        assert_eq!(changed(&old, &new), ["HOME", "LD_PRELOAD", "PATH", "TWICE"]);
        assert_eq!(changed(&new, &new), Vec::<String>::new());
    }

    #[test]
    fn shows_what_is_no_list_as_it_stands() {
        let config = json!({ "config": { "Cmd": "sh -c x", "Entrypoint": ["a b", 1], "User": 0, "WorkingDir": "" } });
        let config = config.as_object().unwrap();
        assert_eq!(words(config, "Cmd"), ["sh -c x"]);
        assert_eq!(words(config, "Entrypoint"), ["a b", "1"]);
        assert_eq!((text(config, "User"), text(config, "WorkingDir")), (Some("0".to_owned()), None));
    }
}
