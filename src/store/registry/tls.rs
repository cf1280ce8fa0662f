//! Where TLS has its arithmetic from: AWS-LC, or Graviola, which takes no C compiler.

use crate::error::Result;

/// Sees to it that TLS has a provider of cryptography. One that this process has chosen before stays.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if this processor is not one that the provider of this build can use.
#[cfg(feature = "aws-lc")]
pub(super) fn provide() -> Result<()> {
    // `reqwest` falls back on AWS-LC itself.
    Ok(())
}

#[cfg(not(feature = "aws-lc"))]
pub(super) fn provide() -> Result<()> {
    use rustls::crypto::CryptoProvider;

    if CryptoProvider::get_default().is_some() {
        return Ok(());
    }
    if !is_supported() {
        let hint = "build with the feature `aws-lc`, which takes a C compiler";
        return Err(crate::error::Error::usage("this build has no TLS for a processor as old as this one").hint(hint));
    }
    // If another thread was faster, there is one.
    let _ = rustls_graviola::default_provider().install_default();
    Ok(())
}

/// What Graviola demands of a processor, and panics without.
#[cfg(not(feature = "aws-lc"))]
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
