use std::io::Write;
use std::path::Path;

use super::disk::{DirectorySink, Fidelity};
use super::document::Image;
use super::open::open_image;
use super::overlay::PathFilter;
use super::tarball::TarSink;
use super::tree::{Node, NodeKind, Tree};
use super::view::{Partial, View};
use super::write_tree::{write_contents, write_tree};
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::path::{is_below, shown};
use crate::store::fs::{StagedDir, StagedFile};
use crate::store::{Audience, Context, Reference};
use crate::tar::{self, EntryKind};
use crate::text::Printable;

/// A request to extract paths from an image.
#[non_exhaustive]
pub struct ExtractRequest<'a> {
    /// The image; it need not be a train.
    pub source: &'a Reference,
    /// The paths in the image, as in `/opt/pht_train/query.json`.
    pub paths: Vec<&'a str>,
    /// The output.
    pub to: ExtractTo<'a>,
}

impl<'a> ExtractRequest<'a> {
    /// What is at a path in an image.
    pub fn new(source: &'a Reference, path: &'a str, to: ExtractTo<'a>) -> Self {
        ExtractRequest { source, paths: vec![path], to }
    }
}

/// The output of an extraction.
#[non_exhaustive]
pub enum ExtractTo<'a> {
    /// A new file, or for a directory a new or an empty directory; for several paths a new tar archive.
    Path(&'a Path),
    /// A stream: of a file the contents, of a directory or of several paths a tar archive.
    Stream(&'a mut dyn Write),
}

/// Takes files and directories out of the merged image, verified before a byte of them is handed out. What could not be
/// written (device nodes, links that lead out of the directory) is returned by name. In an archive of several paths each
/// lies at its own name, as `docker cp` puts it, and they follow each other as they were asked for.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if there is nothing at a path, or nothing that can be extracted, or two
/// paths have one name; [`Kind::Verification`](crate::error::Kind::Verification) or
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if a layer is not what its descriptor says.
pub fn extract(request: ExtractRequest<'_>, context: &Context) -> Result<Vec<String>> {
    let paths = request.paths.iter().map(|path| normalise(path)).collect::<Result<Vec<_>>>()?;
    ensure_names(&paths)?;
    let image = open_image(request.source, context)?;
    let mut view = read(&image, &paths, context).at(request.source)?;
    view.verify().at(request.source)?;
    let tree = &view.tree.with_implied_directories();
    let found = paths.iter().map(|path| find(tree, path)).collect::<Result<Vec<_>>>()?;
    match (&found[..], request.to) {
        ([], _) => Err(Error::usage("no path is given")),
        ([node], to) if node.kind != NodeKind::Directory => match to {
            ExtractTo::Stream(out) => file(tree, node, out),
            ExtractTo::Path(out) => new_file(tree, node, out),
        },
        ([node], ExtractTo::Path(out)) => directory(tree, node, out),
        ([node], ExtractTo::Stream(out)) => {
            // Whoever unpacks it, as root perhaps, gets nothing that a directory would not have.
            let mut tar = TarSink::new(out, &node.path, &node.path);
            write_tree(tree, &node.path, &mut tar)?;
            let (out, left_out) = tar.finish()?;
            out.flush().doing("write the archive")?;
            Ok(left_out)
        }
        (several, ExtractTo::Stream(out)) => archive(tree, several, out),
        (several, ExtractTo::Path(out)) => {
            let out = StagedFile::new(out, PLACE).map_err(choose_another)?;
            let mut filling = out.filling()?;
            let left_out = archive(tree, several, &mut filling)?;
            out.reveal(&filling)?;
            Ok(left_out)
        }
    }
}

/// The file or directory at a path.
fn find<'t>(tree: &'t Tree, path: &[u8]) -> Result<&'t Node> {
    let Some(node) = tree.get(path) else {
        let hint = "give a path in the image, such as /opt/train_config.json";
        return Err(Error::usage("the image has nothing at this path").hint(hint).at(shown(path)));
    };
    match &node.kind {
        NodeKind::File { .. } | NodeKind::Link(_) | NodeKind::Directory => Ok(node),
        NodeKind::Symlink(target) => {
            let hint = format!("its target is {}", Printable::new(target));
            Err(Error::usage("symbolic links are not extracted").hint(hint).at(node.shown()))
        }
        NodeKind::Fifo | NodeKind::Device(..) => Err(Error::usage("neither a file nor a directory").at(node.shown())),
    }
}

