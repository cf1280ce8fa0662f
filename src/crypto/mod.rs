//! Keys, signatures, digests and ciphers. Knows no image.
