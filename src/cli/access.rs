//! Access to registries: options and environment, as skopeo and podman have them.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Args};

use crate::error::{Error, ErrorContext, Result};
use crate::store::registry::{Access, AuthFile, Credentials, Login, Side};

/// Options for registries; SRC and DEST have their own.
#[derive(Args)]
#[command(next_help_heading = "Registries")]
pub(super) struct AccessOptions {
    /// Credentials file; disables the default search
    #[arg(long, global = true, value_name = "FILE", env = "REGISTRY_AUTH_FILE", value_parser = path_or_nothing())]
    authfile: Option<PathBuf>,
    /// Credentials for SRC (and for REF)
    #[arg(long, global = true, value_name = "USER:PASSWORD")]
    src_creds: Option<String>,
    /// Credentials for DEST
    #[arg(long, global = true, value_name = "USER:PASSWORD")]
    dest_creds: Option<String>,
    /// Verify the certificate of SRC's registry; if false, plain HTTP is accepted as well
    #[arg(long, global = true, value_name = "BOOL", action = ArgAction::Set, default_value_t = true)]
    src_tls_verify: bool,
    /// Verify the certificate of DEST's registry; if false, plain HTTP is accepted as well
    #[arg(long, global = true, value_name = "BOOL", action = ArgAction::Set, default_value_t = true)]
    dest_tls_verify: bool,
    /// Certificates for SRC's registry: *.crt for authorities, *.cert and *.key for the client
    #[arg(long, global = true, value_name = "DIR")]
    src_cert_dir: Option<PathBuf>,
    /// Certificates for DEST's registry
    #[arg(long, global = true, value_name = "DIR")]
    dest_cert_dir: Option<PathBuf>,
    /// Use no network
    #[arg(long, global = true)]
    offline: bool,
    /// Idle timeout of registry connections
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60, value_parser = seconds)]
    registry_timeout: u64,
}

impl std::fmt::Debug for AccessOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never print credentials.
        f.debug_struct("AccessOptions").finish_non_exhaustive()
    }
}

impl AccessOptions {
    /// The access to registries on this side.
    pub(super) fn access(&self, side: Side) -> Result<Access> {
        let (creds, option, verifies_tls, cert_dir) = match side {
            Side::Source => (&self.src_creds, "--src-creds", self.src_tls_verify, &self.src_cert_dir),
            Side::Destination => (&self.dest_creds, "--dest-creds", self.dest_tls_verify, &self.dest_cert_dir),
        };
        let credentials = match creds {
            Some(creds) => Credentials::Given(Login::parse(creds).at(option)?),
            None => Credentials::Files(self.files()),
        };
        if let Some(dir) = cert_dir.as_ref().filter(|dir| !dir.is_dir()) {
            return Err(Error::usage("there is no such directory").at(dir.display()));
        }
        let timeout = Duration::from_secs(self.registry_timeout);
        let access = Access::anonymous(side);
        Ok(Access { credentials, verifies_tls, cert_dir: cert_dir.clone(), timeout, offline: self.offline, ..access })
    }

    /// The files with logins in the order of containers-auth.json(5), or the one that was named.
    fn files(&self) -> Vec<AuthFile> {
        if let Some(path) = self.authfile.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            return vec![AuthFile::required(path)];
        }
        let directory = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = directory("HOME");
        let config = directory("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
        let docker = directory("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker")));
        let containers = [directory("XDG_RUNTIME_DIR"), config].into_iter().flatten();
        let paths =
            containers.map(|dir| dir.join("containers/auth.json")).chain(docker.map(|dir| dir.join("config.json")));
        paths.map(AuthFile::optional).collect()
    }
}

fn seconds(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (1..=86_400).contains(number));
    number.ok_or_else(|| "not a number of seconds from 1 to 86400".to_owned())
}

/// An empty variable counts as one that is not set.
fn path_or_nothing() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}
