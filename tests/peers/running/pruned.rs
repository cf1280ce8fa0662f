//! Whoever clears the bases away does not disturb a run that needs one.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use support::{Peer, Wire, available, run};

use super::fixture::RunFixture;

#[test]
fn a_base_that_is_being_removed_is_made_anew() {
    let test = "running::pruned::a_base_that_is_being_removed_is_made_anew";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::new("runc", Wire::V3);
    fixture.run(0, &[]).ok();
    let roots = fixture.train.dir.path().join("XDG_CACHE_HOME/pht-oci/roots");
    let root = fs::read_dir(&roots).expect("a cache").next().expect("a base").expect("an entry").path();
    // As `cache prune` does: it locks a base, takes its name away, and removes it.
    let lock = File::open(&root).expect("a directory");
    flock(&lock, FlockOperation::LockExclusive).expect("nobody runs from it");
    let mut command = Command::new(support::program());
    command.args(fixture.line(1, &[])).envs(fixture.variables.clone());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(child.try_wait().expect("its state"), None, "it waits");
    fs::rename(&root, roots.join(".making-gone")).expect("another name");
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    drop(lock);
    assert!(root.join("seal").exists(), "it was made anew");
    fixture.check_nothing_left();
    // What the other has not removed goes with the next.
    fixture.command(&["cache", "prune"]).ok();
    assert_eq!(fs::read_dir(&roots).expect("a cache").count(), 0);
}

#[test]
fn a_base_that_an_engine_loses_is_loaded_again() {
    let test = "running::pruned::a_base_that_an_engine_loses_is_loaded_again";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Podman]) {
        return;
    }
    let mut fixture = RunFixture::new("podman", Wire::V3);
    // Before the first container is made, somebody removes all images.
    let (bin, gone) = (fixture.train.dir.path().join("bin"), fixture.train.dir.path().join("gone"));
    let podman = String::from_utf8(run("sh", &["-c", "command -v podman"]).expect("podman")).expect("a path");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = create ] && [ ! -e {gone} ]; then\n  : >{gone}\n  {podman} rmi --all --force >&2\nfi\n\
         exec {podman} \"$@\"\n",
        gone = gone.display(),
        podman = podman.trim(),
    );
    fs::create_dir(&bin).expect("a new directory");
    fs::write(bin.join("podman"), script).expect("a new file");
    fs::set_permissions(bin.join("podman"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = std::env::var("PATH").unwrap_or_default();
    fixture.variables.push(("PATH", format!("{}:{path}", bin.display())));
    fixture.run(0, &[]).ok();
    assert!(gone.exists(), "the images were removed");
    fixture.check_nothing_left();
}
