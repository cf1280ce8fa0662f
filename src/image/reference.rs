use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::store::layout::Layout;

/// Where an image is, as the user writes it: `oci:DIR[:TAG]`, or a bare path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    transport: Transport,
    tag: Option<String>,
}

/// How images are reached there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// An OCI image layout in a directory.
    Oci(PathBuf),
}

/// The prefixes of transports that other tools know; a path never begins like this by accident.
const FOREIGN: [&str; 6] = ["docker-daemon:", "containers-storage:", "ostree:", "sif:", "tarball:", "docker://"];

impl Reference {
    /// How the image is reached.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The place without the tag, as the user would write it.
    pub fn without_tag(&self) -> String {
        Reference { transport: self.transport.clone(), tag: None }.to_string()
    }

    /// The tag, if one was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(rest) = text.strip_prefix("oci:") {
            return oci(rest);
        }
        if let Some(prefix) = FOREIGN.iter().find(|prefix| text.starts_with(**prefix)) {
            let hint = "copy the image into a layout first: skopeo copy SOURCE oci:DIR:TAG";
            return Err(Error::usage(format!("the transport `{prefix}` is not supported")).hint(hint));
        }
        bare(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            Transport::Oci(dir) => write!(f, "oci:{}", dir.display())?,
        }
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))
    }
}

/// `DIR[:TAG]`; as in skopeo, the path ends at the first colon.
fn oci(text: &str) -> Result<Reference> {
    let (dir, tag) = match text.split_once(':') {
        Some((dir, tag)) => (dir, Some(check_tag(tag)?)),
        None => (text, None),
    };
    if dir.is_empty() {
        return Err(Error::usage(format!("`oci:{text}` names no directory; write oci:DIR[:TAG]")));
    }
    Ok(Reference { transport: Transport::Oci(dir.into()), tag })
}

/// A path as it is, or a path and a tag if the whole is nothing that exists.
fn bare(text: &str) -> Result<Reference> {
    let path = Path::new(text);
    if path.exists() {
        return Ok(Reference { transport: Transport::Oci(path.into()), tag: None });
    }
    match text.rsplit_once(':') {
        Some((dir, tag)) if Layout::is_layout(Path::new(dir)) => {
            Ok(Reference { transport: Transport::Oci(dir.into()), tag: Some(check_tag(tag)?) })
        }
        _ if text.is_empty() => Err(Error::usage("an empty image reference")),
        _ => oci(text),
    }
}

fn check_tag(tag: &str) -> Result<String> {
    let fits = !tag.is_empty() && tag.len() <= 255 && tag.chars().all(|c| c.is_ascii_graphic());
    if fits { Ok(tag.to_owned()) } else { Err(Error::usage(format!("`{}` is not a tag", tag.escape_debug()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_skopeo_reads() {
        for (text, shown) in [
            ("oci:train", "oci:train"),
            ("oci:./train:latest", "oci:./train:latest"),
            ("oci:/a b/train:1-pre", "oci:/a b/train:1-pre"),
            ("not-there-yet", "oci:not-there-yet"),
            ("oci:dir:host/repo:tag", "oci:dir:host/repo:tag"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), shown);
        }
        for text in ["", "oci:", "oci::tag", "oci:dir:", "oci:dir:a b", "docker-daemon:x", "sif:x"] {
            assert_eq!(text.parse::<Reference>().unwrap_err().kind(), crate::error::Kind::Usage, "{text}");
        }
    }
}
