//! Layouts that lead elsewhere, and files that nobody can read to their end.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use support::stage::StageFixture;
use support::tree::{differences, snapshot};
use support::{Layout, Wire, pht_oci, program, utf8};

/// The name of a blob that no image needs, and that is somebody else's.
const FOREIGN: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// Moves a directory of the layout away and puts a link in its place; where the blobs are now.
fn lead_away(layout: &Layout, part: &str) -> PathBuf {
    let elsewhere = layout.dir.with_file_name("elsewhere");
    let from = layout.dir.join(part);
    fs::rename(&from, &elsewhere).expect("a move");
    symlink(&elsewhere, &from).expect("a link");
    let blobs = if part.ends_with("sha256") { elsewhere.clone() } else { elsewhere.join("sha256") };
    fs::write(blobs.join(FOREIGN), "somebody else's").expect("a new file");
    elsewhere
}

#[test]
fn nothing_is_written_or_removed_behind_a_link() {
    for part in ["blobs", "blobs/sha256"] {
        for command in ["pre-run", "post-run", "gc", "copy"] {
            let fixture = StageFixture::new(Wire::V2_0);
            if command == "post-run" {
                fixture.stage("pre-run", &["latest"], &[]).ok();
                fixture.write("latest", "latest");
            }
            let elsewhere = lead_away(&fixture.layout, part);
            let before = (snapshot(&elsewhere), snapshot(&fixture.layout.dir));
            let outcome = match command {
                "gc" => pht_oci(&["gc", fixture.layout.path()], &[]),
                "copy" => pht_oci(&["copy", &fixture.layout.at("latest"), &fixture.layout.at("other")], &[]),
                stage => fixture.stage(stage, &["latest"], &[]),
            };
            let message = outcome.refused(2).stderr;
            assert!(message.contains(part) && message.contains("hint: "), "{part}, {command}: {message}");
            let after = (snapshot(&elsewhere), snapshot(&fixture.layout.dir));
            assert_eq!(differences(&before.0, &after.0, true), Vec::<String>::new(), "{part}, {command}");
            assert_eq!(differences(&before.1, &after.1, true), Vec::<String>::new(), "{part}, {command}");
            // Reading does no harm, and a stage may write elsewhere.
            let to = format!("oci:{}:latest", utf8(&fixture.layout.dir.with_file_name("taken")));
            pht_oci(&["copy", &fixture.layout.at("latest"), &to], &[]).ok();
        }
    }
}

/// Layouts may share their blobs, each with links to one directory.
#[test]
fn a_stage_leaves_the_blobs_of_other_layouts_alone() {
    for part in ["blobs", "blobs/sha256"] {
        let fixture = StageFixture::new(Wire::V2_0);
        let elsewhere = lead_away(&fixture.layout, part);
        let other = Layout::new(fixture.layout.dir.with_file_name("other"));
        fs::create_dir_all(other.dir.join("blobs")).expect("a new directory");
        for name in ["index.json", "oci-layout"] {
            fs::copy(fixture.layout.dir.join(name), other.dir.join(name)).expect("a copy");
        }
        if part == "blobs" {
            fs::remove_dir(other.dir.join("blobs")).expect("it goes");
        }
        symlink(&elsewhere, other.dir.join(part)).expect("a link");
        fixture.stage("pre-run", &["latest"], &[]).refused(2);
        pht_oci(&["gc", fixture.layout.path()], &[]).refused(2);
        pht_oci(&["inspect", &other.at("latest")], &[]).ok();
        pht_oci(&["verify", &other.at("latest")], &[]).ok();
    }
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a pipe");
}

/// The exit status of the program, which must not wait for anybody.
fn ended(line: &[&str]) -> Option<i32> {
    let mut command = Command::new(program());
    command.args(line).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (begin, mut child) = (Instant::now(), command.spawn().expect("the program starts"));
    while begin.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().expect("its state") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it ends");
    child.wait().expect("it has ended");
    panic!("{line:?} waits for ever");
}

#[test]
fn no_pipe_makes_a_command_wait() {
    let fixture = StageFixture::new(Wire::V2_0);
    let image = fixture.layout.image("latest");
    let digest = |value: &serde_json::Value| value["digest"].as_str().expect("a digest").to_owned();
    let layers = fixture.layout.layers("latest");
    let blobs = [digest(&image["descriptor"]), digest(&image["manifest"]["config"]), layers[layers.len() - 1].clone()];
    let files = blobs.iter().map(|digest| fixture.layout.blob(digest));
    let documents = ["index.json", "oci-layout"].map(|name| fixture.layout.dir.join(name));
    let key = fixture.vectors.key("station_2");
    let at = fixture.layout.at("latest");
    let pre_run = ["pre-run", &at, "--station", "station_2", "--private-key", &key];
    for path in files.chain(documents) {
        let kept = fs::read(&path).expect("a file");
        for odd in [fifo as fn(&Path), |path| symlink("/dev/zero", path).expect("a link")] {
            fs::remove_file(&path).expect("it goes");
            odd(&path);
            for line in [&["verify", &at][..], &pre_run, &["gc", fixture.layout.path()]] {
                let status = ended(line);
                // What nobody needs is not opened.
                let unread = line[0] == "gc" && status == Some(0);
                assert!(unread || matches!(status, Some(2 | 5)), "{}, {line:?}: {status:?}", path.display());
            }
            fs::remove_file(&path).expect("it goes");
            fs::write(&path, &kept).expect("a new file");
        }
    }
    // What a killed run has left may be anything by now.
    let left = fixture.layout.dir.join(".pht-oci-12345");
    fs::create_dir(&left).expect("a new directory");
    fifo(&left.join("journal"));
    assert_eq!(ended(&pre_run), Some(0));
    assert!(!left.exists());
    // `dir:`, whose manifest and blobs lie side by side.
    let plain = fixture.layout.dir.with_file_name("plain");
    let to = format!("dir:{}", utf8(&plain));
    pht_oci(&["copy", &fixture.layout.at("latest-encrypted"), &to], &[]).ok();
    for name in ["manifest.json", layers[layers.len() - 1].trim_start_matches("sha256:")] {
        let path = plain.join(name);
        let kept = fs::read(&path).expect("a file");
        fs::remove_file(&path).expect("it goes");
        fifo(&path);
        let status = ended(&["verify", &to]);
        assert!(matches!(status, Some(2 | 5)), "{name}: {status:?}");
        fs::remove_file(&path).expect("it goes");
        fs::write(&path, kept).expect("a new file");
    }
    assert_eq!(ended(&["verify", &to]), Some(0));
}

/// As git-annex and DataLad keep layouts: every file is a link into a store, where it is read-only.
#[test]
fn single_files_may_be_links() {
    let fixture = StageFixture::new(Wire::V2_0);
    let store = fixture.layout.dir.with_file_name("store");
    fs::create_dir(&store).expect("a new directory");
    let blobs = fs::read_dir(fixture.layout.dir.join("blobs/sha256")).expect("blobs");
    let mut files: Vec<PathBuf> = blobs.map(|entry| entry.expect("an entry").path()).collect();
    files.extend(["index.json", "oci-layout"].map(|name| fixture.layout.dir.join(name)));
    for file in files {
        let kept = store.join(file.file_name().expect("a name"));
        fs::rename(&file, &kept).expect("a move");
        symlink(&kept, &file).expect("a link");
    }
    let before = snapshot(&store);
    fixture.whole_stop();
    assert_eq!(differences(&before, &snapshot(&store), true), Vec::<String>::new());
}
