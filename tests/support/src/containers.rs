//! Podman and skopeo with a storage of their own, and with what works where tests run.

use std::fs;
use std::path::Path;

const CONTAINERS_CONF: &str = "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
                               [containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";

/// Writes the configuration into a directory; the variables that make Podman keep to it.
pub fn configure(dir: &Path) -> [(&'static str, String); 2] {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).expect("a file can be written");
        path.into_os_string().into_string().expect("a path in UTF-8")
    };
    let (root, run) = (dir.join("storage"), dir.join("run"));
    let storage =
        format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n", root.display(), run.display());
    [
        ("CONTAINERS_CONF", write("containers.conf", CONTAINERS_CONF)),
        ("CONTAINERS_STORAGE_CONF", write("storage.conf", &storage)),
    ]
}
