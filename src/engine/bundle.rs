//! A bundle (OCI runtime specification) from an image: its file system in a directory, and how to run it.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Capability, Linux, LinuxCapabilities, LinuxDeviceCgroup, LinuxNamespace, LinuxNamespaceType, Mount, Process, Root,
    Spec, User,
};
use rustix::fs::Mode;

use super::interface::Job;
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::image::{DirectorySink, Fidelity, PathFilter, Tree, View, write_tree};
use crate::json::{Object, Value};
use crate::store::Context;
use crate::text::Printable;

/// The `PATH` of images that set none.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The largest `/etc/passwd` or `/etc/group` that is read, in bytes.
const MAX_ACCOUNTS: u64 = 1 << 20;

/// The capabilities of root in a container: those of engines, without new device nodes and raw sockets.
const CAPABILITIES: [Capability; 11] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::NetBindService,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

/// Writes the bundle of a job into a new directory.
pub(super) fn write(dir: &Path, job: &Job<'_>, context: &Context) -> Result<()> {
    fs::DirBuilder::new().mode(0o700).create(dir).doing("create the directory").at(dir.display())?;
    let mut view = View::read(job.image, PathFilter::new([&b""[..]]), &context.temporary, |_| Ok(false))?;
    let root = dir.join("rootfs");
    let mut sink = DirectorySink::new(&root, b"", Fidelity::System)?;
    write_tree(&view.tree, b"", &mut sink)?;
    sink.finish()?;
    // Nothing of it may run before every layer is what the image says.
    view.verify()?;
    let mode = rustix::fs::chmod(&root, Mode::from_raw_mode(0o755));
    mode.map_err(std::io::Error::from).doing("set the mode of the directory").at(root.display())?;
    let text =
        serde_json::to_vec(&spec(job, &view.tree)?).map_err(|error| Error::io("cannot write JSON", error.into()));
    fs::write(dir.join("config.json"), text?).doing("write config.json").at(dir.display())
}

fn spec(job: &Job<'_>, tree: &Tree) -> Result<Spec> {
    let mut spec = Spec::default();
    let mut root = Root::default();
    root.set_path(PathBuf::from("rootfs")).set_readonly(Some(false));
    spec.set_root(Some(root)).set_hostname(Some("train".to_owned())).set_process(Some(process(job, tree)?));
    let mut all = spec.mounts().clone().unwrap_or_default();
    // Trains need no control groups, and not every machine can show them.
    all.retain(|mount| mount.typ().as_deref() != Some("cgroup"));
    let euid = rustix::process::geteuid();
    if !euid.is_root() {
        let gid = rustix::process::getegid();
        spec.set_linux(Some(Linux::rootless(euid.as_raw(), gid.as_raw())));
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
    }
    Ok(spec)
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

fn process(job: &Job<'_>, tree: &Tree) -> Result<Process> {
    let empty = Object::new();
    let config = job.image.config().get("config").and_then(Value::as_object).unwrap_or(&empty);
    let arguments = [strings(config, "Entrypoint")?, strings(config, "Cmd")?].concat();
    if arguments.is_empty() {
        return Err(Error::malformed("the image has no command").hint("build the train with a command"));
    }
    let mut process = Process::default();
    process.set_args(Some(arguments)).set_env(Some(environment(config, job)?)).set_rlimits(None);
    let work = config.get("WorkingDir").and_then(Value::as_str).filter(|dir| !dir.is_empty()).unwrap_or("/");
    process.set_cwd(work.into()).set_no_new_privileges(Some(true));
    let user = user(config.get("User").and_then(Value::as_str).unwrap_or_default(), tree)?;
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

fn strings(config: &Object, key: &str) -> Result<Vec<String>> {
    let wrong = || Error::malformed(format!("`{key}` in the image config is not a list of strings"));
    match config.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            list.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// The image's variables, then the station's, of which the last of each name counts.
fn environment(config: &Object, job: &Job<'_>) -> Result<Vec<String>> {
    let mut all = vec![PATH.to_owned()];
    let given = job.options.variables.iter().map(|variable| format!("{}={}", variable.name, variable.value));
    for variable in strings(config, "Env")?.into_iter().chain(given) {
        let name = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
        all.retain(|other| name(other) != name(&variable));
        all.push(variable);
    }
    Ok(all)
}

/// The image's `User`: `USER[:GROUP]`, each as a number or a name in the image's own files.
fn user(text: &str, tree: &Tree) -> Result<User> {
    let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
    let unknown = |what: &str| {
        Error::malformed(format!("the image runs as the {what} `{}`, which it does not define", Printable::new(text)))
    };
    let accounts = account_lines(tree, b"etc/passwd")?;
    let fields = accounts.iter().find(|fields| fields.first().is_some_and(|own| own == name));
    let number = |fields: &[String], at: usize| fields.get(at).and_then(|text| text.parse::<u32>().ok());
    let uid = match name {
        "" => 0,
        name => name.parse().ok().or_else(|| number(fields?, 2)).ok_or_else(|| unknown("user"))?,
    };
    let groups = account_lines(tree, b"etc/group")?;
    let by_uid = || accounts.iter().find(|fields| number(fields, 2) == Some(uid));
    let gid = match group {
        Some(group) => {
            let named = groups.iter().find(|fields| fields.first().is_some_and(|own| own == group));
            group.parse().ok().or_else(|| number(named?, 2)).ok_or_else(|| unknown("group"))?
        }
        None => by_uid().and_then(|fields| number(fields, 3)).unwrap_or(0),
    };
    if !rustix::process::geteuid().is_root() && (uid, gid) != (0, 0) {
        let what = format!("the image runs as user {uid} and group {gid}, but runc without root can run as root only");
        return Err(Error::usage(what).advise(Advice::RunAsRoot));
    }
    let mut user = User::default();
    user.set_uid(uid).set_gid(gid);
    let own = by_uid().and_then(|fields| fields.first());
    let member = |fields: &&Vec<String>| {
        fields.get(3).is_some_and(|list| list.split(',').any(|one| Some(one) == own.map(String::as_str)))
    };
    let further: Vec<u32> = groups.iter().filter(member).filter_map(|fields| number(fields, 2)).collect();
    if group.is_none() && rustix::process::geteuid().is_root() && !further.is_empty() {
        user.set_additional_gids(Some(further));
    }
    Ok(user)
}

/// The lines of `/etc/passwd` or `/etc/group` as the image has them, in fields; none where it has no such file.
fn account_lines(tree: &Tree, path: &[u8]) -> Result<Vec<Vec<String>>> {
    let Some(node) = tree.get(path).filter(|node| tree.file(node).is_some()) else { return Ok(Vec::new()) };
    let bytes = tree.read(node, MAX_ACCOUNTS)?;
    let fields = |line: &str| line.split(':').map(str::to_owned).collect();
    Ok(String::from_utf8_lossy(&bytes).lines().map(fields).collect())
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

    #[test]
    fn a_user_may_be_a_number() {
        let found = user("", &Tree::default()).unwrap();
        assert_eq!((found.uid(), found.gid()), (0, 0));
        assert!(user("nobody", &Tree::default()).is_err(), "an image without accounts knows no name");
    }
}
