use std::path::{Path, PathBuf};

use super::check::check_results_kinds;
use super::load::read_config;
use super::report::some_of;
use super::{World, paths};
use crate::error::{Context, Result};
use crate::image::{Reference, Tarball, Transport, Tree, shown};
use crate::store::{Count, archive};
use crate::train::check::id;
use crate::train::{Check, Layers, TrainConfig};

/// What the members of such an archive lie in, within a train.
const ABOVE: &[u8] = paths::OPT;
/// How many of the members that are no part of it a report names.
const MAX_NAMED: usize = 5;

/// The archive that the central service hands out to a creator: `train_config.json` and `pht_results` at its root, as
/// they are in the train, and no image around them.
pub(super) struct Handout {
    path: PathBuf,
    pub(super) tree: Tree,
    pub(super) config: TrainConfig,
    others: Vec<Box<[u8]>>,
    read: Count,
}

impl Handout {
    /// Reads what a reference names, if it is such an archive and no image; its content tells.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is one that nobody can unpack in one way only, or whose
    /// config is malformed.
    pub(super) fn find(reference: &Reference, world: &World) -> Result<Option<Handout>> {
        // A pipe has been read already, to see that it is no image.
        let path = match reference.transport() {
            Transport::OciArchive(path) if path.is_file() && reference.tag().is_none() => path,
            _ => return Ok(None),
        };
        let read = Count::default();
        let contents = archive::to_extent(path, &world.temporary, &read).at(path.display())?;
        let marks = |member: &[u8]| [ABOVE, b"/", member].concat() == paths::CONFIG;
        if !Tarball::has(&contents, marks) {
            return Ok(None);
        }
        let wanted = [paths::CONFIG, paths::RESULTS];
        let Tarball { tree, others } = Tarball::read(contents, ABOVE, wanted).at(path.display())?;
        check_results_kinds(&tree).at(path.display())?;
        let document = read_config(&tree).at(path.display())?;
        let config = TrainConfig::parse(&document).at(shown(paths::CONFIG)).at(path.display())?;
        Ok(Some(Handout { path: path.clone(), tree, config, others, read }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the archive that were read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    /// What an image would prove and this cannot.
    pub(super) fn unchecked(&self) -> Vec<Check> {
        let wire = self.config.wire();
        let mut checks = Vec::new();
        if !wire.examine_layers(&self.config, &Layers::default()).is_empty() {
            let reason = "there is no image around the results, so what was signed of its layers was not checked: of a \
                          result that is missing nothing would be noticed";
            checks.push(Check::weak(id::PAYLOAD, "payload layer", reason));
        }
        if wire.creator_checks_files() {
            let reason = "they are not in the archive";
            checks.push(Check::weak(id::IMMUTABLE_FILES, "immutable files", reason));
        }
        checks
    }

    /// What the person has to know besides.
    pub(super) fn warnings(&self) -> Vec<String> {
        let others: Vec<String> = self.others.iter().map(|path| shown(path)).collect();
        let others = some_of(&others, MAX_NAMED);
        others
            .map(|named| format!("neither the train config nor a result, and not read: {named}"))
            .into_iter()
            .collect()
    }
}
