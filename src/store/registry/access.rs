use std::path::PathBuf;
use std::time::Duration;

use super::credentials::Credentials;
use super::repository::Repository;
use crate::error::{Advice, Error, Result};

pub use crate::error::Side;

/// The access to registries on one side of a command.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Access {
    /// The side, for advice in messages.
    pub side: Side,
    /// The credentials.
    pub credentials: Credentials,
    /// True if certificates are verified. If not, plain HTTP is tried where there is no TLS.
    pub verifies_tls: bool,
    /// A directory with `*.crt` (authorities that are trusted besides the system's) and `*.cert` with `*.key` (ours).
    pub cert_dir: Option<PathBuf>,
    /// The idle timeout of a connection.
    pub timeout: Duration,
    /// No socket may be opened.
    pub offline: bool,
}

impl Access {
    /// Anonymous, over verified TLS.
    pub fn anonymous(side: Side) -> Self {
        Access {
            side,
            credentials: Credentials::Anonymous,
            verifies_tls: true,
            cert_dir: None,
            timeout: Duration::from_secs(60),
            offline: false,
        }
    }

    pub(super) fn ensure_online(&self, repository: &Repository) -> Result<()> {
        if !self.offline {
            return Ok(());
        }
        let error = Error::usage("a registry cannot be reached offline").advise(Advice::GoOnline);
        Err(error.at(format_args!("docker://{repository}")))
    }
}
