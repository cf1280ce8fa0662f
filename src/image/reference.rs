use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use oci_spec::image::Digest;

use crate::error::{Error, Result};
use crate::store::archive::Form;
use crate::store::dir::Dir;
use crate::store::layout::Layout;
use crate::store::registry::Repository;

/// Where an image is, as the user writes it: a transport with a place, and a tag or a digest there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    transport: Transport,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// How images are reached there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// `oci:DIR`: an OCI image layout in a directory.
    Oci(PathBuf),
    /// `oci-archive:FILE`: an OCI image layout in a tar file.
    OciArchive(PathBuf),
    /// `docker-archive:FILE`: what `docker save` writes.
    DockerArchive(PathBuf),
    /// `dir:DIR`: one image, a manifest and its blobs beside one another, as skopeo writes it.
    Dir(PathBuf),
    /// `docker://HOST/REPO`: a repository in a registry.
    Registry(Repository),
}

/// The prefixes of transports that other tools know; a path never begins like this by accident.
const FOREIGN: [&str; 5] = ["docker-daemon:", "containers-storage:", "ostree:", "sif:", "tarball:"];

impl Reference {
    /// How the image is reached.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The place without tag and digest, as the user would write it.
    pub fn without_tag(&self) -> String {
        Reference { transport: self.transport.clone(), tag: None, digest: None }.to_string()
    }

    /// The tag, if one was given. In a Docker archive it is the image's whole name.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The manifest's digest, if one was given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The file or directory that it is in; none in a registry.
    pub fn path(&self) -> Option<&Path> {
        match &self.transport {
            Transport::Oci(path)
            | Transport::OciArchive(path)
            | Transport::DockerArchive(path)
            | Transport::Dir(path) => Some(path),
            Transport::Registry(_) => None,
        }
    }

    /// Whether a text begins with the prefix of a transport that reads local files.
    pub fn is_local(text: &str) -> bool {
        ["oci:", "oci-archive:", "docker-archive:", "dir:"]
            .iter()
            .chain(&FOREIGN)
            .any(|prefix| text.starts_with(prefix))
    }

    /// The image with this tag, or the only one there.
    pub fn new(transport: Transport, tag: Option<String>) -> Self {
        Reference { transport, tag, digest: None }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(rest) = text.strip_prefix("docker://") {
            return in_registry(rest);
        }
        if let Some(prefix) = FOREIGN.iter().find(|prefix| text.starts_with(**prefix)) {
            let hint = "copy the image into a layout first: skopeo copy SOURCE oci:DIR:TAG";
            return Err(Error::usage(format!("the transport `{prefix}` is not supported")).hint(hint));
        }
        match text.split_once(':') {
            Some(("oci", rest)) => in_path(rest, "oci:DIR[:TAG]", Transport::Oci),
            Some(("oci-archive", rest)) => in_path(rest, "oci-archive:FILE[:TAG]", Transport::OciArchive),
            Some(("docker-archive", rest)) => in_path(rest, "docker-archive:FILE[:NAME]", Transport::DockerArchive),
            Some(("dir", rest)) if !rest.is_empty() => Ok(Self::new(Transport::Dir(rest.into()), None)),
            _ => bare(text),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            Transport::Oci(dir) => write!(f, "oci:{}", dir.display())?,
            Transport::OciArchive(file) => write!(f, "oci-archive:{}", file.display())?,
            Transport::DockerArchive(file) => write!(f, "docker-archive:{}", file.display())?,
            Transport::Dir(dir) => write!(f, "dir:{}", dir.display())?,
            Transport::Registry(repository) => write!(f, "docker://{repository}")?,
        }
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// `PATH[:TAG]`; as in skopeo, the path ends at the first colon.
fn in_path(text: &str, form: &str, transport: fn(PathBuf) -> Transport) -> Result<Reference> {
    let (path, tag) = match text.split_once(':') {
        Some((path, tag)) => (path, Some(check_tag(tag)?)),
        None => (text, None),
    };
    if path.is_empty() {
        return Err(Error::usage(format!("`{}` names no place; write {form}", text.escape_debug())));
    }
    Ok(Reference::new(transport(path.into()), tag))
}

/// `HOST/REPO[:TAG|@DIGEST]`.
fn in_registry(text: &str) -> Result<Reference> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    // A colon in front of a slash is that of a port.
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(check_registry_tag(tag)?)),
        _ => (name, None),
    };
    let digest = digest.map(str::parse::<Digest>).transpose();
    let digest = digest.map_err(|_| Error::usage(format!("`{}` does not end in a digest", text.escape_debug())))?;
    if tag.is_some() && digest.is_some() {
        return Err(Error::usage("a tag and a digest at once").hint("leave the tag out").at(text.escape_debug()));
    }
    Ok(Reference { transport: Transport::Registry(repository.parse()?), tag, digest })
}

