//! A station's own step between pre-run and the train: it fetches the data that the train's query asks for.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::opened::Opened;
use super::work_dir::WorkDir;
use crate::engine::{ExitReason, Mount, Watch, supervise};
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};

/// Where the train finds the data, and the variable that tells it.
pub(in crate::stage) const IN_TRAIN: &str = "/opt/train_data";
pub(in crate::stage) const VARIABLE: &str = "TRAIN_DATA_PATH";

/// Data that was prepared for a train.
pub(super) struct Preparation {
    dir: PathBuf,
}

impl Preparation {
    /// Runs the station's command, with the plaintext query, an empty private directory and the train's id in `PHT_QUERY`
    /// (absent without a query), `PHT_DATA` and `PHT_TRAIN_ID`. What it prints goes where the train's output goes.
    ///
    /// # Errors
    /// It fails: then the train does not run.
    pub(super) fn run(command: &str, opened: &Opened, work: &WorkDir, output: &mut (dyn Write + Send)) -> Result<Self> {
        let dir = work.join("data");
        DirBuilder::new().mode(0o700).create(&dir).doing("create the directory").at(dir.display())?;
        let query = opened.query().map(|query| own_copy(&query, work)).transpose()?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).env("PHT_DATA", &dir).env("PHT_TRAIN_ID", &opened.id).env_remove("PHT_QUERY");
        shell.envs(query.map(|query| ("PHT_QUERY", query)));
        let ended = supervise(shell, Watch::none(&mut || false), output, &|| {}).at("preparing the data")?;
        match ended {
            ExitReason::Exited(status) if status.success() => Ok(Preparation { dir }),
            ExitReason::Exited(status) => {
                let hint = "the train has not run; see what the command printed";
                Err(Error::new(Kind::Io, format!("the command that prepares the data failed ({status})")).hint(hint))
            }
            _ => Err(Error::internal("nothing was to end the command")),
        }
    }

    /// The data as the train sees it.
    pub(super) fn mount(&self) -> Mount {
        Mount { host: self.dir.clone(), path: IN_TRAIN.into(), read_only: true, private: true }
    }
}

/// The query for the station's command alone: the train's own copy is not to be changed.
fn own_copy(query: &Path, work: &WorkDir) -> Result<PathBuf> {
    let copy = work.join("query.json");
    let bytes = std::fs::read(query).doing("read the query").at(query.display())?;
    let mut file = tempfile::NamedTempFile::new_in(work.join("")).doing("create the query's file").at(copy.display())?;
    file.write_all(&bytes).doing("write the query").at(copy.display())?;
    file.persist(&copy).map_err(|error| error.error).doing("write the query").at(copy.display())?;
    Ok(copy)
}
