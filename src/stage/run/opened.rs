use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::work_dir::WorkDir;
use crate::engine::{Engine, ProcessSpec};
use crate::error::{ErrorContext, IoContext, Result};
use crate::image::{DirectorySink, Fidelity, Image, Node, PathFilter, View, open_image, write_tree};
use crate::stage::parts::labels::Labels;
use crate::stage::parts::load::read_config;
use crate::stage::parts::results_before::below;
use crate::store::{Context, Reference};
use crate::train::files::QUERY;
use crate::train::{TrainConfig, paths};

/// An opened train as an engine gets it: the base, and the train's own parts as files of this machine.
pub(super) struct Opened {
    /// The base layers, and how they run.
    pub(super) base: Image,
    pub(super) process: ProcessSpec,
    /// The directory with the train's code.
    pub(super) train: PathBuf,
    /// The train config.
    pub(super) config: PathBuf,
    /// The train's id.
    pub(super) id: String,
}

/// True if the engine has kept the base of this train, so that it runs however thin it comes.
///
/// # Errors
/// The image cannot be read.
pub fn keeps_base(source: &Reference, engine: &dyn Engine, context: &Context) -> Result<bool> {
    let image = open_image(source, context)?;
    let layers = Labels::read(&image).base_layers;
    Ok(layers.is_some_and(|layers| engine.keeps(&image.lowest(layers, image.process_config()), context)))
}

impl Opened {
    /// Unpacks what pre-run has published at `opened`, whose base is in `before`, into the work directory.
    pub(super) fn unpack(opened: &Reference, before: &Image, work: &WorkDir, context: &Context) -> Result<Self> {
        let image = open_image(opened, context)?;
        let wanted = PathFilter::new([paths::TRAIN, paths::RESULTS, paths::CONFIG]);
        let mut view = View::read(&image, wanted, &context.temporary, |_| Ok(false))?;
        let (train, config) = (work.join("train"), work.join("train_config.json"));
        let mut sink = DirectorySink::new(&train, paths::TRAIN, Fidelity::Exact)?;
        write_tree(&view.tree, paths::TRAIN, &mut sink)?;
        sink.finish()?;
        let document = read_config(&view.tree)?;
        write_readable(&config, &document)?;
        // Whoever the train runs as has the rights that it has in the image; the directory above stays private.
        give_rights(&train, view.tree.get(paths::TRAIN))?;
        give_rights(&work.join("results"), view.tree.get(paths::RESULTS))?;
        view.verify()?;
        let layers = Labels::read(&image).base_layers.unwrap_or_default();
        let execution = image.process_config();
        let process = ProcessSpec::of(&execution)?;
        let base = image.completed(before)?.lowest(layers, execution);
        Ok(Opened { base, process, train, config, id: TrainConfig::parse(&document)?.id().to_owned() })
    }

    /// The query of the train, if it has one.
    pub(super) fn query(&self) -> Option<PathBuf> {
        Some(self.train.join(QUERY)).filter(|query| query.is_file())
    }
}

/// Gives a directory the owner, where this user may, and the mode that it has in the image.
fn give_rights(path: &Path, node: Option<&Node>) -> Result<()> {
    let owner = node.map(|node| (u32::try_from(node.meta.uid), u32::try_from(node.meta.gid)));
    if let (Some((Ok(uid), Ok(gid))), true) = (owner, rustix::process::geteuid().is_root()) {
        let changed = std::os::unix::fs::lchown(path, Some(uid), Some(gid));
        changed.doing("set the owner of the directory").at(path.display())?;
    }
    let mode = node.map_or(0o755, |node| node.meta.permissions() & 0o1777);
    let changed = rustix::fs::chmod(path, Mode::from_raw_mode(mode)).map_err(io::Error::from);
    changed.doing("set the mode of the directory").at(path.display())
}

/// A file in a private directory that whoever the train runs as can read.
fn write_readable(path: &Path, bytes: &[u8]) -> Result<()> {
    let made = fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    let written = made.and_then(|mut file| io::Write::write_all(&mut file, bytes));
    written.doing("write the file").at(path.display())?;
    let opened = rustix::fs::chmod(path, Mode::from_raw_mode(0o644)).map_err(io::Error::from);
    opened.doing("set the mode of the file").at(path.display())
}

/// True if the files below have more than `limit` bytes.
pub(super) fn exceeds(dir: &Path, limit: u64) -> bool {
    let mut sum = 0_u64;
    below(dir).filter(|(_, found)| !found.is_dir()).any(|(_, found)| {
        sum = sum.saturating_add(found.len());
        sum > limit
    })
}
