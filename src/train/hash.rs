//! The two content hashes of the earlier wire versions, fed in pieces, and the order in which files are walked.

use std::cmp::Ordering;

use crate::crypto::digest::Sha512;
use crate::train::PartyId;

/// The immutable hash of the train security protocol: SHA-512 of the creator's id, the contents of the immutable files
/// in the order of `file_list`, the session id and, last, the query.
#[derive(Clone)]
pub struct ImmutableHasher {
    sha512: Sha512,
}

impl ImmutableHasher {
    /// Begins with the creator's id.
    pub fn new(creator: &PartyId) -> Self {
        let mut sha512 = Sha512::new();
        sha512.update(creator.canonical().as_bytes());
        ImmutableHasher { sha512 }
    }

    /// The next piece of the plaintext of the file whose turn it is; pieces may be cut anywhere.
    pub fn update(&mut self, content: &[u8]) {
        self.sha512.update(content);
    }

    /// The files are complete: takes the session id up. What is fed after this is the query.
    pub fn session(mut self, session_id: &[u8]) -> QueryHasher {
        self.sha512.update(session_id);
        QueryHasher { sha512: self.sha512 }
    }
}

/// The end of an [`ImmutableHasher`]: only the query can follow.
pub struct QueryHasher {
    sha512: Sha512,
}

impl QueryHasher {
    /// The next piece of the query's plaintext.
    pub fn update(&mut self, content: &[u8]) {
        self.sha512.update(content);
    }

    /// The immutable hash.
    pub fn finish(self) -> [u8; 64] {
        self.sha512.finish()
    }
}

/// The result hash of the train security protocol: SHA-512 of the contents of the result files in walk order
/// ([`walk_cmp`]), then the session id.
pub struct ResultHasher {
    sha512: Sha512,
    session_id: Vec<u8>,
}

impl ResultHasher {
    /// Begins; the session id is taken up in the end.
    pub fn new(session_id: &[u8]) -> Self {
        ResultHasher { sha512: Sha512::new(), session_id: session_id.to_vec() }
    }

    /// The next piece of the plaintext of the file whose turn it is; pieces may be cut anywhere.
    pub fn update(&mut self, content: &[u8]) {
        self.sha512.update(content);
    }

    /// The result hash.
    pub fn finish(mut self) -> [u8; 64] {
        self.sha512.update(&self.session_id);
        self.sha512.finish()
    }
}

/// Compares two relative paths by walk order: depth first, the names of each directory in byte order, a directory's
/// content where the directory stands.
pub fn walk_cmp(a: &[u8], b: &[u8]) -> Ordering {
    let slash = |byte: &u8| *byte == b'/';
    a.split(slash).cmp(b.split(slash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hex;

    #[test]
    fn walks_as_docker_does() {
        let walked: [&[u8]; 10] = [
            b".hidden",
            b"A",
            b"a/b/c",
            b"a/b-c",
            b"blob.bin",
            b"sub",
            b"sub/x",
            b"sub-a/y",
            b"sub.txt",
            b"\xc3\xbc name",
        ];
        for (i, a) in walked.iter().enumerate() {
            for (j, b) in walked.iter().enumerate() {
                assert_eq!(walk_cmp(a, b), i.cmp(&j), "{} {}", a.escape_ascii(), b.escape_ascii());
            }
        }
        let mut names: Vec<&[u8]> = vec![b"sub-a/y", b"sub.txt", b"sub/x"];
        names.sort_by(|a, b| walk_cmp(a, b));
        assert_eq!(names, [&b"sub/x"[..], b"sub-a/y", b"sub.txt"]);
    }
}
