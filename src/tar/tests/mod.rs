//! The tar reader and writer against each other, against GNU tar and against hostile archives.

mod gnu;
mod hostile;
mod round;
mod strict;

use std::io::Read;

use super::{Entry, Reader, Sequential};
use crate::error::Result;

/// All entries of an archive, with the contents of files.
fn read_all(archive: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
    let mut reader = Reader::new(Sequential(archive));
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut contents = Vec::new();
        reader.read_to_end(&mut contents).map_err(|error| crate::error::Error::io("read", error))?;
        found.push((entry, contents));
    }
    Ok(found)
}

/// A header with these fields, and a right sum. Numbers stand as they are given.
fn header(name: &[u8], kind: u8, size: &[u8]) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |start: usize, bytes: &[u8]| header[start..start + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, size);
    put(136, b"00000000000\0");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    seal(&mut header);
    header
}

fn seal(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn octal(size: usize) -> Vec<u8> {
    format!("{size:011o}\0").into_bytes()
}

/// An extended header (PAX, global, or a GNU long name) with this payload.
fn extended(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = header(b"extended", kind, &octal(payload.len())).to_vec();
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let len = (rest..).find(|len| *len == rest + len.to_string().len()).unwrap();
    format!("{len} {key}={value}\n").into_bytes()
}
