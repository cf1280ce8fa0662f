//! `extract`: files and directories as the layers together show them.

use std::fs;

use support::tree::{differences, snapshot};
use support::{Edit, Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci, run, utf8};

/// A train (its immutable files in plaintext) with a layer of results and of links above.
fn fixture() -> Train {
    let train = Train::build(Implementation::Ours, Wire::V1_1_2, &TrainSpec::default()).unwrap();
    let results = train.dir.path().join("results");
    fs::create_dir_all(results.join("sub")).unwrap();
    fs::write(results.join("sub/x"), "one\n").unwrap();
    fs::write(results.join("gone"), "two\n").unwrap();
    std::os::unix::fs::symlink("sub/x", results.join("link")).unwrap();
    train.layout.append("0", "1", &[Edit::Diff("opt/pht_results", &results)]);
    train.layout.append("1", "2", &[Edit::Remove("opt/pht_results/gone")]);
    fs::remove_file(results.join("gone")).unwrap();
    train
}

#[test]
fn extracts_what_the_layers_together_show() {
    if !available("extracts_what_the_layers_together_show", &[Peer::Python]) {
        return;
    }
    let train = fixture();
    let (image, dir) = (train.layout.at("2"), train.dir.path());
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    for file in ["opt/train_config.json", "opt/pht_train/query.json", "opt/pht_results/sub/x", "etc/os-release"] {
        let wanted = train.layout.cat("2", file);
        assert_eq!(pht_oci(&["extract", &image, &format!("/{file}")], &[]).ok().stdout, wanted, "{file}");
        let out = path(&file.replace('/', "-"));
        pht_oci(&["extract", &image, file, "--out", &out], &[]).ok();
        assert_eq!(fs::read(&out).unwrap(), wanted, "{file}");
        // What is there is not overwritten.
        pht_oci(&["extract", &image, file, "--out", &out], &[]).refused(2);
    }
    let wanted = snapshot(&dir.join("results"));
    // What a run that was killed has left goes away.
    fs::create_dir(path(".pht-oci-tree")).unwrap();
    fs::write(path(".pht-oci-tree/left"), "left").unwrap();
    fs::write(path(".pht-oci-file"), "left").unwrap();
    pht_oci(&["extract", &image, "opt/pht_results/sub/x", "--out", &path("file")], &[]).ok();
    assert!(!dir.join(".pht-oci-file").exists());
    pht_oci(&["extract", &image, "opt/pht_results", "--out", &path("tree")], &[]).ok();
    assert!(!dir.join(".pht-oci-tree").exists());
    assert_eq!(differences(&snapshot(&dir.join("tree")), &wanted, false), Vec::<String>::new());
    let tar = pht_oci(&["extract", &image, "/opt/pht_results/", "--out", "-"], &[]).ok().stdout;
    fs::write(path("tree.tar"), tar).unwrap();
    fs::create_dir(path("unpacked")).unwrap();
    run("tar", &["xf", &path("tree.tar"), "-C", &path("unpacked")]).unwrap();
    let unpacked = snapshot(&dir.join("unpacked/opt/pht_results"));
    assert_eq!(differences(&unpacked, &wanted, false), Vec::<String>::new());
}

#[test]
fn says_why_nothing_can_be_extracted_and_makes_nothing() {
    if !available("says_why_nothing_can_be_extracted", &[Peer::Python]) {
        return;
    }
    let train = fixture();
    let (image, out) = (train.layout.at("2"), train.dir.path().join("out"));
    let line = |path: &str| pht_oci(&["extract", &image, path, "--out", utf8(&out)], &[]);
    for (path, message) in [
        ("opt/absent", "nothing at this path"),
        ("opt/pht_results/gone", "nothing at this path"),
        ("opt/pht_results/link", "symbolic link"),
        ("../etc/passwd", "cannot be extracted"),
        ("/", "cannot be extracted"),
    ] {
        let refused = line(path).refused(2);
        assert!(refused.stderr.contains(message), "{path}: {}", refused.stderr);
        assert!(!out.exists(), "{path}");
    }
    // A layer that is not what its digest says is not handed out.
    let layers = train.layout.layers("2");
    let blob = train.layout.blob(layers.last().unwrap());
    let mut bytes = fs::read(&blob).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&blob, bytes).unwrap();
    line("opt/pht_results").refused(3);
    assert!(!out.exists());
}

/// The hand-out of a central service: each path at its own name, one after the other, as `docker cp` puts them.
#[test]
fn several_paths_go_into_one_archive() {
    if !available("several_paths_go_into_one_archive", &[Peer::Python]) {
        return;
    }
    let train = fixture();
    let (image, dir) = (train.layout.at("2"), train.dir.path());
    let tar = dir.join("handout.tar");
    let paths = ["/opt/pht_results", "opt/train_config.json", "/opt/pht_train/lib/"];
    let streamed = pht_oci(&[&["extract", &image], &paths[..], &["--out", "-"]].concat(), &[]).ok().stdout;
    pht_oci(&[&["extract", &image], &paths[..], &["--out", utf8(&tar)]].concat(), &[]).ok();
    assert_eq!(fs::read(&tar).unwrap(), streamed);
    let listed = String::from_utf8(run("tar", &["tf", utf8(&tar)]).unwrap()).unwrap();
    let wanted = ["pht_results/", "pht_results/link", "pht_results/sub/", "pht_results/sub/x", "train_config.json"];
    assert_eq!(listed.lines().collect::<Vec<_>>(), [&wanted[..], &["lib/", "lib/helper.py"]].concat());
    let unpacked = dir.join("handout");
    fs::create_dir(&unpacked).unwrap();
    run("tar", &["xf", utf8(&tar), "-C", utf8(&unpacked)]).unwrap();
    assert_eq!(fs::read(unpacked.join("train_config.json")).unwrap(), train.layout.cat("2", "opt/train_config.json"));
    let results = snapshot(&unpacked.join("pht_results"));
    assert_eq!(differences(&results, &snapshot(&dir.join("results")), false), Vec::<String>::new());
    // Nothing is made of what cannot all be had.
    let out = dir.join("none.tar");
    for (paths, message) in [
        (["/opt/pht_results", "/opt/absent"], "nothing at this path"),
        (["/opt/pht_results", "/opt/pht_results/"], "have one name"),
        (["/etc/os-release", "/opt/pht_results/link"], "symbolic link"),
        (["/opt/pht_results", ".."], "cannot be extracted"),
    ] {
        let refused = pht_oci(&[&["extract", &image], &paths[..], &["--out", utf8(&out)]].concat(), &[]).refused(2);
        assert!(refused.stderr.contains(message), "{paths:?}: {}", refused.stderr);
        assert!(!out.exists(), "{paths:?}");
    }
    pht_oci(&["extract", &image], &[]).refused(2);
}

/// Who is handed ciphertext is told so.
#[test]
fn ciphertext_is_said_to_be_that() {
    if !available("ciphertext_is_said_to_be_that", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let image = train.layout.at("0");
    let told = |image: &str, path: &str| {
        let stderr = pht_oci(&["extract", image, path, "--out", "-"], &[]).ok().stderr;
        stderr.contains("is encrypted")
    };
    assert!(told(&image, "/opt/pht_train") && told(&image, "/opt/pht_train/entrypoint.sh") && told(&image, "/opt"));
    assert!(!told(&image, "/opt/pht_results") && !told(&image, "/opt/train_config.json") && !told(&image, "/etc"));
    let open = train.layout.at("open");
    pht_oci(&["pre-run", &image, &open, "--private-key", &train.key("station_1")], &[]).ok();
    assert!(!told(&open, "/opt/pht_train"));
}
