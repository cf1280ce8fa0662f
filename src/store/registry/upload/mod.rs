//! Uploads of blobs. What registries take differs, and so does what they remember after a line has broken:
//!
//! - A blob of one chunk goes with the request that ends the upload; where that is refused, before it.
//! - A larger one goes in chunks that say which part they are, so that a cut costs what was lost of one chunk.
//! - Where a registry refuses such chunks (for their size, or all of them), the blob goes as one stream, which is what most
//!   other programs send.
//!
//! A registry may lose the upload whose line broke. As long as nothing but the first chunk was sent, that chunk is still
//! in memory, and a new upload is begun with it. Later only who can read the blob again can begin again; see
//! [`Upload::can_begin_again`].

mod session;
mod stream;

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use oci_spec::image::{Descriptor, Digest};

use super::client::Client;
use super::presence::presence;
use super::retry::RetryPolicy;
use super::transport::Response;
use crate::crypto::Sha256;
use crate::error::{Error, Kind, Result};
use crate::store::count::Count;
use crate::store::destination::{BlobSink, Written};
use crate::store::interrupt;
use crate::store::verify::sha256_digest;
use session::{Ended, Sent, Session};
use stream::Stream;

/// The bytes sent at once and kept until the registry has them. Some registries take no less than 5 MiB.
const CHUNK: usize = 6 << 20;
/// The largest chunk that is kept, if a registry takes no smaller ones.
const MAX_CHUNK: usize = 16 << 20;
/// The bytes of a stream that are handed over at once.
const PIECE: usize = 256 << 10;

/// Uploads a blob; its digest is known at the end. A blob of one chunk is sent only if it is not there.
pub(super) struct Upload {
    client: Arc<Client>,
    way: Way,
    /// What was written and not sent.
    chunk: Vec<u8>,
    /// The bytes of a chunk.
    full: usize,
    size: u64,
    hasher: Sha256,
    /// The digest that it is stored by, and its size, where they are known before.
    known: Option<(Digest, u64)>,
    count: Count,
    begin_again: bool,
}

/// How far an upload is.
enum Way {
    /// Nothing was sent; an upload may have begun.
    Waiting(Option<Session>),
    /// Chunks were sent.
    Chunks(Session),
    /// It is one stream.
    Stream(Session, Stream),
    /// It has failed.
    Failed,
}

impl Upload {
    pub(super) fn new(client: &Arc<Client>, count: &Count) -> Self {
        Upload {
            client: client.clone(),
            way: Way::Waiting(None),
            chunk: Vec::new(),
            full: CHUNK,
            size: 0,
            hasher: Sha256::new(),
            known: None,
            count: count.clone(),
            begin_again: false,
        }
    }

    /// Of a blob that is known, and is not there.
    pub(super) fn of(blob: &Descriptor, client: &Arc<Client>, count: &Count) -> Self {
        Upload { known: Some((blob.digest().clone(), blob.size())), ..Upload::new(client, count) }
    }

    /// In the upload that an answer has begun.
    ///
    /// # Errors
    /// The answer does not say where it goes on.
    pub(super) fn begun(mut self, response: &Response) -> Result<Self> {
        self.way = Way::Waiting(Some(Session::begun(&self.client, response)?));
        Ok(self)
    }

    /// Begins it and ends it again, which shows whether the registry would take anything.
    pub(super) fn give_up(self) -> Result<()> {
        Session::begin(&self.client)?.cancel();
        Ok(())
    }

    /// True if it has failed in a way that another upload from the first byte on may not.
    pub(super) fn can_begin_again(&self) -> bool {
        self.begin_again
    }

    /// Ends it: the registry has the blob.
    pub(super) fn end(&mut self) -> Result<Written> {
        let computed = sha256_digest(std::mem::take(&mut self.hasher).finish());
        let digest = self.known.take().map_or(computed, |(digest, _)| digest);
        match std::mem::replace(&mut self.way, Way::Failed) {
            Way::Waiting(session) => self.end_whole(session, &digest)?,
            Way::Chunks(mut session) => {
                let chunk = Bytes::from(std::mem::take(&mut self.chunk));
                let sent = session.send_chunk(&chunk)?;
                self.taken(sent, chunk.len())?;
                self.end_session(session, &digest)?;
            }
            Way::Stream(mut session, mut stream) => {
                // One that has ended says why when it is asked.
                let _ = self.chunk.is_empty() || stream.write(Bytes::from(std::mem::take(&mut self.chunk)));
                self.end_stream(&mut session, &mut stream)?;
                self.end_session(session, &digest)?;
            }
            Way::Failed => return Err(Error::internal("an upload was ended twice")),
        }
        Ok(Written { digest, size: self.size })
    }

