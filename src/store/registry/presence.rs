use oci_spec::image::Digest;
use reqwest::header::HeaderName;
use reqwest::{Method, StatusCode};

use super::client::{Answer, Call, Client};
use super::transport::Response;
use super::words::is_page;
use crate::error::Result;

/// The digest that a registry says is that of the contents.
pub(super) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What is known of a blob in the repository.
pub(super) enum Presence {
    There,
    Absent,
    /// The registry does not tell.
    Unclear,
}

impl Presence {
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Presence::There)
    }
}

/// Asks whether the repository has a blob, of this size if it is known.
pub(super) fn presence(client: &Client, digest: &Digest, size: Option<u64>) -> Result<Presence> {
    Ok(judge(client, digest, size, client.send(&call(client, digest)?)?))
}

/// The same, asked once: what cannot be told now is unclear.
pub(super) fn presence_now(client: &Client, digest: &Digest, size: Option<u64>) -> Result<Presence> {
    Ok(match client.attempt(&call(client, digest)?)? {
        Answer::Response(response) => judge(client, digest, size, response),
        Answer::Passing(error, _) => {
            tracing::info!("{error}");
            Presence::Unclear
        }
    })
}

fn call(client: &Client, digest: &Digest) -> Result<Call> {
    Ok(Call::new(Method::HEAD, client.url(&format!("blobs/{digest}"))?))
}

/// A success is believed only where it can be about this blob: a gateway answers everything with success.
fn judge(client: &Client, digest: &Digest, size: Option<u64>, response: Response) -> Presence {
    match response.status() {
        StatusCode::OK if is_about(digest, size, &response) => Presence::There,
        StatusCode::NOT_FOUND => Presence::Absent,
        _ => {
            let refusal = client.refusal(&format!("blob {digest}"), response);
            tracing::info!("{refusal}; it is not known whether the blob is there");
            Presence::Unclear
        }
    }
}

fn is_about(digest: &Digest, size: Option<u64>, response: &Response) -> bool {
    let stated = response.header(DIGEST).map(|stated| stated == digest.as_ref());
    let length = size.and_then(|size| response.content_length().map(|length| length == size));
    !is_page(response) && stated != Some(false) && length != Some(false) && (stated.is_some() || length.is_some())
}
