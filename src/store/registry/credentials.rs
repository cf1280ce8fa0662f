//! Credentials for registries, as containers-auth.json(5) and Docker's config file have them.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use zeroize::Zeroizing;

use super::repository::Repository;
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::json::{self, Object, Value};

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

/// A user and a password.
#[derive(Clone)]
pub struct Login {
    user: String,
    password: Zeroizing<String>,
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

impl Login {
    /// This user with this password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Login { user: user.into(), password: Zeroizing::new(password.into()) }
    }

    /// Reads `USER:PASSWORD`; the message about anything else does not repeat it.
    ///
    /// # Errors
    /// [`Kind::Usage`] if there is no colon or no user.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() => Ok(Login::new(user, password)),
            _ => Err(Error::usage("credentials are written USER:PASSWORD")),
        }
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("password", &"[redacted]").finish()
    }
}

impl Credentials {
    /// The login for a repository, if there is one.
    pub(super) fn find(&self, repository: &Repository) -> Result<Option<Login>> {
        let files = match self {
            Credentials::Anonymous => return Ok(None),
            Credentials::Given(login) => return Ok(Some(login.clone())),
            Credentials::Files(files) => files,
        };
        for file in files {
            let Some(bytes) = file.read()? else { continue };
            if let Some((login, origin)) = login_in(&bytes, repository).at(file.path.display())? {
                let path = file.path.display();
                tracing::info!("logging in to {repository} as {} ({origin} in {path})", login.user);
                return Ok(Some(login));
            }
        }
        tracing::info!("no credentials for {repository}; continuing without");
        Ok(None)
    }
}

impl AuthFile {
    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound && !self.required => Ok(None),
            Err(error) => {
                let error = Error::io("cannot read the credentials", error).as_kind(Kind::Registry);
                Err(error.at(self.path.display()))
            }
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
    let document = json::parse_object(file).map_err(|error| error.as_kind(Kind::Registry))?;
    find_in(&document, repository)
}

/// The login in one file: the host's helper, then the longest entry that covers the repository, then the helper for
/// all.
fn find_in(document: &Object, repository: &Repository) -> Result<Option<(Login, String)>> {
    let (host, hub) = (repository.host(), "https://index.docker.io/v1/");
    let is_hub = host == "docker.io";
    let helper_key = if is_hub { hub } else { host };
    let helpers = document.get("credHelpers").and_then(Value::as_object);
    if let Some(name) =
        helpers.and_then(|helpers| helpers.get(helper_key).or(helpers.get(host))).and_then(Value::as_str)
    {
        return ask_helper(name, helper_key);
    }
    if let Some(auths) = document.get("auths").and_then(Value::as_object) {
        let whole = repository.to_string();
        let mut keys: Vec<&str> = whole.match_indices('/').map(|(at, _)| &whole[..at]).collect();
        keys.push(&whole);
        keys.reverse();
        keys.extend(is_hub.then_some(hub));
        let urls = [format!("https://{host}"), format!("https://{host}/v1/"), format!("https://{host}/v2/")];
        keys.extend(urls.iter().map(String::as_str));
        for key in keys {
            if let Some(login) = auths.get(key).map(read_entry).transpose().at(format_args!("entry `{key}`"))?.flatten()
            {
                return Ok(Some((login, format!("entry `{key}`"))));
            }
        }
    }
    match document.get("credsStore").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        Some(name) => ask_helper(name, helper_key),
        None => Ok(None),
    }
}

/// An entry of `auths`. An empty one only says that a helper knows the login.
fn read_entry(entry: &Value) -> Result<Option<Login>> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(auth) = text("auth") {
        let wrong = || Error::new(Kind::Registry, "`auth` is not the base64 form of USER:PASSWORD");
        let decoded = base64::engine::general_purpose::STANDARD.decode(auth).map_err(|_| wrong())?;
        let decoded = Zeroizing::new(decoded);
        let decoded = std::str::from_utf8(&decoded).map_err(|_| wrong())?;
        return Login::parse(decoded.trim_end_matches('\0')).map(Some).map_err(|_| wrong());
    }
    match (text("username"), text("password"), text("identitytoken")) {
        (Some(user), Some(password), _) => Ok(Some(Login::new(user, password))),
        (_, _, Some(_)) => Err(no_identity_tokens()),
        _ => Ok(None),
    }
}

fn no_identity_tokens() -> Error {
    let hint = "log in with a user name and a password, or the secret of a robot account";
    Error::new(Kind::Registry, "an identity token; only user names with passwords are supported").hint(hint)
}

/// Asks a credential helper (Docker's protocol: the server on standard input, JSON on standard output).
fn ask_helper(name: &str, server: &str) -> Result<Option<(Login, String)>> {
    let program = format!("docker-credential-{name}");
    if Path::new(&program).components().count() != 1 {
        return Err(Error::new(Kind::Registry, "the name of the credential helper is not a program name"));
    }
    let run = || {
        let mut command = Command::new(&program);
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(server.as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = run().doing(format_args!("run {program}")).map_err(|error| error.as_kind(Kind::Registry))?;
    let stdout = Zeroizing::new(output.stdout);
    if !output.status.success() {
        // What a helper prints may be a secret; only the one phrase of the protocol is looked for.
        let unknown = String::from_utf8_lossy(&stdout).contains("credentials not found");
        let what = format!("{program} failed ({})", output.status);
        return if unknown { Ok(None) } else { Err(Error::new(Kind::Registry, what)) };
    }
    let answer = json::parse_object(&stdout).map_err(|error| error.as_kind(Kind::Registry)).at(&program)?;
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    match (text("Username"), text("Secret")) {
        (Some("<token>"), _) => Err(no_identity_tokens().at(program)),
        (Some(user), Some(secret)) => Ok(Some((Login::new(user, secret), program))),
        _ => Err(Error::new(Kind::Registry, "the answer has no `Username` and `Secret`").at(program)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::json;

    fn find(document: &Value, repository: &str) -> Option<String> {
        let repository = repository.parse().unwrap();
        find_in(document.as_object().unwrap(), &repository).unwrap().map(|(login, _)| login.user)
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
    fn never_shows_a_password() {
        assert!(!format!("{:?}", Credentials::Given(Login::new("u", "hidden"))).contains("hidden"));
        assert!(!Login::parse("hidden").unwrap_err().to_string().contains("hidden"));
        let entry = json!({ "auth": base64::engine::general_purpose::STANDARD.encode("hidden") });
        assert!(!read_entry(&entry).unwrap_err().to_string().contains("hidden"));
    }
}
