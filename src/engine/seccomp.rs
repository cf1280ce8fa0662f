//! The system calls that no train needs and that have opened containers before: what Docker's and Podman's own profiles
//! refuse, named one by one. Everything else is allowed, so that a train does not fail on what is newer than this list.

use std::fs;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArgBuilder, LinuxSeccompBuilder, LinuxSeccompOperator,
    LinuxSyscall, LinuxSyscallBuilder,
};

use crate::error::{Error, ErrorContext, IoContext, Result};

const EPERM: u32 = 1;
/// For `clone3`, whose flags a filter cannot see: C libraries fall back to `clone`.
const ENOSYS: u32 = 38;

/// Refused whatever their arguments.
const REFUSED: [&str; 70] = [
    // Keys of the kernel are shared by all containers.
    "add_key",
    "keyctl",
    "request_key",
    // Other processes.
    "kcmp",
    "pidfd_getfd",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    // Namespaces, mounts and roots.
    "chroot",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_by_handle_at",
    "name_to_handle_at",
    "open_tree",
    "pivot_root",
    "setns",
    "umount",
    "umount2",
    "unshare",
    // The kernel itself.
    "acct",
    "bpf",
    "create_module",
    "delete_module",
    "finit_module",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "lookup_dcookie",
    "nfsservctl",
    "perf_event_open",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "swapoff",
    "swapon",
    "sysfs",
    "_sysctl",
    "syslog",
    "userfaultfd",
    "uselib",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
    "fanotify_init",
    // The machine's clock and name.
    "adjtimex",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_settime",
    "clock_settime64",
    "sethostname",
    "setdomainname",
    "settimeofday",
    "stime",
    // Memory of other nodes.
    "mbind",
    "move_pages",
    "set_mempolicy",
];

/// The flags of `clone` that make namespaces. That of time (0x80) is one of `clone3` alone: here it is part of a signal.
const NAMESPACES: [u64; 7] = [
    0x0002_0000, // mounts
    0x0200_0000, // control groups
    0x0400_0000, // host name
    0x0800_0000, // message queues
    0x1000_0000, // users
    0x2000_0000, // processes
    0x4000_0000, // network
];

/// The families of sockets that a network namespace does not hold: those to the hypervisor and its other machines, to the
/// kernel's cryptography, to Bluetooth, and between processors.
const SHARED_SOCKETS: [u64; 4] = [
    31, // AF_BLUETOOTH
    38, // AF_ALG
    40, // AF_VSOCK
    42, // AF_QIPCRTR
];

/// The profile (OCI runtime specification, Linux, seccomp).
pub(super) fn profile() -> Result<LinuxSeccomp> {
    let mut rules = vec![rule(&REFUSED, EPERM, None)?, rule(&["clone3"], ENOSYS, None)?];
    for flag in NAMESPACES {
        rules.push(rule(&["clone"], EPERM, Some(Argument::HasFlag(flag)))?);
    }
    for family in SHARED_SOCKETS {
        rules.push(rule(&["socket"], EPERM, Some(Argument::Is(family)))?);
    }
    // The old way of 32-bit programs, whose arguments a filter cannot see: C libraries have long called `socket`.
    rules.push(rule(&["socketcall"], ENOSYS, None)?);
    let architectures = match std::env::consts::ARCH {
        "x86_64" => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
        "aarch64" => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
        _ => Vec::new(),
    };
    let profile = LinuxSeccompBuilder::default().default_action(LinuxSeccompAction::ScmpActAllow).syscalls(rules);
    let profile = if architectures.is_empty() { profile } else { profile.architectures(architectures) };
    profile.build().map_err(unlikely)
}

/// Writes the profile into a directory, for engines that read it from a file.
pub(super) fn write(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("seccomp.json");
    let text = serde_json::to_vec(&profile()?).map_err(|error| Error::io("cannot write JSON", error.into()))?;
    fs::write(&path, text).doing("write the seccomp profile").at(path.display())?;
    Ok(path)
}

/// What the first argument of a call has to be for a rule.
#[derive(Clone, Copy)]
enum Argument {
    HasFlag(u64),
    Is(u64),
}

/// Refuses the calls with this error, or those with such a first argument.
fn rule(names: &[&str], error: u32, first: Option<Argument>) -> Result<LinuxSyscall> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut call =
        LinuxSyscallBuilder::default().names(names).action(LinuxSeccompAction::ScmpActErrno).errno_ret(error);
    if let Some(first) = first {
        let argument = LinuxSeccompArgBuilder::default().index(0_usize);
        let argument = match first {
            Argument::HasFlag(flag) => argument.value(flag).value_two(flag).op(LinuxSeccompOperator::ScmpCmpMaskedEq),
            Argument::Is(value) => argument.value(value).op(LinuxSeccompOperator::ScmpCmpEq),
        };
        call = call.args(vec![argument.build().map_err(unlikely)?]);
    }
    call.build().map_err(unlikely)
}

fn unlikely(error: oci_spec::OciSpecError) -> Error {
    Error::internal("the seccomp profile cannot be made").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_no_network_namespace_holds_are_refused() {
        let profile = serde_json::to_value(profile().unwrap()).unwrap();
        let calls = profile["syscalls"].as_array().unwrap();
        let families: Vec<u64> = calls
            .iter()
            .filter(|call| call["names"] == serde_json::json!(["socket"]))
            .map(|call| {
                assert_eq!(
                    (&call["action"], &call["args"][0]["op"]),
                    (&"SCMP_ACT_ERRNO".into(), &"SCMP_CMP_EQ".into())
                );
                call["args"][0]["value"].as_u64().unwrap()
            })
            .collect();
        // AF_BLUETOOTH, AF_ALG, AF_VSOCK, AF_QIPCRTR (Linux, include/linux/socket.h)
        assert_eq!(families, [31, 38, 40, 42]);
    }
}
