use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::parts::base_contents::BaseVerifier;
use super::parts::checks::{
    collect_config, collect_ivs, ensure_config, ensure_image, ensure_immutable, with_all_layers,
};
use super::parts::homomorphic::HomomorphicSink;
use super::parts::listing::files;
use super::parts::load::{Depth, Train};
use super::parts::payload::Transform;
use super::parts::report::{Report, ResultFile};
use super::parts::request::VerificationPolicy;
use super::parts::results_archive::ResultsArchive;
use super::pre_run::copy_results;
use crate::crypto::paillier::{PaillierKey, PaillierSecret};
use crate::crypto::{PrivateKey, StageKey};
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::image::{
    BytesMoved, DirectorySink, EntrySink, Fidelity, Image, ImageReport, Node, NodeKind, TarSink, Tree, VerifiedLayers,
    open_image,
};
use crate::store::fs::{StagedDir, StagedFile};
use crate::store::{Audience, Context, Reference};
use crate::tar::EntryKind;
use crate::text::{counted, some_of};
use crate::train::{Check, TrainConfig, paillier, paths, unwrap_creator_key};

/// The directory of the results in an archive: its name in the train.
const ARCHIVE_ROOT: &[u8] = b"pht_results";

/// The stations that a report names.
const NAMED: usize = 10;

/// The results are plaintext.
const PLACE: Audience = Audience::Owner { shared: false };

fn choose_another(error: Error) -> Error {
    match error.advice() {
        Some(Advice::ChoosePrivatePlace) => error.hint("choose a path through no link of somebody else's"),
        _ => error,
    }
}

/// A request for the results.
#[non_exhaustive]
pub struct ResultsRequest<'a> {
    /// The train, or what the central service hands out of it.
    pub source: &'a Reference,
    /// The creator's private key.
    pub key: &'a PrivateKey,
    /// The output.
    pub to: ResultsTo<'a>,
    /// The creator's Paillier private key, to decrypt what stations have computed under it: files with `.he.json` in
    /// their name come out with plain numbers in place of the encrypted ones.
    pub paillier: Option<&'a PaillierSecret>,
    /// The policy that the train has to meet.
    pub policy: VerificationPolicy<'a>,
}

impl<'a> ResultsRequest<'a> {
    /// The results as the stations have left them, with nothing demanded beyond what the wire version does.
    pub fn new(source: &'a Reference, key: &'a PrivateKey, to: ResultsTo<'a>) -> Self {
        ResultsRequest { source, key, to, paillier: None, policy: VerificationPolicy::default() }
    }
}

