use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};

use super::accounts::Account;
use super::bundle;
use super::client;
use super::interface::{Engine, Job, Outcome, Sealed};
use super::options::{Mount, RunOptions};
use super::overlay;
use super::roots::{self, Root};
use super::trial;
use crate::error::{Advice, Error, ErrorContext, IoContext, Kind, Result};
use crate::image::Image;
use crate::store::Context;

/// Charliecloud (`ch-run`): for clusters, without root. It shares network, processes and `/dev` with the machine, so that it
/// runs in namespaces of ours, or not at all. It has no control groups, and no seccomp profile.
pub(super) struct Charliecloud;

/// Notes the number of the process that all others end with (`$1`), and becomes it.
const NOTE_AND_RUN: &str = r#"echo $$ >"$1" && shift && exec "$@""#;
/// In namespaces of ours: mounts the overlay (options `$3`, if any) at `$2`, binds `SOURCE TARGET ro|rw` up to `--` into it,
/// notes in `$1` that the train starts, and runs the rest. Of `/dev`, which ch-run shows as it is, what any user of the
/// machine can write to and find again is the train's own, once its data, which may be there, is bound; control groups it
/// can only read.
const MOUNT_AND_RUN: &str = r#"set -e; started=$1; root=$2; options=$3; shift 3
[ -z "$options" ] || mount -t overlay -o "$options" overlay "$root"
while [ "$1" != -- ]; do
  mount --rbind "$1" "$root$2"
  mount -o "remount,bind,$3,nosuid,nodev" "$root$2"
  shift 3
