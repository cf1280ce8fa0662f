//! The tags of a repository (OCI distribution specification, "Listing Tags").

use reqwest::header::LINK;
use reqwest::{Method, StatusCode, Url};

use super::client::{Call, Client};
use super::transport::Response;
use crate::error::{Error, Kind, Result};
use crate::json::Value;
use crate::store::source::MAX_DOCUMENT;

/// The most tags that are listed.
const MAX_TAGS: usize = 1_000_000;
/// The most pages that a list comes in.
const MAX_PAGES: usize = 10_000;

/// All tags of the repository, in the order of the registry.
///
/// # Errors
/// [`Kind::Registry`] if the registry refuses, answers something else, or does not come to an end.
pub(super) fn tags(client: &Client) -> Result<Vec<String>> {
    let first = client.url("tags/list")?;
    let (mut url, mut tags) = (first.clone(), Vec::new());
    for _ in 0..MAX_PAGES {
        let mut response = client.send(&Call::new(Method::GET, url.clone()))?;
        if response.status() != StatusCode::OK {
            return Err(client.refusal("list of tags", response));
        }
        let next = response.header(LINK).and_then(|link| next_page(&first, link));
        tags.extend(page(client, &mut response)?);
        match next {
            None => return Ok(tags),
            Some(next) if next != url && tags.len() <= MAX_TAGS => url = next,
            Some(_) => break,
        }
    }
    let what = format!("the list of tags has no end: {} came so far", tags.len());
    Err(Error::new(Kind::Registry, what).hint("ask who runs the registry").at(client.repository()))
}

/// The tags of one page: `{"name": ..., "tags": [...]}`; for none of them some registries write `null`.
fn page(client: &Client, response: &mut Response) -> Result<Vec<String>> {
    let bytes = client.document("list of tags", response)?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        let what = format!("list of tags: a page of it is larger than {MAX_DOCUMENT} bytes");
        return Err(Error::new(Kind::Registry, what).at(client.repository()));
    }
    let tags = serde_json::from_slice::<Value>(&bytes).ok().and_then(|answer| match answer.get("tags") {
        Some(Value::Array(tags)) => tags.iter().map(|tag| tag.as_str().map(str::to_owned)).collect(),
        Some(Value::Null) => Some(Vec::new()),
        _ => None,
    });
    tags.ok_or_else(|| {
        let hint = "check that there is a registry at this address, and the repository's name";
        Error::new(Kind::Registry, "the answer is no list of tags").hint(hint).at(client.repository())
    })
}

/// The page that a `Link: <URL>; rel="next"` (RFC 8288) leads to. Of its URL only the query counts: registries behind a
/// proxy name hosts that are not theirs, and the list is where the first page was.
fn next_page(first: &Url, link: &str) -> Option<Url> {
    let is_next = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        name.trim().eq_ignore_ascii_case("rel")
            && value.trim().trim_matches('"').split_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
    };
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    if !parameters.split([';', ',']).any(is_next) {
        return None;
    }
    let mut next = first.clone();
    next.set_query(first.join(target).ok()?.query());
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_where_the_link_says_and_nowhere_else() {
        let first: Url = "https://r.example/v2/t/tags/list".parse().unwrap();
        for (link, query) in [
            (r#"</v2/t/tags/list?last=b&n=2>; rel="next""#, Some("last=b&n=2")),
            (r"<https://elsewhere.example/v2/t/tags/list?next_page=x%2B>;rel=next", Some("next_page=x%2B")),
            (r#" <?last=b>; title="more"; REL="Next""#, Some("last=b")),
            (r#"</v2/t/tags/list>; rel="next""#, None),
        ] {
            let next = next_page(&first, link).unwrap();
            assert_eq!((next.host_str(), next.path()), (first.host_str(), first.path()), "{link}");
            assert_eq!(next.query(), query, "{link}");
        }
        for link in ["", "</v2/t/tags/list?last=b>", r#"</v2/t/tags/list?last=b>; rel="prev""#, "nothing", "<"] {
            assert_eq!(next_page(&first, link), None, "{link}");
        }
    }
}
