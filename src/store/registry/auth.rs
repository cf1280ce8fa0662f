use std::io::Read;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::{Client as Http, RequestBuilder, Response};
use reqwest::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use zeroize::Zeroizing;

use super::access::Access;
use super::credentials::Login;
use super::fault::transport_error;
use super::repository::Repository;
use super::retry::{RetryPolicy, asked_pause, is_passing};
use crate::error::{Advice, Error, ErrorContext, Kind, Result};
use crate::json::{self, Value};
use crate::text::Printable;

/// The largest answer of a token server, in bytes.
const MAX_TOKEN: u64 = 1 << 20;

/// The authorization for one registry.
#[derive(Debug)]
pub(super) struct Session {
    repository: Repository,
    access: Access,
    login: OnceLock<Option<Login>>,
    header: Mutex<Option<HeaderValue>>,
    /// Held while a new header is got, so that one does it for all.
    renewing: Mutex<()>,
    /// The scopes that a token must have.
    scopes: Mutex<Vec<String>>,
}

impl Session {
    pub(super) fn new(repository: &Repository, access: &Access, scope: String) -> Self {
        Session {
            repository: repository.clone(),
            access: access.clone(),
            login: OnceLock::new(),
            header: Mutex::new(None),
            renewing: Mutex::new(()),
            scopes: Mutex::new(vec![scope]),
        }
    }

    /// The value of the header `Authorization`, marked so that no log shows it.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on tokens have to be good for this, too.
    pub(super) fn widen(&self, scope: String) {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if !scopes.contains(&scope) {
            scopes.push(scope);
            self.set(None);
        }
    }

    /// Tokens need not be good for this any more.
    pub(super) fn narrow(&self, scope: &str) {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner).retain(|own| own != scope);
    }

    fn set(&self, value: Option<HeaderValue>) {
        *self.header.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    fn login(&self) -> Result<Option<&Login>> {
        if self.login.get().is_none() {
            let found = self.access.credentials.find(&self.repository)?;
            let _ = self.login.set(found);
        }
        Ok(self.login.get().and_then(Option::as_ref))
    }

    /// Does what the registry's refusal of a request with the header `sent` asks for: a password, or a (new) token.
    /// False if another request has done so meanwhile.
    pub(super) fn renew(&self, http: &Http, refusal: &Response, sent: Option<&HeaderValue>) -> Result<bool> {
        let access = &self.access;
        let _one_at_a_time = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.header().is_some_and(|now| Some(&now) != sent) {
            // Another request of ours was refused, too, and has seen to it.
            return Ok(false);
        }
        let login = self.login()?;
        let wanted: Vec<Challenge> = refusal
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(challenges)
            .collect();
        let bearer = wanted.iter().find(|challenge| challenge.scheme == "bearer" && challenge.realm.is_some());
        if let Some(Challenge { realm: Some(realm), service, .. }) = bearer {
            let url = token_url(refusal.url(), realm, service.as_deref())?;
            let token = self.fetch_token(http, url, login)?;
            let mut value = HeaderValue::try_from(format!("Bearer {}", *token)).map_err(|_| bad_token())?;
            value.set_sensitive(true);
            self.set(Some(value));
            return Ok(true);
        }
        if wanted.iter().any(|challenge| challenge.scheme == "basic") {
            let login =
                login.ok_or_else(|| refused("the registry asks for credentials, and there are none", access))?;
            if sent.is_some() {
                let what = format!("the registry refuses the credentials of `{}`", Printable::new(login.user()));
                return Err(refused(what, access));
            }
            let request = http.get(refusal.url().clone()).basic_auth(login.user(), Some(login.password()));
            let built = request.build().map_err(|_| refused("the credentials cannot be sent in a header", access))?;
            self.set(built.headers().get(AUTHORIZATION).cloned());
            return Ok(true);
        }
        Err(refused("the registry refuses access and does not say how to log in", access))
    }

    /// Asks a token server (distribution specification of Docker, token authentication).
    fn fetch_token(&self, http: &Http, mut url: Url, login: Option<&Login>) -> Result<Zeroizing<String>> {
        for scope in self.scopes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            url.query_pairs_mut().append_pair("scope", scope);
        }
        let mut retry = RetryPolicy::default();
        loop {
            let request = http.get(url.clone());
            let request = match login {
                Some(login) => request.basic_auth(login.user(), Some(login.password())),
                None => request,
            };
            match read_token(request, login).at(url.host_str().unwrap_or_default())? {
                Asked::Token(token) => return Ok(token),
                Asked::Passing(error, pause) => retry.wait(error, pause)?,
            }
        }
    }
}

/// The outcome of one request to a token server.
enum Asked {
    Token(Zeroizing<String>),
    /// It may go better soon; after this time if it says so.
    Passing(Error, Option<Duration>),
}

fn read_token(request: RequestBuilder, login: Option<&Login>) -> Result<Asked> {
    let response = match request.send() {
        Ok(response) => response,
        Err(error) => return Ok(Asked::Passing(transport_error("cannot ask the token server", error), None)),
    };
    let status = response.status();
    if is_passing(status) {
        let error = Error::new(Kind::Registry, format!("the token server answers {status}"));
        let error = error.hint("the token server is busy or broken; try again later");
        return Ok(Asked::Passing(error, asked_pause(&response)));
    }
    if !status.is_success() {
        let who = login.map_or("anonymous access".to_owned(), |login| format!("`{}`", Printable::new(login.user())));
        let what = format!("the token server refuses {who} ({status})");
        return Err(Error::new(Kind::Registry, what).advise(Advice::CheckLogin));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    if response.take(MAX_TOKEN).read_to_end(&mut bytes).is_err() {
        return Ok(Asked::Passing(Error::new(Kind::Registry, "the token server's answer was cut off"), None));
    }
    let answer = json::parse_object(&bytes).map_err(|_| bad_token())?;
    let token = ["token", "access_token"].iter().find_map(|key| answer.get(*key).and_then(Value::as_str));
    Ok(Asked::Token(Zeroizing::new(token.ok_or_else(bad_token)?.to_owned())))
}

fn bad_token() -> Error {
    Error::new(Kind::Registry, "the token server's answer holds no token")
}

fn refused(what: impl Into<String>, access: &Access) -> Error {
    Error::new(Kind::Registry, what).advise(Advice::GiveCredentials { side: access.side })
}

/// Where a registry's tokens come from.
fn token_url(registry: &Url, realm: &str, service: Option<&str>) -> Result<Url> {
    let mut url: Url = realm.parse().map_err(|_| Error::new(Kind::Registry, "the token server has no valid URL"))?;
    if registry.scheme() == "https" && url.scheme() != "https" {
        let what = "the registry names a token server without TLS; no credentials were sent to it";
        return Err(Error::new(Kind::Registry, what).at(url.host_str().unwrap_or_default()));
    }
    if let Some(service) = service {
        url.query_pairs_mut().append_pair("service", service);
    }
    Ok(url)
}

/// One way in that a registry offers.
struct Challenge {
    scheme: String,
    realm: Option<String>,
    service: Option<String>,
}

fn challenges(header: &str) -> Vec<Challenge> {
    let read = |challenge: http_auth::ChallengeRef<'_>| {
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        Challenge {
            scheme: challenge.scheme.to_ascii_lowercase(),
            realm: parameter("realm"),
            service: parameter("service"),
        }
    };
    http_auth::parse_challenges(header).unwrap_or_default().into_iter().map(read).collect()
}
