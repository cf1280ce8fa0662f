use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use tokio::sync::mpsc::Receiver;

use super::access::{Access, Side};
use super::address::{address, shown};
use super::auth::{Renewed, Session};
use super::certificates::{authorities, own_certificate};
use super::fault::{cause_of, transport_error};
use super::habits::Habits;
use super::redirect::{MAX_REDIRECTS, location, redirect};
use super::repository::Repository;
use super::retry::{RetryPolicy, asked_pause, is_passing};
use super::tls;
use super::transport::{Failure, Http, Outgoing, Response};
use super::words::{document, is_page, looks_like_page, words_of};
use crate::error::{Advice, Error, ErrorContext, Kind, Result};
use crate::store::source::MAX_DOCUMENT;

/// The user agent.
const USER_AGENT: &str = concat!("pht-oci/", env!("CARGO_PKG_VERSION"));

/// How long TLS is waited for where plain HTTP will do.
const PATIENCE: Duration = Duration::from_secs(2);
/// Advice where something else than a registry seems to have answered.
const GATEWAY: &str =
    "if a gateway or a login page is in front of the registry, sign in there or have it let this program pass";

/// Talks to one repository.
#[derive(Debug)]
pub(super) struct Client {
    repository: Repository,
    access: Access,
    http: OnceLock<Http>,
    root: OnceLock<Url>,
    session: Session,
    habits: Habits,
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

    fn outgoing(&self) -> Outgoing {
        self.body.clone().map_or(Outgoing::Nothing, Outgoing::Bytes)
    }
}

