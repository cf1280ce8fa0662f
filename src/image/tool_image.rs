use std::fs::File;
use std::path::Path;

use super::document::Image;
use super::edit::{AddedLayer, Edit, LayerSink, rfc3339};
use super::report::{BytesMoved, ImageReport, LayerCounts};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::json::json;
use crate::store::tag::LATEST;
use crate::store::{Audience, Context, Reference, TagChange, Unreached, open_destination};
use crate::tar::{self, EntryKind, Meta};

/// The path of the program in its image.
const PROGRAM: &str = "usr/bin/pht-oci";
/// The path at which programs look for certificate authorities.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The parts of an image of the program.
#[non_exhaustive]
pub struct ToolImageRequest<'a> {
    /// The destination.
    pub destination: &'a Reference,
    /// The program: a static binary, as there is nothing else in the image.
    pub program: &'a Path,
    /// Certificate authorities (PEM) for registries; without them TLS needs a directory of certificates or plain HTTP.
    pub certificates: Option<&'a Path>,
}

impl<'a> ToolImageRequest<'a> {
    /// This program, without certificate authorities.
    pub fn new(destination: &'a Reference, program: &'a Path) -> Self {
        ToolImageRequest { destination, program, certificates: None }
    }
}

/// Makes a container image of the program: one layer, its entry point the program itself.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if a file is missing or the program is not static; then nothing has
/// changed.
pub fn tool_image(request: &ToolImageRequest<'_>, context: &Context) -> Result<ImageReport> {
    if !cfg!(target_feature = "crt-static") {
        let hint = "build a static binary with scripts/release.sh";
        let what = "this binary is not static, so its image could not run it";
        return Err(Error::usage(what).hint(hint).at(request.program.display()));
    }
    let mut files = vec![(PROGRAM, open(request.program)?, 0o755)];
    if let Some(certificates) = request.certificates {
        files.push((CERTIFICATES, open(certificates)?, 0o644));
    }
    let scratch = Image::scratch(context.platform.as_ref());
    let mut destination = open_destination(request.destination, context, Audience::Anyone)?;
    let layer = write_layer(LayerSink::new(&mut *destination, scratch.format())?, files, context.now)?;
    let label = |name, value: &str| (name, Some(value.to_owned()));
    let edit = Edit {
        added: vec![(layer, "pht-oci tool-image".to_owned())],
        labels: vec![
            label("org.opencontainers.image.title", env!("CARGO_PKG_NAME")),
            label("org.opencontainers.image.description", env!("CARGO_PKG_DESCRIPTION")),
            label("org.opencontainers.image.version", env!("CARGO_PKG_VERSION")),
            label("org.opencontainers.image.licenses", env!("CARGO_PKG_LICENSE")),
        ],
        settings: vec![("Entrypoint", json!([format!("/{PROGRAM}")])), ("Env", json!(["PATH=/usr/bin"]))],
        created: rfc3339(context.now)?,
        ..Edit::default()
    };
    let image = edit.write(&scratch, &mut *destination)?;
    let tag = request.destination.tag().unwrap_or(LATEST);
    let descriptor = Box::new(image.descriptor.clone());
    destination.publish(&[TagChange::Set { tag: tag.to_owned(), descriptor, replaces: None }], Unreached::Keep)?;
    Ok(ImageReport {
        source: request.program.display().to_string(),
        destination: format!("{}:{tag}", destination.name()),
        digest_after: Some(image.descriptor.digest().to_string()),
        layers: LayerCounts { added: edit.added_digests(), ..LayerCounts::default() },
        bytes: BytesMoved { written: destination.bytes_written(), ..BytesMoved::default() },
        ..ImageReport::default()
    })
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| Error::usage(format!("cannot be read: {error}")).at(path.display()))
}

/// The files with the directories above them, and a `/tmp`, all root's.
fn write_layer(sink: LayerSink, files: Vec<(&str, File, u32)>, now: i64) -> Result<AddedLayer> {
    let mut tar = tar::Writer::new(sink);
    let mut directories = vec!["tmp"];
    for (path, ..) in &files {
        directories.extend(path.match_indices('/').map(|(end, _)| &path[..end]));
    }
    directories.sort_unstable();
    directories.dedup();
    for path in directories {
        // Temporary files go there.
        let mode = if path == "tmp" { 0o1777 } else { 0o755 };
        tar.header(path.as_bytes(), &EntryKind::Directory, &Meta::new(mode, now), 0)?;
    }
    for (path, mut file, mode) in files {
        let size = file.metadata().doing("stat the file").at(path)?.len();
        tar.header(path.as_bytes(), &EntryKind::File, &Meta::new(mode, now), size)?;
        std::io::copy(&mut file, &mut tar).doing("write the layer").at(path)?;
    }
    tar.finish()?.finish()
}
