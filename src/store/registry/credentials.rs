//! Credentials for registries, as containers-auth.json(5) and Docker's config file have them.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use zeroize::Zeroizing;

use super::helper;
use super::login::Login;
use super::repository::Repository;
use crate::error::{Error, ErrorContext, Kind, Result};
use crate::json::{self, Object, Value};
use crate::store::fs::others_may_write;
use crate::text::Printable;

/// The origin of a login.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// There is none.
    Anonymous,
    /// It was given.
    Given(Login),
    /// The first of these files that knows the repository.
    Files(Vec<AuthFile>),
}

/// A file in the form of containers-auth.json(5) or Docker's `config.json`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuthFile {
    /// Its path.
    pub path: PathBuf,
    /// True if it must be there.
    pub required: bool,
}

impl AuthFile {
    /// A file that need not be there.
    pub fn optional(path: impl Into<PathBuf>) -> Self {
        AuthFile { path: path.into(), required: false }
    }

    /// A file that must be there.
    pub fn required(path: impl Into<PathBuf>) -> Self {
        AuthFile { path: path.into(), required: true }
    }
}

impl Credentials {
    /// Sees to it that a file that was named is one, be it that no registry asks for a login.
    pub(super) fn ensure_named(&self) -> Result<()> {
        let Credentials::Files(files) = self else { return Ok(()) };
        let mut named = files.iter().filter(|file| file.required);
        named.try_for_each(|file| file.check().map(drop)).map_err(|error| error.as_kind(Kind::Registry))
    }

    /// The login for a repository, if there is one.
    /// A helper that is asked for it has so long for its answer.
    pub(super) fn find(&self, repository: &Repository, limit: Duration) -> Result<Option<Login>> {
        let files = match self {
            Credentials::Anonymous => return Ok(None),
            Credentials::Given(login) => return Ok(Some(login.clone())),
            Credentials::Files(files) => files,
        };
        for file in files {
            let Some(bytes) = file.read()? else { continue };
            if let Some((login, origin)) = login_within(&bytes, repository, limit).at(file.path.display())? {
                let path = file.path.display();
                let name = login.name();
                tracing::info!("logging in to {repository} as {} ({origin} in {path})", name.trim_matches('`'));
                return Ok(Some(login));
            }
        }
        tracing::info!("no credentials for {repository}; continuing without");
        Ok(None)
    }
}

impl AuthFile {
    /// Whether it is there; one that is has to be such a file, though no login of it may be needed.
    ///
    /// # Errors
    /// [`Kind::Io`] if it cannot be read, [`Kind::Malformed`] if it is not JSON. The message repeats no secret.
    pub fn check(&self) -> Result<bool> {
        let Some(bytes) = self.read_with(|_| ())? else { return Ok(false) };
        json::parse_object(&bytes).map(|_| true).at(self.path.display())
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.read_with(|found| self.warn_of_writers(found)).map_err(|error| error.as_kind(Kind::Registry))
    }

    fn read_with(&self, look: impl FnOnce(&Metadata)) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let mut bytes = Zeroizing::new(Vec::new());
        let read = File::open(&self.path).and_then(|mut file| {
            look(&file.metadata()?);
            file.read_to_end(&mut bytes)
        });
        match read {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound && !self.required => Ok(None),
            Err(error) => Err(Error::io("cannot read the credentials", error).at(self.path.display())),
        }
    }

    /// Whoever may write it decides as whom, and by which program, we log in.
    fn warn_of_writers(&self, found: &Metadata) {
        if others_may_write(found) {
            let path = self.path.display();
            tracing::warn!("others can write the credentials {path}; protect them with chmod 600");
        }
    }
}

/// The login that an [`AuthFile`] with these bytes has for a repository, and what in the file it comes from. Where the
/// file names a credential helper, that program is asked.
///
/// # Errors
/// [`Kind::Registry`] if it is no such file, or the login is none that can be used. The message repeats no secret.
#[doc(hidden)] // For the fuzz targets.
pub fn login_in(file: &[u8], repository: &Repository) -> Result<Option<(Login, String)>> {
    login_within(file, repository, Duration::from_secs(60))
}

fn login_within(file: &[u8], repository: &Repository, limit: Duration) -> Result<Option<(Login, String)>> {
    let document = json::parse_object(file).map_err(|error| error.as_kind(Kind::Registry))?;
    find_in(&document, repository, limit)
}

/// The login in one file: the host's helper, then the longest entry that covers the repository, then an entry that names
/// the host as a URL, then the helper for all.
fn find_in(document: &Object, repository: &Repository, limit: Duration) -> Result<Option<(Login, String)>> {
    let (host, hub) = (repository.host(), "https://index.docker.io/v1/");
    let is_hub = host == "docker.io";
    let helper_key = if is_hub { hub } else { host };
    let helpers = document.get("credHelpers").and_then(Value::as_object);
    if let Some(name) =
        helpers.and_then(|helpers| helpers.get(helper_key).or(helpers.get(host))).and_then(Value::as_str)
    {
        return helper::ask(name, helper_key, limit);
    }
    if let Some(auths) = document.get("auths").and_then(Value::as_object) {
        let whole = repository.to_string();
        let mut keys: Vec<&str> = whole.match_indices('/').map(|(at, _)| &whole[..at]).collect();
        keys.push(&whole);
        keys.reverse();
        keys.extend(is_hub.then_some(hub));
        let urls = [format!("https://{host}"), format!("https://{host}/v1/"), format!("https://{host}/v2/")];
        keys.extend(urls.iter().map(String::as_str));
        // Other tools write other forms of a URL; those that are exact come first.
        keys.extend(
            auths
                .keys()
                .map(String::as_str)
                .filter(|key| host_of_url(key).is_some_and(|named| named.eq_ignore_ascii_case(host))),
        );
        for key in keys {
            let login = auths.get(key).map(read_entry).transpose();
            if let Some(login) = login.at(format_args!("entry `{}`", Printable::new(key)))?.flatten() {
                return Ok(Some((login, format!("entry `{}`", Printable::new(key)))));
            }
        }
    }
    match document.get("credsStore").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        Some(name) => helper::ask(name, helper_key, limit),
        None => Ok(None),
    }
}

