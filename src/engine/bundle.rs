//! A bundle (OCI runtime specification): how runc is to run a base.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::accounts::Account;
use super::capabilities::CAPABILITIES;
use super::interface::Job;
use super::options::Limits;
use super::overlay::Base;
use super::seccomp;
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use oci_spec::runtime::{
    Capability, Linux, LinuxCapabilities, LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxNamespace, LinuxNamespaceType,
    LinuxPids, Mount, Process, Root, Spec, User,
};

/// The `PATH` of images that set none.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The period for which processor time is given out, in microseconds: the kernel's own.
const CPU_PERIOD: u64 = 100_000;
/// The directory of a bundle that is the container's root.
pub(super) const ROOTFS: &str = "rootfs";

/// Writes the bundle of a job into the directory.
pub(super) fn write(dir: &Path, job: &Job<'_>, base: &Base) -> Result<()> {
    let text = serde_json::to_vec(&spec(job, base)?).map_err(|error| Error::io("cannot write JSON", error.into()));
    fs::write(dir.join("config.json"), text?).doing("write config.json").at(dir.display())
}

fn spec(job: &Job<'_>, base: &Base) -> Result<Spec> {
    let mut spec = Spec::default();
    let mut root = Root::default();
    root.set_path(PathBuf::from(ROOTFS)).set_readonly(Some(false));
    spec.set_root(Some(root)).set_hostname(Some("train".to_owned())).set_process(Some(process(job, &base.path)?));
    let mut all = spec.mounts().clone().unwrap_or_default();
    // Trains need no control groups, and not every machine can show them.
    all.retain(|mount| mount.typ().as_deref() != Some("cgroup"));
    let euid = rustix::process::geteuid();
    if !euid.is_root() {
        let gid = rustix::process::getegid();
        // The overlay is mounted in a user namespace, in which this user is root already.
        let own = if base.root.is_some() { (0, 0) } else { (euid.as_raw(), gid.as_raw()) };
        spec.set_linux(Some(Linux::rootless(own.0, own.1)));
        // The group of terminals is not among those that this user has.
        all.iter_mut().filter(|mount| mount.typ().as_deref() == Some("devpts")).for_each(|mount| {
            let options = mount.options().iter().flatten().filter(|option| !option.starts_with("gid=")).cloned();
            let options = options.collect();
            mount.set_options(Some(options));
        });
    }
    all.extend(job.mounts.iter().map(bind));
    spec.set_mounts(Some(all));
    if let Some(linux) = spec.linux_mut() {
        isolate(linux);
        linux.set_seccomp(Some(seccomp::profile()?));
        if euid.is_root() {
            bound(linux, &job.options.limits);
        }
    }
    Ok(spec)
}

/// The limits, by control groups of the container's own.
fn bound(linux: &mut Linux, limits: &Limits) {
    let mut resources = linux.resources().clone().unwrap_or_default();
    if let Some(bytes) = limits.memory.and_then(|bytes| i64::try_from(bytes).ok()) {
        let mut memory = LinuxMemory::default();
        memory.set_limit(Some(bytes)).set_swap(Some(bytes));
        resources.set_memory(Some(memory));
    }
    if let Some(cpus) = limits.cpus {
        let mut cpu = LinuxCpu::default();
        #[allow(clippy::cast_possible_truncation, reason = "a number of processors, checked when it was read")]
        let quota = (cpus * CPU_PERIOD as f64) as i64;
        cpu.set_period(Some(CPU_PERIOD)).set_quota(Some(quota));
        resources.set_cpu(Some(cpu));
    }
    if let Some(count) = limits.pids {
        let mut pids = LinuxPids::default();
        pids.set_limit(count.into());
        resources.set_pids(Some(pids));
    }
    linux.set_resources(Some(resources));
}

/// A network of its own with nothing in it but `lo`, and no device that the runtime does not make itself.
fn isolate(linux: &mut Linux) {
    let mut namespaces = linux.namespaces().clone().unwrap_or_default();
    namespaces.retain(|namespace| namespace.typ() != LinuxNamespaceType::Network);
    let mut network = LinuxNamespace::default();
    network.set_typ(LinuxNamespaceType::Network);
    namespaces.push(network);
    linux.set_namespaces(Some(namespaces));
    if let Some(resources) = linux.resources_mut() {
        let mut none = LinuxDeviceCgroup::default();
        none.set_allow(false).set_access(Some("rwm".to_owned()));
        resources.set_devices(Some(vec![none]));
    }
}

fn bind(wanted: &super::options::Mount) -> Mount {
    let mut mount = Mount::default();
    let access = if wanted.read_only { "ro" } else { "rw" };
    let options = ["rbind", "nosuid", "nodev", access].map(str::to_owned).to_vec();
    mount.set_destination(wanted.path.clone()).set_typ(Some("bind".to_owned()));
    mount.set_source(Some(wanted.host.clone())).set_options(Some(options));
    mount
}

fn process(job: &Job<'_>, base: &Path) -> Result<Process> {
    let mut process = Process::default();
    process.set_args(Some(job.process.arguments.clone())).set_env(Some(environment(job))).set_rlimits(None);
    process.set_cwd(job.process.work_dir.clone().into()).set_no_new_privileges(Some(true));
    let user = user(&job.process.user, base)?;
    let is_root = user.uid() == 0;
    process.set_user(user);
    let all: HashSet<Capability> = CAPABILITIES.into_iter().collect();
    let own = if is_root { all.clone() } else { HashSet::new() };
    let mut capabilities = LinuxCapabilities::default();
    capabilities.set_bounding(Some(all)).set_permitted(Some(own.clone())).set_effective(Some(own));
    capabilities.set_inheritable(None).set_ambient(None);
    process.set_capabilities(Some(capabilities));
    Ok(process)
}

/// The image's variables, then the station's, of which the last of each name counts.
pub(super) fn environment(job: &Job<'_>) -> Vec<String> {
    let mut all = vec![PATH.to_owned()];
    let given = job.options.variables.iter().map(|variable| format!("{}={}", variable.name, variable.value));
    for variable in job.process.environment.iter().cloned().chain(given) {
        let name = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
        all.retain(|other| name(other) != name(&variable));
        all.push(variable);
    }
    all
}

/// Whom the container runs as.
fn user(text: &str, base: &Path) -> Result<User> {
    let account = Account::of(text, base)?;
    let (uid, gid) = (account.uid, account.gid);
    let is_root = rustix::process::geteuid().is_root();
    if !is_root && (uid, gid) != (0, 0) {
        let what = format!("the image runs as user {uid} and group {gid}, but runc without root can run as root only");
        return Err(Error::usage(what).advise(Advice::RunAsRoot));
    }
    let mut user = User::default();
    user.set_uid(uid).set_gid(gid);
    if is_root && !account.further_groups.is_empty() {
        user.set_additional_gids(Some(account.further_groups));
    }
    Ok(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_empty_whoever_runs_it() {
        for mut linux in [Linux::default(), Linux::rootless(1000, 1000)] {
            isolate(&mut linux);
            let namespaces = linux.namespaces().clone().unwrap();
            let network: Vec<_> =
                namespaces.iter().filter(|namespace| namespace.typ() == LinuxNamespaceType::Network).collect();
            assert!(matches!(network[..], [one] if one.path().is_none()), "{network:?}");
        }
    }
}
