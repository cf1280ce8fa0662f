//! A journey of a user who is not root, beside another one who wants to read along: in a directory that everybody may write
//! to, as `/tmp` is, with a train, keys and results that are nobody else's business.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::tree::{MARKER, write_results};
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, program, utf8};

const OWNER: u32 = 54321;
const STRANGER: u32 = 54322;

/// A sticky directory and what the owner has: train, keys and the program.
struct Neighbours {
    train: Train,
    sticky: PathBuf,
    program: PathBuf,
}

impl Neighbours {
    fn new() -> Self {
        let spec = TrainSpec { stations: vec!["a".into(), "b".into()], indexes: vec![0, 1], ..TrainSpec::default() };
        let train = Train::build(Implementation::Ours, Wire::V2_0, &spec).unwrap_or_else(|message| panic!("{message}"));
        let top = train.dir.path();
        let (sticky, copied) = (top.join("sticky"), top.join("pht-oci"));
        fs::create_dir(&sticky).expect("a new directory");
        fs::copy(program(), &copied).expect("a copy");
        for (path, mode) in [(top, 0o755), (&sticky, 0o1777), (&copied, 0o755)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        for name in ["layout", "keys"] {
            give(&top.join(name), OWNER);
        }
        fs::set_permissions(top.join("keys"), fs::Permissions::from_mode(0o700)).expect("a mode");
        Neighbours { train, sticky, program: copied }
    }

    /// Runs a shell as a user, in the sticky directory.
    fn shell(&self, user: u32, umask: &str, script: &str) -> Output {
        let id = user.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "sh", "-c"]);
        command.arg(format!("umask {umask}; {script}")).current_dir(&self.sticky);
        command
            .env("PHT", &self.program)
            .env("HOME", "/nonexistent")
            .env_remove("PHT_TRUST_DIR")
            .env("TMPDIR", &self.sticky);
        command.env("LAYOUT", self.train.layout.path()).env("KEYS", self.train.dir.path().join("keys"));
        command.output().expect("setpriv is here")
    }

    #[track_caller]
    fn owner(&self, umask: &str, script: &str) -> Output {
        let output = self.shell(OWNER, umask, script);
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// The files in which the stranger finds plaintext.
    fn found_by_stranger(&self) -> String {
        let found = self.shell(STRANGER, "022", &format!("grep -r -l -a -e {MARKER} . 2>/dev/null; true"));
        String::from_utf8_lossy(&found.stdout).into_owned()
    }

    /// What the stranger has got into a directory of its own.
    fn redirected(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.sticky.join("theirs")).expect("a directory");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

fn give(path: &Path, user: u32) {
    lchown(path, Some(user), Some(user)).expect("root may");
    if path.is_dir() {
        fs::read_dir(path).expect("a directory").for_each(|entry| give(&entry.expect("an entry").path(), user));
    }
}

#[test]
fn nobody_else_reads_what_a_station_opens() {
    if !available("strangers::nobody_else_reads_what_a_station_opens", &[Peer::Root, Peer::Namespaces, Peer::Python]) {
        return;
    }
    for umask in ["022", "077", "000"] {
        let neighbours = Neighbours::new();
        let results = neighbours.train.dir.path().join("written");
        fs::create_dir(&results).expect("a new directory");
        write_results(&results, 0);
        give(&results, OWNER);
        let path = utf8(&results);
        for (to, name) in [("oci:work:t", "work"), ("oci-archive:packed:t", "packed"), ("dir:plain", "plain")] {
            neighbours.owner(
                umask,
                &format!("\"$PHT\" pre-run oci:$LAYOUT:0 {to} --results out-{name} --private-key $KEYS/a.pem"),
            );
            neighbours.owner(umask, &format!("cp -r {path}/. out-{name}/"));
            assert_eq!(neighbours.found_by_stranger(), "", "umask {umask}, {to}");
            neighbours.owner(
                umask,
                &format!("\"$PHT\" post-run {to} oci:closed-{name}:t --results out-{name} --private-key $KEYS/a.pem"),
            );
            // The next station opens what holds results.
            neighbours.owner(
                umask,
                &format!(
                    "\"$PHT\" pre-run oci:closed-{name}:t {} --private-key $KEYS/b.pem",
                    to.replace(name, &format!("next-{name}"))
                ),
            );
            for out in [format!("creator-{name}"), format!("creator-{name}.tar")] {
                neighbours.owner(
                    umask,
                    &format!("\"$PHT\" results oci:closed-{name}:t --private-key $KEYS/user.pem --out {out}"),
                );
            }
            neighbours.owner(umask, &format!("\"$PHT\" extract oci:$LAYOUT:0 opt --out tree-{name}"));
            assert_eq!(neighbours.found_by_stranger(), "", "umask {umask}, {to}");
            let own = neighbours.owner("022", &format!("grep -r -l -a -e {MARKER} ."));
            let own = String::from_utf8_lossy(&own.stdout).into_owned();
            for place in [
                format!("out-{name}/"),
                format!("next-{name}"),
                format!("creator-{name}/"),
                format!("creator-{name}.tar"),
            ] {
                assert!(own.contains(&place), "there is no plaintext in {place}: this test tests nothing\n{own}");
            }
        }
        let closed = neighbours.shell(STRANGER, "022", "cat closed-work/blobs/sha256/* >/dev/null");
        assert!(umask == "077" || closed.status.success(), "what is closed may be read");
    }
}

/// What a stranger may put in the way, and a command that must not go along.
#[test]
fn nothing_goes_where_somebody_else_leads() {
    if !available("strangers::nothing_goes_where_somebody_else_leads", &[Peer::Root, Peer::Namespaces, Peer::Python]) {
        return;
    }
    let neighbours = Neighbours::new();
    neighbours.shell(STRANGER, "000", "mkdir -m 0777 theirs");
    let pre_run = "\"$PHT\" pre-run oci:$LAYOUT:0 --private-key $KEYS/a.pem";
    for (trap, command) in [
        ("ln -s theirs NAME", format!("{pre_run} oci:NAME:t")),
        ("ln -s theirs NAME", format!("{pre_run} dir:NAME")),
        ("ln -s theirs NAME", format!("{pre_run} oci:NAME/below:t")),
        ("ln -s theirs NAME", format!("{pre_run} oci-archive:NAME/below.tar:t")),
        ("ln -s theirs/file NAME", format!("{pre_run} oci-archive:NAME:t")),
        ("mkdir -m 0777 NAME", format!("{pre_run} oci:NAME:t")),
        ("mkdir -m 0777 NAME", format!("{pre_run} dir:NAME")),
        ("ln -s theirs NAME", format!("{pre_run} oci:of-NAME:t --results NAME")),
        ("ln -s theirs NAME", format!("{pre_run} oci:of-NAME:t --results NAME/below")),
        ("mkdir -m 0777 NAME", format!("{pre_run} oci:of-NAME:t --results NAME")),
        ("ln -s theirs .pht-oci-NAME", format!("{pre_run} oci:of-NAME:t --results NAME")),
        ("mkdir -m 0777 .pht-oci-NAME", format!("{pre_run} oci:of-NAME:t --results NAME")),
        ("ln -s theirs/file .pht-oci-NAME", format!("{pre_run} oci-archive:NAME:t")),
        ("mkfifo -m 0666 .pht-oci-NAME", format!("{pre_run} oci-archive:NAME:t")),
        ("touch .pht-oci-NAME; chmod 666 .pht-oci-NAME", format!("{pre_run} oci-archive:NAME:t")),
        ("touch NAME; chmod 666 NAME", format!("{pre_run} oci-archive:NAME:t")),
        (
            "ln -s theirs NAME",
            format!(
                "{pre_run} oci:of-NAME:t && \"$PHT\" post-run oci:of-NAME:t --results NAME --private-key $KEYS/a.pem"
            ),
        ),
        ("ln -s theirs NAME", "\"$PHT\" extract oci:$LAYOUT:0 opt/pht_train --out NAME".to_owned()),
        ("ln -s theirs NAME", "\"$PHT\" extract oci:$LAYOUT:0 opt/pht_train --out NAME/below".to_owned()),
        (
            "ln -s theirs/file .pht-oci-NAME",
            "\"$PHT\" extract oci:$LAYOUT:0 opt/train_config.json --out NAME".to_owned(),
        ),
    ]
    .iter()
    .enumerate()
    .map(|(number, (trap, command))| {
        (trap.replace("NAME", &format!("n{number}")), command.replace("NAME", &format!("n{number}")))
    }) {
        let made = neighbours.shell(STRANGER, "000", &trap);
        assert!(made.status.success(), "{trap}");
        let output = neighbours.shell(OWNER, "022", &command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{trap}, {command}: {:?}: {said}", output.status);
        assert_eq!(neighbours.redirected(), Vec::<PathBuf>::new(), "{trap}, {command}");
        let plaintext =
            neighbours.shell(STRANGER, "022", "grep -r -l -a -e TRAIN-PLAINTEXT-MARKER . 2>/dev/null; true");
        assert_eq!(String::from_utf8_lossy(&plaintext.stdout), "", "{trap}, {command}");
    }
}
