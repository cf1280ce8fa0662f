//! A token server, as registries with bearer tokens have one: who shows a login gets a signed token for what it asks for.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use support::utf8;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::proxy::{Proxy, Request, answer};
use support::run;

/// Whom the registry has to trust, and for whom the tokens are.
pub const ISSUER: &str = "tokens of the tests";
pub const SERVICE: &str = "registry of the tests";

pub struct Tokens {
    pub proxy: Proxy,
    /// Holds `token.crt`, with which the registry verifies the tokens.
    pub dir: TempDir,
}

impl Tokens {
    /// For one user.
    pub fn start(user: &str, password: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let line = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=tokens"];
        let files = ["-keyout", &path("token.key"), "-out", &path("token.crt")];
        run("openssl", &[&line[..], &files].concat()).unwrap();
        let (login, home, issued) =
            (STANDARD.encode(format!("{user}:{password}")), dir.path().to_owned(), AtomicUsize::new(0));
        let proxy = Proxy::start(0, move |request: &Request| {
            if request.header("authorization") != Some(&format!("Basic {login}")) {
                return answer("401 Implementation are you", "", "");
            }
            let number = issued.fetch_add(1, Ordering::SeqCst);
            answer("200 OK", "", &json!({ "token": token(&home, request, number) }).to_string())
        });
        Tokens { proxy, dir }
    }

    /// What the registry's configuration says of it.
    pub fn config(&self) -> String {
        let (port, certificate) = (self.proxy.port, self.dir.path().join("token.crt"));
        format!(
            "auth:\n  token:\n    realm: http://127.0.0.1:{port}/token\n    service: {SERVICE}\n    issuer: {ISSUER}\n    \
             rootcertbundle: {}\n",
            certificate.display()
        )
    }
}

/// A JSON Web Token that allows what the request asks for.
fn token(home: &Path, request: &Request, number: usize) -> String {
    let url: Url = format!("http://localhost{}", request.path).parse().unwrap();
    let scopes = url.query_pairs().filter(|(key, _)| key == "scope").map(|(_, scope)| scope.into_owned());
    let access: Vec<Value> = scopes
        .flat_map(|scope| scope.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|scope| {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            Some(json!({ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }))
        })
        .collect();
    let pem = fs::read_to_string(home.join("token.crt")).unwrap();
    let certificate: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [certificate] });
    let claims = json!({
        "iss": ISSUER, "sub": "robot", "aud": SERVICE, "jti": number.to_string(),
        "iat": now, "nbf": now - 5, "exp": now + 300, "access": access,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let to_sign = home.join(format!("to-sign-{number}"));
    fs::write(&to_sign, &signed).unwrap();
    let key = home.join("token.key");
    let line = ["dgst", "-sha256", "-sign", utf8(&key), utf8(&to_sign)];
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(run("openssl", &line).unwrap()))
}
