//! The way of a file through a stage: read, decrypt or encrypt, seen by a hash on another core, written.

use std::io::{self, BufRead, Read, Write};
use std::ops::Range;

use super::feeder::{Nobody, Observer};
use super::paths;
use crate::crypto::{Cipher, Decryptor, Encryptor, StageKey};
use crate::error::{Context, Error, IoContext, Result};
use crate::image::layer::{Kind, Meta, TarWriter};
use crate::image::{AddedLayer, EntrySink, LayerSink, Node, NodeKind, OPAQUE, Tree};
use crate::store::{BUFFER, interrupt};

/// What happens to the contents of files.
#[derive(Clone, Copy)]
pub(super) enum Change<'k> {
    /// Nothing.
    Keep,
    /// They are encrypted.
    Encrypt(Cipher, &'k StageKey),
    /// They are decrypted.
    Decrypt(Cipher, &'k StageKey),
}

impl<'k> Change<'k> {
    /// Decrypts if there is a key.
    pub(super) fn decrypt_with(key: Option<&'k StageKey>, cipher: Cipher) -> Self {
        key.map_or(Change::Keep, |key| Change::Decrypt(cipher, key))
    }

    /// The size of a file's plaintext.
    pub(super) fn plaintext_len(self, tree: &Tree, node: &Node) -> Result<u64> {
        let size = tree.file(node).map_or(0, |(size, _)| size);
        let Change::Decrypt(cipher, key) = self else { return Ok(size) };
        let extent = tree.extent(node).ok_or_else(|| Error::malformed("not in a layer").at(node.shown()))?;
        let tail = extent.part(size.saturating_sub(cipher.tail_len() as u64), u64::MAX);
        let mut end = Vec::with_capacity(cipher.tail_len());
        tail.reader().read_to_end(&mut end).doing("read it").at(node.shown())?;
        cipher.plaintext_len(key, size, &end).at(node.shown())
    }

    /// The size that a file will have.
    fn new_len(self, tree: &Tree, node: &Node) -> Result<u64> {
        match self {
            Change::Encrypt(cipher, _) => Ok(cipher.ciphertext_len(tree.file(node).map_or(0, |(size, _)| size))),
            Change::Keep | Change::Decrypt(..) => self.plaintext_len(tree, node),
        }
    }

    /// The plaintext of a file.
    fn open(self, tree: &Tree, node: &Node) -> Result<Plaintext> {
        let contents = tree.open(node)?;
        match self {
            Change::Decrypt(cipher, key) => {
                Ok(Plaintext::Decrypted(cipher.decryptor(key, below_opt(node), contents)?))
            }
            Change::Keep | Change::Encrypt(..) => Ok(Plaintext::AsItIs(contents)),
        }
    }
}

/// Where the plaintext of a file is read from.
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
            Plaintext::Decrypted(reader) => reader.fill_buf().doing("read it"),
        }
    }

    /// The piece, of this length, is done with.
    fn consume(&mut self, length: usize) {
        if let Plaintext::Decrypted(reader) = self {
            reader.consume(length);
        }
    }
}

/// Reads what there is; nothing at the end only.
fn read_some(contents: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match contents.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.doing("read it"),
        }
    }
}

/// The path of a file of the train as ciphers bind it: relative to `/opt`.
fn below_opt(node: &Node) -> &[u8] {
    node.path.strip_prefix(paths::OPT).and_then(|path| path.strip_prefix(b"/")).unwrap_or(&node.path)
}

/// Shows the plaintext of one file to `observer`.
pub(super) fn observe(
    tree: &Tree,
    node: &Node,
    change: Change<'_>,
    file: usize,
    observer: &mut dyn Observer,
    passage: &mut Passage,
) -> Result<()> {
    observer.begin(file)?;
    passage.pass(change.open(tree, node)?, &mut io::sink(), observer).at(node.shown())
}

/// Hands the contents of one file to `out`, as they are.
pub(super) fn hand_out(tree: &Tree, node: &Node, out: &mut dyn Write) -> Result<()> {
    Passage::new().pass(Change::Keep.open(tree, node)?, out, &mut Nobody).at(node.shown())
}

