use std::io::{self, Read};
use std::sync::Arc;

use oci_spec::image::Digest;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, StatusCode};

use super::client::{Call, Client};
use super::retry::RetryPolicy;
use super::transport::Response;
use super::words::is_page;
use crate::error::{Error, Kind, Result};
use crate::store::count::Count;
use crate::store::interrupt;

/// The number of times that the transfer of one blob may be cut off, even if each time some of it came.
const MAX_CUTS: u32 = 100;

/// Reads a blob; after a cut it goes on where it was.
pub(super) struct Download {
    client: Arc<Client>,
    digest: Digest,
    size: u64,
    position: u64,
    body: Option<Response>,
    retry: RetryPolicy,
    cuts: u32,
    count: Count,
    /// The error that broke it, for good.
    broken: Option<String>,
}

impl Download {
    /// Asks for a blob of `size` bytes.
    pub(super) fn start(client: &Arc<Client>, digest: &Digest, size: u64, count: &Count) -> Result<Self> {
        let mut download = Download {
            client: client.clone(),
            digest: digest.clone(),
            size,
            position: 0,
            body: None,
            retry: RetryPolicy::default(),
            cuts: 0,
            count: count.clone(),
            broken: None,
        };
        download.body = Some(download.ask()?);
        Ok(download)
    }

    fn fault(&self, what: impl Into<String>) -> Error {
        let hint = "try again; if the error persists, the registry or a proxy in front of it is faulty";
        Error::new(Kind::Registry, what).hint(hint).at(&self.digest).at(self.client.repository())
    }

    /// Asks for all from the position on.
    fn ask(&self) -> Result<Response> {
        let url = self.client.url(&format!("blobs/{}", self.digest))?;
        let mut call = Call::new(Method::GET, url);
        if self.position > 0 {
            call = call.header(RANGE, format!("bytes={}-", self.position));
        }
        let mut response = self.client.send(&call)?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = response.header(CONTENT_RANGE);
                let start = format!("bytes {}-", self.position);
                if range.is_some_and(|range| !range.starts_with(&start)) {
                    return Err(self.fault("the registry sent another range than the one requested"));
                }
            }
            StatusCode::OK => {
                if is_page(&response) && response.content_length() != Some(self.size) {
                    return Err(self.client.page(&format!("blob {}", self.digest), response.url()));
                }
                if response.content_length().is_some_and(|length| length != self.size) {
                    let found = response.content_length().unwrap_or_default();
                    let what = format!("the registry has {found} bytes where the descriptor says {}", self.size);
                    return Err(self.fault(what));
                }
                // It knows no ranges: what was read already comes again.
                let skipped = io::copy(&mut response.by_ref().take(self.position), &mut io::sink());
                skipped.map_err(|_| self.fault("the transfer was cut off again"))?;
            }
            _ => return Err(self.client.refusal(&format!("blob {}", self.digest), response)),
        }
        Ok(response)
    }

    fn read_on(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            interrupt::check()?;
            let Some(body) = &mut self.body else { return Ok(0) };
            let cut = match body.read(buffer) {
                Ok(0) if self.position >= self.size => return Ok(0),
                Ok(0) => format!("the transfer ended after {} of {} bytes", self.position, self.size),
                Ok(read) => {
                    self.position += read as u64;
                    if self.position > self.size {
                        return Err(self.fault(format!("more bytes than the {} of the descriptor", self.size)));
                    }
                    self.count.add(read);
                    self.retry.restore();
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) if interrupt::check().is_err() => return interrupt::check().map(|()| 0),
                Err(_) if self.position >= self.size => return Ok(0),
                Err(error) => {
                    let (position, size) = (self.position, self.size);
                    let silent = is_timeout(&error);
                    let how = if silent { "stalled" } else { "was cut off" };
                    format!("the transfer {how} after {position} of {size} bytes")
                }
            };
            let error = self.fault(cut);
            self.cuts += 1;
            if self.cuts > MAX_CUTS {
                return Err(error);
            }
            self.retry.wait(error, None)?;
            self.body = Some(self.ask()?);
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(what) = &self.broken {
            return Err(self.fault(what).into());
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        self.read_on(buffer).map_err(|error| {
            self.broken = Some(error.what().to_owned());
            error.into()
        })
    }
}