/// A path as it is, or a path and a tag if the whole is nothing that exists. What the path is, its content tells.
fn bare(text: &str) -> Result<Reference> {
    let path = Path::new(text);
    if path.exists() {
        return Ok(Reference::new(kind_of(path), None));
    }
    let cut = text.match_indices(':').map(|(at, _)| text.split_at(at)).find(|(path, _)| Path::new(path).exists());
    match cut {
        Some((path, tag)) => Ok(Reference::new(kind_of(Path::new(path)), Some(check_tag(&tag[1..])?))),
        _ if text.is_empty() => Err(Error::usage("an empty image reference")),
        _ => in_path(text, "oci:DIR[:TAG]", Transport::Oci),
    }
}

/// What lies at a path.
fn kind_of(path: &Path) -> Transport {
    if !path.is_dir() {
        return match Form::of(path) {
            Form::Oci => Transport::OciArchive(path.into()),
            Form::Docker => Transport::DockerArchive(path.into()),
        };
    }
    if !Layout::is_layout(path) && Dir::is_dir(path) {
        Transport::Dir(path.into())
    } else {
        Transport::Oci(path.into())
    }
}

fn check_tag(tag: &str) -> Result<String> {
    let fits = !tag.is_empty() && tag.len() <= 255 && tag.chars().all(|c| c.is_ascii_graphic());
    if fits { Ok(tag.to_owned()) } else { Err(not_a_tag(tag)) }
}

/// OCI distribution specification: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
fn check_registry_tag(tag: &str) -> Result<String> {
    let starts = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let fits = tag.len() <= 128 && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if starts && fits { Ok(tag.to_owned()) } else { Err(not_a_tag(tag)) }
}

fn not_a_tag(tag: &str) -> Error {
    Error::usage(format!("`{}` is not a tag", tag.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_skopeo_reads() {
        let digest = format!("docker://host:5000/a/b@sha256:{}", "0".repeat(64));
        for (text, shown) in [
            ("oci:train", "oci:train"),
            ("oci:./train:latest", "oci:./train:latest"),
            ("oci:/a b/train:1-pre", "oci:/a b/train:1-pre"),
            ("not-there-yet", "oci:not-there-yet"),
            ("oci:dir:host/repo:tag", "oci:dir:host/repo:tag"),
            ("oci-archive:train.tar:latest", "oci-archive:train.tar:latest"),
            ("docker-archive:train.tar:host/repo:tag", "docker-archive:train.tar:host/repo:tag"),
            ("dir:a:b", "dir:a:b"),
            ("docker://alpine", "docker://docker.io/library/alpine"),
            ("docker://me/train:1", "docker://docker.io/me/train:1"),
            ("docker://localhost/train", "docker://localhost/train"),
            ("docker://[::1]:5000/a__b/c-d:v1.0", "docker://[::1]:5000/a__b/c-d:v1.0"),
            (&digest, &digest),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), shown);
        }
        let none = [
            "",
            "oci:",
            "oci::tag",
            "oci:dir:",
            "oci:dir:a b",
            "docker-daemon:x",
            "sif:x",
            "oci-archive:",
            "docker://",
            "docker://host:5000/Upper",
            "docker://host:5000/a//b",
            "docker://host:99999/a",
            "docker://host.x/a:b c",
            "docker://h.x/a@sha256:1",
            "docker://h.x/../a",
            "docker://h.x/a:b@sha256:0",
            "docker://user@h.x/a",
        ];
        for text in none {
            assert_eq!(text.parse::<Reference>().unwrap_err().kind(), crate::error::Kind::Usage, "{text}");
        }
    }
}
