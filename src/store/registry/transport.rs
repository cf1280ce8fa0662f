//! HTTP for threads that wait. A request may take as long as it likes while anything moves; what ends it is silence, and
//! a person who has waited long enough.

use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{StatusCode, Url};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;

use super::address::address;
use crate::error::{Error, IoContext};
use crate::store::interrupt;

/// The interval at which whoever waits looks for an interrupt, and at how long it has been silent.
const BEAT: Duration = Duration::from_millis(100);
/// The bytes of a body that are handed over at once: each is a sign that the line still moves.
const PIECE: usize = 32 << 10;

/// Makes requests. Redirects are not followed: where they may lead is not the transport's to say.
pub(super) struct Http {
    client: reqwest::Client,
    proxies: Matcher,
    idle: Duration,
}

/// The reason that there is no answer.
pub(super) enum Failure {
    /// Nothing moved for as long as the access allows.
    Silent,
    /// The connection could not be made, or broke.
    Broken(reqwest::Error),
    /// Not the network's: an interrupt, or what this machine lacks.
    Ours(Error),
}

/// The body of a request.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// None.
    Nothing,
    /// What is in memory.
    Bytes(Bytes),
    /// What comes through a channel, of this size if it is known.
    Stream(Receiver<Bytes>, Option<u64>),
}

/// An answer; its body is read like a file.
pub(super) struct Response {
    inner: reqwest::Response,
    piece: Bytes,
    idle: Duration,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The settings of proxies may hold a password.
        f.debug_struct("Http").field("idle", &self.idle).finish_non_exhaustive()
    }
}

impl Http {
    /// With what is set, and with the proxies of the environment. `idle` is how long nothing may move.
    pub(super) fn build(builder: reqwest::ClientBuilder, idle: Duration) -> Result<Self, Failure> {
        let builder = builder.connect_timeout(idle).redirect(reqwest::redirect::Policy::none());
        Ok(Http { client: builder.build().map_err(Failure::Broken)?, proxies: Matcher::from_system(), idle })
    }

    /// A request to be filled in.
    pub(super) fn request(&self, method: reqwest::Method, url: Url) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    /// Makes a request: the answer's head, once it is here.
    pub(super) fn send(&self, request: reqwest::RequestBuilder, body: Outgoing) -> Result<Response, Failure> {
        self.send_within(request, body, self.idle)
    }

    /// The same, with so much patience for silence.
    pub(super) fn send_within(
        &self,
        request: reqwest::RequestBuilder,
        body: Outgoing,
        idle: Duration,
    ) -> Result<Response, Failure> {
        let activity = Arc::new(Activity::new());
        let request = match Sending::of(body, &activity) {
            Some(sending) => request.body(reqwest::Body::wrap(sending)),
            None => request,
        };
        let answer = wait(request.send(), &activity, idle)?;
        Ok(Response { inner: answer.map_err(Failure::Broken)?, piece: Bytes::new(), idle })
    }

    /// The proxy that requests to this URL go through, as `HOST:PORT`.
    pub(super) fn proxy_of(&self, url: &Url) -> Option<String> {
        let proxy = self.proxies.intercept(&url.as_str().parse().ok()?)?;
        Some(proxy.uri().to_string().parse().map_or_else(|_| "in the environment".to_owned(), |proxy| address(&proxy)))
    }
}

impl Response {
    pub(super) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// Where it came from, after redirects.
    pub(super) fn url(&self) -> &Url {
        self.inner.url()
    }

