//! What is wrong with a rehearsal before anything runs; `rehearsing` in the other crate has those that run.

use std::fs;

use support::{Layout, pht_oci, utf8};

#[test]
fn a_mistake_is_told_before_anything_runs() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| utf8(&dir.path().join(name)).to_owned();
    for name in ["files", "data", "full", "temporary"] {
        fs::create_dir(path(name)).expect("a new directory");
    }
    fs::write(path("files/main"), "true").and_then(|()| fs::write(path("full/old"), "1")).expect("a new file");
    Layout::new(dir.path().join("base")).make_base("base", false);
    let (base, data, full) = (format!("oci:{}:base", path("base")), format!("a={}", path("data")), path("full"));
    let (files, absent) = (path("files"), format!("a={}", path("absent")));
    let [relative, up] = ["x", "/x/../y"].map(|inside| format!("a={}:{inside}", path("data")));
    let whole = ["--base", &base, "--files", &files];
    for (line, named, advice) in [
        (vec![], "--data", "required"),
        (vec!["--data", "a"], "`a`: the directory of its data is missing", "STATION=DIR"),
        (vec!["--data", "=x"], "the station's id is missing", "STATION=DIR"),
        (vec!["--data", &absent], "data of station a: ", "there is no such file or directory"),
        (vec!["--data", &data, "--data", &data], "station a: two directories for /opt/train_data", "a path of its own"),
        (vec!["--data", &relative], "must be absolute", "STATION=DIR[:PATH]"),
        (vec!["--data", &up], "must be absolute", "STATION=DIR[:PATH]"),
        (vec!["--data", &data, "--engine", "lxc"], "no engine `lxc`", "podman, docker, runc, charliecloud"),
        (vec!["--data", &data, "--engine", "runc", "--out", &full], full.as_str(), "a new or an empty directory"),
        (vec!["--data", &data, "--timeout", "soon"], "--timeout", "90s"),
        (vec!["--data", &data, "--env", "PRIVATE_KEY_PATH=x"], "--env", "secret of the station"),
        (vec!["--data", &data, "--types", "csv", "--max-file", "x"], "--max-file", "16M"),
    ] {
        let tmp = path("temporary");
        let refused = pht_oci(&[&["try"], &whole[..], &line, &["--tmpdir", &tmp]].concat(), &[]).refused(2);
        for text in [named, advice] {
            assert!(refused.stderr.contains(text), "{line:?}: no {text:?} in {}", refused.stderr);
        }
        assert!(fs::read_dir(&tmp).expect("a directory").next().is_none(), "{line:?}");
    }
    assert_eq!(fs::read_to_string(path("full/old")).expect("what was there"), "1");
}
