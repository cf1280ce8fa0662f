//! Whether a train is open, as far as can be told without a key: engines and the reference leave no label that says so.

use std::io::Read;

use super::checks::{ensure_immutable, ensure_results, result_files};
use super::load::Train;
use super::payload::Transform;
use crate::error::{ErrorContext, IoContext, Kind, Result};
use crate::path::shown;
use crate::train::{Check, paths};

/// What shows that a train is open.
#[derive(Debug)]
pub(in crate::stage) struct SignOfPlaintext {
    pub(in crate::stage) what: &'static str,
    /// Where it was found, if at one path.
    pub(in crate::stage) place: Option<String>,
}

/// What shows that a train is open: immutable files that hash to what the creator has signed are not encrypted where they
/// should be, nor are results behind a signature that are no ciphertext. Ciphertexts of AES-CBC are known by their lengths
/// alone, so that one open file in sixteen is not told; and before the first signature results may come from the master
/// image.
pub(in crate::stage) fn sign_of_plaintext(train: &Train) -> Result<Option<SignOfPlaintext>> {
    let has_signed = train.config.route_state()?.last_signed().is_some();
    if has_signed && let Some(place) = no_ciphertext(train, paths::RESULTS)? {
        return Ok(Some(place));
    }
    if !train.config.wire().encrypts_train() {
        return Ok(None);
    }
    if holds(ensure_immutable(train, Transform::Keep))? {
        let what = "the files are the ones that the creator signed";
        return Ok(Some(SignOfPlaintext { what, place: None }));
    }
    no_ciphertext(train, paths::TRAIN)
}

/// The same of results that a station has signed and pre-run has decrypted since, whatever their lengths are: all of them
/// are read.
pub(in crate::stage) fn has_signed_results(train: &Train) -> Result<bool> {
    let results = result_files(train.tree(), Transform::Keep)?;
    let has_signed = train.config.route_state()?.last_signed().is_some();
    Ok(has_signed && !results.is_empty() && holds(ensure_results(train, Transform::Keep))?)
}

/// The first file below `root` that is no ciphertext.
fn no_ciphertext(train: &Train, root: &[u8]) -> Result<Option<SignOfPlaintext>> {
    let (tree, cipher) = (train.tree(), train.config.wire().cipher());
    for node in tree.below(root).map(|at| &tree.nodes()[at]) {
        let Some(extent) = tree.extent(node) else { continue };
        let mut start = Vec::with_capacity(4);
        extent.part(0, 4).reader().read_to_end(&mut start).doing("read the file").at(node.shown())?;
        if !cipher.may_have_written(extent.len(), &start) {
            return Ok(Some(SignOfPlaintext {
                what: "a file is not ciphertext",
                place: Some(shown(&node.path).to_string()),
            }));
        }
    }
    Ok(None)
}

/// Whether the checks hold; every error but that they do not stays one.
fn holds(checks: Result<Vec<Check>>) -> Result<bool> {
    match checks {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == Kind::Verification => Ok(false),
        Err(error) => Err(error),
    }
}