    /// A header's text, trimmed.
    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok().map(str::trim)
    }

    /// The body's size as the header has it: that of HEAD, too.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.parse().ok()
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match wait(self.inner.chunk(), &Activity::new(), self.idle) {
                Ok(Ok(Some(piece))) => self.piece = piece,
                Ok(Ok(None)) => return Ok(0),
                Ok(Err(error)) => return Err(io::Error::other(error.without_url())),
                Err(Failure::Silent) => return Err(io::ErrorKind::TimedOut.into()),
                Err(Failure::Broken(error)) => return Err(io::Error::other(error.without_url())),
                Err(Failure::Ours(error)) => return Err(error.into()),
            }
        }
        let taken = self.piece.split_to(buffer.len().min(self.piece.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// What is known of a request on its way.
#[derive(Debug)]
struct Activity {
    begun: Instant,
    /// When something last moved, in milliseconds since the beginning.
    last: AtomicU64,
    /// How long the line took for what it has taken, in milliseconds.
    sending: AtomicU64,
    /// It is for us to go on: there is nothing to be sent yet.
    ours: AtomicBool,
    /// All has been handed over.
    handed: AtomicBool,
}

impl Activity {
    fn new() -> Self {
        Activity {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            sending: AtomicU64::new(0),
            ours: AtomicBool::new(false),
            handed: AtomicBool::new(false),
        }
    }

    fn moved(&self) {
        self.last.store(millis(self.begun.elapsed()), Ordering::Relaxed);
        self.ours.store(false, Ordering::Relaxed);
    }

    /// True if nothing has moved for too long. What is handed over last lies in the buffers of this machine; they empty
    /// at the pace at which they took the rest, so that much more is allowed before the answer.
    fn is_silent(&self, idle: Duration) -> bool {
        if self.ours.load(Ordering::Relaxed) {
            return false;
        }
        let silent = millis(self.begun.elapsed()).saturating_sub(self.last.load(Ordering::Relaxed));
        let drain = if self.handed.load(Ordering::Relaxed) { self.sending.load(Ordering::Relaxed) } else { 0 };
        silent > millis(idle).saturating_add(drain)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A body in pieces that tells when one is taken.
struct Sending {
    rest: Bytes,
    more: Option<Mutex<Receiver<Bytes>>>,
    size: Option<u64>,
    /// When the last piece was handed over.
    handed: Option<Instant>,
    activity: Arc<Activity>,
}

impl Sending {
    fn of(body: Outgoing, activity: &Arc<Activity>) -> Option<Self> {
        let (rest, more, size) = match body {
            Outgoing::Nothing => return None,
            Outgoing::Bytes(bytes) => {
                let size = bytes.len() as u64;
                (bytes, None, Some(size))
            }
            Outgoing::Stream(pieces, size) => (Bytes::new(), Some(Mutex::new(pieces)), size),
        };
        Some(Sending { rest, more, size, handed: None, activity: activity.clone() })
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(handed) = self.handed.take() {
            self.activity.sending.fetch_add(millis(handed.elapsed()), Ordering::Relaxed);
        }
        if self.rest.is_empty()
            && let Some(more) = &self.more
        {
            let next = more.lock().unwrap_or_else(PoisonError::into_inner).poll_recv(context);
            match next {
                Poll::Ready(Some(piece)) => self.rest = piece,
                Poll::Ready(None) => {}
                Poll::Pending => {
                    self.activity.ours.store(true, Ordering::Relaxed);
                    return Poll::Pending;
                }
            }
        }
        self.activity.moved();
        if self.rest.is_empty() {
            self.activity.handed.store(true, Ordering::Relaxed);
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        self.handed = Some(Instant::now());
        // Whoever knows the length does not ask again after the last piece.
        self.activity.handed.store(self.is_end_stream(), Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.more.is_none() && self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.size.map(SizeHint::with_exact).unwrap_or_default()
    }
}

/// Waits for the network until it has been silent for too long.
fn wait<F: Future>(future: F, activity: &Activity, idle: Duration) -> Result<F::Output, Failure> {
    runtime().map_err(Failure::Ours)?.block_on(async {
        let mut future = pin!(future);
        loop {
            if let Ok(output) = tokio::time::timeout(BEAT, future.as_mut()).await {
                return Ok(output);
            }
            interrupt::check().map_err(Failure::Ours)?;
            if activity.is_silent(idle) {
                return Err(Failure::Silent);
            }
        }
    })
}

/// One thread for all connections of this process.
fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime =
        builder.worker_threads(1).thread_name("network").enable_all().build().doing("start the network's thread")?;
    // If another thread was faster, its runtime is the one; this one is given up without waiting.
    if let Err(second) = RUNTIME.set(runtime) {
        second.shutdown_background();
    }
    RUNTIME.get().ok_or_else(|| Error::internal("the network's thread has not been kept"))
}

// A client takes TLS.
#[cfg(any(feature = "aws-lc", feature = "graviola"))]
#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn http(idle: u64) -> Http {
        super::super::tls::provide().unwrap();
        Http::build(reqwest::Client::builder().no_proxy(), Duration::from_millis(idle))
            .unwrap_or_else(|_| panic!("none"))
    }

    /// A server that reads so many bytes each 50 ms, until `total` have come, and then answers, if it does.
    fn server(rate: usize, total: usize, answers: bool) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let (mut buffer, mut read) = (vec![0; rate], 0);
            while read < total {
                read += client.read(&mut buffer).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
            if answers {
                io::Write::write_all(&mut client, b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok").unwrap();
            }
            std::thread::sleep(Duration::from_secs(5));
        });
        url
    }

    #[test]
    fn a_request_takes_longer_than_silence_may() {
        let (bytes, begun) = (Bytes::from(vec![7; 24 << 20]), Instant::now());
        let request = |http: &Http, url| http.request(reqwest::Method::PUT, url);
        let http = http(2000);
        let url = server(256 << 10, 24 << 20, true);
        let Ok(mut response) = http.send(request(&http, url), Outgoing::Bytes(bytes)) else { panic!("no answer") };
        assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());
        let mut text = String::new();
        response.read_to_string(&mut text).unwrap();
        assert_eq!((response.status(), text.as_str()), (StatusCode::CREATED, "ok"));
    }

    #[test]
    fn silence_ends_it_before_and_within_the_body() {
        for total in [1, usize::MAX] {
            let (http, begun) = (http(300), Instant::now());
            let request = http.request(reqwest::Method::PUT, server(1 << 10, total.min(1 << 20), false));
            let sent = http.send(request, Outgoing::Bytes(Bytes::from(vec![7; 64 << 20])));
            assert!(matches!(sent, Err(Failure::Silent)));
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        }
    }

    #[test]
    fn who_has_nothing_to_send_yet_is_not_the_network() {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        std::thread::spawn(move || {
            for _ in 0..2 {
                std::thread::sleep(Duration::from_millis(2500));
                sender.blocking_send(Bytes::from_static(b"0123456789")).unwrap();
            }
        });
        let http = http(1500);
        let request = http.request(reqwest::Method::PATCH, server(100, 20, true));
        let Ok(response) = http.send(request, Outgoing::Stream(receiver, Some(20))) else { panic!("no answer") };
        assert_eq!(response.status(), StatusCode::CREATED);
    }
}
