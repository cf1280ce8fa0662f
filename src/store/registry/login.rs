use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::text::Printable;

/// Who we are to a registry: a user with a password, or an identity token.
#[derive(Clone)]
pub struct Login {
    user: String,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Password(Zeroizing<String>),
    /// A refresh token of OAuth 2, as `az acr login` leaves one. Only token servers take it.
    Identity(Zeroizing<String>),
}

impl Login {
    /// This user with this password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Login { user: user.into(), secret: Secret::Password(Zeroizing::new(password.into())) }
    }

    /// Whoever has this identity token.
    pub fn identity(token: impl Into<String>) -> Self {
        Login { user: "<token>".to_owned(), secret: Secret::Identity(Zeroizing::new(token.into())) }
    }

    /// Reads `USER:PASSWORD`; the message about anything else does not repeat it.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if there is no colon or no user.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() => Ok(Login::new(user, password)),
            _ => Err(Error::usage("credentials are written USER:PASSWORD")),
        }
    }

    /// The user, for messages.
    pub(super) fn name(&self) -> String {
        match self.secret {
            Secret::Password(_) => format!("`{}`", Printable::new(&self.user)),
            Secret::Identity(_) => "the identity token".to_owned(),
        }
    }

    /// The identity token, if it is one.
    pub(super) fn identity_token(&self) -> Option<&str> {
        match &self.secret {
            Secret::Password(_) => None,
            Secret::Identity(token) => Some(token),
        }
    }

    /// The value of the header `Authorization` for a password (RFC 7617).
    pub(super) fn basic(&self) -> Option<Zeroizing<String>> {
        match &self.secret {
            Secret::Password(password) => {
                let pair = Zeroizing::new(format!("{}:{}", self.user, **password));
                Some(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
            }
            Secret::Identity(_) => None,
        }
    }

    /// What no message may repeat.
    pub(super) fn secrets(&self) -> Vec<Zeroizing<String>> {
        let (Secret::Password(secret) | Secret::Identity(secret)) = &self.secret;
        let encoded = self.basic().map(|basic| Zeroizing::new(basic.trim_start_matches("Basic ").to_owned()));
        [Some(secret.clone()), encoded].into_iter().flatten().collect()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("secret", &"[redacted]").finish()
    }
}
