//! Keys, signatures, digests and ciphers. Knows no image.
pub mod digest;
pub mod hex;