/// The output for the creator's results.
#[non_exhaustive]
pub enum ResultsTo<'a> {
    /// A directory, which must not exist, or be empty.
    Directory(&'a Path),
    /// A tar archive in a file, which must not exist.
    Archive(&'a Path),
    /// A tar archive in a stream. Nothing is written before everything is verified, so the results are decrypted twice.
    Stream(&'a mut dyn Write),
}

/// Decrypts the results of a train for its creator. Directory or file appear when everything is verified.
///
/// The source may also be the archive that the central service hands out to creators, `train_config.json` and
/// `pht_results` without an image around them; what only an image proves is a weak check then.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) if anything does not hold or there are no results yet,
/// [`Kind::Key`](crate::error::Kind::Key) if the key is not the creator's.
pub fn results(request: ResultsRequest<'_>, context: &Context) -> Result<Report> {
    let destination = request.to.to_string();
    let mut out = Out::new(request.to)?;
    let terms = Terms { key: request.key, paillier: request.paillier, policy: request.policy };
    let mut report = match open_image(request.source, context) {
        Ok(image) => of_image(image, terms, &mut out, context)?,
        Err(fault) => match ResultsArchive::find(request.source, context)? {
            Some(archive) => of_archive(&archive, terms, &mut out)?,
            None => return Err(fault),
        },
    };
    report.image.destination = destination;
    Ok(Report { stage: "results", ..report })
}

/// The results of a request, from an image or an archive.
#[derive(Clone, Copy)]
struct Terms<'a> {
    key: &'a PrivateKey,
    paillier: Option<&'a PaillierSecret>,
    policy: VerificationPolicy<'a>,
}

fn of_image(image: Image, terms: Terms<'_>, out: &mut Out<'_>, context: &Context) -> Result<Report> {
    let mut train = Train::load(image, &context.temporary, Depth::ListedFiles(usize::MAX))?;
    let (name, spool) = (train.name(), &context.temporary);
    terms.policy.ensure_wire(&train.config).map_err(|fault| train.view.damage_or(fault.at(&name)))?;
    let own = VerifiedLayers::in_memory();
    let memory = terms.policy.memory.unwrap_or(&own);
    let decrypted = with_all_layers(&mut train, spool, |train| {
        ensure_has_results(&train.config)?;
        let mut checks = ensure_config(train, terms.policy)?;
        checks.extend(ensure_image(train, &mut BaseVerifier::new(memory))?);
        checks.extend(collect_ivs(&train.config, train.tree())?);
        let results = Results::open(&train.config, train.tree(), terms)?;
        if train.config.wire().creator_checks_files() {
            checks.extend(ensure_immutable(train, results.change())?);
        }
        let (of_results, left_out) = out.fill(&results)?;
        checks.extend(of_results);
        Ok((results.key, terms.policy.enforce(checks)?, left_out))
    });
    let (key, checks, left_out) = decrypted.at(name)?;
    train.view.verify()?;
    let results = Results::with(&train.config, train.tree(), key, terms.paillier)?;
    out.reveal(&results)?;
    let notes = [to_come(&train.config), results.named()?].concat();
    let image = ImageReport {
        source: train.name(),
        digest_before: Some(train.image.descriptor().digest().to_string()),
        bytes: BytesMoved { read: train.image.source().bytes_read(), ..BytesMoved::default() },
        ..ImageReport::default()
    };
    Ok(Report {
        wire: Some(train.config.wire().name()),
        image,
        checks,
        warnings: [terms.policy.warnings_of_others(), message(&left_out), none_at_all(train.tree())].concat(),
        notes,
        ..Report::default()
    })
}

fn of_archive(archive: &ResultsArchive, terms: Terms<'_>, out: &mut Out<'_>) -> Result<Report> {
    let source = archive.path().display().to_string();
    let (checks, left_out) = decrypt_archive(archive, terms, out).at(&source)?;
    Ok(Report {
        wire: Some(archive.config.wire().name()),
        image: ImageReport {
            source,
            bytes: BytesMoved { read: archive.bytes_read(), ..BytesMoved::default() },
            ..ImageReport::default()
        },
        checks,
        warnings: [terms.policy.warnings_of_others(), archive.warnings(), message(&left_out)].concat(),
        notes: to_come(&archive.config),
        ..Report::default()
    })
}

fn decrypt_archive(archive: &ResultsArchive, terms: Terms<'_>, out: &mut Out<'_>) -> Result<(Vec<Check>, Vec<String>)> {
    let (config, tree) = (&archive.config, &archive.tree);
    ensure_has_results(config)?;
    let mut checks = terms.policy.enforce(collect_config(config, terms.policy))?;
    checks.extend(archive.unchecked());
    checks.extend(collect_ivs(config, tree)?);
    let results = Results::open(config, tree, terms)?;
    let (of_results, left_out) = out.fill(&results)?;
    checks.extend(of_results);
    let checks = terms.policy.enforce(checks)?;
    out.reveal(&results)?;
    Ok((checks, left_out))
}

/// What is to be said where no station has left anything.
fn none_at_all(tree: &Tree) -> Vec<String> {
    let has_any = files(tree, paths::RESULTS).next().is_some();
    if has_any { Vec::new() } else { vec!["there are no results: no station has left any".to_owned()] }
}

/// Who has not signed yet: what these stations will compute is not among the results.
fn to_come(config: &TrainConfig) -> Vec<String> {
    let stops = config.route().stops();
    let open: Vec<String> =
        stops.iter().filter(|stop| stop.signature.is_none()).map(|stop| stop.station.to_string()).collect();
    let signed = stops.len() - open.len();
    let told = |names| format!("{signed} of {} stations have signed; still to come: {names}", stops.len());
    some_of(&open, NAMED).map(told).into_iter().collect()
}

fn message(left_out: &[String]) -> Vec<String> {
    left_out.iter().map(|what| format!("left out: {what}")).collect()
}

fn ensure_has_results(config: &TrainConfig) -> Result<()> {
    if config.route_state()?.last_signed().is_none() {
        let what = "there are no results yet: no station has signed";
        return Err(Error::verification(what).hint("wait until the first station has run the train"));
    }
    Ok(())
}

/// The results of a train, and the keys that open them.
struct Results<'a> {
    config: &'a TrainConfig,
    tree: &'a Tree,
    key: StageKey,
    paillier: Option<PaillierKey<'a>>,
}

impl<'a> Results<'a> {
    fn open(config: &'a TrainConfig, tree: &'a Tree, terms: Terms<'a>) -> Result<Self> {
        Self::with(config, tree, unwrap_creator_key(config, terms.key)?, terms.paillier)
    }

