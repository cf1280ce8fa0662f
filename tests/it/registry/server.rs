//! A registry in memory, on the loopback, that can be taught the habits of real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use support::tree::sha256;

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    pub head: String,
    pub body: Vec<u8>,
}

/// What is answered; `None` for the body's length is HEAD's.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What a registry knows.
#[derive(Default)]
pub struct State {
    /// By `REPOSITORY@DIGEST`.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// By `REPOSITORY@TAG` and `REPOSITORY@DIGEST`: the bytes and their type.
    pub manifests: BTreeMap<String, (Vec<u8>, String)>,
    pub uploads: BTreeMap<String, Vec<u8>>,
    pub log: Vec<Request>,
    /// The tokens that are good.
    pub tokens: BTreeSet<String>,
    /// After so many bytes of a body, within one connection, the line breaks, once for each.
    pub breaks: Vec<usize>,
    /// An upload whose line broke is forgotten, as by distribution 2.8.
    pub forgets: bool,
    /// The bytes of a body that are read in a second, if not all that come.
    pub rate: Option<usize>,
    /// A handshake of TLS is taken for the beginning of a line.
    pub waits_for_lines: bool,
    begun: usize,
}

/// Answers a request in another way than a plain registry, if it wants to.
pub type Habit = dyn Fn(&Request, &mut State) -> Option<Reply> + Send + Sync;

pub struct Fake {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        Some(self.head.lines().find(named)?.split_once(':')?.1.trim())
    }

    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }

    /// The value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
        Some(value.replace("%3A", ":").replace("%2F", "/").replace("%2C", ","))
    }
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Reply { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A refusal in the words of the specification.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        Reply::new(status).header("Content-Type", "application/json").body(body.to_string())
    }

    /// A page for a person.
    pub fn page(status: u16) -> Self {
        Reply::new(status).header("Content-Type", "text/html").body("<html><h1>Please sign in</h1></html>")
    }
}

impl Fake {
    /// A registry without habits.
    pub fn plain() -> Self {
        Fake::start(|_, _| None)
    }

