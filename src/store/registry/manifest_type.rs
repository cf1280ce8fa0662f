//! What kind of manifest a registry has sent. Its `Content-Type` says so, or nothing (a static server, an old proxy); then
//! the document itself does.

use crate::error::{Error, Result};
use crate::json::{self, Object, Value};
use crate::store::media_type::{DOCKER_FIRST_SCHEMA, DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST};
use crate::text::Printable;

/// The manifests and indexes that are asked for.
pub(super) const MANIFESTS: [&str; 4] = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST];

/// The media type of a manifest that came with this `Content-Type`, which is in lower case and without parameters.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is none that this program reads, or if the two contradict
/// each other (CVE-2021-41190).
pub(super) fn of(stated: &str, bytes: &[u8]) -> Result<&'static str> {
    if stated.starts_with(DOCKER_FIRST_SCHEMA) {
        return Err(first_schema());
    }
    let known = |named: &str| MANIFESTS.into_iter().find(|known| known.eq_ignore_ascii_case(named));
    // What is not JSON is malformed, whoever reads it.
    let document = json::parse_object(bytes)?;
    let own = document.get("mediaType").and_then(Value::as_str);
    match (known(stated), own) {
        (Some(stated), Some(own)) if known(own) != Some(stated) => {
            let own = Printable::new(own);
            let what = format!("the registry's Content-Type is `{stated}`, but the document calls itself `{own}`");
            Err(Error::malformed(what)
                .hint("ask who runs the registry: one of the two is wrong, and nobody should choose"))
        }
        (Some(stated), _) => Ok(stated),
        (None, own) => own.map_or_else(|| kind_of(&document), known).ok_or_else(|| {
            if document.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
                return first_schema();
            }
            let own = own.map(|own| format!(", and the document calls itself `{}`", Printable::new(own)));
            let stated = Printable::new(stated);
            let what = format!("the registry's Content-Type `{stated}` is that of no image{}", own.unwrap_or_default());
            Error::malformed(what)
                .hint("check the repository's name and the tag: it may hold something else than images")
        }),
    }
}

/// The kind of a document that does not name it, which OCI documents need not.
fn kind_of(document: &Object) -> Option<&'static str> {
    let has = |key: &str| document.contains_key(key);
    match (has("manifests"), has("config") && has("layers")) {
        (false, true) => Some(MANIFEST),
        (true, false) if !has("layers") && !has("config") => Some(INDEX),
        _ => None,
    }
}

fn first_schema() -> Error {
    let hint = "push the image again with a tool of today, as skopeo copy";
    Error::malformed("a Docker manifest of schema 1, from before 2016, which names no config").hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_says_nothing_leaves_it_to_the_document() {
        let own = |kind: &str| format!(r#"{{"schemaVersion":2,"mediaType":"{kind}"}}"#);
        for stated in ["application/json", "text/plain", "application/octet-stream", "", "binary/octet-stream"] {
            for kind in MANIFESTS {
                assert_eq!(of(stated, own(kind).as_bytes()).unwrap(), kind, "{stated}");
            }
            assert_eq!(of(stated, br#"{"config":{},"layers":[]}"#).unwrap(), MANIFEST);
            assert_eq!(of(stated, br#"{"manifests":[]}"#).unwrap(), INDEX);
            for body in [r#"{"manifests":[],"layers":[],"config":{}}"#, r#"{"a":1}"#, &own("application/x")] {
                let error = of(stated, body.as_bytes()).unwrap_err();
                assert!(error.to_string().contains("Content-Type"), "{error}");
            }
        }
    }

    #[test]
    fn types_are_compared_without_case_and_contradict_nobody() {
        let docker = format!(r#"{{"mediaType":"{DOCKER_MANIFEST}"}}"#);
        assert_eq!(of(&DOCKER_MANIFEST.to_ascii_lowercase(), docker.as_bytes()).unwrap(), DOCKER_MANIFEST);
        assert_eq!(of(MANIFEST, b"{}").unwrap(), MANIFEST);
        let error = of(MANIFEST, docker.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("Content-Type") && error.to_string().contains(DOCKER_MANIFEST), "{error}");
    }

    #[test]
    fn names_the_first_schema() {
        for (stated, body) in [
            ("application/vnd.docker.distribution.manifest.v1+prettyjws", "{}"),
            ("application/vnd.docker.distribution.manifest.v1+json", "{}"),
            ("application/json", r#"{"schemaVersion":1,"fsLayers":[]}"#),
        ] {
            let error = of(stated, body.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("schema 1"), "{error}");
        }
    }
}
