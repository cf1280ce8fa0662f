use std::path::{Path, PathBuf};

use super::checks::ensure_results_kinds;
use super::load::read_config;
use crate::error::{ErrorContext, Result};
use crate::image::{Tarball, Tree};
use crate::path::shown;
use crate::store::{Context, Count, Reference, archive};
use crate::text::some_of;
use crate::train::check::CheckId;
use crate::train::{Check, TrainConfig, paths};

/// The directory of the members of such an archive, in a train.
const ABOVE: &[u8] = paths::OPT;
/// The number of foreign members that a report names.
const MAX_NAMED: usize = 5;

/// The archive that the central service hands out to a creator: `train_config.json` and `pht_results` at its root, as
/// they are in the train, and no image around them.
pub(in crate::stage) struct ResultsArchive {
    path: PathBuf,
    pub(in crate::stage) tree: Tree,
    pub(in crate::stage) config: TrainConfig,
    others: Vec<Box<[u8]>>,
    read: Count,
}

impl ResultsArchive {
    /// Reads what a reference names, if it is such an archive and no image; its content tells.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is one that nobody can unpack in one way only, or whose
    /// config is malformed.
    pub(in crate::stage) fn find(reference: &Reference, context: &Context) -> Result<Option<ResultsArchive>> {
        // A pipe has been read already, to see that it is no image.
        let Some(path) = reference.path().filter(|path| path.is_file() && !reference.is_selective()) else {
            return Ok(None);
        };
        let read = Count::default();
        let contents = archive::to_extent(path, &context.temporary, &read).at(path.display())?;
        let marks = |member: &[u8]| [ABOVE, b"/", member].concat() == paths::CONFIG;
        if !Tarball::has(&contents, marks) {
            return Ok(None);
        }
        let wanted = [paths::CONFIG, paths::RESULTS];
        let Tarball { tree, others } = Tarball::read(contents, ABOVE, wanted, context.max_files).at(path.display())?;
        ensure_results_kinds(&tree).at(path.display())?;
        let document = read_config(&tree).at(path.display())?;
        let config = TrainConfig::parse(&document).at(shown(paths::CONFIG)).at(path.display())?;
        Ok(Some(ResultsArchive { path: path.to_owned(), tree, config, others, read }))
    }

    pub(in crate::stage) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the archive that were read.
    pub(in crate::stage) fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    /// The checks that need an image.
    pub(in crate::stage) fn unchecked(&self) -> Vec<Check> {
        let wire = self.config.wire();
        let mut checks = Vec::new();
        if self.config.form().base().is_some() {
            let reason = "there is no image around the results, so the signatures over its layers were not checked: a \
                          missing result would go unnoticed";
            checks.push(Check::weak(CheckId::Payload, "payload layer", reason));
        }
        if wire.creator_checks_files() {
            let reason = "not in the archive";
            checks.push(Check::weak(CheckId::ImmutableFiles, "immutable files", reason));
        }
        checks
    }

    /// Conditions that the person should know about; nothing failed.
    pub(in crate::stage) fn warnings(&self) -> Vec<String> {
        let others: Vec<String> = self.others.iter().map(|path| shown(path).to_string()).collect();
        let others = some_of(&others, MAX_NAMED);
        others
            .map(|named| format!("not read, being neither the train config nor a result: {named}"))
            .into_iter()
            .collect()
    }
}
