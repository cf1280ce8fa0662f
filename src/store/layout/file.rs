use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use zeroize::Zeroizing;

use crate::crypto::Sha256;

/// The bytes written at once. Past the page cache, less is slow.
const BLOCK: usize = 1 << 20;
/// What memory, lengths and positions are a multiple of past the page cache: no device has larger sectors.
const ALIGNMENT: usize = 4096;
/// The full blocks that may wait for each thread. With those in work, a large file holds 11 MiB.
const WAITING: usize = 4;

/// A new file that is written from beginning to end and digested. The blocks of a large one are digested on one thread
/// and written on another, past the page cache where the file system can do that; no block is copied on the way.
///
/// What a stage writes it never reads again, and all of it must be on the disk before anything is published. Through
/// the page cache every byte would be copied once more, for nothing, and push out of memory what others need; for a
/// large result that copy takes longer than the cipher.
pub(super) struct NewFile {
    file: File,
    current: Block,
    /// The position of `current` in the file, in bytes.
    position: u64,
    writer: Option<Writer>,
}

struct Writer {
    full: SyncSender<(Block, u64)>,
    empty: Receiver<Block>,
    digesting: JoinHandle<Sha256>,
    writing: JoinHandle<io::Result<()>>,
}

impl NewFile {
    /// For a file that is empty and open for writing.
    pub(super) fn new(file: File) -> Self {
        NewFile { file, current: Block::default(), position: 0, writer: None }
    }

    /// Takes all of `bytes`. A fault of writing them may be reported by a later call.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = self.current.fill(bytes);
            bytes = &bytes[taken..];
            if self.current.is_full() {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    /// Writes what is left; all is on the disk when this returns. The SHA-256 of all.
    pub(super) fn finish(mut self) -> io::Result<[u8; 32]> {
        let mut digest = self.join()?;
        digest.update(self.current.bytes());
        // The end is no whole number of sectors.
        set_direct(&self.file, false)?;
        self.file.write_all_at(self.current.bytes(), self.position)?;
        self.file.sync_data()?;
        Ok(digest.finish())
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.writer.is_none() {
            self.writer = Some(Writer::start(self.file.try_clone()?));
        }
        let Some(writer) = &self.writer else { return Ok(()) };
        let next = writer.empty.try_recv().unwrap_or_default();
        let block = std::mem::replace(&mut self.current, next);
        let position = self.position;
        self.position += block.bytes().len() as u64;
        if writer.full.send((block, position)).is_ok() {
            return Ok(());
        }
        self.join().and(Err(io::Error::other("the writing thread has ended")))
    }

    /// Waits for the threads; the digest of the blocks.
    fn join(&mut self) -> io::Result<Sha256> {
        let Some(Writer { full, digesting, writing, .. }) = self.writer.take() else { return Ok(Sha256::new()) };
        drop(full);
        let digest = digesting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(digest)
    }
}

impl Writer {
    fn start(file: File) -> Self {
        let (full, to_digest) = sync_channel::<(Block, u64)>(WAITING);
        let (digested, to_write) = sync_channel::<(Block, u64)>(WAITING);
        let (give_back, empty) = sync_channel(2 * WAITING + 3);
        let digesting = std::thread::spawn(move || {
            let mut digest = Sha256::new();
            for (block, position) in to_digest {
                digest.update(block.bytes());
                // Where writing has failed, the other thread tells why.
                if digested.send((block, position)).is_err() {
                    break;
                }
            }
            digest
        });
        let writing = std::thread::spawn(move || write_blocks(&file, to_write, &give_back));
        Writer { full, empty, digesting, writing }
    }
}

fn write_blocks(file: &File, blocks: Receiver<(Block, u64)>, give_back: &SyncSender<Block>) -> io::Result<()> {
    let mut direct = set_direct(file, true).is_ok();
    for (mut block, position) in blocks {
        match file.write_all_at(block.bytes(), position) {
            // Some file systems take the flag and then refuse to write so.
            Err(error) if direct && error.kind() == io::ErrorKind::InvalidInput => {
                direct = false;
                set_direct(file, false)?;
                file.write_all_at(block.bytes(), position)?;
            }
            written => written?,
        }
        block.clear();
        // Nobody takes it back once the producer has ended; then it is dropped.
        let _ = give_back.try_send(block);
    }
    Ok(())
}

fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(fcntl_setfl(file, flags)?)
}

/// Bytes that begin at an address that may be written past the page cache. They may be plaintext: erased on drop.
#[derive(Default)]
struct Block {
    memory: Zeroizing<Vec<u8>>,
    start: usize,
    len: usize,
}

impl Block {
    /// Takes as much of `bytes` as it has room for, and says how much.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        if self.memory.is_empty() {
            self.memory.resize(BLOCK + ALIGNMENT, 0);
            self.start = self.memory.as_ptr().align_offset(ALIGNMENT);
        }
        let taken = bytes.len().min(BLOCK - self.len);
        let at = self.start + self.len;
        self.memory[at..at + taken].copy_from_slice(&bytes[..taken]);
        self.len += taken;
        taken
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    fn is_full(&self) -> bool {
        self.len == BLOCK
    }

    fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_every_byte_at_its_place() {
        // The system's directory for temporary files, and the project's own: they may differ in what they can do.
        for dir in [std::env::temp_dir(), env!("CARGO_MANIFEST_DIR").into(), "/dev/shm".into()] {
            for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 4097] {
                let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
                let named = tempfile::NamedTempFile::new_in(&dir).unwrap();
                let mut file = NewFile::new(named.reopen().unwrap());
                bytes.chunks(70_001).for_each(|chunk| file.write(chunk).unwrap());
                assert_eq!(file.finish().unwrap(), Sha256::of(&bytes));
                assert!(std::fs::read(named.path()).unwrap() == bytes, "{len} bytes in {}", dir.display());
            }
        }
    }

    #[test]
    fn reports_a_full_disk() {
        let mut file = NewFile::new(File::options().write(true).open("/dev/full").unwrap());
        let written = file.write(&vec![1; 8 * BLOCK]).and_then(|()| file.finish());
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
