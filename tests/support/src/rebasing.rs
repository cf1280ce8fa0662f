//! Master images that a train is rebased on.

use serde_json::json;

use crate::tree::write_results;
use crate::{Edit, Train};

/// A newer master image beside the old one: another layer at the bottom and one above, another environment and labels.
pub fn new_master(train: &Train) -> String {
    let base = &train.base;
    base.append("base", "newer", &[Edit::Put("usr/lib/fixed", b"fixed\n".to_vec())]);
    base.append("newer", "newer", &[Edit::Put("opt/pht_train/stray", b"of the master image\n".to_vec())]);
    let merge =
        json!({ "Env": ["PATH=/bin", "VERSION=2"], "Labels": { "org.example.base": "newer" }, "Cmd": ["/bin/no"] });
    base.merge_config("newer", "newer", &merge);
    base.at("newer")
}

/// The results of a stop; written when they are first asked for.
pub fn results(train: &Train, stop: usize) -> std::path::PathBuf {
    let dir = train.dir.path().join(format!("results-{stop}"));
    if !dir.exists() {
        write_results(&dir, stop);
    }
    dir
}