/// The host, with its port, of a key that is the URL of a registry: `http://HOST`, `https://HOST/v2/`, `HOST/v1/`.
fn host_of_url(key: &str) -> Option<&str> {
    let bare = ["https://", "http://"].iter().find_map(|scheme| {
        let (start, rest) = key.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let (host, path) = bare.unwrap_or(key).split_once('/').unwrap_or((bare.unwrap_or(key), ""));
    let is_root = matches!(path.trim_matches('/'), "" | "v1" | "v2");
    (is_root && (bare.is_some() || key.contains('/'))).then_some(host)
}

/// An entry of `auths`. An identity token says more than the user beside it, which may stand for nobody; an empty entry
/// only says that a helper knows the login.
fn read_entry(entry: &Value) -> Result<Option<Login>> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Login::identity(token)));
    }
    if let Some(auth) = text("auth") {
        let wrong = || Error::new(Kind::Registry, "`auth` is not the base64 form of USER:PASSWORD");
        let decoded = base64::engine::general_purpose::STANDARD.decode(auth).map_err(|_| wrong())?;
        let decoded = Zeroizing::new(decoded);
        let decoded = std::str::from_utf8(&decoded).map_err(|_| wrong())?;
        return Login::parse(decoded.trim_end_matches('\0')).map(Some).map_err(|_| wrong());
    }
    match (text("username"), text("password")) {
        (Some(user), Some(password)) => Ok(Some(Login::new(user, password))),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::json;

    fn find(document: &Value, repository: &str) -> Option<String> {
        let repository = repository.parse().unwrap();
        let found = find_in(document.as_object().unwrap(), &repository, Duration::from_secs(1)).unwrap();
        found.map(|(login, _)| login.name().trim_matches('`').to_owned())
    }

    #[test]
    fn takes_the_longest_entry_that_covers_the_repository() {
        let auth =
            |user: &str| json!({ "auth": base64::engine::general_purpose::STANDARD.encode(format!("{user}:x:y")) });
        let document = json!({ "auths": {
            "h.x:1": auth("host"), "h.x:1/a": auth("project"), "h.x:1/a/b": auth("robot"), "h.x:1/e": {},
            "https://index.docker.io/v1/": auth("hub"),
        }});
        for (repository, user) in [
            ("h.x:1/a/b", Some("robot")),
            ("h.x:1/a/b/c", Some("robot")),
            ("h.x:1/a/bc", Some("project")),
            ("h.x:1/z", Some("host")),
            ("h.x:1/e/f", Some("host")),
            ("h.x/a/b", None),
            ("alpine", Some("hub")),
        ] {
            assert_eq!(find(&document, repository).as_deref(), user, "{repository}");
        }
    }

    #[test]
    fn finds_hosts_that_are_written_as_urls_after_exact_entries() {
        let auth =
            |user: &str| json!({ "auth": base64::engine::general_purpose::STANDARD.encode(format!("{user}:x")) });
        for key in ["http://h.x", "https://h.x", "https://h.x/", "HTTPS://h.x/v1", "http://h.x/v1/", "h.x/v2/", "h.x/"]
        {
            assert_eq!(find(&json!({ "auths": { key: auth("url") } }), "h.x/a").as_deref(), Some("url"), "{key}");
            let both = json!({ "auths": { key: auth("url"), "h.x": auth("exact") } });
            assert_eq!(find(&both, "h.x/a").as_deref(), Some("exact"), "{key}");
        }
        for key in ["https://h.x:1", "https://h.x.evil/", "https://h.x/a/b", "ftp://h.x/", "https://y/h.x/", ""] {
            assert_eq!(find(&json!({ "auths": { key: auth("url") } }), "h.x/a"), None, "{key}");
        }
    }

    #[test]
    fn an_identity_token_is_who_we_are() {
        let nobody = base64::engine::general_purpose::STANDARD.encode("00000000-0000-0000-0000-000000000000:");
        for entry in [json!({ "identitytoken": "hidden" }), json!({ "auth": nobody, "identitytoken": "hidden" })] {
            let login = read_entry(&entry).unwrap().unwrap();
            assert_eq!((login.identity_token(), login.basic()), (Some("hidden"), None));
            assert!(!format!("{login:?} {}", login.name()).contains("hidden"));
        }
    }

    #[test]
    fn never_shows_a_password() {
        assert!(!format!("{:?}", Credentials::Given(Login::new("u", "hidden"))).contains("hidden"));
        assert!(!Login::parse("hidden").unwrap_err().to_string().contains("hidden"));
        let entry = json!({ "auth": base64::engine::general_purpose::STANDARD.encode("hidden") });
        assert!(!read_entry(&entry).unwrap_err().to_string().contains("hidden"));
    }
}
