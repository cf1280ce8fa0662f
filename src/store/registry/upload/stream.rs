use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::mpsc::{Sender, channel};

use super::super::client::{Answer, Call, Client};
use crate::error::{Error, Result};

/// The pieces that wait for the line.
const WAITING: usize = 4;

/// One request whose body is written piece by piece while it is on its way.
pub(super) struct Stream {
    pieces: Option<Sender<Bytes>>,
    request: Option<JoinHandle<Result<Answer>>>,
}

impl Stream {
    /// Begins the request. `size` is that of all pieces, if it is known.
    pub(super) fn begin(client: &Arc<Client>, call: Call, size: Option<u64>) -> Self {
        let (pieces, body) = channel(WAITING);
        let client = client.clone();
        let request = std::thread::spawn(move || client.stream(&call, body, size));
        Stream { pieces: Some(pieces), request: Some(request) }
    }

    /// Hands a piece over. `false` if the request has ended already; [`Stream::end`] tells how.
    pub(super) fn write(&mut self, piece: Bytes) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| pieces.blocking_send(piece).is_ok())
    }

    /// Ends the body: the answer.
    pub(super) fn end(&mut self) -> Result<Answer> {
        self.pieces = None;
        let request = self.request.take().ok_or_else(|| Error::internal("the request has ended before"))?;
        request.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
