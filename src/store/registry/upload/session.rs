use std::sync::Arc;

use bytes::Bytes;
use oci_spec::image::Digest;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::super::client::{Answer, Call, Client};
use super::super::presence::{Presence, presence_now};
use super::super::redirect::location;
use super::super::retry::RetryPolicy;
use super::super::transport::Response;
use super::super::words::is_page;
use crate::error::{Error, ErrorContext, Kind, Result};

/// The least number of bytes of a chunk that is not the last, if a registry has one (distribution specification).
const LEAST_CHUNK: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// The type of a blob's bytes.
const BYTES: &str = "application/octet-stream";
/// How often a registry may keep nothing of what it took.
const MAX_STUCK: u32 = 5;

/// One upload as the registry has it.
pub(super) struct Session {
    client: Arc<Client>,
    /// Where it goes on.
    place: Url,
    /// The bytes that the registry has.
    sent: u64,
    least_chunk: usize,
}

/// What became of bytes that were sent.
pub(super) enum Sent {
    /// The registry has them.
    Taken,
    /// The upload is gone, or nobody can say how far it came. With the bytes from the first on, a new one can be begun.
    Lost(Error),
    /// The registry does not take bytes in this way; it may in another.
    Refused(Error),
}

/// What became of the request that ends an upload.
pub(super) enum Ended {
    /// The registry has the blob.
    Stored,
    /// It may go better soon.
    Passing(Error, Option<std::time::Duration>),
    /// As [`Sent::Lost`].
    Lost(Error),
    /// As [`Sent::Refused`].
    Refused(Error),
}

/// Where an upload stands.
enum Position {
    At(u64),
    Lost(Error),
    Unclear(Error),
}

