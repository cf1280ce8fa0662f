use std::path::Path;

use super::check::{check_config, check_immutable, check_layers, examine_ivs, with_all_layers};
use super::load::{Depth, Train};
use super::locate::open_image;
use super::out_dir::OutDir;
use super::payload::Change;
use super::pre_run::copy_results;
use super::report::{Bytes, Report};
use super::{Demands, World, paths};
use crate::crypto::PrivateKey;
use crate::error::{Context, Error, Result};
use crate::image::{DirectorySink, Fidelity, Reference};
use crate::train::{Check, unwrap_creator_key};

/// What the creator asks for.
pub struct ResultsRequest<'a> {
    /// The train.
    pub source: &'a Reference,
    /// The creator's private key.
    pub key: &'a PrivateKey,
    /// The directory for the results. It must not exist, or be empty.
    pub out: &'a Path,
    /// What the train has to meet.
    pub demands: Demands<'a>,
}

/// Decrypts the results of a train for its creator, into a directory that appears when everything is verified.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) if anything does not hold or there are no results yet,
/// [`Kind::Key`](crate::error::Kind::Key) if the key is not the creator's.
pub fn results(request: &ResultsRequest<'_>, world: &World) -> Result<Report> {
    let out = OutDir::new(request.out)?;
    let image = open_image(request.source, world)?;
    let mut train = Train::load(image, &world.temporary, Depth::Listed(usize::MAX))?;
    let name = train.name();
    let (checks, left_out) =
        with_all_layers(&mut train, &world.temporary, |train| decrypt(train, request, out.filling(), &world.temporary))
            .at(name)?;
    train.view.verify()?;
    out.reveal()?;
    Ok(Report {
        stage: "results",
        wire: train.config.wire().name(),
        source: train.name(),
        destination: request.out.display().to_string(),
        digest_before: Some(train.image.descriptor().digest().to_string()),
        bytes: Bytes { read: train.image.source().bytes_read(), ..Bytes::default() },
        checks,
        warnings: [request.demands.warnings(), left_out.iter().map(|what| format!("left out: {what}")).collect()]
            .concat(),
        ..Report::default()
    })
}

fn decrypt(
    train: &Train,
    request: &ResultsRequest<'_>,
    to: &Path,
    spool_dir: &Path,
) -> Result<(Vec<Check>, Vec<String>)> {
    if train.config.standing()?.last_signed().is_none() {
        let what = "there are no results yet: no station has signed";
        return Err(Error::verification(what).hint("wait until the train has been at its first station"));
    }
    let mut checks = check_config(train, request.demands)?;
    checks.extend(check_layers(train, spool_dir)?);
    checks.extend(examine_ivs(train)?);
    let (wire, stage_key) = (train.config.wire(), unwrap_creator_key(&train.config, request.key)?);
    let change = Change::Decrypt(wire.cipher(), &stage_key);
    if wire.creator_checks_files() {
        checks.extend(check_immutable(train, change)?);
    }
    let mut sink = DirectorySink::new(to, paths::RESULTS, Fidelity::Personal)?;
    checks.extend(copy_results(train, change, &mut sink)?);
    Ok((request.demands.settle(checks)?, sink.finish()?))
}
