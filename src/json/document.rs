//! The documents of an image: what Go, which reads names without regard to case, has to read as this program does.

use std::collections::HashMap;

use super::{Object, Value, parse, parse_object};
use crate::error::{Error, ErrorContext, Result};
use crate::text::Printable;

/// The names that a specification gives to the members of an object, and the forms of the objects below it.
pub struct Form {
    /// The members of the specification.
    names: &'static [&'static str],
    /// The objects, and lists of objects, in members of their own form.
    inner: &'static [(&'static str, &'static Form)],
    /// Whether any name may stand here, so that names that differ by case are two.
    free: bool,
}

const fn object(names: &'static [&'static str], inner: &'static [(&'static str, &'static Form)]) -> Form {
    Form { names, inner, free: false }
}

/// Labels, annotations, volumes, ports.
static FREE: Form = Form { names: &[], inner: &[], free: true };
/// An object that no specification knows.
static OTHER: Form = object(&[], &[]);

/// An image index (OCI image specification, image index).
pub static INDEX: Form = object(
    &["schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations"],
    &[("manifests", &DESCRIPTOR), ("subject", &DESCRIPTOR), ("annotations", &FREE)],
);

/// An image manifest (OCI image specification, image manifest).
pub static MANIFEST: Form = object(
    &["schemaVersion", "mediaType", "artifactType", "config", "layers", "subject", "annotations"],
    &[("config", &DESCRIPTOR), ("layers", &DESCRIPTOR), ("subject", &DESCRIPTOR), ("annotations", &FREE)],
);

/// An image in the list of a Docker archive (Docker image specification 1.2, `manifest.json`).
pub static DOCKER_IMAGE: Form =
    object(&["Config", "RepoTags", "Layers", "Parent", "LayerSources"], &[("LayerSources", &FREE)]);

static DESCRIPTOR: Form = object(
    &["mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"],
    &[("annotations", &FREE), ("platform", &PLATFORM)],
);

static PLATFORM: Form = object(&["architecture", "os", "os.version", "os.features", "variant", "features"], &[]);

/// An image config (OCI image specification, image configuration).
pub static IMAGE_CONFIG: Form = object(
    &["created", "author", "architecture", "os", "os.version", "os.features", "variant", "config", "rootfs", "history"],
    &[("config", &EXECUTION), ("rootfs", &ROOT), ("history", &HISTORY)],
);

static EXECUTION: Form = object(
    &[
        "User",
        "ExposedPorts",
        "Env",
        "Entrypoint",
        "Cmd",
        "Volumes",
        "WorkingDir",
        "Labels",
        "StopSignal",
        "ArgsEscaped",
        "Memory",
        "MemorySwap",
        "CpuShares",
        "Healthcheck",
    ],
    &[("ExposedPorts", &FREE), ("Volumes", &FREE), ("Labels", &FREE)],
);

static ROOT: Form = object(&["type", "diff_ids"], &[]);
static HISTORY: Form = object(&["created", "author", "created_by", "comment", "empty_layer"], &[]);

/// Parses a document of an image.
///
/// # Errors
/// As [`parse_object`]; [`Kind::Malformed`](crate::error::Kind::Malformed) if two members of an object, or a member and
/// a name of the specification, differ by nothing but case.
pub fn parse_document(bytes: &[u8], form: &'static Form) -> Result<Object> {
    let document = parse_object(bytes)?;
    ensure_names(&document, form)?;
    Ok(document)
}

/// Parses what consists of such objects: one, a list of them, or `null`.
///
/// # Errors
/// As [`parse_document`].
pub fn parse_of(bytes: &[u8], form: &'static Form) -> Result<Value> {
    let list = parse(bytes)?;
    ensure_inside(&list, form)?;
    Ok(list)
}

/// Parses a manifest or an index: the one that has `manifests` is an index.
///
/// # Errors
/// As [`parse_document`].
pub fn parse_manifest(bytes: &[u8]) -> Result<Object> {
    let document = parse_object(bytes)?;
    let form = if document.contains_key("manifests") { &INDEX } else { &MANIFEST };
    ensure_names(&document, form)?;
    Ok(document)
}

/// Checks the names of an object and of all objects below it.
fn ensure_names(document: &Object, form: &'static Form) -> Result<()> {
    if !form.free {
        let mut known: HashMap<String, &str> = form.names.iter().map(|name| (fold(name), *name)).collect();
        for name in document.keys() {
            if known.insert(fold(name), name).is_some_and(|other| other != name) {
                let what = "differs from another name only by case: tools that ignore case read another document";
                return Err(Error::malformed(what).at(format_args!("the member `{}`", Printable::new(name.as_bytes()))));
            }
        }
    }
    for (name, value) in document {
        let inner = form.inner.iter().find(|(known, _)| known == name).map_or(&OTHER, |(_, inner)| *inner);
        ensure_inside(value, inner).at(Printable::new(name.as_bytes()))?;
    }
    Ok(())
}

