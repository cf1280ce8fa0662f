use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::text::Printable;

/// The host that names without one belong to, as everywhere in the field.
const DEFAULT_HOST: &str = "docker.io";
/// The longest name of a repository that registries take, host left out.
const MAX_PATH: usize = 255;

/// A repository in a registry: `HOST[:PORT]/PATH` (OCI distribution specification, pulling manifests).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// The registry, with its port if one was given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository's name in the registry.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl FromStr for Repository {
    type Err = Error;

    /// Reads `[HOST[:PORT]/]PATH`. As Docker and skopeo have it, the first part is a host if it has a dot or a port or
    /// is `localhost`; a name without a host is on Docker Hub.
    fn from_str(text: &str) -> Result<Self> {
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_owned()),
            Some(_) => (DEFAULT_HOST, text.to_owned()),
            None => (DEFAULT_HOST, format!("library/{text}")),
        };
        if !is_host(host) || path.len() > MAX_PATH || !path.split('/').all(is_component) {
            let what = format!("`{}` is not a repository; write HOST[:PORT]/NAME", Printable::new(text));
            return Err(Error::usage(what));
        }
        Ok(Repository { host: host.to_owned(), path })
    }
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let name_fits = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')),
    };
    name_fits && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// `[a-z0-9]+` joined by single `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let known = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'));
    known && is_end(text.chars().next()) && is_end(text.chars().last()) && !text.contains("..") && !text.contains("___")
}
