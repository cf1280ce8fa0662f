use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use oci_spec::image::Digest;

use super::repository::Repository;
use crate::error::{Advice, Error, ErrorContext, Result};
use crate::store::context::Context;
use crate::store::destination::Destination;
use crate::store::fs::Audience;
use crate::store::reference::{Location, Reference, Transport, not_a_tag};
use crate::store::source::Source;
use crate::text::Printable;

#[cfg(feature = "registry")]
use super::{source::Registry, write::RegistryWriter};
#[cfg(feature = "registry")]
use crate::store::progress_source::ProgressSource;

/// `docker://HOST/REPO`: a repository in a registry.
pub(in crate::store) static TRANSPORT: Transport = Transport {
    prefix: "docker://",
    syntax: "HOST/REPO[:TAG|@DIGEST]",
    description: "a repository in a registry",
    parse,
    recognises: |_| false,
    at_path: None,
};

/// A repository in a registry.
#[derive(Debug)]
struct RegistryLocation(Repository);

impl fmt::Display for RegistryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docker://{}", self.0)
    }
}

impl Location for RegistryLocation {
    fn is_shared(&self) -> bool {
        true
    }

    fn spool_dir(&self, context: &Context) -> PathBuf {
        context.temporary.clone()
    }

    #[cfg(feature = "registry")]
    fn source(&self, reference: &Reference, context: &Context) -> Result<Arc<dyn Source>> {
        let registry = Registry::open(&self.0, reference.tag(), reference.digest(), &context.pull)?;
        Ok(Arc::new(ProgressSource::new(registry, &context.progress)))
    }

    #[cfg(not(feature = "registry"))]
    fn source(&self, reference: &Reference, _context: &Context) -> Result<Arc<dyn Source>> {
        Err(not_in_this_build(reference))
    }

    #[cfg(feature = "registry")]
    fn destination(
        &self,
        reference: &Reference,
        context: &Context,
        _audience: Audience,
    ) -> Result<Box<dyn Destination>> {
        if reference.digest().is_some() {
            let hint = "name a tag: docker://HOST/REPO:TAG";
            return Err(Error::usage("an image cannot be published under a digest").hint(hint).at(reference));
        }
        Ok(Box::new(RegistryWriter::open(&self.0, &context.push)?))
    }

    #[cfg(not(feature = "registry"))]
    fn destination(
        &self,
        reference: &Reference,
        _context: &Context,
        _audience: Audience,
    ) -> Result<Box<dyn Destination>> {
        Err(not_in_this_build(reference))
    }
}

#[cfg(not(feature = "registry"))]
fn not_in_this_build(reference: &Reference) -> Error {
    let hint =
        "copy the image into a layout first (skopeo copy SOURCE oci:DIR:TAG), or build with the feature `registry`";
    Error::usage("this build reaches no registries").hint(hint).at(reference)
}

/// Where the login ends in a text that has one, as in `USER:PASSWORD@HOST/REPO`; a digest has no `/`.
fn login_end(text: &str) -> Option<usize> {
    let at = text.rfind('@')?;
    (text[at..].contains('/') || !text[..at].contains('/')).then_some(at)
}

/// The text of a reference without the login that somebody has written into it; `None` if there is none.
pub fn without_login(text: &str) -> Option<String> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let end = login_end(&text[start..])?;
    let is_digest =
        ["sha256:", "sha384:", "sha512:"].iter().any(|start_of| text[start + end + 1..].starts_with(start_of));
    (!is_digest).then(|| format!("{}...{}", &text[..start], &text[start + end..]))
}

/// `HOST/REPO[:TAG|@DIGEST]`.
fn parse(text: &str) -> Result<Reference> {
    if let Some(rest) = without_login(text) {
        // Logs keep messages, so it is not repeated.
        let error = Error::usage("a login does not belong in the name of an image").advise(Advice::SeparateLogin);
        return Err(error.at(Printable::new(&rest)));
    }
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    // A colon in front of a slash is that of a port.
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(parse_tag(tag)?)),
        _ => (name, None),
    };
    let digest = digest.map(str::parse::<Digest>).transpose();
    let digest = digest.map_err(|_| Error::usage(format!("`{}` does not end in a digest", Printable::new(text))))?;
    if tag.is_some() && digest.is_some() {
        return Err(Error::usage("a tag and a digest at once").hint("leave the tag out").at(Printable::new(text)));
    }
    let location = Arc::new(RegistryLocation(repository.parse().at(Printable::new(text))?));
    Ok(Reference::new(location, tag).with_digest(digest))
}

/// OCI distribution specification: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
fn parse_tag(tag: &str) -> Result<String> {
    let starts = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let fits = tag.len() <= 128 && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if starts && fits { Ok(tag.to_owned()) } else { Err(not_a_tag(tag)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_a_name_is_not_repeated() {
        for (text, shown) in [
            ("docker://u:SECRET@h.x/t:latest", "docker://...@h.x/t:latest"),
            ("docker://SECRET@h.x/t", "docker://...@h.x/t"),
            ("docker://u:SE/CR@ET@h.x:5000/t", "docker://...@h.x:5000/t"),
            ("docker://u:SECRET@h.x", "docker://...@h.x"),
            ("u:SECRET@h.x/t", "...@h.x/t"),
        ] {
            assert_eq!(without_login(text).as_deref(), Some(shown));
            let error = parse(text.trim_start_matches("docker://")).unwrap_err();
            assert!(!format!("{error} {:?}", error.advice()).contains("SE"), "{error}");
        }
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in ["docker://h.x/t:latest", "alpine", "oci:dir:tag", &format!("alpine@{digest}"), "h.x/t@sha256:bad/"]
        {
            assert_eq!(without_login(text), None, "{text}");
        }
    }
}