/// Hands every entry below `root` to `sink`, files changed, their plaintext shown to `observer`; files are counted from
/// 0 in walk order.
pub(super) fn transform(
    tree: &Tree,
    root: &[u8],
    change: Change<'_>,
    observer: &mut dyn Observer,
    sink: &mut dyn EntrySink,
) -> Result<()> {
    let Range { start, end } = tree.below(root);
    let (mut files, mut passage) = (0, Passage::new());
    for node in &tree.nodes()[start..end] {
        let kind = kind_of(tree, node);
        if kind != Kind::File {
            sink.entry(&node.path, &kind, &node.meta, 0).at(node.shown())?;
            continue;
        }
        let size = change.new_len(tree, node)?;
        sink.entry(&node.path, &kind, &node.meta, size).at(node.shown())?;
        observer.begin(files)?;
        files += 1;
        let passed = match change {
            Change::Encrypt(cipher, key) => {
                let encryptor = cipher.encryptor(key, below_opt(node), sink as &mut dyn Write)?;
                encrypt(tree.open(node)?, encryptor, observer)
            }
            Change::Keep | Change::Decrypt(..) => passage.pass(change.open(tree, node)?, sink, observer),
        };
        passed.at(node.shown())?;
    }
    Ok(())
}

fn kind_of(tree: &Tree, node: &Node) -> Kind {
    match &node.kind {
        NodeKind::File { .. } => Kind::File,
        NodeKind::Link(to) => Kind::HardLink(tree.nodes()[*to].path.clone()),
        NodeKind::Symlink(target) => Kind::Symlink(target.clone()),
        NodeKind::Directory => Kind::Directory,
        NodeKind::Fifo => Kind::Fifo,
        NodeKind::Device(character, number) => Kind::Device { character: *character, number: *number },
    }
}

/// Moves contents to where they are encrypted, in the encryptor's own memory.
fn encrypt(
    mut contents: Box<dyn Read + Send>,
    mut encryptor: Encryptor<&mut dyn Write>,
    observer: &mut dyn Observer,
) -> Result<()> {
    loop {
        let space = encryptor.space();
        let read = read_some(&mut contents, space)?;
        if read == 0 {
            return encryptor.finish().doing("encrypt it").map(drop);
        }
        interrupt::check()?;
        observer.see(&space[..read])?;
        encryptor.advance(read).doing("write it")?;
    }
}

/// Moves contents through a buffer that is erased in the end: it holds plaintext.
pub(super) struct Passage(zeroize::Zeroizing<Vec<u8>>);

impl Passage {
    pub(super) fn new() -> Self {
        Passage(zeroize::Zeroizing::new(vec![0; BUFFER]))
    }

    fn pass(&mut self, mut contents: Plaintext, out: &mut dyn Write, observer: &mut dyn Observer) -> Result<()> {
        loop {
            let piece = contents.next(&mut self.0)?;
            if piece.is_empty() {
                return Ok(());
            }
            interrupt::check()?;
            observer.see(piece)?;
            out.write_all(piece).doing("write it")?;
            let length = piece.len();
            contents.consume(length);
        }
    }
}

/// Writes the payload layer: the directories that it is about, hidden below by opaque whiteouts, then their entries.
pub(super) struct PayloadWriter {
    tar: TarWriter<LayerSink>,
}

impl PayloadWriter {
    /// Begins the layer. `places` gives the directories their owner, mode and times.
    pub(super) fn new(sink: LayerSink, places: &Tree, now: i64) -> Result<Self> {
        let mut tar = TarWriter::new(sink);
        let fallback = Meta::new(0o755, now);
        let meta = |path| places.get(path).map_or(&fallback, |node| &node.meta);
        tar.header(paths::OPT, &Kind::Directory, meta(paths::OPT), 0)?;
        for dir in [paths::RESULTS, paths::TRAIN] {
            tar.header(dir, &Kind::Directory, meta(dir), 0)?;
            let marker = [dir, b"/", OPAQUE].concat();
            tar.header(&marker, &Kind::File, &Meta::new(0o644, meta(dir).mtime), 0)?;
        }
        Ok(PayloadWriter { tar })
    }

    /// Where the entries go.
    pub(super) fn sink(&mut self) -> &mut dyn EntrySink {
        &mut self.tar
    }

    pub(super) fn finish(self) -> Result<AddedLayer> {
        self.tar.finish()?.finish()
    }
}

/// Writes the control layer: the train config and the creator's wrapped key.
pub(super) fn write_control(
    sink: LayerSink,
    (config, meta): (&[u8], &Meta),
    creator_key: Option<&[u8]>,
    now: i64,
) -> Result<AddedLayer> {
    let mut tar = TarWriter::new(sink);
    let mut put = |path, content: &[u8], meta: &Meta| {
        tar.header(path, &Kind::File, meta, content.len() as u64)?;
        tar.write_all(content).doing("write the control layer")
    };
    put(paths::CONFIG, config, meta)?;
    if let Some(key) = creator_key {
        put(paths::USER_KEY, key, &Meta::new(0o644, now))?;
    }
    tar.finish()?.finish()
}
