use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use zeroize::Zeroizing;

use super::access::Access;
use super::login::Login;
use super::repository::Repository;
use super::token::{Token, TokenServer, redact, secret_header};
use super::transport::{Http, Response};
use super::words::words_of;
use crate::error::{Advice, Error, Kind, Result};

/// The authorization for one registry.
#[derive(Debug)]
pub(super) struct Session {
    repository: Repository,
    access: Access,
    login: OnceLock<Option<Login>>,
    shown: Mutex<Shown>,
    /// Held while a new header is got, so that one does it for all.
    renewing: Mutex<()>,
    /// The scopes that a token must have.
    scopes: Mutex<Vec<String>>,
}

/// What requests show at present.
#[derive(Debug, Default)]
struct Shown {
    header: Option<HeaderValue>,
    /// When a token ends, as far as was said.
    until: Option<Instant>,
    /// Where tokens come from, once the registry has said so.
    server: Option<TokenServer>,
}

/// What came of a refusal.
pub(super) enum Renewed {
    /// There is a new header, got because of it.
    Now,
    /// Another request of ours was refused, too, and has seen to it.
    Meanwhile,
}

impl Session {
    pub(super) fn new(repository: &Repository, access: &Access, scope: String) -> Self {
        Session {
            repository: repository.clone(),
            access: access.clone(),
            login: OnceLock::new(),
            shown: Mutex::default(),
            renewing: Mutex::new(()),
            scopes: Mutex::new(vec![scope]),
        }
    }

    /// The value of the header `Authorization`, marked so that no log shows it. A token that has ended by its own word is
    /// replaced before it is refused; others are when they are.
    pub(super) fn header(&self, http: &Http) -> Result<Option<HeaderValue>> {
        if self.ended().is_none() {
            return Ok(self.current());
        }
        let _one_at_a_time = lock(&self.renewing);
        if let Some(server) = self.ended() {
            self.fetch(http, server)?;
        }
        Ok(self.current())
    }

    fn current(&self) -> Option<HeaderValue> {
        lock(&self.shown).header.clone()
    }

    /// Where to get another token, if the one that is shown has ended.
    fn ended(&self) -> Option<TokenServer> {
        let shown = lock(&self.shown);
        let has_ended = shown.header.is_some() && shown.until.is_some_and(|until| until <= Instant::now());
        shown.server.clone().filter(|_| has_ended)
    }

    /// From now on tokens have to be good for this, too.
    pub(super) fn widen(&self, scope: String) {
        let mut scopes = lock(&self.scopes);
        if !scopes.contains(&scope) {
            scopes.push(scope);
            self.show(None, None);
        }
    }

    /// Tokens need not be good for this any more.
    pub(super) fn narrow(&self, scope: &str) {
        lock(&self.scopes).retain(|own| own != scope);
    }

    fn show(&self, header: Option<HeaderValue>, until: Option<Instant>) {
        let mut shown = lock(&self.shown);
        (shown.header, shown.until) = (header, until);
    }

    fn login(&self) -> Result<Option<&Login>> {
        if self.login.get().is_none() {
            let found = self.access.credentials.find(&self.repository, self.access.timeout)?;
            let _ = self.login.set(found);
        }
        Ok(self.login.get().and_then(Option::as_ref))
    }

    /// True if a token server has taken the login: what is refused then is a right, not the login.
    pub(super) fn is_known(&self) -> bool {
        let has_token = lock(&self.shown).header.as_ref().is_some_and(is_token);
        has_token && self.login.get().is_some_and(Option::is_some)
    }

    /// A text of somebody else without our secrets, should it repeat them.
    pub(super) fn redact(&self, text: String) -> String {
        let mut secrets = self.login.get().and_then(Option::as_ref).map(Login::secrets).unwrap_or_default();
        let header = self.current();
        let token = header.as_ref().and_then(|header| header.to_str().ok()?.split_once(' '));
        secrets.extend(token.map(|(_, token)| Zeroizing::new(token.to_owned())));
        redact(text, &secrets)
    }

    /// Does what the registry's refusal of a request with the header `sent` asks for: a password, or a (new) token.
    ///
    /// A token that was refused is replaced from where it came, whatever the refusal asks for: Harbor asks for a password
    /// whenever a request carried anything.
    pub(super) fn renew(&self, http: &Http, refusal: Response, sent: Option<&HeaderValue>) -> Result<Renewed> {
        let _one_at_a_time = lock(&self.renewing);
        if self.current().is_some_and(|now| Some(&now) != sent) {
            return Ok(Renewed::Meanwhile);
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
            let server = TokenServer::named(refusal.url(), realm, service.as_deref())?;
            lock(&self.shown).server = Some(server.clone());
            return self.fetch(http, server).map(|()| Renewed::Now);
        }
        let known = lock(&self.shown).server.clone().filter(|_| sent.is_some_and(is_token));
        if let Some(server) = known {
            return self.fetch(http, server).map(|()| Renewed::Now);
        }
        if !wanted.iter().any(|challenge| challenge.scheme == "basic") {
            return Err(self.refused("the registry refuses access and does not say how to log in", refusal));
        }
        let Some(login) = login else {
            return Err(self.refused("the registry asks for credentials, and there are none", refusal));
        };
        let Some(basic) = login.basic() else {
            return Err(self.refused("the registry asks for a password, and the login is an identity token", refusal));
        };
        if sent.is_some() {
            return Err(self.wrong_password(refusal));
        }
        self.show(Some(secret_header(&basic)?), None);
        Ok(Renewed::Now)
    }

    fn fetch(&self, http: &Http, server: TokenServer) -> Result<()> {
        let scopes = lock(&self.scopes).clone();
        let Token { header, life } = server.token(http, &scopes, self.login()?)?;
        // A little early: the request is on its way for a while, too.
        let until = life.and_then(|life| Instant::now().checked_add(life - (life / 10).min(Duration::from_secs(10))));
        self.show(Some(header), until);
        Ok(())
    }

    /// True if requests show a password, and no token.
    pub(super) fn shows_password(&self) -> bool {
        self.current().is_some_and(|header| !is_token(&header))
    }

    /// The refusal of a password, which is tried once.
    pub(super) fn wrong_password(&self, refusal: Response) -> Error {
        let name = self.login.get().and_then(Option::as_ref).map_or_else(|| "nobody".to_owned(), Login::name);
        self.refused(&format!("the registry refuses the credentials of {name}"), refusal)
    }

    fn refused(&self, what: &str, refusal: Response) -> Error {
        let said = self.redact(words_of(refusal));
        let said = if said.is_empty() { said } else { format!(": {said}") };
        let advice = Advice::GiveCredentials { side: self.access.side };
        Error::new(Kind::Registry, format!("{what}{said}")).advise(advice)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_token(header: &HeaderValue) -> bool {
    header.as_bytes().starts_with(b"Bearer ")
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