impl Client {
    pub(super) fn new(repository: &Repository, access: &Access) -> Result<Self> {
        access.ensure_online(repository)?;
        access.credentials.ensure_named()?;
        let actions = if access.side == Side::Source { "pull" } else { "pull,push" };
        Ok(Client {
            session: Session::new(repository, access, format!("repository:{}:{actions}", repository.path())),
            repository: repository.clone(),
            access: access.clone(),
            http: OnceLock::new(),
            root: OnceLock::new(),
            habits: Habits::default(),
        })
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// What the registry has shown so far.
    pub(super) fn habits(&self) -> &Habits {
        &self.habits
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
        self.send_within(call, RetryPolicy::default())
    }

    /// The same, with so much patience.
    pub(super) fn send_within(&self, call: &Call, mut retry: RetryPolicy) -> Result<Response> {
        loop {
            match self.attempt(call)? {
                Answer::Response(response) => return Ok(response),
                Answer::Passing(error, asked) => retry.wait(error, asked)?,
            }
        }
    }

    /// Makes a request once, and again if the registry asks who we are.
    pub(super) fn attempt(&self, call: &Call) -> Result<Answer> {
        let mut sent = self.session.header(self.http()?).at(&self.repository)?;
        let mut response = match self.once(call, sent.as_ref(), call.outgoing())? {
            Ok(response) => response,
            Err(error) => return Ok(Answer::Passing(error, None)),
        };
        let mut renewals = 0;
        // The token that another request got may have expired by now, and one of our own may end before it is shown.
        for _ in 0..3 {
            let enough = if self.session.shows_password() { 1 } else { 2 };
            if renewals >= enough || !self.asks_who(&response) {
                break;
            }
            let new = self.session.renew(self.http()?, response, sent.as_ref()).at(&self.repository)?;
            renewals += usize::from(matches!(new, Renewed::Now));
            sent = self.session.header(self.http()?).at(&self.repository)?;
            response = match self.once(call, sent.as_ref(), call.outgoing())? {
                Ok(response) => response,
                Err(error) => return Ok(Answer::Passing(error, None)),
            };
        }
        if self.asks_who(&response) && self.session.shows_password() {
            return Err(self.session.wrong_password(response)).at(&self.repository);
        }
        Ok(self.judge(call, response))
    }

    /// Makes a request once whose body comes through a channel. It cannot be made again: if the registry asks who we are,
    /// that is passing, and the next attempt shows it.
    pub(super) fn stream(&self, call: &Call, body: Receiver<Bytes>, size: Option<u64>) -> Result<Answer> {
        let sent = self.session.header(self.http()?).at(&self.repository)?;
        let response = match self.once(call, sent.as_ref(), Outgoing::Stream(body, size))? {
            Ok(response) => response,
            Err(error) => return Ok(Answer::Passing(error, None)),
        };
        if !self.asks_who(&response) {
            return Ok(self.judge(call, response));
        }
        self.session.renew(self.http()?, response, sent.as_ref()).at(&self.repository)?;
        let what = "the registry asked for another login in the middle of an upload";
        Ok(Answer::Passing(Error::new(Kind::Registry, what).at(&self.repository), None))
    }

    fn asks_who(&self, response: &Response) -> bool {
        response.status() == StatusCode::UNAUTHORIZED && self.is_own(response.url())
    }

    fn judge(&self, call: &Call, response: Response) -> Answer {
        if !is_passing(response.status()) {
            return Answer::Response(response);
        }
        let asked = asked_pause(&response);
        Answer::Passing(self.refusal(&format!("{} {}", call.method, shown(&call.url)), response), asked)
    }

    /// Makes a request and follows redirects. The inner error is one of the network.
    fn once(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
        mut body: Outgoing,
    ) -> Result<std::result::Result<Response, Error>> {
        let mut url = call.url.clone();
        let mut is_own = true;
        for _ in 0..=MAX_REDIRECTS {
            tracing::debug!("{} {}", call.method, shown(&url));
            // A registry may send us elsewhere; who we are is its business alone, also if we are sent back.
            is_own = is_own && self.is_own(&url);
            let mut request = self.http()?.request(call.method.clone(), url.clone());
            for (name, value) in &call.headers {
                request = request.header(name, value);
            }
            if let Some(value) = authorization.filter(|_| is_own) {
                request = request.header(AUTHORIZATION, value);
            }
            let streams = matches!(body, Outgoing::Stream(..));
            let response = match self.http()?.send(request, body) {
                Ok(response) => response,
                Err(Failure::Ours(error)) => return Err(error),
                Err(failure) => return Ok(Err(self.unreachable(failure, &url))),
            };
            match redirect(&call.method, &response).at(&self.repository)? {
                // What has gone through a channel cannot go again.
                Some(next) if !streams => (url, body) = (next, call.outgoing()),
                _ => return Ok(Ok(response)),
            }
        }
        Err(Error::new(Kind::Registry, format!("{} redirects without end", shown(&call.url))).at(&self.repository))
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
        if !self.access.verifies_tls && !self.speaks_tls(&root)? {
            tracing::info!("{host} does not speak TLS; using plain HTTP");
            root = parse("http")?;
        }
        Ok(self.root.get_or_init(|| root))
    }

    fn speaks_tls(&self, root: &Url) -> Result<bool> {
        let (http, ping) =
            (self.http()?, root.join("v2/").map_err(|_| Error::usage("not a host name").at(address(root)))?);
        let patience = PATIENCE.min(self.access.timeout);
        match http.send_within(http.request(Method::GET, ping.clone()), Outgoing::Nothing, patience) {
            Ok(_) => Ok(true),
            Err(Failure::Silent) => self.is_plain(ping).map(|is_plain| !is_plain),
            Err(Failure::Broken(error)) if error.is_timeout() => self.is_plain(ping).map(|is_plain| !is_plain),
            Err(Failure::Broken(error)) => Ok(!(error.is_connect() || error.is_request())),
            Err(Failure::Ours(error)) => Err(error),
        }
    }

    /// True if it is a registry over plain HTTP: one that waits for a line takes the beginning of TLS for that of one, and
    /// says nothing. Who speaks TLS, and is only slow, refuses this.
    fn is_plain(&self, mut ping: Url) -> Result<bool> {
        if ping.set_scheme("http").is_err() {
            return Ok(false);
        }
        let http = self.http()?;
        match http.send(http.request(Method::GET, ping), Outgoing::Nothing) {
            Ok(answer) => Ok(answer.status().is_success() || answer.status() == StatusCode::UNAUTHORIZED),
            Err(Failure::Ours(error)) => Err(error),
            Err(_) => Ok(false),
        }
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
        let mut builder =
            reqwest::Client::builder().user_agent(USER_AGENT).danger_accept_invalid_certs(!self.access.verifies_tls);
        if let Some(dir) = &self.access.cert_dir {
            for certificate in authorities(dir).at(dir.display())? {
                builder = builder.add_root_certificate(certificate);
            }
            if let Some(identity) = own_certificate(dir).at(dir.display())? {
                builder = builder.identity(identity);
            }
        }
        Http::build(builder, self.access.timeout).map_err(|failure| transport_error("cannot prepare TLS", failure))
    }

    /// Whoever answers at a URL, as in `the registry answers`.
    fn who(&self, url: &Url) -> String {
        if self.is_own(url) { "the registry".to_owned() } else { address(url) }
    }

    /// The proxy on the way to a URL, as in ` through the proxy HOST:PORT`; nothing if there is none.
    fn through(&self, url: &Url) -> String {
        let proxy = self.http.get().and_then(|http| http.proxy_of(url));
        proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default()
    }

    /// The body of an answer that is no page for a person: at most [`MAX_DOCUMENT`] bytes and one of it.
    pub(super) fn document(&self, what: &str, response: &mut Response) -> Result<Vec<u8>> {
        let from = response.url().clone();
        if is_page(response) {
            return Err(self.page(what, &from));
        }
        let bytes = document(response, MAX_DOCUMENT).at(what).at(&self.repository)?;
        if looks_like_page(&bytes) { Err(self.page(what, &from)) } else { Ok(bytes) }
    }

    /// An answer that is not the one that was needed, as an error.
    pub(super) fn refusal(&self, what: &str, response: Response) -> Error {
        if response.status().is_success() || response.status().is_redirection() {
            return self.no_answer(what, &response);
        }
        let (status, is_own) = (response.status(), self.is_own(response.url()));
        let (who, through) = (self.who(response.url()), self.through(response.url()));
        let said = self.session.redact(words_of(response));
        let text = |text: &str| Advice::Text(text.to_owned());
        let advice = match status.as_u16() {
            407 => Advice::CheckProxy,
            429 | 500.. => text("the registry is busy or broken; try again later"),
            _ if !is_own => text("the registry has this answered elsewhere; try again, or ask who runs the registry"),
            401 | 403 if self.session.is_known() => Advice::CheckRights { side: self.access.side },
            // It may speak of a quota, or of maintenance.
            403 if !said.is_empty() => text(
                "the registry's own words are the reason; if they are about access, check the rights on the repository",
            ),
            401 | 403 => Advice::CheckCredentials { side: self.access.side },
            404 => text("check the repository's name and the tag; if both are right, the image is incomplete there"),
            _ => text("the registry refuses the request; ask who runs it"),
        };
        let said = if said.is_empty() { said } else { format!(": {said}") };
        Error::new(Kind::Registry, format!("{what}: {who}{through} answers {status}{said}"))
            .advise(advice)
            .at(&self.repository)
    }

    /// An answer that reports success, or leads elsewhere, and is none: a gateway's, as a rule.
    fn no_answer(&self, what: &str, response: &Response) -> Error {
        if is_page(response) {
            return self.page(what, response.url());
        }
        let (status, place) = (response.status(), address(response.url()));
        let found = if status.is_redirection() {
            let leads = location(response).ok().flatten().map(|to| format!(" to {}", address(&to))).unwrap_or_default();
            format!("{place} leads elsewhere{leads} ({status}), as to a login page")
        } else {
            format!("{place} answers {status}, which does not say that it was done")
        };
        Error::new(Kind::Registry, format!("{what}: {found}")).hint(GATEWAY).at(&self.repository)
    }

    /// A web page that came in place of what was asked for.
    pub(super) fn page(&self, what: &str, from: &Url) -> Error {
        let from = address(from);
        let what = format!("{what}: a web page came from {from}, as of a login page, and no answer of a registry");
        Error::new(Kind::Registry, what).hint(GATEWAY).at(&self.repository)
    }

    /// A failure of the network on the way to a URL.
    fn unreachable(&self, failure: Failure, url: &Url) -> Error {
        let (is_own, proxy) = (self.is_own(url), self.http.get().and_then(|http| http.proxy_of(url)));
        let cause = cause_of(failure);
        let who =
            if is_own { "the registry".to_owned() } else { format!("{}, where the registry leads,", address(url)) };
        let advice = match proxy {
            Some(_) => Advice::CheckProxy,
            None if is_own => Advice::CheckConnection { side: self.access.side },
            None => {
                Advice::Text("ask who runs the registry whether that address is right and can be reached".to_owned())
            }
        };
        // The words of rustls for an answer in plain HTTP.
        let what = match proxy {
            None if cause.contains("InvalidContentType") => format!("{who} does not speak TLS"),
            None => format!("{who} cannot be reached: {cause}"),
            Some(proxy) => format!("{who} cannot be reached through the proxy {proxy}: {cause}"),
        };
        Error::new(Kind::Registry, what).advise(advice).at(&self.repository)
    }
}

fn pull_scope(repository: &Repository) -> String {
    format!("repository:{}:pull", repository.path())
}