    pub fn start(habit: impl Fn(&Request, &mut State) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Fake { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let (habit, state): (Arc<Habit>, _) = (Arc::new(habit), fake.state.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (habit, state) = (habit.clone(), state.clone());
                // A client that goes away is no fault of the server.
                std::thread::spawn(move || serve(client, &*habit, &state));
            }
        });
        fake
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many requests there were of this kind.
    pub fn count(&self, is: impl Fn(&Request) -> bool) -> usize {
        self.state().log.iter().filter(|request| is(request)).count()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request of a connection, which then ends.
fn serve(client: TcpStream, habit: &Habit, state: &Mutex<State>) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    // A handshake of TLS; this is plain HTTP.
    if reader.fill_buf()?.first() == Some(&0x16) {
        while lock(state).waits_for_lines && !reader.fill_buf()?.is_empty() {
            let length = reader.buffer().len();
            reader.consume(length);
        }
        return client.shutdown(Shutdown::Both);
    }
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // A proxy is asked with the whole URL.
    let target = target.split_once("://").map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
    let mut request = Request { method, path, query, head, body: Vec::new() };
    if !read_body(&mut reader, &mut request, state)? {
        return client.shutdown(Shutdown::Both);
    }
    let reply = {
        let mut state = lock(state);
        state.log.push(request.clone());
        habit(&request, &mut state).unwrap_or_else(|| answer(&request, &mut state))
    };
    let mut text = format!("HTTP/1.1 {} It\r\nConnection: close\r\n", reply.status);
    if !reply.headers.iter().any(|(name, _)| name == "Content-Length") {
        text += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    reply.headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
    let mut client = client;
    client.write_all(format!("{text}\r\n").as_bytes())?;
    if request.method != "HEAD" {
        client.write_all(&reply.body)?;
    }
    client.shutdown(Shutdown::Both)
}

/// Reads the body of a request; `false` if the line breaks on the way.
fn read_body(reader: &mut impl BufRead, request: &mut Request, state: &Mutex<State>) -> io::Result<bool> {
    if request.header("transfer-encoding").is_none() {
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        return read_part(reader, length, request, state);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        if length > 0 && !read_part(reader, length, request, state)? {
            return Ok(false);
        }
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(true);
        }
    }
}

fn read_part(reader: &mut impl Read, length: usize, request: &mut Request, state: &Mutex<State>) -> io::Result<bool> {
    let end = request.body.len() + length;
    while request.body.len() < end {
        let rate = lock(state).rate;
        let mut piece = vec![0; (end - request.body.len()).min(rate.map_or(1 << 16, |rate| (rate / 20).max(1)))];
        reader.read_exact(&mut piece)?;
        request.body.extend(piece);
        if rate.is_some() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut state = lock(state);
        if state.breaks.first().is_some_and(|after| request.body.len() > *after) {
            state.breaks.remove(0);
            if state.forgets {
                state.uploads.remove(last_part(&request.path));
            }
            return Ok(false);
        }
    }
    Ok(true)
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// What a registry answers (OCI distribution specification).
pub fn answer(request: &Request, state: &mut State) -> Reply {
    let Some(path) = request.path.strip_prefix("/v2/") else { return Reply::error(404, "NAME_UNKNOWN", "no route") };
    if let Some((repository, upload)) = path.split_once("/blobs/uploads/") {
        return on_upload(request, state, repository, upload);
    }
    if let Some((repository, digest)) = path.split_once("/blobs/") {
        return match state.blobs.get(&format!("{repository}@{digest}")) {
            None => Reply::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
            Some(blob) => part_of(request, blob).header("Docker-Content-Digest", digest),
        };
    }
    if let Some((repository, name)) = path.split_once("/manifests/") {
        return on_manifest(request, state, repository, name);
    }
    Reply::new(200).body("{}")
}

fn part_of(request: &Request, blob: &[u8]) -> Reply {
    let start = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let reply = |status: u16| Reply::new(status).header("Content-Type", "application/octet-stream");
    match start {
        Some(start @ 1_usize..) => {
            let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
            reply(206).header("Content-Range", range).body(&blob[start..])
        }
        _ => reply(200).body(blob),
    }
}

fn on_manifest(request: &Request, state: &mut State, repository: &str, name: &str) -> Reply {
    if request.method == "PUT" {
        let document: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let layers = document["layers"].as_array().cloned().unwrap_or_default();
        for blob in layers.iter().chain(document.get("config")) {
            if !state.blobs.contains_key(&format!("{repository}@{}", blob["digest"].as_str().unwrap())) {
                return Reply::error(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
            }
        }
        let digest = format!("sha256:{}", sha256(&request.body));
        let kept = (request.body.clone(), request.header("content-type").unwrap_or_default().to_owned());
        for name in [name, &digest] {
            state.manifests.insert(format!("{repository}@{name}"), kept.clone());
        }
        return Reply::new(201).header("Docker-Content-Digest", digest);
    }
    match state.manifests.get(&format!("{repository}@{name}")) {
        None => Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        Some((bytes, kind)) => Reply::new(200).header("Content-Type", kind).body(&bytes[..]),
    }
}

fn on_upload(request: &Request, state: &mut State, repository: &str, upload: &str) -> Reply {
    if request.method == "POST" {
        state.begun += 1;
        let upload = format!("u{}", state.begun);
        state.uploads.insert(upload.clone(), Vec::new());
        return Reply::new(202).header("Location", format!("/v2/{repository}/blobs/uploads/{upload}"));
    }
    let Some(bytes) = state.uploads.get_mut(upload) else {
        return Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    let there = |bytes: &[u8]| format!("0-{}", bytes.len().saturating_sub(1));
    if matches!(request.method.as_str(), "PATCH" | "PUT") {
        let start = request.header("content-range").and_then(|range| range.split('-').next()?.parse().ok());
        if start.is_some_and(|start: usize| start != bytes.len()) {
            return Reply::new(416).header("Location", &request.path[..]).header("Range", there(bytes));
        }
        bytes.extend(&request.body);
    }
    let position = there(bytes);
    match request.method.as_str() {
        "PUT" => {
            let digest = request.parameter("digest").unwrap_or_default();
            if digest != format!("sha256:{}", sha256(bytes)) {
                return Reply::error(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
            }
            let blob = state.uploads.remove(upload).unwrap_or_default();
            state.blobs.insert(format!("{repository}@{digest}"), blob);
            Reply::new(201)
        }
        "DELETE" => {
            state.uploads.remove(upload);
            Reply::new(204)
        }
        "GET" => Reply::new(204).header("Location", &request.path[..]).header("Range", position),
        _ => Reply::new(202).header("Location", &request.path[..]).header("Range", position),
    }
}