    fn with(
        config: &'a TrainConfig,
        tree: &'a Tree,
        key: StageKey,
        paillier: Option<&'a PaillierSecret>,
    ) -> Result<Self> {
        let paillier = paillier.map(|secret| PaillierKey::new(&paillier::public_key(config)?, secret)).transpose()?;
        Ok(Results { config, tree, key, paillier })
    }

    fn change(&self) -> Transform<'_> {
        Transform::Decrypt(self.config.wire().cipher(), &self.key)
    }

    /// Their names, with the sizes that they have in plaintext.
    fn named(&self) -> Result<Vec<String>> {
        let nodes = self.tree.below(paths::RESULTS).map(|at| &self.tree.nodes()[at]);
        let nodes: Vec<&Node> = nodes.filter(|node| matches!(node.kind, NodeKind::File { .. })).collect();
        let named = files(self.tree, paths::RESULTS).zip(&nodes).take(NAMED);
        let named = named.map(|(file, node)| {
            let size = self.change().plaintext_len(self.tree, node)?;
            Ok(ResultFile { size, ..file }.to_string())
        });
        let mut named: Vec<String> = named.collect::<Result<_>>()?;
        named.resize(nodes.len(), String::new());
        let told = |names| format!("{}: {names}", counted(nodes.len() as u64, "result"));
        Ok(some_of(&named, NAMED).map(told).into_iter().collect())
    }

    /// Decrypts them into `sink` and checks them against what the last station signed.
    fn write(&self, sink: &mut dyn EntrySink) -> Result<Vec<Check>> {
        match &self.paillier {
            None => copy_results(self.config, self.tree, self.change(), sink),
            Some(key) => copy_results(self.config, self.tree, self.change(), &mut HomomorphicSink::new(sink, key)),
        }
    }

    fn write_tar<W: Write>(&self, out: W) -> Result<(W, Vec<Check>, Vec<String>)> {
        let mut sink = TarSink::new(out, paths::RESULTS, ARCHIVE_ROOT);
        if let Some(node) = self.tree.get(paths::RESULTS) {
            sink.entry(&node.path, &EntryKind::Directory, &node.meta, 0)?;
        }
        let checks = self.write(&mut sink)?;
        let (out, left_out) = sink.finish()?;
        Ok((out, checks, left_out))
    }
}

impl std::fmt::Display for ResultsTo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ResultsTo::Directory(path) | ResultsTo::Archive(path) => path.display().fmt(f),
            ResultsTo::Stream(_) => f.write_str("-"),
        }
    }
}

/// The hidden output, until the results may appear.
enum Out<'a> {
    Directory(StagedDir<'a>),
    Archive(StagedFile<'a>, Option<File>),
    Stream(&'a mut dyn Write),
}

impl<'a> Out<'a> {
    fn new(to: ResultsTo<'a>) -> Result<Self> {
        Ok(match to {
            ResultsTo::Directory(path) => Out::Directory(StagedDir::new(path, PLACE).map_err(choose_another)?),
            ResultsTo::Archive(path) => Out::Archive(StagedFile::new(path, PLACE).map_err(choose_another)?, None),
            ResultsTo::Stream(stream) => Out::Stream(stream),
        })
    }

    /// Writes the results to where nobody sees them yet: the checks, and what was left out. It can be done again.
    fn fill(&mut self, results: &Results<'_>) -> Result<(Vec<Check>, Vec<String>)> {
        match self {
            Out::Directory(dir) => {
                let mut sink = DirectorySink::new(dir.filling(), paths::RESULTS, Fidelity::Personal)?;
                let checks = results.write(&mut sink)?;
                Ok((checks, sink.finish()?))
            }
            Out::Archive(file, filled) => {
                let (out, checks, left_out) = results.write_tar(BufWriter::new(file.filling()?))?;
                let out = out.into_inner().map_err(io::IntoInnerError::into_error);
                *filled = Some(out.doing("write the archive")?);
                Ok((checks, left_out))
            }
            Out::Stream(_) => {
                let (_, checks, left_out) = results.write_tar(io::sink())?;
                Ok((checks, left_out))
            }
        }
    }

    /// Moves the results into place, after [`fill`](Self::fill) and every other check.
    fn reveal(&mut self, results: &Results<'_>) -> Result<()> {
        match self {
            Out::Directory(dir) => dir.reveal(),
            Out::Archive(file, Some(filled)) => file.reveal(filled),
            Out::Archive(_, None) => Ok(()),
            Out::Stream(stream) => results.write_tar(stream)?.0.flush().doing("write the archive"),
        }
    }
}
