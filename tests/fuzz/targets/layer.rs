//! The entries of a layer have clean paths and survive being written.

#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use pht_oci::error::Result;
use pht_oci::tar::{Decoder, Entry, EntryKind, Reader, Sequential, Writer, normalise};

fn read(layer: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
    let mut reader = Reader::new(Sequential(Decoder::new(layer)?));
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut contents = Vec::new();
        if matches!(entry.kind, EntryKind::File) {
            reader.copy_contents(&mut contents)?;
        }
        found.push((entry, contents));
    }
    Ok(found)
}

/// Nothing finds a checksum by chance: set those of all headers.
fn with_checksums(layer: &[u8]) -> Vec<u8> {
    let mut layer = layer.to_vec();
    for block in layer.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
    layer
}

fuzz_target!(|layer: &[u8]| {
    let Ok(found) = read(&with_checksums(layer)) else { return };
    let mut writer = Writer::new(Vec::new());
    for (entry, contents) in &found {
        assert_eq!(normalise(&entry.path).expect("a clean path"), entry.path);
        assert_eq!(contents.len() as u64, entry.size);
        if writer.header(&entry.path, &entry.kind, &entry.meta, entry.size).is_err() {
            return; // of a kind that cannot be written
        }
        writer.write_all(contents).expect("as much as was announced");
    }
    let again = read(&writer.finish().expect("an archive")).expect("what was written can be read");
    assert_eq!(again.len(), found.len());
    for ((old, contents), (new, same)) in found.iter().zip(&again) {
        assert_eq!((&old.path, &old.kind, contents), (&new.path, &new.kind, same));
        assert_eq!((old.meta.permissions(), old.meta.uid, old.meta.gid), (new.meta.mode, new.meta.uid, new.meta.gid));
    }
});
