use crate::crypto::Cipher;

/// Wire 3.
pub static V3: Authenticated = Authenticated {
    name: "3",
    cipher: Cipher::Stream,
    eco_systems: &["tue", "padme"],
    statement_text: "pht-oci/3 statement",
    build_text: "pht-oci/3 build",
    stop_text: "pht-oci/3 stop",
    commitment_text: "pht-oci/3 commit",
};

/// An authenticated wire version, as data.
#[derive(Debug)]
pub struct Authenticated {
    pub(super) name: &'static str,
    pub(super) cipher: Cipher,
    pub(super) eco_systems: &'static [&'static str],
    /// The prefixes of signed messages, one for each kind, so that none can stand for another.
    pub(super) statement_text: &'static str,
    pub(super) build_text: &'static str,
    pub(super) stop_text: &'static str,
    /// The HKDF label of key commitments.
    pub(super) commitment_text: &'static str,
}
