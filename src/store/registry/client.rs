use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use oci_distribution::errors::OciEnvelope;
use reqwest::blocking::{Client as Http, Response};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Method, StatusCode, Url};

use super::access::{Access, Side};
use super::auth::Session;
use super::fault::{cause_of, transport_error};
use super::repository::Repository;
use super::retry::{RetryPolicy, asked_pause, is_passing};
use super::tls;
use crate::error::{Advice, Error, ErrorContext, IoContext, Kind, Result};
use crate::text::Printable;

/// The user agent.
const USER_AGENT: &str = concat!("pht-oci/", env!("CARGO_PKG_VERSION"));
/// The bytes of a refusal's text that are read.
const MAX_REFUSAL: u64 = 16 << 10;

/// Talks to one repository.
#[derive(Debug)]
pub(super) struct Client {
    repository: Repository,
    access: Access,
    http: OnceLock<Http>,
    root: OnceLock<Url>,
    session: Session,
}

/// One request; it can be made several times.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Option<Bytes>,
}

/// The outcome of an attempt.
pub(super) enum Answer {
    /// The registry has answered.
    Response(Response),
    /// It may go better soon; after this time if the registry says so.
    Passing(Error, Option<Duration>),
}

impl Call {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Call { method, url, headers: Vec::new(), body: None }
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = Some(bytes.into());
        self
    }
}