    /// Sends what waits: it is full, and more comes.
    fn send(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.way, Way::Failed) {
            Way::Waiting(session) => self.send_first(session),
            Way::Chunks(mut session) => {
                let chunk = Bytes::from(std::mem::take(&mut self.chunk));
                let sent = session.send_chunk(&chunk)?;
                self.taken(sent, chunk.len())?;
                self.way = Way::Chunks(session);
                Ok(())
            }
            Way::Stream(mut session, mut stream) => {
                if !stream.write(Bytes::from(std::mem::take(&mut self.chunk))) {
                    return self.end_stream(&mut session, &mut stream).and_then(|()| Err(early()));
                }
                self.way = Way::Stream(session, stream);
                Ok(())
            }
            Way::Failed => Err(Error::internal("an upload that has failed was written to")),
        }
    }

    /// Sends the first chunk of several, in a new upload if one is lost.
    fn send_first(&mut self, begun: Option<Session>) -> Result<()> {
        let begin = |begun: Option<Session>| begun.map_or_else(|| Session::begin(&self.client), Ok);
        let mut session = begin(begun)?;
        let least = session.least_chunk();
        if self.client.habits().refuses_ranges() || least > MAX_CHUNK {
            let chunk = Bytes::from(std::mem::take(&mut self.chunk));
            return self.begin_stream(session, chunk);
        }
        if self.chunk.len() < least {
            // What the registry takes is larger: it is filled further.
            self.full = least;
            self.way = Way::Waiting(Some(session));
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        let mut retry = RetryPolicy::default();
        loop {
            match session.send_chunk(&chunk)? {
                Sent::Taken => {
                    self.count.add(chunk.len());
                    self.way = Way::Chunks(session);
                    return Ok(());
                }
                Sent::Lost(error) => retry.wait(error, None)?,
                Sent::Refused(error) => {
                    tracing::info!("{error}; sending it as one stream");
                    self.client.habits().note_refused_range();
                    return self.begin_stream(Session::begin(&self.client)?, chunk);
                }
            }
            session = Session::begin(&self.client)?;
        }
    }

    /// Sends a first piece, and what follows, as one stream.
    fn begin_stream(&mut self, session: Session, first: Bytes) -> Result<()> {
        let size = self.known.as_ref().map(|(_, size)| *size);
        let mut stream = Stream::begin(&self.client, session.whole(), size);
        // One that has ended says why when it is asked.
        stream.write(first);
        self.full = PIECE;
        self.way = Way::Stream(session, stream);
        Ok(())
    }

    /// The end of a stream's request, which may be before that of the blob.
    fn end_stream(&mut self, session: &mut Session, stream: &mut Stream) -> Result<()> {
        let sent = session.sent_whole(stream.end()?)?;
        if let Sent::Refused(error) = sent {
            // There is no other way left.
            return Err(error);
        }
        self.taken(sent, self.size as usize)
    }

    /// Whether the bytes of a chunk that is not kept are there.
    fn taken(&mut self, sent: Sent, length: usize) -> Result<()> {
        match sent {
            Sent::Taken => {
                self.count.add(length);
                Ok(())
            }
            Sent::Lost(error) => Err(self.lost(error)),
            Sent::Refused(error) => {
                self.client.habits().note_refused_range();
                self.begin_again = true;
                Err(error)
            }
        }
    }

    fn lost(&mut self, error: Error) -> Error {
        self.begin_again = true;
        error.hint("the line to the registry broke, and the upload is lost; run the command again")
    }

    /// Ends an upload that has everything.
    fn end_session(&mut self, mut session: Session, digest: &Digest) -> Result<()> {
        let mut retry = RetryPolicy::default();
        loop {
            match session.end(digest, Bytes::new(), self.size)? {
                Ended::Stored => return Ok(()),
                Ended::Passing(error, asked) => retry.wait(error.at(digest), asked)?,
                Ended::Lost(error) => return Err(self.lost(error.at(digest))),
                Ended::Refused(error) => return Err(error.at(digest)),
            }
        }
    }

    /// Uploads a blob that is all in memory.
    fn end_whole(&mut self, mut session: Option<Session>, digest: &Digest) -> Result<()> {
        // One that is known was asked for before.
        if session.is_none() && self.known.is_none() && presence(&self.client, digest, Some(self.size))?.is_there() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        // Sent before the request that ends the upload, and not with it.
        let mut before = self.client.habits().refuses_bodies() && !chunk.is_empty();
        let (mut failures, mut refused_body) = (0, false);
        let mut retry = RetryPolicy::default();
        loop {
            let mut current = match session.take() {
                Some(session) => session,
                None => Session::begin(&self.client)?,
            };
            let ended = if before {
                match current.sent_whole(self.client.attempt(&current.whole().body(chunk.clone()))?)? {
                    Sent::Taken => current.end(digest, Bytes::new(), self.size)?,
                    Sent::Lost(error) => Ended::Lost(error),
                    Sent::Refused(error) => Ended::Refused(error),
                }
            } else {
                current.end(digest, chunk.clone(), self.size)?
            };
            match ended {
                Ended::Stored => {
                    if refused_body {
                        self.client.habits().note_refused_body();
                    }
                    self.count.add(chunk.len());
                    return Ok(());
                }
                Ended::Passing(error, asked) => {
                    retry.wait(error.at(digest), asked)?;
                    failures += 1;
                    before = before || (failures > 1 && !chunk.is_empty());
                }
                Ended::Lost(error) => {
                    retry.wait(error.at(digest), None)?;
                    before = !chunk.is_empty();
                }
                Ended::Refused(error) if before || chunk.is_empty() => return Err(error.at(digest)),
                Ended::Refused(error) => {
                    tracing::info!("{error}; sending {digest} before the request that ends the upload");
                    (before, refused_body) = (true, true);
                }
            }
        }
    }
}

/// A registry that says it has everything before it was given that.
fn early() -> Error {
    Error::new(Kind::Registry, "the registry ended an upload before all was sent")
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt::check()?;
        // A chunk is sent when more comes, so that a blob of one chunk is seen as such.
        if self.chunk.len() >= self.full {
            self.send()?;
            self.chunk.reserve_exact(self.full - self.chunk.len());
        }
        let taken = bytes.len().min(self.full - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        self.hasher.update(&bytes[..taken]);
        self.size += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobSink for Upload {
    fn finish(mut self: Box<Self>) -> Result<Written> {
        self.end()
    }
}
