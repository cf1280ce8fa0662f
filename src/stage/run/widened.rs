use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};

use crate::engine::ProcessSpec;
use crate::error::{ErrorContext, IoContext, Result};
use crate::store::fs::Beneath;

/// What everybody may do with directories and with files while a train runs that is not root: of its results and of its
/// data.
const RESULTS: (u32, u32) = (0o777, 0o666);
const DATA: (u32, u32) = (0o555, 0o444);

/// The results with wider rights for the time of a run: they belong to whoever wrote them at other stations, and the
/// train runs as a user that need not be any of these. Nobody else reaches them, for the directory above is private.
///
/// In the end every file has the mode again that it had, if the train has not set another one.
pub(super) struct Widened {
    results: PathBuf,
    /// Paths below, and their modes as they were and as they are now.
    changed: Vec<(PathBuf, u32, u32)>,
}

impl Widened {
    /// Widens nothing for root.
    pub(super) fn for_user(process: &ProcessSpec, results: &Path) -> Result<Self> {
        Self::widen_for(process, results, RESULTS)
    }

    /// Lets whoever the train runs as read the data that were prepared for it; they go with the run.
    pub(super) fn data_for_user(process: &ProcessSpec, data: &Path) -> Result<()> {
        Self::widen_for(process, data, DATA).map(drop)
    }

    fn widen_for(process: &ProcessSpec, top: &Path, rights: (u32, u32)) -> Result<Self> {
        let mut widened = Widened { results: top.to_owned(), changed: Vec::new() };
        if !process.is_root() {
            let dir = Beneath::new(top).doing("open the directory").at(top.display())?;
            widened.widen(&dir, Path::new(""), rights).at(top.display())?;
        }
        Ok(widened)
    }

    fn widen(&mut self, dir: &Beneath, path: &Path, rights: (u32, u32)) -> Result<()> {
        let Some((file, found)) = open(dir, path) else { return Ok(()) };
        let (before, more) = (mode_of(&found), if found.is_dir() { rights.0 } else { rights.1 });
        if before | more != before {
            set_mode(&file, before | more).at(path.display())?;
            self.changed.push((path.to_owned(), before, before | more));
        }
        if found.is_dir() {
            for entry in fs::read_dir(dir.shown(path)).doing("list the directory").at(path.display())? {
                let name = entry.doing("list the directory").at(path.display())?.file_name();
                self.widen(dir, &path.join(name), rights)?;
            }
        }
        Ok(())
    }

    /// Gives back their modes to those that the train has left as they were. It may have put anything in their place: no
    /// link is followed.
    pub(super) fn restore(self) -> Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let dir = Beneath::new(&self.results).doing("open the directory").at(self.results.display())?;
        for (path, before, now) in self.changed.into_iter().rev() {
            match open(&dir, &path) {
                Some((file, found)) if mode_of(&found) == now => set_mode(&file, before).at(path.display())?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The file or directory at a path below `dir`, if it is one and no link leads there.
fn open(dir: &Beneath, path: &Path) -> Option<(File, Metadata)> {
    let file = dir.open(path).ok()?;
    let found = file.metadata().ok().filter(|found| found.is_dir() || found.is_file())?;
    Some((file, found))
}

fn mode_of(found: &Metadata) -> u32 {
    found.mode() & 0o7777
}

fn set_mode(file: &File, mode: u32) -> Result<()> {
    fchmod(file, Mode::from_raw_mode(mode)).map_err(io::Error::from).doing("set the mode of the file")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::json::json;

    #[test]
    fn data_can_be_read_and_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("data/sub")).unwrap();
        fs::write(at("data/sub/one"), "1").unwrap();
        for (name, mode) in [("data/sub/one", 0o600), ("data/sub", 0o700), ("data", 0o700)] {
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let modes = || ["data", "data/sub", "data/sub/one"].map(|name| fs::metadata(at(name)).unwrap().mode() & 0o7777);
        for (user, expected) in [("root", [0o700, 0o700, 0o600]), ("1000", [0o755, 0o755, 0o644])] {
            let config = json!({ "config": { "User": user, "Cmd": ["x"] } });
            let process = ProcessSpec::of(config.as_object().unwrap()).unwrap();
            Widened::data_for_user(&process, &at("data")).unwrap();
            assert_eq!(modes(), expected, "{user}");
        }
    }

    #[test]
    fn gives_back_what_it_took_and_touches_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mode = |name: &str| fs::metadata(at(name)).unwrap().mode() & 0o7777;
        let set = |name: &str, mode| fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        fs::create_dir_all(at("results/sub")).unwrap();
        for name in ["kept", "set", "sub/gone", "outside"] {
            let name = if name == "outside" { name.to_owned() } else { format!("results/{name}") };
            fs::write(at(&name), "1").unwrap();
            set(&name, 0o600);
        }
        let config = json!({ "config": { "User": "1000", "Cmd": ["x"] } });
        let process = ProcessSpec::of(config.as_object().unwrap()).unwrap();
        let widened = Widened::for_user(&process, &at("results")).unwrap();
        assert_eq!((mode("results"), mode("results/sub"), mode("results/kept")), (0o777, 0o777, 0o666));
        // The train: one file with another mode, one behind a link that leads out.
        set("results/set", 0o640);
        fs::remove_dir_all(at("results/sub")).unwrap();
        symlink("..", at("results/sub")).unwrap();
        fs::write(at("gone"), "not of the results").unwrap();
        set("gone", 0o666);
        widened.restore().unwrap();
        assert_eq!((mode("results/kept"), mode("results/set")), (0o600, 0o640));
        assert_eq!((mode("gone"), mode("outside")), (0o666, 0o600));
    }
}
