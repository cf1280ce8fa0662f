//! The two content hashes of the earlier wire versions, fed in pieces, and the order in which files are walked.

use super::party::PartyId;
use crate::crypto::Sha512;

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
/// ([`walk_order`](crate::path::walk_order)), then the session id.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hex;

    /// Expected values are the reference's own, for a session id of the bytes 0 to 63.
    #[test]
    fn hashes_as_the_reference_does() {
        let session_id: Vec<u8> = (0..64).collect();
        let results = |contents: &[&[u8]]| {
            let mut hasher = ResultHasher::new(&session_id);
            contents.iter().for_each(|content| hasher.update(content));
            hex::encode(&hasher.finish())
        };
        assert_eq!(
            results(&[b"hidden\n", b"nested\n", b"sibling\n", b"", b"dotted\n"]),
            "163db829b8d9a6dc9d18e2334f68b8339bc7c68fbde62a800e508fbf6fc526d9\
             24fda4638db2c9db1c692718d81ef641f55dc88657c90d8512a0d66164f92ee9"
        );
        assert_eq!(
            results(&[]),
            "ee4320ebaf3fdb4f2c832b137200c08e235e0fa7bbd0eb1740c7063ba8a0d151\
             da77e003398e1714a955d475b05e3e950b639503b452ec185de4229bc4873949"
        );
        let mut hasher = ImmutableHasher::new(&PartyId::from("007"));
        hasher.update(b"a,b\n");
        hasher.update(b"print(1)\n");
        let mut hasher = hasher.session(&session_id);
        hasher.update(b"{}");
        assert_eq!(
            hex::encode(&hasher.finish()),
            "4b128aacb56a1e4e2a75adc4a6a7d4b4606eb60ea1caffe6233f1a1a80bd2207\
             1d8e9fbc5ab9155178cda70ea7c8072d22c3e601315ca26cb564c981242198f7"
        );
    }
}
