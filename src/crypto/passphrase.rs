use zeroize::Zeroizing;

use crate::error::Error;

/// The passphrase of a private key file; erased from memory on drop.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// The passphrase of exactly these bytes: whoever reads it from a file takes the line's end off first.
    pub fn new(bytes: Vec<u8>) -> Self {
        Passphrase(Zeroizing::new(bytes))
    }

    /// True for the empty passphrase.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The error of a passphrase that does not open the key.
pub(super) fn wrong_passphrase() -> Error {
    Error::key("the passphrase is wrong, or the private key file is damaged")
}
