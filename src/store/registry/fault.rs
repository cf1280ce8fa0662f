use crate::error::{Error, Kind};

use super::transport::Failure;

/// A failure of the transport as an error, which begins with `what`.
pub(super) fn transport_error(what: &str, failure: Failure) -> Error {
    match failure {
        Failure::Ours(error) => error,
        failure => Error::new(Kind::Registry, format!("{what}: {}", cause_of(failure))),
    }
}

/// The innermost cause of a failure, without the URL: its query may hold a secret.
pub(super) fn cause_of(failure: Failure) -> String {
    let error = match failure {
        Failure::Broken(error) => error.without_url(),
        Failure::Silent => return "no answer in time".to_owned(),
        Failure::Ours(error) => return error.to_string(),
    };
    let mut message = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        message = inner.to_string();
        cause = inner.source();
    }
    message
}
