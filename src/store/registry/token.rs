//! Token servers (distribution/distribution, `docs/spec/auth`).

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use zeroize::Zeroizing;

use super::address::{Reach, address};
use super::fault::transport_error;
use super::login::Login;
use super::redirect::{MAX_REDIRECTS, redirect};
use super::retry::{RetryPolicy, asked_pause, is_passing};
use super::transport::{Failure, Http, Outgoing, Response};
use super::words::{document, is_page, words_of};
use crate::error::{Advice, Error, ErrorContext, Kind, Result};
use crate::json::{self, Value};

/// What is shorter occurs in any text, and to strike it out there would give it away.
const LEAST_SECRET: usize = 4;
/// The largest answer of a token server, in bytes.
const MAX_TOKEN: u64 = 1 << 20;

/// Where a registry's tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenServer {
    realm: Url,
    service: Option<String>,
}

/// A token, as the value of the header `Authorization` that no log shows.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    /// How long it is good, if that was said.
    pub(super) life: Option<Duration>,
}

/// The outcome of one request to a token server.
enum Asked {
    Token(Token),
    /// It may go better soon; after this time if it says so.
    Passing(Error, Option<Duration>),
}

impl TokenServer {
    /// The one that the registry at this URL names.
    ///
    /// # Errors
    /// [`Kind::Registry`] if no login should go there.
    pub(super) fn named(registry: &Url, realm: &str, service: Option<&str>) -> Result<Self> {
        let url: Url = realm.parse().map_err(|_| Error::new(Kind::Registry, "the token server has no valid URL"))?;
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
            return Err(Error::new(Kind::Registry, "the token server has no valid URL"));
        }
        if registry.scheme() == "https" && url.scheme() != "https" {
            let what = "the registry names a token server without TLS; no credentials were sent to it";
            return Err(Error::new(Kind::Registry, what).at(address(&url)));
        }
        ensure_no_nearer(registry, &url)?;
        Ok(TokenServer { realm: url, service: service.map(str::to_owned) })
    }

    /// Asks for a token that is good for these scopes.
    pub(super) fn token(&self, http: &Http, scopes: &[String], login: Option<&Login>) -> Result<Token> {
        let who = login.map_or("anonymously".to_owned(), |login| format!("as {}", login.name()));
        tracing::info!("asking the token server {} for a token, {who}", address(&self.realm));
        let mut retry = RetryPolicy::default();
        loop {
            match self.ask(http, scopes, login).at(address(&self.realm))? {
                Asked::Token(token) => return Ok(token),
                Asked::Passing(error, pause) => retry.wait(error.at(address(&self.realm)), pause)?,
            }
        }
    }

    fn ask(&self, http: &Http, scopes: &[String], login: Option<&Login>) -> Result<Asked> {
        let sent = match login.and_then(Login::identity_token) {
            Some(token) => self.exchange(http, scopes, token)?,
            None => self.get(http, scopes, login)?,
        };
        let response = match sent {
            Ok(response) => response,
            Err(Failure::Ours(error)) => return Err(error),
            Err(failure) => {
                let through = http.proxy_of(&self.realm);
                let through = through.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
                let error = transport_error(&format!("cannot ask the token server{through}"), failure);
                let hint = "check the network and whether the token server, which the registry names, is up";
                return Ok(Asked::Passing(error.hint(hint), None));
            }
        };
        read_token(response, login)
    }

    /// Sends the login along, but to no other host.
    fn get(&self, http: &Http, scopes: &[String], login: Option<&Login>) -> Result<Result<Response, Failure>> {
        let mut url = self.realm.clone();
        if let Some(service) = &self.service {
            url.query_pairs_mut().append_pair("service", service);
        }
        for scope in scopes {
            url.query_pairs_mut().append_pair("scope", scope);
        }
        let basic = login.and_then(Login::basic).map(|basic| secret_header(&basic)).transpose()?;
        let mut shows_login = true;
        for _ in 0..=MAX_REDIRECTS {
            shows_login = shows_login && url.origin() == self.realm.origin();
            let mut request = http.request(Method::GET, url.clone());
            if let Some(basic) = basic.as_ref().filter(|_| shows_login) {
                request = request.header(AUTHORIZATION, basic);
            }
            let response = match http.send(request, Outgoing::Nothing) {
                Ok(response) => response,
                failed => return Ok(failed),
            };
            match redirect(&Method::GET, &response)? {
                Some(next) => {
                    ensure_no_nearer(&self.realm, &next)?;
                    url = next;
                }
                None => return Ok(Ok(response)),
            }
        }
        Err(Error::new(Kind::Registry, "the token server redirects without end"))
    }

    /// Exchanges an identity token (`grant_type=refresh_token`). It is the body, and so goes to this server alone.
    fn exchange(&self, http: &Http, scopes: &[String], token: &str) -> Result<Result<Response, Failure>> {
        let mut form = self.realm.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "pht-oci")
            .append_pair("service", self.service.as_deref().unwrap_or_default())
            .append_pair("scope", &scopes.join(" "))
            .append_pair("refresh_token", token);
        let form = form.query().unwrap_or_default().to_owned();
        let request = http.request(Method::POST, self.realm.clone());
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        Ok(http.send(request, Outgoing::Bytes(form.into())))
    }
}