impl Session {
    /// Begins an upload.
    pub(super) fn begin(client: &Arc<Client>) -> Result<Self> {
        let url = client.url("blobs/uploads/")?;
        let response = client.send(&Call::new(Method::POST, url).header(CONTENT_LENGTH, "0"))?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(client.refusal("cannot begin an upload", response));
        }
        Session::begun(client, &response)
    }

    /// The upload that an answer has begun.
    pub(super) fn begun(client: &Arc<Client>, response: &Response) -> Result<Self> {
        let silent = || Error::new(Kind::Registry, "the registry does not say where to continue the upload");
        let place = location(response).and_then(|place| place.ok_or_else(silent)).at(client.repository())?;
        let least_chunk = response.header(LEAST_CHUNK).and_then(|least| least.parse().ok()).unwrap_or(0);
        Ok(Session { client: client.clone(), place, sent: 0, least_chunk })
    }

    /// The least number of bytes of each chunk but the last; 0 if the registry names none.
    pub(super) fn least_chunk(&self) -> usize {
        self.least_chunk
    }

    /// Ends it without a blob.
    pub(super) fn cancel(self) {
        // A session that stays is the registry's to forget.
        if let Err(error) = self.client.send_within(&Call::new(Method::DELETE, self.place), RetryPolicy::times(0)) {
            tracing::debug!("an upload was not cancelled: {error}");
        }
    }

    /// Sends a chunk that says which part of the blob it is; after a cut, what the registry lacks of it.
    pub(super) fn send_chunk(&mut self, chunk: &Bytes) -> Result<Sent> {
        let (start, end) = (self.sent, self.sent + chunk.len() as u64);
        let (mut retry, mut stuck) = (RetryPolicy::default(), 0);
        while self.sent < end {
            // In bounds: `sent` lies between `start` and `end`.
            let rest = chunk.slice((self.sent - start) as usize..);
            let call = Call::new(Method::PATCH, self.place.clone())
                .header(CONTENT_TYPE, BYTES)
                .header(CONTENT_RANGE, format!("{}-{}", self.sent, end - 1))
                .body(rest);
            let before = self.sent;
            let doubt = match self.client.attempt(&call)? {
                Answer::Response(response) if response.status().is_success() => {
                    self.follow(&response)?;
                    if said_position(&response) == Some(end) || response.header(RANGE).is_none() {
                        self.sent = end;
                        continue;
                    }
                    // Either it kept a part, or it answers with a range that always stays the same. It knows itself.
                    match self.position()? {
                        Position::At(there) if there > before => Position::At(there),
                        Position::At(_) | Position::Unclear(_) => Position::At(end),
                        lost => lost,
                    }
                }
                // Whoever has just begun it may as well mean the way in which it is sent.
                Answer::Response(response) if before == 0 && refuses_first(response.status()) => {
                    return Ok(Sent::Refused(self.client.refusal("cannot upload a blob", response)));
                }
                Answer::Response(response) if response.status() == StatusCode::NOT_FOUND => {
                    return Ok(Sent::Lost(self.lost(response)));
                }
                Answer::Response(response) if response.status() == StatusCode::RANGE_NOT_SATISFIABLE => {
                    let refusal = self.refusal("cannot upload a blob", response);
                    match self.position()? {
                        // Another part than the one that was sent is what it waits for.
                        Position::At(there) if there != before => Position::At(there),
                        _ => return Ok(Sent::Refused(refusal)),
                    }
                }
                Answer::Response(response) => return self.refused("cannot upload a blob", response),
                Answer::Passing(error, asked) => match retry.wait(error, asked) {
                    Err(error) if before == 0 && error.kind() == Kind::Registry => return Ok(Sent::Refused(error)),
                    waited => waited.and_then(|()| self.position())?,
                },
            };
            let there = match doubt {
                Position::At(there) => there,
                Position::Lost(error) | Position::Unclear(error) => return Ok(Sent::Lost(error)),
            };
            if !(start..=end).contains(&there) {
                let what = format!("the registry has {there} bytes of an upload where {before} were sent");
                return Ok(Sent::Lost(Error::new(Kind::Registry, what).at(self.client.repository())));
            }
            stuck = if there > before { 0 } else { stuck + 1 };
            if stuck > MAX_STUCK {
                let what = format!("the registry keeps nothing of what is sent from byte {before} of an upload on");
                return Ok(Sent::Lost(Error::new(Kind::Registry, what).at(self.client.repository())));
            }
            self.sent = there;
        }
        Ok(Sent::Taken)
    }

    /// The request that brings a whole blob, or what comes through a channel, without saying which part it is.
    pub(super) fn whole(&self) -> Call {
        Call::new(Method::PATCH, self.place.clone()).header(CONTENT_TYPE, BYTES)
    }

    /// Takes the answer to [`Session::whole`].
    pub(super) fn sent_whole(&mut self, answer: Answer) -> Result<Sent> {
        match answer {
            Answer::Response(response) if response.status().is_success() => {
                self.follow(&response)?;
                Ok(Sent::Taken)
            }
            Answer::Response(response) if response.status() == StatusCode::NOT_FOUND => {
                Ok(Sent::Lost(self.lost(response)))
            }
            Answer::Response(response) => self.refused("cannot upload a blob", response),
            Answer::Passing(error, _) => Ok(Sent::Lost(error)),
        }
    }

    /// Has the registry take the blob; `body` is what it lacks of it. `size` is that of the blob.
    pub(super) fn end(&mut self, digest: &Digest, body: Bytes, size: u64) -> Result<Ended> {
        let mut url = self.place.clone();
        url.query_pairs_mut().append_pair("digest", digest.as_ref());
        let mut call = Call::new(Method::PUT, url).header(CONTENT_TYPE, BYTES);
        call = if body.is_empty() { call.header(CONTENT_LENGTH, "0") } else { call.body(body) };
        let what = "the registry refuses the blob";
        let mut says_done = false;
        let ended = match self.client.attempt(&call)? {
            Answer::Response(response) if response.status() == StatusCode::CREATED => return Ok(Ended::Stored),
            Answer::Response(response) if response.status() == StatusCode::NOT_FOUND => {
                Ended::Lost(self.lost(response))
            }
            Answer::Response(response) if response.status().is_success() => {
                let other = [StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
                says_done = other.contains(&response.status()) && !is_page(&response);
                Ended::Refused(self.client.refusal(what, response))
            }
            Answer::Response(response) => match refuses_for_good(response.status()) {
                true => return Err(self.client.refusal(what, response).at(digest)),
                false => Ended::Refused(self.client.refusal(what, response)),
            },
            Answer::Passing(error, asked) => Ended::Passing(error, asked),
        };
        // The answer may have been lost, not the request; and a registry may have another word for success.
        Ok(match presence_now(&self.client, digest, Some(size))? {
            Presence::There => Ended::Stored,
            Presence::Unclear if says_done => Ended::Stored,
            Presence::Absent | Presence::Unclear => ended,
        })
    }

    /// The bytes that the registry has.
    fn position(&mut self) -> Result<Position> {
        let response = self.client.send(&Call::new(Method::GET, self.place.clone()))?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND => return Ok(Position::Lost(self.lost(response))),
            _ => {
                return Ok(Position::Unclear(
                    self.refusal("the registry does not say where an upload stands", response),
                ));
            }
        }
        self.follow(&response)?;
        Ok(match said_position(&response) {
            Some(there) => Position::At(there),
            None => Position::Unclear(self.refusal("the registry does not say where an upload stands", response)),
        })
    }

    /// The place at which it goes on; where none is named, it stays.
    fn follow(&mut self, response: &Response) -> Result<()> {
        if let Some(place) = location(response).at(self.client.repository())? {
            self.place = place;
        }
        Ok(())
    }

    fn lost(&self, response: Response) -> Error {
        self.refusal("the registry has lost the upload, after the line broke or too long a pause", response)
    }

    /// A refusal that the name of the repository has nothing to do with.
    fn refusal(&self, what: &str, response: Response) -> Error {
        self.client.refusal(what, response).hint("run the command again: an upload begins anew then")
    }

    fn refused(&self, what: &str, response: Response) -> Result<Sent> {
        let for_good = refuses_for_good(response.status());
        let error = self.client.refusal(what, response);
        if for_good { Err(error) } else { Ok(Sent::Refused(error)) }
    }
}

/// True for an answer that no other way of sending would change: one about a login or a right, one that leads elsewhere.
fn refuses_for_good(status: StatusCode) -> bool {
    let about_us = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::PROXY_AUTHENTICATION_REQUIRED];
    about_us.contains(&status) || !(status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED)
}

/// True for an answer to a first chunk that may be about its being a chunk: the upload was allowed, and is known.
fn refuses_first(status: StatusCode) -> bool {
    status == StatusCode::FORBIDDEN || !refuses_for_good(status)
}

/// The number of bytes that an answer's `Range` says are there. `0-0` stands for nothing as well as for one byte; nobody
/// sends one byte and waits.
fn said_position(response: &Response) -> Option<u64> {
    let last = response.header(RANGE)?.rsplit('-').next()?.trim().parse::<u64>().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}
