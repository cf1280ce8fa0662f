use std::io::{self, Write};

use zeroize::Zeroizing;

use crate::crypto::paillier::PaillierKey;
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::image::EntrySink;
use crate::path::shown;
use crate::tar::{EntryKind, Meta};
use crate::train::paillier::{decrypt_document, is_homomorphic};
use crate::train::paths;

/// The largest file with numbers under a Paillier key that is read, in bytes: it is held in memory.
const MAX_DOCUMENT: u64 = 16 << 20;

/// Hands results on to another sink, those with numbers under the creator's Paillier key decrypted.
pub(in crate::stage) struct HomomorphicSink<'a> {
    inner: &'a mut dyn EntrySink,
    key: &'a PaillierKey<'a>,
    document: Option<Document>,
}

/// A file that is decrypted when it is whole.
struct Document {
    path: Box<[u8]>,
    meta: Meta,
    size: u64,
    text: Zeroizing<Vec<u8>>,
}

impl<'a> HomomorphicSink<'a> {
    pub(in crate::stage) fn new(inner: &'a mut dyn EntrySink, key: &'a PaillierKey<'a>) -> Self {
        HomomorphicSink { inner, key, document: None }
    }

    fn end_document(&mut self) -> Result<()> {
        let Some(document) = self.document.take_if(|document| document.text.len() as u64 == document.size) else {
            return Ok(());
        };
        let place = shown(&document.path);
        let text = Zeroizing::new(decrypt_document(self.key, &document.text).at(place)?);
        self.inner.entry(&document.path, &EntryKind::File, &document.meta, text.len() as u64)?;
        self.inner.write_all(&text).doing("write the file").at(place)
    }
}

impl EntrySink for HomomorphicSink<'_> {
    fn entry(&mut self, path: &[u8], kind: &EntryKind, meta: &Meta, size: u64) -> Result<()> {
        let below = path.strip_prefix(paths::RESULTS).unwrap_or(path);
        if *kind != EntryKind::File || !is_homomorphic(below) {
            return self.inner.entry(path, kind, meta, size);
        }
        if size > MAX_DOCUMENT {
            let what = format!("{size} bytes; at most {MAX_DOCUMENT} of a file with encrypted numbers are read");
            return Err(Error::malformed(what).at(shown(path)));
        }
        let text = Zeroizing::new(Vec::with_capacity(size as usize)); // at most MAX_DOCUMENT
        self.document = Some(Document { path: path.into(), meta: meta.clone(), size, text });
        self.end_document()
    }
}

impl Write for HomomorphicSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(document) = &mut self.document else { return self.inner.write(bytes) };
        document.text.extend_from_slice(bytes);
        self.end_document()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
