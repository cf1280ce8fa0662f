//! The table of transports, and how a person names an image of any of them.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use super::layout::LayoutLocation;
use super::reference::{Location, Reference, Transport, cut_digest, parse_local};
use crate::error::{Error, Result};
use crate::store::{archive, dir, layout, registry};

/// Every transport. To add one: a file or folder beside this one with its [`Location`], and a line here.
pub static TRANSPORTS: &[&Transport] =
    &[&dir::TRANSPORT, &layout::TRANSPORT, &archive::DOCKER_TRANSPORT, &archive::OCI_TRANSPORT, &registry::TRANSPORT];

/// The prefixes of transports that other tools know; a path never begins like this by accident.
const FOREIGN: [&str; 5] = ["docker-daemon:", "containers-storage:", "ostree:", "sif:", "tarball:"];

impl Reference {
    /// Reads a reference as a person writes it: what a path without a prefix is, the file system tells. A path as it
    /// is, or a path and a tag if the whole is nothing that exists; `HOST[:PORT]/REPO` is a registry where no such path
    /// exists.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if the text names no place.
    pub fn locate(text: &str) -> Result<Self> {
        if transport_of(text).is_some() {
            return text.parse();
        }
        if text == "-" {
            let hint = "for a directory of this name write ./-";
            return Err(
                Error::usage("images are neither read from standard input nor written to standard output").hint(hint)
            );
        }
        let path = Path::new(text);
        if path.exists() {
            return Ok(Self::new(location_at(path), None));
        }
        let (rest, digest) = cut_digest(text)?;
        let cuts = rest.match_indices(':').map(|(at, _)| (&rest[..at], Some(&rest[at + 1..])));
        match std::iter::once((rest, None)).chain(cuts).find(|(path, _)| Path::new(path).exists()) {
            Some((path, name)) => Self::new(location_at(Path::new(path)), None).select(name, digest),
            None if is_in_registry(text) => format!("{}{text}", registry::TRANSPORT.prefix).parse(),
            None => archive_by_name(text).unwrap_or_else(|| text.parse()),
        }
    }

    /// True if a text begins with the prefix of a transport that reads local files.
    pub fn is_local(text: &str) -> bool {
        let known = transport_of(text).is_some_and(|(transport, _)| transport.at_path.is_some());
        known || FOREIGN.iter().any(|prefix| text.starts_with(prefix))
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some((transport, rest)) = transport_of(text) {
            return (transport.parse)(rest);
        }
        if let Some(prefix) = FOREIGN.iter().find(|prefix| text.starts_with(**prefix)) {
            let known: Vec<&str> = TRANSPORTS.iter().map(|transport| transport.prefix).collect();
            let what = format!("the transport `{prefix}` is not supported; there are {}", known.join(", "));
            let hint = "copy the image into a layout first (skopeo copy SOURCE oci:DIR:TAG), or save it (podman save -o train.tar NAME)";
            return Err(Error::usage(what).hint(hint));
        }
        if text.is_empty() {
            return Err(Error::usage("an empty image reference"));
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return Err(Error::usage(
                "a URL is no image reference; one in a registry is written docker://HOST/REPO[:TAG]",
            ));
        }
        parse_local(text, "oci:DIR[:TAG]", |dir| Arc::new(LayoutLocation(dir)))
    }
}

/// True if a text names an image as engines do, with the host of its registry, and there is no such directory: a host has
/// a dot or a port, or is this machine.
fn is_in_registry(text: &str) -> bool {
    let Some((host, repository)) = text.split_once('/') else { return false };
    let is_host = !host.starts_with('.') && host.contains(['.', ':']) || host == "localhost";
    is_host && !repository.is_empty() && !Path::new(host).exists()
}

