//! Plaintext is for its owner alone, whatever the umask and whoever has been there before.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;
use std::process::Command;

use support::tree::{Node, differences, snapshot};
use support::vectors::Vectors;
use support::{Layout, Wire, pht_oci, program, utf8};

const UMASKS: [&str; 4] = ["000", "022", "077", "027"];

/// Runs the program with a umask; it must go well.
#[track_caller]
fn with_umask(umask: &str, line: &[&str]) {
    let script = format!("umask {umask}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, program()]).args(line).env_remove("PHT_TRUST_DIR");
    let output = command.output().expect("a shell");
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Files that another account can read, given the modes of all directories on the way, and directories that it can write.
fn open_to_others(path: &Path) -> Vec<String> {
    let found = fs::symlink_metadata(path).expect("a file");
    let mode = found.mode() & 0o777;
    let mut open = Vec::new();
    if found.is_dir() {
        if mode & 0o022 != 0 {
            open.push(format!("{} {mode:o}", path.display()));
        }
        if mode & 0o005 == 0o005 || mode & 0o050 == 0o050 {
            let entries = fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path());
            entries.for_each(|entry| open.extend(open_to_others(&entry)));
        }
    } else if found.is_file() && mode & 0o066 != 0 {
        open.push(format!("{} {mode:o}", path.display()));
    }
    open
}

fn places(dir: &Path) -> [(String, &'static str); 4] {
    let at = |name: &str| dir.join(name).display().to_string();
    [
        (format!("oci:{}:t", at("layout")), "layout"),
        (format!("oci-archive:{}:t", at("oci.tar")), "oci.tar"),
        (format!("docker-archive:{}:t:t", at("docker.tar")), "docker.tar"),
        (format!("dir:{}", at("dir")), "dir"),
    ]
}

#[test]
fn what_pre_run_publishes_is_its_owners_alone() {
    let vectors = Vectors::ours(Wire::V2_0);
    let (key, source) = (vectors.key("station_2"), vectors.layout.at("1-post"));
    for umask in UMASKS {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (to, name) in places(dir.path()) {
            let results = dir.path().join(format!("results of {name}"));
            let line = ["pre-run", &source, &to, "--station", "station_2", "--private-key", &key];
            with_umask(umask, &[&line[..], &["--results", utf8(&results)]].concat());
            for made in [results, dir.path().join(name)] {
                assert_eq!(open_to_others(&made), Vec::<String>::new(), "umask {umask}, {to}");
                let mode = fs::metadata(&made).expect("it is there").mode() & 0o777;
                assert_eq!(mode, if made.is_dir() { 0o700 } else { 0o600 }, "umask {umask}, {}", made.display());
            }
        }
    }
}

#[test]
fn new_blobs_of_an_opened_image_in_place_are_their_owners_alone() {
    for umask in UMASKS {
        let vectors = Vectors::ours(Wire::V2_0);
        let layout = vectors.layout.only("1-post", vectors.dir.path().join("one"));
        let before = snapshot(&layout.dir);
        let line =
            ["pre-run", &layout.at("1-post"), "--station", "station_2", "--private-key", &vectors.key("station_2")];
        with_umask(umask, &line);
        for (path, (mode, node)) in snapshot(&layout.dir) {
            let is_new = path.starts_with("blobs") && !before.contains_key(&path);
            assert!(!is_new || mode == 0o600, "umask {umask}, {}: {mode:o}, {node:?}", path.display());
        }
    }
}

#[test]
fn a_copy_of_what_is_open_is_its_owners_alone() {
    let vectors = Vectors::ours(Wire::V2_0);
    let (key, source) = (vectors.key("station_2"), vectors.layout.at("1-post"));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let opened = format!("oci:{}:t", utf8(&dir.path().join("opened")));
    pht_oci(&["pre-run", &source, &opened, "--station", "station_2", "--private-key", &key], &[]).ok();
    for (to, name) in places(dir.path()) {
        with_umask("000", &["copy", &opened, &to, "--allow-open"]);
        assert_eq!(open_to_others(&dir.path().join(name)), Vec::<String>::new(), "{to}");
    }
    fs::create_dir(dir.path().join("theirs")).expect("a new directory");
    fs::set_permissions(dir.path().join("theirs"), fs::Permissions::from_mode(0o777)).expect("a mode");
    let theirs = format!("oci:{}:t", utf8(&dir.path().join("theirs")));
    pht_oci(&["copy", &opened, &theirs], &[]).refused(2);
    pht_oci(&["copy", &opened, &theirs, "--shared"], &[]).ok();
}

#[test]
fn what_is_closed_is_for_everybody() {
    let vectors = Vectors::ours(Wire::V2_0);
    for umask in ["022", "077"] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // From blobs that only their owner can read, too.
        let private = vectors.layout.only("1-post", dir.path().join("private"));
        for entry in fs::read_dir(private.dir.join("blobs/sha256")).expect("blobs") {
            let path = entry.expect("an entry").path();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        for source in [vectors.layout.at("1-post"), private.at("1-post")] {
            let copied = dir.path().join(format!("copied{}", usize::from(source.contains("private"))));
            with_umask(umask, &["copy", &source, &format!("oci:{}:t", utf8(&copied))]);
            for entry in fs::read_dir(copied.join("blobs/sha256")).expect("blobs") {
                let path = entry.expect("an entry").path();
                let mode = fs::metadata(&path).expect("a blob").mode() & 0o044;
                assert_eq!(mode, 0o044, "umask {umask}, {}", path.display());
            }
            let archive = dir.path().join("copied.tar");
            let _ = fs::remove_file(&archive);
            with_umask(umask, &["copy", &source, &format!("oci-archive:{}:t", utf8(&archive))]);
            assert_eq!(fs::metadata(archive).expect("an archive").mode() & 0o777, 0o644);
        }
    }
}

#[test]
fn what_the_creator_gets_is_the_creators_alone() {
    let vectors = Vectors::ours(Wire::V2_0);
    let (key, source) = (vectors.key("user"), vectors.layout.at("2-post"));
    for umask in UMASKS {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["out", "out.tar"] {
            let out = dir.path().join(name);
            with_umask(umask, &["results", &source, "--private-key", &key, "--out", utf8(&out)]);
            assert_eq!(open_to_others(&out), Vec::<String>::new(), "umask {umask}");
        }
        for (path, name) in [("opt/pht_results", "tree"), ("opt/train_config.json", "file")] {
            let out = dir.path().join(name);
            with_umask(umask, &["extract", &source, path, "--out", utf8(&out)]);
            assert_eq!(open_to_others(&out), Vec::<String>::new(), "umask {umask}");
        }
    }
}

/// Opens a train at a place that `prepare` has made in a directory; then it must have been refused, with nothing changed.
#[track_caller]
fn refused_there(name: &str, to: &str, prepare: impl Fn(&Path)) {
    let vectors = Vectors::ours(Wire::V2_0);
    let dir = tempfile::tempdir().expect("a temporary directory");
    prepare(dir.path());
    let (source, key) = (vectors.layout.at("1-post"), vectors.key("station_2"));
    let to = to.replace("{}", utf8(dir.path()));
    let line = ["pre-run", &source, &to, "--station", "station_2", "--private-key", &key];
    let before = snapshot(dir.path());
    let message = pht_oci(&line, &[]).refused(2).stderr;
    assert!(message.contains("--shared"), "{name}: {message}");
    assert_eq!(differences(&before, &snapshot(dir.path()), true), Vec::<String>::new(), "{name}");
    pht_oci(&[&line[..], &["--shared"]].concat(), &[]).ok();
    let published = snapshot(dir.path());
    assert_ne!(before, published, "{name}");
    // Blobs of the closed train may be shared with the place that they come from.
    let is_blob = |path: &Path| path.components().any(|part| part.as_os_str() == "blobs");
    let is_new =
        |path: &Path| !vectors.layout.dir.join("blobs/sha256").join(path.file_name().expect("a name")).exists();
    let is_file = |node: &Node| matches!(node, Node::File { .. });
    let mut open = published.iter().filter(|(path, (_, node))| is_file(node) && is_blob(path) && is_new(path));
    let open = open.find(|(path, (mode, _))| mode & 0o077 != 0 && !before.contains_key(*path));
    assert!(open.is_none(), "{name}: even there the plaintext is its owner's: {open:?}");
}

#[test]
fn a_place_that_others_may_write_is_refused() {
    let make = |mode: u32| {
        move |dir: &Path| {
            fs::create_dir(dir.join("to")).expect("a new directory");
            fs::set_permissions(dir.join("to"), fs::Permissions::from_mode(mode)).expect("a mode");
        }
    };
    for mode in [0o777, 0o1777, 0o757, 0o703] {
        refused_there(&format!("mode {mode:o}"), "oci:{}/to:t", make(mode));
        refused_there(&format!("mode {mode:o}, dir:"), "dir:{}/to", make(mode));
    }
    refused_there("its blobs", "oci:{}/to:t", |dir| {
        let vectors = Vectors::ours(Wire::V2_0);
        Layout::new(vectors.layout.dir.clone()).only("0-built", dir.join("to"));
        fs::set_permissions(dir.join("to/blobs/sha256"), fs::Permissions::from_mode(0o777)).expect("a mode");
    });
}

/// As with the umask of many systems, where everybody has a group of their own.
#[test]
fn what_ones_own_group_may_write_is_closed() {
    let vectors = Vectors::ours(Wire::V2_0);
    let (key, source) = (vectors.key("station_2"), vectors.layout.at("1-post"));
    let dir = tempfile::tempdir().expect("a temporary directory");
    with_umask("002", &["copy", &source, &format!("oci:{}/to:t", utf8(dir.path()))]);
    for (to, made) in [("oci:{}/to:t", "to"), ("dir:{}/plain", "plain")] {
        fs::create_dir_all(dir.path().join(made)).expect("a directory");
        fs::set_permissions(dir.path().join(made), fs::Permissions::from_mode(0o775)).expect("a mode");
        let to = to.replace("{}", utf8(dir.path()));
        pht_oci(&["pre-run", &source, &to, "--station", "station_2", "--private-key", &key], &[]).ok();
    }
    for made in ["to", "to/blobs", "to/blobs/sha256", "plain"] {
        assert_eq!(fs::metadata(dir.path().join(made)).expect("it is there").mode() & 0o777, 0o755, "{made}");
    }
}

#[test]
fn a_place_of_somebody_elses_is_refused() {
    if !support::available("places::a_place_of_somebody_elses_is_refused", &[support::Peer::Root]) {
        return;
    }
    let theirs = |path: &Path| lchown(path, Some(54321), Some(54321)).expect("root may");
    for to in ["oci:{}/to:t", "dir:{}/to"] {
        refused_there("a directory", to, |dir| {
            fs::create_dir(dir.join("to")).expect("a new directory");
            theirs(&dir.join("to"));
        });
        refused_there("a link", to, |dir| {
            fs::create_dir(dir.join("target")).expect("a new directory");
            symlink("target", dir.join("to")).expect("a link");
            theirs(&dir.join("to"));
        });
    }
    for to in ["oci:{}/way/to:t", "dir:{}/way/to", "oci-archive:{}/way/to.tar:t", "docker-archive:{}/way/to.tar:t:t"] {
        refused_there("a link on the way", to, |dir| {
            fs::create_dir(dir.join("target")).expect("a new directory");
            symlink("target", dir.join("way")).expect("a link");
            theirs(&dir.join("way"));
        });
    }
    refused_there("a link to an archive", "oci-archive:{}/to.tar:t", |dir| {
        fs::write(dir.join("target.tar"), "").expect("a new file");
        symlink("target.tar", dir.join("to.tar")).expect("a link");
        theirs(&dir.join("to.tar"));
    });
}

#[test]
fn ones_own_link_leads_to_ones_own_place() {
    let vectors = Vectors::ours(Wire::V2_0);
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(dir.path().join("target")).expect("a new directory");
    symlink("target", dir.path().join("to")).expect("a link");
    let (source, key) = (vectors.layout.at("1-post"), vectors.key("station_2"));
    let to = format!("oci:{}:t", utf8(&dir.path().join("to")));
    pht_oci(&["pre-run", &source, &to, "--station", "station_2", "--private-key", &key], &[]).ok();
    assert!(dir.path().join("target/index.json").exists());
}
