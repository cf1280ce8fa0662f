use crate::error::{Error, Kind};

/// An error of the transport.
pub(super) fn transport_error(what: &str, error: reqwest::Error) -> Error {
    Error::new(Kind::Registry, format!("{what}: {}", cause_of(error)))
}

/// The innermost cause of an error of the transport, without the URL: its query may hold a secret.
pub(super) fn cause_of(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut message = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        message = inner.to_string();
        cause = inner.source();
    }
    message
}