/// What is not there yet and is called an archive is one, and no directory of that name.
fn archive_by_name(text: &str) -> Option<Result<Reference>> {
    const PACKED: [&str; 6] = [".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".zip"];
    let path = text.split(':').next().unwrap_or(text);
    if path.ends_with(".tar") {
        return Some(format!("{}{text}", archive::OCI_TRANSPORT.prefix).parse());
    }
    PACKED.iter().any(|ending| path.ends_with(ending)).then(|| {
        let what = "there is no such file, and archives are written as plain tar files";
        Err(Error::usage(what).hint("name a file that ends in .tar").at(crate::text::Printable::new(path)))
    })
}

/// The transport whose prefix a text has, and what follows.
fn transport_of(text: &str) -> Option<(&'static Transport, &str)> {
    TRANSPORTS.iter().find_map(|transport| Some((*transport, text.strip_prefix(transport.prefix)?)))
}

/// The place at a path; anything unknown is taken for a layout, whose error then says what is wrong.
fn location_at(path: &Path) -> Arc<dyn Location> {
    let found = TRANSPORTS.iter().find(|transport| (transport.recognises)(path)).and_then(|found| found.at_path);
    match found {
        Some(at_path) => at_path(path.into()),
        None => Arc::new(LayoutLocation(path.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_yet_is_what_its_name_says() {
        for (text, shown) in [
            ("no/such/train.tar", "oci-archive:no/such/train.tar"),
            ("no/such/train.tar:latest", "oci-archive:no/such/train.tar:latest"),
            ("no/such/tar", "oci:no/such/tar"),
            ("oci:no/such/train.tar", "oci:no/such/train.tar"),
            ("registry.example/pht/train:1", "docker://registry.example/pht/train:1"),
            ("127.0.0.1:5000/train", "docker://127.0.0.1:5000/train"),
            ("localhost/train:latest", "docker://localhost/train:latest"),
            ("./registry.example/train", "oci:./registry.example/train"),
            ("../x.y/train", "oci:../x.y/train"),
            ("/registry.example/train", "oci:/registry.example/train"),
            ("pht/train:latest", "oci:pht/train:latest"),
        ] {
            assert_eq!(Reference::locate(text).unwrap().to_string(), shown);
        }
        for text in ["no/such/train.tar.gz", "no/such/train.tgz:latest", "no/such/train.zip"] {
            let error = Reference::locate(text).unwrap_err();
            assert!(error.kind() == crate::error::Kind::Usage && error.advice().is_some(), "{text}: {error}");
        }
    }

    #[test]
    fn reads_what_skopeo_reads() {
        let digest = format!("docker://host:5000/a/b@sha256:{}", "0".repeat(64));
        let layout_digest = format!("oci:./train@sha512:{}", "0".repeat(128));
        for (text, shown) in [
            ("oci:train", "oci:train"),
            ("oci:./train:latest", "oci:./train:latest"),
            ("oci:/a b/train:1-pre", "oci:/a b/train:1-pre"),
            ("not-there-yet", "oci:not-there-yet"),
            ("oci:dir:host/repo:tag", "oci:dir:host/repo:tag"),
            ("oci-archive:train.tar:latest", "oci-archive:train.tar:latest"),
            ("docker-archive:train.tar:host/repo:tag", "docker-archive:train.tar:host/repo:tag"),
            ("oci:train:@0", "oci:train:@0"),
            (&layout_digest, &layout_digest),
            (
                &format!("oci-archive:t.tar:@sha256:{}", "1".repeat(64)),
                &format!("oci-archive:t.tar@sha256:{}", "1".repeat(64)),
            ),
            (
                &format!("docker-archive:t.tar:a/b:1@sha256:{}", "1".repeat(64)),
                &format!("docker-archive:t.tar:a/b:1@sha256:{}", "1".repeat(64)),
            ),
            ("oci:train:x@1", "oci:train:x@1"),
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
            "oci:dir@sha256:0",
            "oci:dir:@99999999999999999999999999",
            &format!("oci:dir:@1@sha256:{}", "0".repeat(64)),
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
