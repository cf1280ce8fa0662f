//! Places of every transport that needs nothing but files.

use std::path::{Path, PathBuf};

use crate::{Train, pht_oci};

/// The transports that need nothing but files, and whether one place holds several images.
pub const TRANSPORTS: [(&str, bool); 4] =
    [("oci", true), ("oci-archive", true), ("docker-archive", true), ("dir", false)];

/// A place of a transport in a directory; `name` is a tag where there are tags.
pub fn place(dir: &Path, transport: &str, name: &str) -> String {
    let path = dir.join(format!("{transport}-{name}"));
    match transport {
        "dir" => format!("dir:{}", path.display()),
        "docker-archive" => format!("docker-archive:{}:localhost/train:{name}", path.display()),
        _ => format!("{transport}:{}:{name}", path.display()),
    }
}

pub fn path_of(place: &str) -> PathBuf {
    PathBuf::from(place.split(':').nth(1).expect("TRANSPORT:PATH"))
}

/// A stage at a stop.
pub fn stage(train: &Train, line: &[&str], stop: usize) {
    let key = train.key(&train.station_id(stop));
    pht_oci(&[line, &["--private-key", &key]].concat(), &[]).ok();
}
