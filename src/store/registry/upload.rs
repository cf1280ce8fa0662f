use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use oci_spec::image::Digest;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::client::{Answer, Call, Client};
use super::retry::RetryPolicy;
use crate::crypto::Sha256;
use crate::error::{Error, Kind, Result};
use crate::store::count::Count;
use crate::store::destination::{BlobSink, Written};
use crate::store::interrupt;
use crate::store::verify::sha256_digest;

/// The bytes sent at once and kept until the registry has them. Some registries take no less than 5 MiB.
const CHUNK: usize = 6 << 20;

/// Uploads a blob in chunks; its digest is known at the end. A blob of one chunk is sent only if it is not there.
pub(super) struct Upload {
    client: Arc<Client>,
    /// The URL for the next chunk, once the upload has begun.
    session: Option<Url>,
    sent: u64,
    chunk: Vec<u8>,
    hasher: Sha256,
    /// The digest that it is stored by, where it is known before.
    known: Option<Digest>,
    count: Count,
}

impl Upload {
    pub(super) fn new(client: &Arc<Client>, count: &Count) -> Self {
        Upload {
            client: client.clone(),
            session: None,
            sent: 0,
            chunk: Vec::new(),
            hasher: Sha256::new(),
            known: None,
            count: count.clone(),
        }
    }

    /// Of a blob whose digest is known, in an upload that may have begun.
    pub(super) fn of(digest: &Digest, session: Option<Url>, client: &Arc<Client>, count: &Count) -> Self {
        Upload { known: Some(digest.clone()), session, ..Upload::new(client, count) }
    }

    /// Begins it and ends it again, which shows whether the registry would take anything.
    pub(super) fn give_up(mut self) -> Result<()> {
        let session = self.session()?;
        // A session that stays is the registry's to forget.
        if let Err(error) = self.client.send(&Call::new(Method::DELETE, session)) {
            tracing::debug!("an upload was not cancelled: {error}");
        }
        Ok(())
    }

    fn session(&mut self) -> Result<Url> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        let url = self.client.url("blobs/uploads/")?;
        let response = self.client.send(&Call::new(Method::POST, url).header(CONTENT_LENGTH, "0"))?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(self.client.refusal("cannot begin an upload", response));
        }
        let session = location(&self.client, &response)?;
        self.session = Some(session.clone());
        Ok(session)
    }

    /// Sends what waits; after a cut, what the registry lacks of it.
    fn send_chunk(&mut self) -> Result<()> {
        let (start, end) = (self.sent, self.sent + self.chunk.len() as u64);
        // Shared with every attempt, not copied.
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        let mut retry = RetryPolicy::default();
        while self.sent < end {
            let url = self.session()?;
            // In bounds: `sent` lies between `start` and `end`.
            let rest = chunk.slice((self.sent - start) as usize..);
            let call = Call::new(Method::PATCH, url)
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_RANGE, format!("{}-{}", self.sent, end - 1))
                .body(rest);
            match self.client.attempt(&call)? {
                Answer::Response(response) if response.status().is_success() => {
                    self.session = Some(location(&self.client, &response)?);
                    self.count.add((end - self.sent) as usize);
                    self.sent = end;
                }
                Answer::Response(response) => return Err(self.client.refusal("cannot upload a blob", response)),
                Answer::Passing(error, asked) => {
                    retry.wait(error, asked)?;
                    let there = self.ask_position()?;
                    if !(start..=end).contains(&there) {
                        let what = format!("the registry has {there} bytes of an upload where {} were sent", self.sent);
                        let hint = "run the command again";
                        let error = Error::new(Kind::Registry, what).hint(hint);
                        return Err(error.at(self.client.repository()));
                    }
                    self.sent = there;
                }
            }
        }
        Ok(())
    }

    /// The bytes that the registry has.
    fn ask_position(&mut self) -> Result<u64> {
        let url = self.session()?;
        let response = self.client.send(&Call::new(Method::GET, url))?;
        if !response.status().is_success() {
            return Err(self.client.refusal("the registry has lost the upload", response));
        }
        let range = response.headers().get(RANGE).and_then(|value| value.to_str().ok()).unwrap_or("0-0");
        let last = range.rsplit('-').next().and_then(|last| last.parse::<u64>().ok()).unwrap_or(0);
        self.session = Some(location(&self.client, &response).or_else(|_| self.session())?);
        // `0-0` stands for nothing as well as for one byte; nobody sends one byte and waits.
        Ok(if last == 0 { 0 } else { last + 1 })
    }

    /// Has the registry take the blob; whatever still waits goes with the request.
    fn commit(&mut self, digest: &Digest) -> Result<()> {
        let whole = self.session.is_none() || self.sent == 0;
        if whole && self.session.is_none() && exists(&self.client, digest)? {
            return Ok(());
        }
        if !whole {
            self.send_chunk()?;
        }
        let mut url = self.session()?;
        url.query_pairs_mut().append_pair("digest", digest.as_ref());
        let body = std::mem::take(&mut self.chunk);
        let sent = body.len();
        let call = Call::new(Method::PUT, url).header(CONTENT_TYPE, "application/octet-stream").body(body);
        let refused = match self.client.send(&call) {
            Ok(response) if response.status() == StatusCode::CREATED => None,
            Ok(response) => Some(self.client.refusal("the registry refuses the blob", response).at(digest)),
            Err(error) => Some(error.at(digest)),
        };
        match refused {
            // The answer may have been lost, not the request.
            Some(error) => {
                if exists(&self.client, digest).unwrap_or(false) {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            None => {
                self.count.add(sent);
                Ok(())
            }
        }
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt::check()?;
        // A chunk is sent when more comes, so that a blob of one chunk is seen as such.
        if self.chunk.len() == CHUNK {
            self.send_chunk()?;
            self.chunk.reserve_exact(CHUNK);
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        self.hasher.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobSink for Upload {
    fn finish(mut self: Box<Self>) -> Result<Written> {
        let size = self.sent + self.chunk.len() as u64;
        let computed = sha256_digest(std::mem::take(&mut self.hasher).finish());
        let digest = self.known.take().unwrap_or(computed);
        self.commit(&digest)?;
        Ok(Written { digest, size })
    }
}

/// True if the repository has the blob.
pub(super) fn exists(client: &Client, digest: &Digest) -> Result<bool> {
    let response = client.send(&Call::new(Method::HEAD, client.url(&format!("blobs/{digest}"))?))?;
    match response.status() {
        StatusCode::OK => Ok(true),
        StatusCode::NOT_FOUND => Ok(false),
        _ => Err(client.refusal(&format!("blob {digest}"), response)),
    }
}

/// The URL at which an upload continues.
pub(super) fn location(client: &Client, response: &Response) -> Result<Url> {
    let found = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    found.and_then(|found| response.url().join(found).ok()).ok_or_else(|| {
        Error::new(Kind::Registry, "the registry does not say where to continue the upload").at(client.repository())
    })
}
