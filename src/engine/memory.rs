//! The most memory that a container has taken, as its control group counts: processes, and the files that they have read.

use std::fs;
use std::path::PathBuf;

/// Where control groups are mounted.
const GROUPS: &str = "/sys/fs/cgroup";

/// The most memory that a container has taken so far. Its control group goes with it, so that it has to be looked at while
/// the train runs: what the train takes after the last look is not seen, and of one that ends at once there is nothing.
#[derive(Debug, Default)]
pub(crate) struct PeakMemory {
    /// The kernel's own count.
    file: Option<PathBuf>,
    bytes: Option<u64>,
}

impl PeakMemory {
    /// Looks; `first_process` says which process is one of the container's.
    pub(crate) fn look(&mut self, first_process: impl FnOnce() -> Option<u32>) {
        if self.file.is_none() {
            self.file = first_process().and_then(peak_file);
        }
        let told = self.file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        self.bytes = self.bytes.max(told.and_then(|told| told.trim().parse().ok()));
    }

    /// The bytes, if they are known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.bytes
    }
}

/// The file in which the kernel counts for a process; none if it shares our own control group.
fn peak_file(pid: u32) -> Option<PathBuf> {
    let (own, its) = (groups_of("self")?, groups_of(&pid.to_string())?);
    let file = peak_in(&its).filter(|file| peak_in(&own).as_ref() != Some(file))?;
    file.exists().then_some(file)
}

fn groups_of(process: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/cgroup")).ok()
}

/// The file by the control groups of a process: `NUMBER:CONTROLLERS:PATH` a line (cgroups(7)), where version 2 has neither
/// number nor controllers. Where both are mounted, memory is of the one that names it.
fn peak_in(groups: &str) -> Option<PathBuf> {
    let lines = || groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let named = lines().find(|(controllers, _)| controllers.split(',').any(|controller| controller == "memory"));
    match (named, lines().find(|(controllers, _)| controllers.is_empty())) {
        (Some((_, path)), _) => Some(format!("{GROUPS}/memory{path}/memory.max_usage_in_bytes").into()),
        (None, Some((_, path))) => Some(format!("{GROUPS}{path}/memory.peak").into()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_read() {
        let peak = |groups| peak_in(groups).map(|path| path.display().to_string());
        let first = "12:pids:/a\n4:cpu,memory:/user/x\n0::/x\n";
        assert_eq!(peak(first).as_deref(), Some("/sys/fs/cgroup/memory/user/x/memory.max_usage_in_bytes"));
        assert_eq!(peak("0::/a.slice/x.scope\n").as_deref(), Some("/sys/fs/cgroup/a.slice/x.scope/memory.peak"));
        assert_eq!(peak("1:name=systemd:/a\n"), None);
    }

    #[test]
    fn our_own_memory_is_not_a_container_s() {
        let mut memory = PeakMemory::default();
        memory.look(|| Some(std::process::id()));
        assert_eq!(memory.bytes(), None);
        memory.look(|| None);
        assert_eq!(memory.bytes(), None);
    }
}
