//! The way of a file through a stage: read, decrypt or encrypt, seen by a hash on another core, written.

use std::io::{self, BufRead, Read, Write};
use std::ops::Range;

use super::hashing::HashSink;
use super::strict::{StrictForm, of_directory, of_file, of_results};
use crate::crypto::{Cipher, Decryptor, Encryptor, StageKey};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::image::{AddedLayer, CopyBuffer, EntrySink, LayerSink, Node, OPAQUE, Tree, read_some};
use crate::path::is_below;
use crate::store::interrupt;
use crate::tar;
use crate::tar::{EntryKind, Meta};
use crate::train::{TrainConfig, Wire, paths};

/// The transformation of the contents of files.
#[derive(Clone, Copy)]
pub(in crate::stage) enum Transform<'k> {
    /// Nothing.
    Keep,
    /// They are encrypted.
    Encrypt(Cipher, &'k StageKey),
    /// They are decrypted.
    Decrypt(Cipher, &'k StageKey),
}

impl<'k> Transform<'k> {
    /// Decrypts if there is a key.
    pub(in crate::stage) fn decrypt_with(key: Option<&'k StageKey>, cipher: Cipher) -> Self {
        key.map_or(Transform::Keep, |key| Transform::Decrypt(cipher, key))
    }

    /// The size of a file's plaintext.
    pub(in crate::stage) fn plaintext_len(self, tree: &Tree, node: &Node) -> Result<u64> {
        let size = tree.file(node).map_or(0, |(size, _)| size);
        let Transform::Decrypt(cipher, key) = self else { return Ok(size) };
        let extent = tree.extent(node).ok_or_else(|| Error::malformed("not in a layer").at(node.shown()))?;
        let tail = extent.part(size.saturating_sub(cipher.tail_len() as u64), u64::MAX);
        let mut end = Vec::with_capacity(cipher.tail_len());
        tail.reader().read_to_end(&mut end).doing("read the file").at(node.shown())?;
        cipher.plaintext_len(key, size, &end).at(node.shown())
    }

    /// The size that a file will have.
    fn new_len(self, tree: &Tree, node: &Node) -> Result<u64> {
        match self {
            Transform::Encrypt(cipher, _) => Ok(cipher.ciphertext_len(tree.file(node).map_or(0, |(size, _)| size))),
            Transform::Keep | Transform::Decrypt(..) => self.plaintext_len(tree, node),
        }
    }

    /// The plaintext of a file.
    fn open(self, tree: &Tree, node: &Node) -> Result<Plaintext> {
        let contents = tree.open(node)?;
        match self {
            Transform::Decrypt(cipher, key) => {
                Ok(Plaintext::Decrypted(cipher.decryptor(key, below_opt(node), contents)?))
            }
            Transform::Keep | Transform::Encrypt(..) => Ok(Plaintext::AsItIs(contents)),
        }
    }
}

/// The plaintext of a file.
enum Plaintext {
    /// The file itself.
    AsItIs(Box<dyn Read + Send>),
    /// Its ciphertext; the plaintext stands in the decryptor's own buffer.
    Decrypted(Decryptor<Box<dyn Read + Send>>),
}

impl Plaintext {
    /// The next piece, empty at the end: in `buffer`, or where it stands already.
    fn next<'a>(&'a mut self, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
        match self {
            Plaintext::AsItIs(reader) => {
                let read = read_some(reader, buffer)?;
                Ok(&buffer[..read])
            }
            Plaintext::Decrypted(reader) => reader.fill_buf().doing("read the file"),
        }
    }

    /// The piece, of this length, is done with.
    fn consume(&mut self, length: usize) {
        if let Plaintext::Decrypted(reader) = self {
            reader.consume(length);
        }
    }
}

/// The path of a file of the train as ciphers bind it: relative to `/opt`.
fn below_opt(node: &Node) -> &[u8] {
    node.path.strip_prefix(paths::OPT).and_then(|path| path.strip_prefix(b"/")).unwrap_or(&node.path)
}

