//! Podman as tests can run it: with a storage of its own, and with what works where tests run.

use std::path::Path;

const CONTAINERS_CONF: &str = "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
                               [containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";

/// Writes its configuration into a directory, which gets its storage, too; the variables that name it.
pub fn configure(dir: &Path) -> [(&'static str, String); 2] {
    let (containers, storage) = (dir.join("containers.conf"), dir.join("storage.conf"));
    let (root, run) = (dir.join("storage"), dir.join("run"));
    let text =
        format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n", root.display(), run.display());
    std::fs::write(&containers, CONTAINERS_CONF).expect("a file can be written");
    std::fs::write(&storage, text).expect("a file can be written");
    [("CONTAINERS_CONF", containers.display().to_string()), ("CONTAINERS_STORAGE_CONF", storage.display().to_string())]
}