impl Client {
    pub(super) fn new(repository: &Repository, access: &Access) -> Result<Self> {
        access.ensure_online(repository)?;
        let actions = if access.side == Side::Source { "pull" } else { "pull,push" };
        Ok(Client {
            session: Session::new(repository, access, format!("repository:{}:{actions}", repository.path())),
            repository: repository.clone(),
            access: access.clone(),
            http: OnceLock::new(),
            root: OnceLock::new(),
        })
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// From now on tokens have to be good for reading this repository, too.
    pub(super) fn read_also(&self, other: &Repository) {
        self.session.widen(pull_scope(other));
    }

    /// Tokens need not be good for reading this repository any more.
    pub(super) fn stop_reading(&self, other: &Repository) {
        self.session.narrow(&pull_scope(other));
    }

    /// The URL of something in the repository, as in `blobs/sha256:...`.
    pub(super) fn url(&self, below: &str) -> Result<Url> {
        let path = format!("/v2/{}/{below}", self.repository.path());
        self.root()?.join(&path).map_err(|_| Error::new(Kind::Registry, "not a URL").at(path))
    }

    /// Makes a request until the registry gives an answer that will stay.
    pub(super) fn send(&self, call: &Call) -> Result<Response> {
        let mut retry = RetryPolicy::default();
        loop {
            match self.attempt(call)? {
                Answer::Response(response) => return Ok(response),
                Answer::Passing(error, asked) => retry.wait(error, asked)?,
            }
        }
    }

    /// Makes a request once, and again if the registry asks who we are.
    pub(super) fn attempt(&self, call: &Call) -> Result<Answer> {
        let mut sent = self.session.header();
        let mut response = match self.once(call, sent.as_ref())? {
            Ok(response) => response,
            Err(error) => return Ok(Answer::Passing(self.unreachable(error), None)),
        };
        let mut renewed = false;
        // The token that another request got may have expired by now; after that of our own, no is the answer.
        for _ in 0..2 {
            if renewed || response.status() != StatusCode::UNAUTHORIZED || !self.is_own(response.url()) {
                break;
            }
            renewed = self.session.renew(self.http()?, &response, sent.as_ref()).at(&self.repository)?;
            sent = self.session.header();
            response = match self.once(call, sent.as_ref())? {
                Ok(response) => response,
                Err(error) => return Ok(Answer::Passing(self.unreachable(error), None)),
            };
        }
        if is_passing(response.status()) {
            let asked = asked_pause(&response);
            let what = format!("{} {}", call.method, shown(&call.url));
            return Ok(Answer::Passing(self.refusal(&what, response), asked));
        }
        Ok(Answer::Response(response))
    }

    fn once(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<std::result::Result<Response, reqwest::Error>> {
        tracing::debug!("{} {}", call.method, shown(&call.url));
        let mut request = self.http()?.request(call.method.clone(), call.url.clone());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        // A registry may send us elsewhere; who we are is its business alone.
        if let Some(value) = authorization.filter(|_| self.is_own(&call.url)) {
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        Ok(request.send())
    }

    fn is_own(&self, url: &Url) -> bool {
        self.root.get().is_some_and(|root| root.origin() == url.origin())
    }

    /// Scheme and host. Without verification plain HTTP is used where there is no TLS.
    fn root(&self) -> Result<&Url> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let host = match self.repository.host() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let parse = |scheme: &str| {
            let wrong = || Error::usage("not a host name").at(host);
            format!("{scheme}://{host}/").parse::<Url>().map_err(|_| wrong())
        };
        let mut root = parse("https")?;
        if !self.access.verifies_tls {
            let ping = root.join("v2/").map_err(|_| Error::usage("not a host name").at(host))?;
            if self
                .http()?
                .get(ping)
                .send()
                .is_err_and(|error| !error.is_timeout() && (error.is_connect() || error.is_request()))
            {
                tracing::info!("{host} does not speak TLS; using plain HTTP");
                root = parse("http")?;
            }
        }
        Ok(self.root.get_or_init(|| root))
    }

    fn http(&self) -> Result<&Http> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = self.build().at(&self.repository)?;
        Ok(self.http.get_or_init(|| http))
    }

    fn build(&self) -> Result<Http> {
        tls::provide()?;
        let mut builder = Http::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(self.access.timeout)
            .timeout(self.access.timeout)
            .redirect(redirects())
            .danger_accept_invalid_certs(!self.access.verifies_tls);
        if let Some(dir) = &self.access.cert_dir {
            for certificate in authorities(dir).at(dir.display())? {
                builder = builder.add_root_certificate(certificate);
            }
            if let Some(identity) = own_certificate(dir).at(dir.display())? {
                builder = builder.identity(identity);
            }
        }
        builder.build().map_err(|error| transport_error("cannot prepare TLS", error))
    }

    /// The registry's refusal of a request, as an error.
    pub(super) fn refusal(&self, what: &str, response: Response) -> Error {
        let status = response.status();
        let mut text = Vec::new();
        // What cannot be read is not said.
        let _ = response.take(MAX_REFUSAL).read_to_end(&mut text);
        let message = serde_json::from_slice::<OciEnvelope>(&text).ok();
        let message = message
            .and_then(|message| message.errors.into_iter().next())
            .map(|error| error.message)
            .unwrap_or_default();
        let message = if message.is_empty() { String::new() } else { format!(": {}", Printable::new(&message)) };
        let text = |text: &str| Advice::Text(text.to_owned());
        let advice = match status.as_u16() {
            401 | 403 => Advice::CheckCredentials { side: self.access.side },
            404 => text("check the repository's name and the tag; if both are right, the image is incomplete there"),
            429 | 500.. => text("the registry is busy or broken; try again later"),
            _ => text("the registry refuses the request; ask who runs it"),
        };
        Error::new(Kind::Registry, format!("{what}: the registry answers {status}{message}"))
            .advise(advice)
            .at(&self.repository)
    }

    pub(super) fn unreachable(&self, error: reqwest::Error) -> Error {
        let advice = Advice::CheckConnection { side: self.access.side };
        let cause = cause_of(error);
        // The words of rustls for an answer in plain HTTP.
        let what = if cause.contains("InvalidContentType") {
            "the registry does not speak TLS".to_owned()
        } else {
            format!("the registry cannot be reached: {cause}")
        };
        Error::new(Kind::Registry, what).advise(advice).at(&self.repository)
    }
}

fn pull_scope(repository: &Repository) -> String {
    format!("repository:{}:pull", repository.path())
}

/// A URL without its query, which may hold a secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// Follows to other hosts (where login headers are left out), but never from TLS to plain HTTP.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let falls =
            attempt.previous().last().is_some_and(|from| from.scheme() == "https") && attempt.url().scheme() != "https";
        if falls {
            attempt.error("redirected from TLS to plain HTTP")
        } else if attempt.previous().len() > 5 {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

fn files_ending(dir: &Path, end: &str) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).doing("list the directory of certificates")? {
        let path = entry.doing("list the directory of certificates")?.path();
        if path.extension().is_some_and(|found| found == end) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn authorities(dir: &Path) -> Result<Vec<Certificate>> {
    let mut all = Vec::new();
    for path in files_ending(dir, "crt")? {
        let pem = fs::read(&path).doing("read the certificate").at(path.display())?;
        let wrong = |_| Error::usage("not a certificate in PEM").at(path.display());
        all.extend(Certificate::from_pem_bundle(&pem).map_err(wrong)?);
    }
    Ok(all)
}

fn own_certificate(dir: &Path) -> Result<Option<Identity>> {
    let Some(path) = files_ending(dir, "cert")?.into_iter().next() else { return Ok(None) };
    let mut pem = zeroize::Zeroizing::new(fs::read(&path).doing("read the certificate").at(path.display())?);
    let key = path.with_extension("key");
    pem.extend(zeroize::Zeroizing::new(fs::read(&key).doing("read the private key").at(key.display())?).iter());
    let wrong = |_| Error::usage("not a certificate and its key in PEM").at(path.display());
    Identity::from_pem(&pem).map(Some).map_err(wrong)
}
