use std::sync::{Mutex, OnceLock, PoisonError};

use reqwest::Url;
use reqwest::blocking::{Client as Http, Response};
use reqwest::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};

use super::{Access, Login, Repository};
use crate::error::{Error, Kind, Result};
use crate::json::{self, Value};

/// The largest answer of a token server, in bytes.
const MAX_TOKEN: u64 = 1 << 20;

/// What is shown to one registry so that it lets us in.
#[derive(Debug, Default)]
pub(super) struct Session {
    login: OnceLock<Option<Login>>,
    header: Mutex<Option<HeaderValue>>,
    /// What a token has to be good for.
    scopes: Mutex<Vec<String>>,
}

impl Session {
    pub(super) fn new(scope: String) -> Self {
        Session { scopes: Mutex::new(vec![scope]), ..Session::default() }
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

    fn set(&self, value: Option<HeaderValue>) {
        *self.header.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    fn login(&self, repository: &Repository, access: &Access) -> Result<Option<&Login>> {
        if self.login.get().is_none() {
            let found = access.credentials.find(repository)?;
            let _ = self.login.set(found);
        }
        Ok(self.login.get().and_then(Option::as_ref))
    }

    /// Does what the registry's refusal asks for: a password, or a (new) token.
    pub(super) fn renew(
        &self,
        http: &Http,
        refusal: &Response,
        repository: &Repository,
        access: &Access,
    ) -> Result<()> {
        let login = self.login(repository, access)?;
        let wanted: Vec<Challenge> = refusal
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(challenges)
            .collect();
        let bearer = wanted.iter().find(|challenge| challenge.scheme == "bearer" && challenge.realm.is_some());
        if let Some(Challenge { realm: Some(realm), service, .. }) = bearer {
            let token = self.fetch_token(http, refusal.url(), (realm, service.as_deref()), login)?;
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| bad_token())?;
            value.set_sensitive(true);
            self.set(Some(value));
            return Ok(());
        }
        if wanted.iter().any(|challenge| challenge.scheme == "basic") {
            let login = login.ok_or_else(|| refused("the registry asks for a login, and there is none", access))?;
            let was_refused = self.header().is_some();
            if was_refused {
                let what = format!("the registry does not take the login of `{}`", login.user().escape_debug());
                return Err(refused(what, access));
            }
            let request = http.get(refusal.url().clone()).basic_auth(login.user(), Some(login.password()));
            let built = request.build().map_err(|_| refused("the login cannot be sent", access))?;
            self.set(built.headers().get(AUTHORIZATION).cloned());
            return Ok(());
        }
        Err(refused("the registry refuses access and does not say how to log in", access))
    }

    /// Asks a token server (distribution specification of Docker, token authentication).
    fn fetch_token(
        &self,
        http: &Http,
        registry: &Url,
        (realm, service): (&str, Option<&str>),
        login: Option<&Login>,
    ) -> Result<String> {
        let mut url: Url =
            realm.parse().map_err(|_| Error::new(Kind::Registry, "the token server has no valid URL"))?;
        if registry.scheme() == "https" && url.scheme() != "https" {
            let what = "the registry sends us to a token server without TLS; nothing was sent there";
            return Err(Error::new(Kind::Registry, what).at(url.host_str().unwrap_or_default()));
        }
        for (key, value) in service.map(|service| ("service", service)).into_iter() {
            url.query_pairs_mut().append_pair(key, value);
        }
        for scope in self.scopes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            url.query_pairs_mut().append_pair("scope", scope);
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let request = http.get(url);
        let request = match login {
            Some(login) => request.basic_auth(login.user(), Some(login.password())),
            None => request,
        };
        let response =
            request.send().map_err(|error| super::client::fault("cannot ask the token server", error).at(&host))?;
        if !response.status().is_success() {
            let who = login.map_or("anonymous access".to_owned(), |login| format!("`{}`", login.user().escape_debug()));
            let what = format!("the token server refuses {who} ({})", response.status());
            let hint = "check user name, password and the rights on the repository; -v says where a login came from";
            return Err(Error::new(Kind::Registry, what).hint(hint).at(&host));
        }
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        let mut body = std::io::Read::take(response, MAX_TOKEN);
        std::io::Read::read_to_end(&mut body, &mut bytes).map_err(|_| bad_token().at(&host))?;
        let answer = json::parse_object(&bytes).map_err(|_| bad_token().at(&host))?;
        let token = ["token", "access_token"].iter().find_map(|key| answer.get(*key).and_then(Value::as_str));
        token.map(str::to_owned).ok_or_else(|| bad_token().at(&host))
    }
}

fn bad_token() -> Error {
    Error::new(Kind::Registry, "the token server's answer holds no token")
}

fn refused(what: impl Into<String>, access: &Access) -> Error {
    let hint = format!("give a login by {} or --authfile; -v says which file gave which user", access.option("creds"));
    Error::new(Kind::Registry, what).hint(hint)
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
