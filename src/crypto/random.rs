//! Random bytes from the operating system.

use crate::error::{Error, Kind, Result};

/// The operating system's generator in the form that the RSA schemes ask for.
pub(crate) use getrandom::SysRng as SystemRandom;

/// Fills `bytes` from the operating system's generator.
///
/// # Errors
/// [`Kind::Io`] if the system gives none.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|cause| Error::new(Kind::Io, "the operating system gives no random bytes").because(cause))
}

/// `N` random bytes; for what is secret, fill a zeroizing buffer instead.
///
/// # Errors
/// As [`fill`].
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>().unwrap(), bytes::<32>().unwrap());
    }
}