/// Feeds the plaintext of one file to `hasher`, which expects it.
pub(in crate::stage) fn hash_file(
    tree: &Tree,
    node: &Node,
    change: Transform<'_>,
    hasher: &mut dyn HashSink,
    buffer: &mut CopyBuffer,
) -> Result<()> {
    pass(change.open(tree, node)?, buffer, &mut io::sink(), Some(hasher)).at(node.shown())
}

/// Hands every entry below `root` to `sink`, files changed, their plaintext fed to `hasher`; files are counted from
/// 0 in walk order.
pub(in crate::stage) fn transform(
    tree: &Tree,
    root: &[u8],
    change: Transform<'_>,
    mut hasher: Option<&mut dyn HashSink>,
    sink: &mut dyn EntrySink,
) -> Result<()> {
    let Range { start, end } = tree.below(root);
    let (mut files, mut buffer) = (0, CopyBuffer::new());
    for node in &tree.nodes()[start..end] {
        let kind = tree.entry_kind(node);
        if kind != EntryKind::File {
            sink.entry(&node.path, &kind, &node.meta, 0).at(node.shown())?;
            continue;
        }
        let size = change.new_len(tree, node)?;
        sink.entry(&node.path, &kind, &node.meta, size).at(node.shown())?;
        if let Some(hasher) = &mut hasher {
            hasher.begin(files)?;
        }
        files += 1;
        let passed = match change {
            Transform::Encrypt(cipher, key) => {
                let encryptor = cipher.encryptor(key, below_opt(node), sink as &mut dyn Write)?;
                encrypt(tree.open(node)?, encryptor, reborrow(&mut hasher))
            }
            Transform::Keep | Transform::Decrypt(..) => {
                pass(change.open(tree, node)?, &mut buffer, sink, reborrow(&mut hasher))
            }
        };
        passed.at(node.shown())?;
    }
    Ok(())
}

/// The same hasher for a while.
fn reborrow<'a>(hasher: &'a mut Option<&mut dyn HashSink>) -> Option<&'a mut dyn HashSink> {
    match hasher {
        Some(hasher) => Some(&mut **hasher),
        None => None,
    }
}

/// Moves contents to where they are encrypted, in the encryptor's own memory.
fn encrypt(
    mut contents: Box<dyn Read + Send>,
    mut encryptor: Encryptor<&mut dyn Write>,
    mut hasher: Option<&mut dyn HashSink>,
) -> Result<()> {
    loop {
        let space = encryptor.space();
        let read = read_some(&mut contents, space)?;
        if read == 0 {
            return encryptor.finish().doing("encrypt the file").map(drop);
        }
        interrupt::check()?;
        if let Some(hasher) = &mut hasher {
            hasher.update(&space[..read])?;
        }
        encryptor.advance(read).doing("write the file")?;
    }
}

/// Moves contents through the buffer.
fn pass(
    mut contents: Plaintext,
    buffer: &mut CopyBuffer,
    out: &mut dyn Write,
    mut hasher: Option<&mut dyn HashSink>,
) -> Result<()> {
    loop {
        let piece = contents.next(buffer.space())?;
        if piece.is_empty() {
            return Ok(());
        }
        interrupt::check()?;
        if let Some(hasher) = &mut hasher {
            hasher.update(piece)?;
        }
        out.write_all(piece).doing("write the file")?;
        let length = piece.len();
        contents.consume(length);
    }
}

/// Writes the payload layer: each of the directories that it is about, hidden below by an opaque whiteout, with its
/// entries.
pub(in crate::stage) struct PayloadWriter {
    tar: tar::Writer<LayerSink>,
    /// Where the wire version fixes the form of the layer.
    strict: Option<StrictForm>,
    now: i64,
}

