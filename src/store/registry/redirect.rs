//! Where answers lead on to: redirects, and the `Location` at which an upload goes on.

use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode, Url};

use super::address::address;
use super::transport::Response;
use crate::error::{Error, Kind, Result};

/// The number of redirects that are followed.
pub(super) const MAX_REDIRECTS: usize = 5;

/// The URL of an answer's `Location`; `None` if it has none that is a URL.
///
/// # Errors
/// [`Kind::Registry`] if it leads from TLS to plain HTTP, where everybody on the way could read what we send.
pub(super) fn location(response: &Response) -> Result<Option<Url>> {
    match response.header(LOCATION) {
        Some(text) => leads_to(response.url(), text),
        None => Ok(None),
    }
}

fn leads_to(from: &Url, text: &str) -> Result<Option<Url>> {
    let Ok(to) = from.join(text) else { return Ok(None) };
    match (from.scheme(), to.scheme()) {
        ("https" | "http", "https") | ("http", "http") => Ok(Some(to)),
        ("https", "http") => {
            let what =
                format!("{} leads from TLS to plain HTTP at {}; nothing was sent there", address(from), address(&to));
            let hint = "have whoever runs the registry mend the address that it gives for itself; a proxy in front of it \
                        has to pass `X-Forwarded-Proto: https` on";
            Err(Error::new(Kind::Registry, what).hint(hint))
        }
        _ => Ok(None),
    }
}

/// Where a redirect asks a request of this method to be made instead. What writes is made again only where the answer says
/// that nothing else is meant (307, 308): for the others it would become a GET, and that stores nothing.
///
/// # Errors
/// As [`location`].
pub(super) fn redirect(method: &Method, response: &Response) -> Result<Option<Url>> {
    let follows = match response.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => method.is_safe(),
        _ => false,
    };
    if follows { location(response) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_with_tls() {
        let to = |from: &str, text: &str| leads_to(&from.parse().unwrap(), text).map(|to| to.map(|to| to.to_string()));
        let (tls, plain) = ("https://r.x/v2/a/blobs/uploads/", "http://r.x/v2/");
        for (from, text, leads) in [
            (tls, "1?_state=a%2Bb", "https://r.x/v2/a/blobs/uploads/1?_state=a%2Bb"),
            (tls, "/v2/b", "https://r.x/v2/b"),
            (tls, "//s.x/b", "https://s.x/b"),
            (plain, "https://r.x/b", "https://r.x/b"),
            (plain, "http://s.x/b", "http://s.x/b"),
        ] {
            assert_eq!(to(from, text).unwrap().as_deref(), Some(leads), "{text}");
        }
        for text in ["http://r.x/v2/a", "HTTP://r.x:80/", "http://127.0.0.1/"] {
            let error = to(tls, text).unwrap_err();
            assert!(error.to_string().contains("TLS to plain HTTP"), "{error}");
        }
        for text in ["ftp://r.x/", "file:///etc/passwd", "http://"] {
            assert_eq!(to(plain, text).unwrap(), None, "{text}");
        }
    }
}
