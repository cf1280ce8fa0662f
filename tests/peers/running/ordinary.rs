//! A user without any rights, who runs the program.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use support::tree::snapshot;
use support::utf8;
use tempfile::TempDir;

use super::fixture::RunFixture;

/// The number of this user, whom the system does not know.
pub const NOBODY: u32 = 54_321;
/// Gives the user of `$1` a name, and further users as the files in `$1` say, for the command that follows alone.
const WITH_ACCOUNTS: &str = "dir=$1; shift; for name in passwd group subuid subgid; do mount --bind \"$dir/$name\" \"/etc/$name\"; done; exec \"$@\"";

/// Files for `/etc`, and Podman's runtime directory. Where the path of that is long, Podman cannot clean up behind a
/// container, and waits twenty seconds for it.
struct Account {
    files: PathBuf,
    runtime: TempDir,
}

/// Everything of a fixture is this user's.
pub struct Ordinary {
    program: PathBuf,
    /// What the user has who has further users.
    account: Option<Account>,
}

impl Ordinary {
    /// A user without a name, who cannot get more rights in any way.
    pub fn new(fixture: &RunFixture) -> Self {
        let dir = fixture.train.dir.path();
        let program = dir.join("pht-oci");
        fs::copy(support::program(), &program).expect("a copy of the program");
        let user = Ordinary { program, account: None };
        user.own(dir);
        user
    }

    /// A user with a name, and as many further users from 200000 on.
    pub fn with_further_users(fixture: &RunFixture, number: u32) -> Self {
        let mut user = Self::new(fixture);
        let accounts = fixture.train.dir.path().join(format!("accounts-{number}"));
        fs::create_dir_all(&accounts).expect("a new directory");
        let home = utf8(&accounts);
        let more = [format!("pht:x:{NOBODY}:{NOBODY}::{home}:/bin/sh\n"), format!("pht:x:{NOBODY}:\n")];
        for (name, line) in ["passwd", "group"].iter().zip(more) {
            let own = fs::read_to_string(Path::new("/etc").join(name)).expect("accounts");
            fs::write(accounts.join(name), own + &line).expect("a new file");
        }
        for name in ["subuid", "subgid"] {
            let line = if number == 0 { String::new() } else { format!("pht:200000:{number}\n") };
            fs::write(accounts.join(name), line).expect("a new file");
        }
        user.own(&accounts);
        let runtime = tempfile::tempdir_in("/tmp").expect("a directory for its owner alone");
        chown(runtime.path(), Some(NOBODY), Some(NOBODY)).expect("a directory for somebody else");
        user.account = Some(Account { files: accounts, runtime });
        user
    }

    /// Gives this user all that is there.
    pub fn own(&self, top: &Path) {
        for path in walk(top) {
            chown(&path, Some(NOBODY), Some(NOBODY)).expect("a file for somebody else");
        }
    }

    /// The program as this user, with what a run of the fixture has in its environment.
    pub fn command(&self, fixture: &RunFixture, line: &[String]) -> Command {
        let user = NOBODY.to_string();
        let mut command = match &self.account {
            None => Command::new("setpriv"),
            Some(account) => {
                let mut command = Command::new("unshare");
                command.args(["--mount", "--propagation", "private", "/bin/sh", "-euc", WITH_ACCOUNTS, "sh"]);
                command.arg(&account.files).arg("setpriv");
                command
            }
        };
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        command.current_dir(fixture.train.dir.path()).env_remove("XDG_RUNTIME_DIR").envs(fixture.variables.clone());
        match &self.account {
            None => command.arg("--no-new-privs"),
            Some(account) => command.env("HOME", &account.files).env("XDG_RUNTIME_DIR", account.runtime.path()),
        };
        command.arg(&self.program).args(line);
        command
    }

    /// Runs it; whether it ended well, and what it said.
    pub fn run(&self, fixture: &RunFixture, line: &[String]) -> (bool, String) {
        let output = self.command(fixture, line).output().expect("setpriv starts");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Drop for Ordinary {
    /// Podman leaves a process behind that holds the namespace with the further users.
    fn drop(&mut self) {
        let Some(account) = &self.account else { return };
        let noted = fs::read_to_string(account.runtime.path().join("libpod/tmp/pause.pid")).unwrap_or_default();
        if let Some(pid) = noted.trim().parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A directory and all that is in it, but for links.
pub fn walk(top: &Path) -> Vec<PathBuf> {
    let below = snapshot(top).into_keys().map(|path| top.join(path));
    std::iter::once(top.to_owned()).chain(below).filter(|path| !path.is_symlink()).collect()
}