/// The last name of a path.
fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

/// In an archive each path lies at its last name.
fn ensure_names(paths: &[Vec<u8>]) -> Result<()> {
    for (position, path) in paths.iter().enumerate() {
        if let Some(other) = paths[..position].iter().find(|other| name_of(other) == name_of(path)) {
            let what =
                format!("{} and {} have one name, and lie beside each other in the archive", shown(other), shown(path));
            return Err(Error::usage(what).hint("extract them one after the other"));
        }
    }
    Ok(())
}

/// Writes paths into one archive. What is no file, directory or link in them is left out, by name.
fn archive(tree: &Tree, nodes: &[&Node], out: &mut dyn Write) -> Result<Vec<String>> {
    let mut tar = tar::Writer::new(out);
    let mut left_out = Vec::new();
    for root in nodes {
        let prefix = root.path.len() - name_of(&root.path).len();
        for node in std::iter::once(*root).chain(&tree.nodes()[tree.below(&root.path)]) {
            let kind = match tree.entry_kind(node) {
                EntryKind::Device { .. } => {
                    left_out.push(format!("{} (a device node)", node.shown()));
                    continue;
                }
                // A link to a name that is not in the archive is a file of its own there.
                EntryKind::HardLink(target) if is_below(&target, &root.path) => {
                    EntryKind::HardLink(target[prefix..].into())
                }
                EntryKind::HardLink(_) => EntryKind::File,
                kind => kind,
            };
            let size = tree.file(node).filter(|_| kind == EntryKind::File).map_or(0, |(size, _)| size);
            tar.header(&node.path[prefix..], &kind, &node.meta, size).at(node.shown())?;
            if kind == EntryKind::File {
                write_contents(tree, node, &mut tar)?;
            }
        }
    }
    tar.finish()?.flush().doing("write the archive")?;
    Ok(left_out)
}

/// What is extracted may be plaintext.
const PLACE: Audience = Audience::Owner { shared: false };

fn choose_another(error: Error) -> Error {
    match error.advice() {
        Some(Advice::ChoosePrivatePlace) => error.hint("choose a path through no link of somebody else's"),
        _ => error,
    }
}

/// The path without `/` and `.`.
fn normalise(path: &str) -> Result<Vec<u8>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() || parts.contains(&"..") {
        let hint = "name a file or a directory below the root, without `..`";
        return Err(Error::usage(format!("`{}` cannot be extracted", Printable::new(path))).hint(hint));
    }
    Ok(parts.join("/").into_bytes())
}

/// Reads layers from the top down until the files are found, or nothing below a directory can be seen.
fn read(image: &Image, paths: &[Vec<u8>], context: &Context) -> Result<View> {
    let wanted = PathFilter::new(paths.iter().map(Vec::as_slice));
    let all = |partial: &Partial<'_>| Ok(paths.iter().all(|path| partial.shows_file(path)));
    View::read_beyond_links(image, wanted, &context.temporary, all)
}

fn file(tree: &Tree, node: &Node, out: &mut dyn Write) -> Result<Vec<String>> {
    write_contents(tree, node, out)?;
    out.flush().doing("write the contents").at(node.shown())?;
    Ok(Vec::new())
}

fn new_file(tree: &Tree, node: &Node, out: &Path) -> Result<Vec<String>> {
    let out = StagedFile::new(out, PLACE).map_err(choose_another)?;
    let mut filling = out.filling()?;
    write_contents(tree, node, &mut filling)?;
    out.reveal(&filling)?;
    Ok(Vec::new())
}

fn directory(tree: &Tree, node: &Node, out: &Path) -> Result<Vec<String>> {
    let out = StagedDir::new(out, PLACE).map_err(choose_another)?;
    let mut sink = DirectorySink::new(out.filling(), &node.path, Fidelity::Personal)?;
    write_tree(tree, &node.path, &mut sink)?;
    let left_out = sink.finish()?;
    out.reveal()?;
    Ok(left_out)
}