impl PayloadWriter {
    /// Begins the layer of a train of `wire`. `places` gives the directory its owner, mode and times.
    pub(in crate::stage) fn new(sink: LayerSink, wire: &dyn Wire, places: &Tree, now: i64) -> Result<Self> {
        let strict = wire.has_payload_as_built().then(StrictForm::default);
        let mut payload = PayloadWriter { tar: tar::Writer::new(sink), strict, now };
        let meta = payload.meta_of(places, paths::OPT);
        payload.tar.header(paths::OPT, &EntryKind::Directory, &meta, 0)?;
        Ok(payload)
    }

    /// Begins one of the directories, whose entries come next.
    pub(in crate::stage) fn begin(&mut self, dir: &[u8], places: &Tree) -> Result<()> {
        let meta = self.meta_of(places, dir);
        self.begin_with(dir, &meta)
    }

    /// Begins the directory of the results of a new train, with this mode.
    pub(in crate::stage) fn begin_results(&mut self, mode: u32) -> Result<()> {
        self.begin_with(paths::RESULTS, &Meta::new(mode, self.now))
    }

    fn begin_with(&mut self, dir: &[u8], meta: &Meta) -> Result<()> {
        self.tar.header(dir, &EntryKind::Directory, meta, 0)?;
        let marker = [dir, b"/", OPAQUE].concat();
        self.tar.header(&marker, &EntryKind::File, &of_file(meta.mtime), 0)
    }

    fn meta_of(&self, places: &Tree, dir: &[u8]) -> Meta {
        let found = places.get(dir).map_or_else(|| Meta::new(0o755, self.now), |node| node.meta.clone());
        match &self.strict {
            _ if dir == paths::RESULTS => of_results(&found),
            None => found,
            Some(_) => of_directory(found.mtime),
        }
    }

    /// The sink of the entries.
    pub(in crate::stage) fn sink(&mut self) -> &mut dyn EntrySink {
        self
    }

    /// What may not be in the layer and was left out.
    pub(in crate::stage) fn left_out(&self) -> &[String] {
        self.strict.as_ref().map_or(&[], |strict| &strict.left_out)
    }

    /// The directories of the train that may not be in the layer, since nothing is in them.
    pub(in crate::stage) fn empty_directories(&self) -> Vec<String> {
        self.strict.as_ref().map_or_else(Vec::new, StrictForm::empty_directories)
    }

    pub(in crate::stage) fn finish(self) -> Result<AddedLayer> {
        self.tar.finish()?.finish()
    }
}

impl EntrySink for PayloadWriter {
    fn entry(&mut self, path: &[u8], kind: &EntryKind, meta: &Meta, size: u64) -> Result<()> {
        match &mut self.strict {
            None if is_below(path, paths::RESULTS) => self.tar.header(path, kind, &of_results(meta), size),
            None => self.tar.header(path, kind, meta, size),
            Some(strict) => strict.entry(&mut self.tar, path, kind, meta, size),
        }
    }
}

impl Write for PayloadWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tar.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tar.flush()
    }
}

/// Writes the control layer: the train config, with `meta` where the wire version leaves that free, and the creator's
/// wrapped key.
pub(in crate::stage) fn write_control(
    sink: LayerSink,
    config: &TrainConfig,
    document: &[u8],
    meta: &Meta,
    now: i64,
) -> Result<AddedLayer> {
    let mut tar = tar::Writer::new(sink);
    let own = of_file(now);
    let is_strict = config.wire().has_payload_as_built();
    if is_strict {
        tar.header(paths::OPT, &EntryKind::Directory, &of_directory(now), 0)?;
    }
    let mut put = |path, content: &[u8], meta: &Meta| {
        tar.header(path, &EntryKind::File, meta, content.len() as u64)?;
        tar.write_all(content).doing("write the control layer")
    };
    put(paths::CONFIG, document, if is_strict { &own } else { meta })?;
    if let Some(key) = &config.creator().encrypted_key {
        put(paths::USER_KEY, key, &own)?;
    }
    tar.finish()?.finish()
}
