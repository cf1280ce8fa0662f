//! A station's own step between pre-run and the train: it fetches the data that the train's query asks for.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::opened::Opened;
use super::widened::Widened;
use super::work_dir::WorkDir;
use crate::engine::{ExitReason, Mount, Variable, Watch, supervise};
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::json;

/// Where the train finds the data, and the variable that tells it.
pub(in crate::stage) const IN_TRAIN: &str = "/opt/train_data";
pub(in crate::stage) const VARIABLE: &str = "TRAIN_DATA_PATH";

/// Data that was prepared for a train.
pub(super) struct Preparation {
    dir: PathBuf,
    /// The file that the query names for them, if the command has made it.
    file: Option<String>,
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
        let named = query.as_deref().and_then(file_in);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).env("PHT_DATA", &dir).env("PHT_TRAIN_ID", &opened.id).env_remove("PHT_QUERY");
        shell.envs(query.map(|query| ("PHT_QUERY", query)));
        let ended = supervise(shell, Watch::none(&mut || false), output, &|| {}).at("preparing the data")?;
        match ended {
            ExitReason::Exited(status) if status.success() => {
                Widened::data_for_user(&opened.process, &dir)?;
                let file = named.filter(|name| dir.join(name).is_file());
                Ok(Preparation { dir, file })
            }
            ExitReason::Exited(status) => {
                let hint = "the train has not run; see what the command printed";
                Err(Error::new(Kind::Io, format!("the command that prepares the data failed ({status})")).hint(hint))
            }
            _ => Err(Error::internal("nothing was to end the command")),
        }
    }

    /// Where the train finds them: the file that its query names, as stations of the field have it, else the directory.
    pub(super) fn variable(&self) -> Variable {
        let file = self.file.as_ref().map(|name| format!("{IN_TRAIN}/{name}"));
        Variable::new(VARIABLE, file.unwrap_or_else(|| IN_TRAIN.to_owned()))
    }

    /// The data as the train sees it.
    pub(super) fn mount(&self) -> Mount {
        Mount { host: self.dir.clone(), path: IN_TRAIN.into(), read_only: true, private: true }
    }
}

/// The name in `data.filename` of a query, if it is a plain one.
fn file_in(query: &Path) -> Option<String> {
    let document = json::parse_object(&std::fs::read(query).ok()?).ok()?;
    let name = document.get("data")?.as_object()?.get("filename")?.as_str()?;
    let is_plain = Path::new(name).file_name().is_some_and(|file| file == name);
    is_plain.then(|| name.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_file_in_the_directory_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let query = dir.path().join("query.json");
        let name_in = |text: &str| {
            std::fs::write(&query, text).unwrap();
            file_in(&query)
        };
        assert_eq!(name_in(r#"{"data": {"filename": "p.json"}}"#).as_deref(), Some("p.json"));
        for wrong in ["../p", "/p", "a/b", "p/", "..", ".", ""] {
            assert_eq!(name_in(&format!(r#"{{"data": {{"filename": "{wrong}"}}}}"#)), None, "{wrong}");
        }
        for wrong in ["", "[]", "{}", r#"{"data": "p"}"#, r#"{"data": {"filename": 1}}"#] {
            assert_eq!(name_in(wrong), None, "{wrong}");
        }
    }
}