/// A registry in the internet has no say over what lies nearer to us than itself: it would have this program ask there, with
/// the login, and would be sent the answer as a token.
fn ensure_no_nearer(registry: &Url, realm: &Url) -> Result<()> {
    let is_near = || Some(Reach::of(realm)).filter(|reach| *reach != Reach::Public);
    if registry.host_str() == realm.host_str() || is_near().is_none_or(|reach| reach <= Reach::of(registry)) {
        return Ok(());
    }
    let what = "the registry names a token server in a network nearer than its own; no credentials were sent to it";
    let hint =
        "a registry in the internet has its tokens from the internet; ask who runs it, and do not use it until then";
    Err(Error::new(Kind::Registry, what).hint(hint).at(address(realm)))
}

/// The value of a header that no log shows.
pub(super) fn secret_header(value: &str) -> Result<HeaderValue> {
    let mut header = HeaderValue::try_from(value).map_err(|_| {
        let what = "the credentials cannot be sent in a header, as they hold control characters";
        Error::new(Kind::Registry, what).advise(Advice::CheckLogin)
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn read_token(mut response: Response, login: Option<&Login>) -> Result<Asked> {
    let status = response.status();
    if is_passing(status) {
        let pause = asked_pause(&response);
        let error = Error::new(Kind::Registry, format!("the token server answers {status}{}", words(response, login)));
        return Ok(Asked::Passing(error.hint("the token server is busy or broken; try again later"), pause));
    }
    if !status.is_success() {
        let who = login.map_or("anonymous access".to_owned(), Login::name);
        let what = format!("the token server refuses {who} ({status}){}", words(response, login));
        return Err(Error::new(Kind::Registry, what).advise(Advice::CheckLogin));
    }
    if is_page(&response) {
        let what = format!("a web page came from {} in place of a token", address(response.url()));
        let hint = "a gateway or a login page answers for the token server; sign in there, or ask who runs the network";
        return Err(Error::new(Kind::Registry, what).hint(hint));
    }
    let bytes = match document(&mut response, MAX_TOKEN) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == Kind::Interrupted => return Err(error),
        Err(error) => return Ok(Asked::Passing(error, None)),
    };
    let bad =
        || Error::new(Kind::Registry, "the token server's answer holds no token").hint("ask who runs the registry");
    let answer = json::parse_object(&bytes).map_err(|_| bad())?;
    let text = |key: &str| answer.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let token = text("token").or(text("access_token")).ok_or_else(bad)?;
    let header = secret_header(&Zeroizing::new(format!("Bearer {token}"))).map_err(|_| bad())?;
    let life = answer.get("expires_in").and_then(Value::as_f64).filter(|seconds| *seconds >= 1.0);
    Ok(Asked::Token(Token { header, life: life.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) }))
}

/// What the server says about a refusal.
fn words(response: Response, login: Option<&Login>) -> String {
    let said = words_of(response);
    if said.is_empty() { said } else { format!(": {}", redact(said, &login.map(Login::secrets).unwrap_or_default())) }
}

/// A text of somebody else without what must not be shown, should it repeat that.
pub(super) fn redact(mut text: String, secrets: &[Zeroizing<String>]) -> String {
    for secret in secrets.iter().filter(|secret| secret.len() >= LEAST_SECRET) {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), "[redacted]");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_goes_to_no_token_server_nearer_than_the_registry() {
        for (registry, realm, allowed) in [
            ("https://8.8.8.8/", "https://8.8.4.4/token", true),
            ("https://8.8.8.8/", "https://127.0.0.1/token", false),
            ("https://8.8.8.8/", "https://[::1]:443/token", false),
            ("https://8.8.8.8/", "https://169.254.169.254/latest", false),
            ("https://8.8.8.8/", "https://10.1.2.3/token", false),
            ("https://8.8.8.8/", "https://localhost/token", false),
            ("https://registry.invalid/", "https://192.168.0.1/token", false),
            ("https://registry.invalid/", "https://registry.invalid:8443/token", true),
            ("https://10.0.0.1/", "https://10.1.2.3/token", true),
            ("https://10.0.0.1/", "https://8.8.8.8/token", true),
            ("https://10.0.0.1/", "https://127.0.0.1/token", false),
            ("https://127.0.0.1:5000/", "https://10.1.2.3/token", true),
            ("http://127.0.0.1:5000/", "http://localhost:5001/token", true),
            ("https://127.0.0.1:5000/", "http://127.0.0.1:5001/token", false),
            ("http://127.0.0.1:5000/", "file:///token", false),
            ("http://127.0.0.1:5000/", "token", false),
        ] {
            let named = TokenServer::named(&registry.parse().unwrap(), realm, None);
            assert_eq!(named.is_ok(), allowed, "{registry} names {realm}");
        }
    }

    #[test]
    fn repeats_no_secret() {
        let secrets = Login::new("u", "hidden").secrets();
        let told = redact("no such login: hidden, dTpoaWRkZW4=".to_owned(), &secrets);
        assert_eq!(told, "no such login: [redacted], [redacted]");
        for short in ["", "s"] {
            assert_eq!(redact("as it is".to_owned(), &Login::new("u", short).secrets()), "as it is");
        }
    }
}
