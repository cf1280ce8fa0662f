//! The files of `--src-cert-dir` and its like (containers-certs.d(5)).

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Identity};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorContext, IoContext, Result};

/// The authorities that are trusted besides the system's: `*.crt`, in PEM or DER.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if a file holds anything else, so that it is not found out only when the
/// registry is not trusted.
pub(super) fn authorities(dir: &Path) -> Result<Vec<Certificate>> {
    let mut all = Vec::new();
    for path in files_ending(dir, "crt")? {
        let bytes = fs::read(&path).doing("read the certificate").at(path.display())?;
        for certificate in read_authorities(&bytes).at(path.display())? {
            let wrong = |_| Error::usage("not a certificate").at(path.display());
            all.push(Certificate::from_der(&certificate).map_err(wrong)?);
        }
    }
    Ok(all)
}

fn read_authorities(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = || Error::usage("not a certificate in PEM or DER");
    let mut certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(|_| wrong())?;
    if certificates.is_empty() {
        certificates.push(CertificateDer::from(bytes.to_vec()));
    }
    for certificate in &certificates {
        RootCertStore::empty().add(certificate.clone()).map_err(|_| wrong())?;
    }
    Ok(certificates)
}

/// The certificate that shows who we are: the first `*.cert`, with the `*.key` of the same name.
///
/// # Errors
/// The files cannot be read, or are no such pair.
pub(super) fn own_certificate(dir: &Path) -> Result<Option<Identity>> {
    let Some(path) = files_ending(dir, "cert")?.into_iter().next() else { return Ok(None) };
    let mut pem = Zeroizing::new(fs::read(&path).doing("read the certificate").at(path.display())?);
    let key = path.with_extension("key");
    pem.extend(Zeroizing::new(fs::read(&key).doing("read the private key").at(key.display())?).iter());
    let wrong = |_| Error::usage("not a certificate and its key in PEM").at(path.display());
    Identity::from_pem(&pem).map(Some).map_err(wrong)
}

fn files_ending(dir: &Path, end: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).doing("list the directory of certificates")? {
        let path = entry.doing("list the directory of certificates")?.path();
        if path.extension().is_some_and(|found| found == end) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_named() {
        for bytes in [&b"junk\n"[..], b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(read_authorities(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("hospital.crt"), "junk").unwrap();
        assert!(authorities(dir.path()).unwrap_err().to_string().contains("hospital.crt"));
    }
}
