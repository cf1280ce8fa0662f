use std::io::Write;
use std::path::Path;

use super::disk::{DirectorySink, Fidelity};
use super::document::Image;
use super::open::open_image;
use super::overlay::PathFilter;
use super::tarball::TarSink;
use super::tree::{Node, NodeKind, Tree};
use super::view::View;
use super::write_tree::{write_contents, write_tree};
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::path::shown;
use crate::store::fs::{StagedDir, StagedFile};
use crate::store::{Audience, Context, Reference};
use crate::text::Printable;

/// A request to extract a path from an image.
#[non_exhaustive]
pub struct ExtractRequest<'a> {
    /// The image; it need not be a train.
    pub source: &'a Reference,
    /// The path in the image, as in `/opt/pht_train/query.json`.
    pub path: &'a str,
    /// The output.
    pub to: ExtractTo<'a>,
}

impl<'a> ExtractRequest<'a> {
    /// What is at a path in an image.
    pub fn new(source: &'a Reference, path: &'a str, to: ExtractTo<'a>) -> Self {
        ExtractRequest { source, path, to }
    }
}

/// The output of an extraction.
#[non_exhaustive]
pub enum ExtractTo<'a> {
    /// A new file, or for a directory a new or an empty directory.
    Path(&'a Path),
    /// A stream: of a file the contents, of a directory a tar archive.
    Stream(&'a mut dyn Write),
}

/// Takes a file or a directory out of the merged image, verified before a byte of it is handed out. What could not be
/// written (device nodes, links that lead out of the directory) is returned by name.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if there is nothing at the path, or nothing that can be extracted;
/// [`Kind::Verification`](crate::error::Kind::Verification) or [`Kind::Malformed`](crate::error::Kind::Malformed) if a
/// layer is not what its descriptor says.
pub fn extract(request: ExtractRequest<'_>, context: &Context) -> Result<Vec<String>> {
    let path = normalise(request.path)?;
    let image = open_image(request.source, context)?;
    let mut view = read(&image, &path, context).at(request.source)?;
    view.verify().at(request.source)?;
    let tree = &view.tree.with_implied_directories();
    let Some(node) = tree.get(&path) else {
        let hint = "give a path in the image, such as /opt/train_config.json";
        return Err(Error::usage("the image has nothing at this path").hint(hint).at(shown(&path)));
    };
    match (&node.kind, request.to) {
        (NodeKind::File { .. } | NodeKind::Link(_), ExtractTo::Stream(out)) => file(tree, node, out),
        (NodeKind::File { .. } | NodeKind::Link(_), ExtractTo::Path(out)) => new_file(tree, node, out),
        (NodeKind::Directory, ExtractTo::Path(out)) => directory(tree, node, out),
        (NodeKind::Directory, ExtractTo::Stream(out)) => {
            // Whoever unpacks it, as root perhaps, gets nothing that a directory would not have.
            let mut tar = TarSink::new(out, &path, &path);
            write_tree(tree, &path, &mut tar)?;
            let (out, left_out) = tar.finish()?;
            out.flush().doing("write the archive")?;
            Ok(left_out)
        }
        (NodeKind::Symlink(target), _) => {
            let hint = format!("its target is {}", Printable::new(target));
            Err(Error::usage("symbolic links are not extracted").hint(hint).at(node.shown()))
        }
        (NodeKind::Fifo | NodeKind::Device(..), _) => {
            Err(Error::usage("neither a file nor a directory").at(node.shown()))
        }
    }
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

/// Reads layers from the top down until the file is found, or nothing below a directory can be seen.
fn read(image: &Image, path: &[u8], context: &Context) -> Result<View> {
    let wanted = PathFilter::new([path]);
    View::read_beyond_links(image, wanted, &context.temporary, |partial| Ok(partial.shows_file(path)))
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
