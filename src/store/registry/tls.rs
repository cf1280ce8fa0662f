//! Where TLS has its cryptography from: AWS-LC; Graviola, which takes no C compiler; or what the process has installed.

use crate::error::Result;

/// Sees to it that TLS has a provider of cryptography. One that this process has installed stays.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if this build has none, or none that this processor can run.
#[cfg(feature = "aws-lc")]
pub(super) fn provide() -> Result<()> {
    // `reqwest` falls back on AWS-LC itself.
    Ok(())
}

#[cfg(not(feature = "aws-lc"))]
pub(super) fn provide() -> Result<()> {
    if rustls::crypto::CryptoProvider::get_default().is_some() { Ok(()) } else { install() }
}

#[cfg(all(feature = "graviola", not(feature = "aws-lc")))]
fn install() -> Result<()> {
    if !is_supported() {
        let hint = "build with the feature `aws-lc`, which takes a C compiler";
        return Err(crate::error::Error::usage("this build has no TLS for a processor as old as this one").hint(hint));
    }
    // If another thread was faster, there is one.
    let _ = rustls_graviola::default_provider().install_default();
    Ok(())
}

#[cfg(not(any(feature = "graviola", feature = "aws-lc")))]
fn install() -> Result<()> {
    let hint = "build with the feature `aws-lc` or `graviola`, or install a provider of cryptography for rustls";
    Err(crate::error::Error::usage("this build has no TLS").hint(hint))
}

/// What Graviola demands of a processor, and panics without.
#[cfg(all(feature = "graviola", not(feature = "aws-lc")))]
fn is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes")
        && std::arch::is_x86_feature_detected!("pclmulqdq")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("adx")
        && std::arch::is_x86_feature_detected!("avx")
        && std::arch::is_x86_feature_detected!("avx2");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("neon")
        && std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull")
        && std::arch::is_aarch64_feature_detected!("sha2");
}
