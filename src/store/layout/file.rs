use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use zeroize::Zeroizing;

use crate::crypto::Sha256;
use crate::store::worker::{Batches, Worker};

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

/// A block and its position in the file.
type Placed = (Block, u64);

/// Two threads, one behind the other: blocks are digested, then written.
struct Writer(Worker<Placed, (Sha256, io::Result<()>)>);

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
        let Some(Writer(worker)) = &self.writer else { return Ok(()) };
        let next = worker.recycled().map(|(block, _)| block).unwrap_or_default();
        let block = std::mem::replace(&mut self.current, next);
        let position = self.position;
        self.position += block.bytes().len() as u64;
        if worker.send((block, position)) {
            return Ok(());
        }
        self.join().and(Err(io::Error::other("the writing thread has ended")))
    }

    /// Waits for the threads; the digest of the blocks.
    fn join(&mut self) -> io::Result<Sha256> {
        match self.writer.take().and_then(|Writer(mut worker)| worker.join()) {
            Some((digest, written)) => written.map(|()| digest),
            None => Ok(Sha256::new()),
        }
    }
}

impl Writer {
    fn start(file: File) -> Self {
        Writer(Worker::spawn(WAITING, |blocks: Batches<Placed>| {
            let mut digest = Sha256::new();
            let mut writing = Worker::spawn(WAITING, move |blocks: Batches<Placed>| write_blocks(&file, &blocks));
            while let Some((block, position)) = blocks.take() {
                digest.update(block.bytes());
                // Where writing has failed, the other thread tells why.
                if !writing.send((block, position)) {
                    break;
                }
                writing.recycled().into_iter().for_each(|block| blocks.give_back(block));
            }
            let written = writing.join().unwrap_or_else(|| Err(io::Error::other("the writing thread has ended")));
            (digest, written)
        }))
    }
}

fn write_blocks(file: &File, blocks: &Batches<Placed>) -> io::Result<()> {
    let mut direct = set_direct(file, true).is_ok();
    while let Some((mut block, position)) = blocks.take() {
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
        blocks.give_back((block, position));
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
