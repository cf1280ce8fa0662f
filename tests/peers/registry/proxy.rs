//! A proxy before a registry that counts, and answers some requests as the test wants.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub head: String,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        Some(self.head.lines().find(named)?.split_once(':')?.1.trim())
    }

    pub fn is_blob(&self, digest: &str) -> bool {
        self.method == "GET" && self.path.ends_with(&format!("/blobs/{digest}"))
    }
}

/// What becomes of a request.
pub enum Act {
    Pass,
    /// This answer instead (status line, headers, blank line, body).
    Answer(String),
    /// The registry's answer, cut after so many bytes of its body.
    Cut(usize),
    /// The registry's answer, which stops after so many bytes of its body but stays open.
    Stall(usize),
    /// The registry's answer with another body.
    Body(fn(Vec<u8>) -> Vec<u8>),
    /// The connection ends before the registry has seen anything.
    Drop,
}

pub struct Proxy {
    pub port: u16,
    pub up: Arc<AtomicU64>,
    pub down: Arc<AtomicU64>,
    pub seen: Arc<Mutex<Vec<Request>>>,
}

pub type Rule = dyn Fn(&Request) -> Act + Send + Sync;

impl Proxy {
    pub fn start(registry: u16, rule: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy {
            port: listener.local_addr().unwrap().port(),
            up: Arc::default(),
            down: Arc::default(),
            seen: Arc::default(),
        };
        let (rule, up, down, seen) = (Arc::new(rule), proxy.up.clone(), proxy.down.clone(), proxy.seen.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (rule, up, down, seen) = (rule.clone(), up.clone(), down.clone(), seen.clone());
                // A client that goes away is no fault of the proxy.
                std::thread::spawn(move || serve(client, registry, &*rule, (&up, &down), &seen));
            }
        });
        proxy
    }

    pub fn at(&self, repository: &str) -> String {
        format!("docker://127.0.0.1:{}/{repository}", self.port)
    }

    /// How many requests there were of this kind.
    pub fn count(&self, is: impl Fn(&Request) -> bool) -> usize {
        self.seen.lock().unwrap().iter().filter(|request| is(request)).count()
    }

    /// Bytes to and from the registry so far, heads included.
    pub fn traffic(&self) -> (u64, u64) {
        (self.up.load(Ordering::SeqCst), self.down.load(Ordering::SeqCst))
    }
}

/// One request of a connection, which then ends.
fn serve(
    mut client: TcpStream,
    registry: u16,
    rule: &Rule,
    (up, down): (&AtomicU64, &AtomicU64),
    seen: &Mutex<Vec<Request>>,
) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
        if head.len() > 2 && !head.is_ascii() {
            return None; // TLS; this is plain HTTP
        }
    }
    let text = String::from_utf8(head).ok()?;
    let mut words = text.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let request = Request { method, path, head: text };
    let length: u64 = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    Read::by_ref(&mut client).take(length).read_to_end(&mut body).ok()?;
    up.fetch_add(request.head.len() as u64 + body.len() as u64, Ordering::SeqCst);
    seen.lock().unwrap().push(request.clone());
    let act = rule(&request);
    let answer = match &act {
        Act::Drop => return None,
        Act::Answer(answer) => answer.clone().into_bytes(),
        _ => forward(registry, &request, &body)?,
    };
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let (head, body) = answer.split_at(at);
    let sent = match act {
        Act::Cut(after) | Act::Stall(after) => [head, &body[..after.min(body.len())]].concat(),
        Act::Body(change) => {
            let body = change(body.to_vec());
            let head = String::from_utf8_lossy(head);
            let kept = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length"));
            let kept: Vec<&str> = kept.filter(|line| !line.is_empty()).collect();
            let head = format!("{}\r\nContent-Length: {}\r\n\r\n", kept.join("\r\n"), body.len());
            [head.as_bytes(), &body].concat()
        }
        _ => answer.clone(),
    };
    down.fetch_add(sent.len() as u64, Ordering::SeqCst);
    client.write_all(&sent).ok()?;
    if matches!(act, Act::Stall(_)) {
        std::thread::sleep(Duration::from_secs(20));
    }
    client.shutdown(Shutdown::Both).ok()
}

fn forward(registry: u16, request: &Request, body: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", registry)).ok()?;
    let head = request.head.trim_end();
    server.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    server.write_all(body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// An answer without much of a body.
pub fn answer(status: &str, headers: &str, body: &str) -> Act {
    Act::Answer(format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
}
