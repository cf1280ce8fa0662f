//! Running `pht-oci`.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::peers::test_file;
use crate::utf8;

/// Everything in the environment that steers the program.
const VARIABLES: [&str; 12] = [
    "STATION_ID",
    "PRIVATE_KEY_PATH",
    "PRIVATE_KEY_PASSWORD",
    "PHT_TRUST_DIR",
    "PHT_MIN_WIRE",
    "PHT_CONFIG",
    "PHT_JOURNAL",
    "REGISTRY_AUTH_FILE",
    "SOURCE_DATE_EPOCH",
    "NO_COLOR",
    "RUST_LOG",
    "RUST_BACKTRACE",
];

/// How a run of the program ended.
pub struct Outcome {
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    line: String,
}

impl Outcome {
    /// The run, or what it printed where it did not end with `status`.
    pub fn expect(self, status: i32) -> Result<Self, String> {
        if self.status == Some(status) && !self.stderr.contains("panicked at") {
            return Ok(self);
        }
        let stdout = String::from_utf8_lossy(&self.stdout);
        Err(format!(
            "{}\n  ended with {:?}, not {status}\n  {stdout}\n  {}",
            self.line,
            self.status,
            self.stderr.trim()
        ))
    }

    /// The run must have gone well.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect(0).unwrap_or_else(|message| panic!("{message}"))
    }

    /// The run must have been refused with this exit status, and have said why.
    #[track_caller]
    pub fn refused(self, status: i32) -> Self {
        let outcome = self.expect(status).unwrap_or_else(|message| panic!("{message}"));
        assert!(!outcome.stderr.trim().is_empty(), "{}: refused without a word", outcome.line);
        outcome
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{}: not JSON: {error}", self.line))
    }
}

/// Where the program is: beside the directory of the tests that Cargo has built.
pub fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let tests = std::env::current_exe().expect("a test knows itself");
        let built = tests.ancestors().nth(2).expect("tests are in target/PROFILE/deps");
        let program = built.join("pht-oci");
        assert!(program.is_file(), "{} is not there", program.display());
        utf8(&program).to_owned()
    })
}

/// Runs the program with nothing but these arguments and variables to steer it.
pub fn pht_oci<S: AsRef<OsStr>>(arguments: &[S], variables: &[(&str, &str)]) -> Outcome {
    let mut command = Command::new(program());
    command.args(arguments).envs(variables.iter().copied());
    outcome(command)
}

/// What a run of the program took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// The largest resident size, in bytes.
    pub peak: u64,
    /// Bytes that it asked read calls for, from the page cache or not.
    pub read: u64,
    /// Bytes that it handed to write calls.
    pub written: u64,
}

/// The program as it is released, where `PHT_RELEASE` names the directory with it.
pub fn released() -> Option<PathBuf> {
    let release = PathBuf::from(std::env::var_os("PHT_RELEASE").filter(|value| !value.is_empty())?);
    let entries = release.read_dir().unwrap_or_else(|error| panic!("{}: {error}", release.display()));
    let mut files = entries.map(|entry| entry.expect("an entry").path());
    let ending = format!("-{}-linux", std::env::consts::ARCH);
    let found = files.find(|path| utf8(path).ends_with(&ending));
    Some(found.unwrap_or_else(|| panic!("{}: nothing ends in {ending}", release.display())))
}

/// Runs the program, which must succeed, and measures it from outside (`tests/python/measure.py`): the one that is released,
/// if there is one.
pub fn measured<S: AsRef<OsStr>>(arguments: &[S]) -> Took {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let out = dir.path().join("took.json");
    let mut command = Command::new("python3");
    command.args(["-I", "-S"]).arg(test_file("python/measure.py")).arg(&out);
    command.arg(released().unwrap_or_else(|| program().into()));
    command.args(arguments);
    outcome(command).ok();
    let took = std::fs::read(&out).expect("what the run took");
    let took: serde_json::Value = serde_json::from_slice(&took).expect("JSON");
    let figure = |name: &str| took[name].as_u64().expect("a number");
    Took { peak: figure("peak") * 1024, read: figure("read"), written: figure("written") }
}

fn outcome(mut command: Command) -> Outcome {
    // Nor does what this machine's user has set.
    if !command.get_envs().any(|(set, _)| set == "PHT_CONFIG") {
        command.env("PHT_CONFIG", "/dev/null");
    }
    for name in VARIABLES {
        if !command.get_envs().any(|(set, _)| set == name) {
            command.env_remove(name);
        }
    }
    if !command.get_envs().any(|(set, _)| set == "XDG_CACHE_HOME") {
        // What one test has verified must not be known to another: nothing can be kept there.
        command.env("XDG_CACHE_HOME", "/dev/null/cache");
    }
    let output = command.output().expect("the program starts");
    Outcome {
        status: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        line: format!("{command:?}"),
    }
}

/// The commands that the help of the program lists, in its groups.
pub fn commands_in(help: &str) -> Vec<&str> {
    let groups = help.lines().skip_while(|line| !line.starts_with("Usage:")).take_while(|line| *line != "Options:");
    groups.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty()).collect()
}