fn ensure_inside(value: &Value, form: &'static Form) -> Result<()> {
    match value {
        Value::Object(object) => ensure_names(object, form),
        Value::Array(items) => items.iter().try_for_each(|item| ensure_inside(item, form)),
        _ => Ok(()),
    }
}

/// Unicode's simple case folding (CaseFolding.txt, status C and S), which is what Go folds by.
fn fold(name: &str) -> String {
    name.chars().map(fold_char).collect()
}

fn fold_char(c: char) -> char {
    let single = |mut mapped: Box<dyn Iterator<Item = char>>| mapped.next().filter(|_| mapped.next().is_none());
    match c {
        'a'..='z' => return c,
        'A'..='Z' => return c.to_ascii_lowercase(),
        // Its capital is I, but it folds to itself.
        '\u{131}' => return c,
        // Their capitals are several characters.
        '\u{1fd3}' => return '\u{390}',
        '\u{1fe3}' => return '\u{3b0}',
        '\u{fb05}' => return '\u{fb06}',
        _ => {}
    }
    let upper = single(Box::new(c.to_uppercase())).unwrap_or(c);
    single(Box::new(upper.to_lowercase())).unwrap_or(upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn names_that_differ_by_case_are_refused_where_they_are_not_free() {
        for (form, text) in [
            (&IMAGE_CONFIG, r#"{"config": {"Cmd": ["a"], "cmd": ["b"]}}"#),
            (&IMAGE_CONFIG, r#"{"config": {"cmd": ["b"]}}"#),
            (&IMAGE_CONFIG, r#"{"Config": {}}"#),
            (&IMAGE_CONFIG, r#"{"rootfs": {"diff_IDs": []}}"#),
            (&IMAGE_CONFIG, r#"{"history": [{"Empty_layer": true}]}"#),
            (&IMAGE_CONFIG, "{\"o\u{17f}\": \"linux\"}"),
            (&IMAGE_CONFIG, r#"{"x": {"deep": [{"a": 1, "A": 2}]}}"#),
            (&MANIFEST, r#"{"layers": [{"MediaType": "x"}]}"#),
            (&MANIFEST, r#"{"x": {"\u00e9": 1, "\u00c9": 1}}"#),
            (&INDEX, r#"{"manifests": [{"platform": {"OS": "linux"}}]}"#),
            (&INDEX, "{\"x\": {\"\u{212a}\": 1, \"k\": 1}}"),
        ] {
            assert_eq!(parse_document(text.as_bytes(), form).unwrap_err().kind(), Kind::Malformed, "{text}");
        }
    }

    #[test]
    fn other_names_are_left_alone() {
        for (form, text) in [
            (&IMAGE_CONFIG, r#"{"config": {"Labels": {"a": "1", "A": "2"}, "Volumes": {"/a": {}, "/A": {}}}}"#),
            (&IMAGE_CONFIG, r#"{"docker_version": "1", "container": "x", "config": {"OnBuild": null, "Image": ""}}"#),
            (&MANIFEST, r#"{"annotations": {"Layers": "1", "layers": "2"}}"#),
            (&INDEX, "{\"x\": {\"\u{131}\": 1, \"i\": 1, \"\u{130}\": 1, \"ss\": 1, \"\u{df}\": 1}}"),
        ] {
            parse_document(text.as_bytes(), form).unwrap();
        }
    }

    #[test]
    fn lists_have_the_names_of_their_objects() {
        for wrong in [r#"[{"Config": "a", "config": "b"}]"#, r#"[{"layers": []}]"#, r#"[{}, {"repoTags": null}]"#] {
            assert_eq!(parse_of(wrong.as_bytes(), &DOCKER_IMAGE).unwrap_err().kind(), Kind::Malformed, "{wrong}");
        }
        parse_of(br#"[{"Config": "a", "LayerSources": {"a": {"size": 1}, "A": {}}}]"#, &DOCKER_IMAGE).unwrap();
        parse_of(b"null", &DOCKER_IMAGE).unwrap();
    }

    #[test]
    fn folds_as_unicode_does() {
        for (c, folded) in [
            ('\u{3a3}', '\u{3c3}'),
            ('\u{3c2}', '\u{3c3}'),
            ('\u{b5}', '\u{3bc}'),
            ('\u{1e9e}', '\u{df}'),
            ('\u{1f88}', '\u{1f80}'),
            ('\u{1c4}', '\u{1c6}'),
            ('\u{1c5}', '\u{1c6}'),
            ('\u{3f4}', '\u{3b8}'),
            ('\u{212b}', '\u{e5}'),
            ('\u{10400}', '\u{10428}'),
            ('\u{130}', '\u{130}'),
        ] {
            assert_eq!(fold_char(c), folded, "{c:?}");
        }
    }
}
