use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, ErrorContext, Result};

/// The bounds of a container. What is not bounded is as the engine has it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of memory, without swap beyond it.
    pub memory: Option<u64>,
    /// The processors' time that it gets: 1.5 is that of one and a half.
    pub cpus: Option<f64>,
    /// The number of processes and threads at once.
    pub pids: Option<u32>,
}

impl Limits {
    /// Nothing is bounded.
    pub const NONE: Limits = Limits { memory: None, cpus: None, pids: None };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::NONE
    }
}

/// The options that a station gives to a train's container.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RunOptions {
    /// Files and directories of the station.
    pub volumes: Vec<Volume>,
    /// Variables of its environment.
    pub variables: Vec<Variable>,
    /// The graphics cards, as the engine's users name them.
    pub gpus: Option<String>,
    /// The bounds of what it may take.
    pub limits: Limits,
}

/// A file or directory of this machine that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// Its path on this machine.
    pub host: PathBuf,
    /// Its path in the container.
    pub path: PathBuf,
    /// True if the container can only read it.
    pub read_only: bool,
    /// True if it was made for this container alone, so that its SELinux label may be changed.
    pub private: bool,
}

/// A file or directory of the station that the train sees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// Its path on this machine.
    pub host: PathBuf,
    /// Its path in the train's container.
    pub path: PathBuf,
    /// True if the train can only read it.
    pub read_only: bool,
}

/// A variable of the train's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// True if this process has it under the same name: then it need not stand in any command line.
    pub inherited: bool,
}

impl Variable {
    /// A variable with this value, which this process need not have.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Variable { name: name.into(), value: value.into(), inherited: false }
    }
}

impl Volume {
    /// The mount for an engine.
    pub fn mount(&self) -> Mount {
        Mount { host: self.host.clone(), path: self.path.clone(), read_only: self.read_only, private: false }
    }
}

impl RunOptions {
    /// The same with the paths of the station as an engine can mount them.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if there is nothing at one of them, or engines cannot take it.
    pub(crate) fn resolved(&self) -> Result<RunOptions> {
        let resolve = |volume: &Volume| {
            let place = volume.host.display();
            let host = volume.host.canonicalize().map_err(|_| Error::usage("there is no such file or directory"));
            let host = host.and_then(mountable).at(format_args!("volume {place}"))?;
            Ok(Volume { host, ..volume.clone() })
        };
        Ok(RunOptions { volumes: self.volumes.iter().map(resolve).collect::<Result<_>>()?, ..self.clone() })
    }
}

/// The path, if it can stand in an option of every engine.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if it cannot.
pub(crate) fn mountable(path: PathBuf) -> Result<PathBuf> {
    match path.to_str() {
        Some(text) if !text.contains([':', ',', '"', '\n', '\r']) => Ok(path),
        _ => Err(Error::usage(
            "a path with a colon, a comma, a quotation mark, a line break or bytes that are not UTF-8 \
                               cannot be mounted",
        )
        .at(path.display())),
    }
}

impl FromStr for Volume {
    type Err = Error;

    /// `HOST:PATH[:rw]`: the train can only read it unless it is to write there.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: &str| Error::usage(what).hint("write HOST:PATH[:rw], as in ./data:/data");
        let mut parts = text.split(':');
        let (Some(host), Some(path)) = (parts.next().filter(|host| !host.is_empty()), parts.next()) else {
            return Err(wrong("the path in the train is missing"));
        };
        let read_only = match (parts.next(), parts.next()) {
            (None, _) | (Some("ro"), None) => true,
            (Some("rw"), None) => false,
            _ => return Err(wrong("the only options are `ro` and `rw`")),
        };
        let path = Path::new(path);
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return Err(wrong("the path in the train must be absolute and without `..`"));
        }
        Ok(Volume { host: host.into(), path: mountable(path.components().collect())?, read_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_as_in_other_engines() {
        let volume: Volume = "/srv/data:/data:ro".parse().unwrap();
        assert_eq!(volume, Volume { host: "/srv/data".into(), path: "/data".into(), read_only: true });
        assert!("data:/opt/train_data/".parse::<Volume>().unwrap().read_only);
        assert!(!"data:/opt/train_data/:rw".parse::<Volume>().unwrap().read_only);
        for wrong in ["", "/data", ":/data", "/a:data", "/a:/b:rox", "/a:/b:ro:ro", "/a:/b/../c", "/a:/x,y"] {
            assert!(wrong.parse::<Volume>().is_err(), "{wrong}");
        }
    }
}