done
shift
own() { [ ! -d "$1" ] || mount -t "$2" -o "$3" "$2" "$1"; }
own /dev/shm tmpfs nosuid,nodev,noexec,mode=1777
own /dev/pts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620
own /dev/mqueue mqueue nosuid,nodev,noexec
while read -r _ at _; do
  case "$at" in /sys/fs/cgroup|/sys/fs/cgroup/*) mount -o remount,bind,ro "$at" 2>/dev/null || : ;; esac
done </proc/self/mounts
: >"$started"
exec "$@""#;
/// In the directory of a run: the command line of `ch-run` and the mounts, an argument a line, each ended by a zero byte.
const LINE: &str = "line";
/// The directories that ch-run mounts over, which a base need not have.
const SYSTEM: [&str; 4] = ["dev", "proc", "sys", "tmp"];
/// The number of the process that all others of the container end with.
const PID: &str = "pid";
/// A file that is there when the train has started.
const STARTED: &str = "started";

impl Sealed for Charliecloud {}

impl Engine for Charliecloud {
    fn name(&self) -> &'static str {
        "charliecloud"
    }

    fn check(&self, options: &RunOptions) -> Result<()> {
        if rustix::process::geteuid().is_root() {
            let what = "a train under Charliecloud sees the machine's devices, which root could read and write";
            return Err(Error::usage(what).advise(Advice::ChooseEngineForRoot));
        }
        if options.gpus.is_some() {
            let what =
                "a train under Charliecloud sees all devices of the machine, GPUs among them, without being given any";
            return Err(Error::usage(what).advise(Advice::OmitGpus));
        }
        if options.limits.memory.is_some() || options.limits.cpus.is_some() {
            let what = "memory and processors cannot be bounded with Charliecloud; the cluster's scheduler can";
            return Err(Error::usage(what).advise(Advice::ChooseBoundingEngine));
        }
        let mut command = Command::new("ch-run");
        say_who_runs(command.arg("--version"));
        client::check(command, "install charliecloud")
    }

    fn try_out(&self, context: &Context) -> Result<()> {
        trial::run(self, context, "mend charliecloud", |_| ())
    }

    fn keeps(&self, base: &Image, context: &Context) -> bool {
        roots::keeps(base, context)
    }

    fn prepare(&self, job: &Job<'_>, context: &Context) -> Result<Option<Root>> {
        ensure_outside_devices(job.scratch)?;
        let target = rootfs_in(job.scratch);
        let base = overlay::prepare(job.image, &target, job.scratch, context)?;
        let writable = if base.root.is_some() { overlay::upper_in(job.scratch) } else { target.clone() };
        for name in SYSTEM.into_iter().filter(|name| base.path.join(name).symlink_metadata().is_err()) {
            let made = DirBuilder::new().mode(0o755).create(writable.join(name));
            made.doing("create the mount point").at(format_args!("/{name}"))?;
        }
        job.mounts.iter().try_for_each(|mount| make_mount_point(&writable, &base.path, mount))?;
        let variables = job.scratch.join("variables");
        write_variables(&variables, &bundle::environment(job))?;
        let account = Account::of(&job.process.user, &base.path)?;

        let mut line: Vec<OsString> = Vec::new();
        for mount in job.mounts {
            let access = if mount.read_only { "ro" } else { "rw" };
            line.extend([mount.host.clone().into(), mount.path.clone().into(), access.into()]);
        }
        line.extend(["--", "setpriv", "--no-new-privs", "ch-run", "--unset-env=*", "--env-no-expand"].map(Into::into));
        let mut set_env = OsString::from("--set-env=");
        set_env.push(&variables);
        line.extend([set_env, "--no-passwd".into(), "--private-tmp".into(), "--write".into()]);
        line.push(format!("--uid={}", account.uid).into());
        line.push(format!("--gid={}", account.gid).into());
        line.push(format!("--cd={}", job.process.work_dir).into());
        line.extend([target.into(), "--".into()]);
        line.extend(job.process.arguments.iter().map(Into::into));
        write_line(job.scratch, &line)?;
        Ok(base.root)
    }

    fn start(&self, _name: &str, scratch: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", NOTE_AND_RUN, "sh"]).arg(scratch.join(PID));
        command.args(["unshare", "--user", "--map-root-user", "--net", "--ipc", "--uts", "--mount", "--pid", "--fork"]);
        // What it leaves running ends with it.
        command.args([
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
            "--",
            "/bin/sh",
            "-c",
            MOUNT_AND_RUN,
        ]);
        command.arg("sh").arg(scratch.join(STARTED)).arg(rootfs_in(scratch));
        command.arg(overlay::options_in(scratch)).args(read_line(scratch));
        say_who_runs(&mut command);
        command
    }

    fn outcome(&self, _name: &str, scratch: &Path, ended: ExitStatus) -> Result<Outcome> {
        match ended.code().filter(|_| scratch.join(STARTED).exists()) {
            Some(exit_status) => Ok(Outcome { exit_status, out_of_memory: false }),
            None => Err(Error::new(Kind::Io, format!("the train could not be started ({ended})"))),
        }
    }

    fn first_process(&self, _name: &str, _scratch: &Path) -> Option<u32> {
        // It has no control group of its own, by which its memory would be counted.
        None
    }

    fn written(&self, job: &Job<'_>) -> Result<Option<Vec<PathBuf>>> {
        overlay::written(job)
    }

    fn remove(&self, name: &str, scratch: &Path) -> Result<()> {
        let Some(pid) = running_pid(scratch) else { return Ok(()) };
        // The first process of the container ends with it, a moment later, and all others with that one.
        let inner = children(pid);
        let _ = kill_process(pid, Signal::KILL);
        for _ in 0..250 {
            if running_pid(scratch).is_none() && !inner.iter().any(|pid| is_running(*pid)) {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Err(Error::new(Kind::Io, "the container cannot be ended").at(name))
    }
}

/// ch-run does nothing where the environment does not say who runs it.
fn say_who_runs(command: &mut Command) {
    if std::env::var_os("USER").is_none() {
        command.env("USER", rustix::process::geteuid().as_raw().to_string());
    }
}

fn rootfs_in(scratch: &Path) -> PathBuf {
    scratch.join("rootfs")
}

/// The process that a run has noted, if it is still that one: numbers are given out again.
fn running_pid(scratch: &Path) -> Option<Pid> {
    let number: i32 = fs::read_to_string(scratch.join(PID)).ok()?.trim().parse().ok()?;
    let line = fs::read(format!("/proc/{number}/cmdline")).ok()?;
    let own = scratch.join(STARTED);
    let own = own.as_os_str().as_encoded_bytes();
    line.split(|byte| *byte == 0).any(|argument| argument == own).then(|| Pid::from_raw(number)).flatten()
}

/// The processes that this one has started and that have not ended.
fn children(pid: Pid) -> Vec<Pid> {
    let number = pid.as_raw_nonzero();
    let told = fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap_or_default();
    told.split_whitespace().filter_map(|number| Pid::from_raw(number.parse().ok()?)).collect()
}

/// True if the process has not ended; one that nobody has waited for has no command line any more.
fn is_running(pid: Pid) -> bool {
    fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).is_ok_and(|line| !line.is_empty())
}

/// What a run has below `/dev` would be hidden by what the train has there of its own.
fn ensure_outside_devices(scratch: &Path) -> Result<()> {
    let place = scratch.canonicalize().doing("find the run's directory").at(scratch.display())?;
    if place.starts_with("/dev") {
        let what = "a train under Charliecloud has memory of its own below /dev: its own files cannot be there";
        return Err(Error::usage(what).advise(Advice::ChooseRunDir).at(scratch.display()));
    }
    Ok(())
}

/// Sees to it that there is something to mount over, in what lies above the base.
fn make_mount_point(writable: &Path, base: &Path, mount: &Mount) -> Result<()> {
    let inside = mount.path.strip_prefix("/").unwrap_or(&mount.path);
    // Nothing is made, or mounted, where a link of the base leads.
    for above in inside.ancestors().filter(|above| !above.as_os_str().is_empty()) {
        if [base, writable].iter().any(|root| root.join(above).is_symlink()) {
            let what = format!("the base has a link at /{}, so that nothing can be mounted there", above.display());
            return Err(Error::malformed(what).at(mount.path.display()));
        }
    }
    let is_there = base.join(inside).exists();
    let place = writable.join(inside);
    let parent = if mount.host.is_dir() { Some(place.as_path()) } else { place.parent() };
    if !is_there && let Some(parent) = parent {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
        made.doing("create the mount point").at(mount.path.display())?;
    }
    if !is_there && !mount.host.is_dir() {
        File::create(&place).doing("create the mount point").at(mount.path.display())?;
    }
    Ok(())
}

/// One variable a line, in a file that only this user can read: secrets do not stand in command lines.
fn write_variables(path: &Path, variables: &[String]) -> Result<()> {
    if let Some(variable) = variables.iter().find(|variable| variable.contains('\n')) {
        let name = variable.split('=').next().unwrap_or_default();
        let name = crate::text::Printable::new(name);
        return Err(Error::usage(format!("the variable `{name}` has a line break, which Charliecloud does not take")));
    }
    let made = File::options().write(true).create_new(true).mode(0o600).open(path);
    let text: String = variables.iter().map(|variable| format!("{variable}\n")).collect();
    let written = made.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.doing("write the variables").at(path.display())
}

fn write_line(scratch: &Path, line: &[OsString]) -> Result<()> {
    let text: Vec<u8> = line.iter().flat_map(|part| [part.as_encoded_bytes(), b"\0"].concat()).collect();
    fs::write(scratch.join(LINE), text).doing("note the command").at(scratch.display())
}

fn read_line(scratch: &Path) -> Vec<OsString> {
    use std::os::unix::ffi::OsStringExt;
    let text = fs::read(scratch.join(LINE)).unwrap_or_default();
    let parts = text.strip_suffix(b"\0").unwrap_or(&text).split(|byte| *byte == 0);
    parts.map(|part| OsString::from_vec(part.to_vec())).collect()
}
