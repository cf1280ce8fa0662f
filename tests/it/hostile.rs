//! Images made by an enemy, met by every command that reads one: refused in bounded time, memory and disk, and nothing
//! is written anywhere.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::peers::test_file;
use support::tree::{copy, differences, snapshot};
use support::vectors::{Signed, Vectors};
use support::{Edit, Layout, Peer, Wire, available, pht_oci, run};

/// The most that one command may take.
const TIME: Duration = Duration::from_secs(60);
/// In bytes.
const MEMORY: u64 = 128 << 20;

/// Malformed, whatever else it may be.
const MALFORMED: &[i32] = &[5];
/// Something does not hold, or the image is malformed: which of the two shows first is no matter.
const REFUSED: &[i32] = &[3, 5];

/// Functions of `images.py`.
const CASES: [(&str, &[i32]); 64] = [
    ("path_traversal", MALFORMED),
    ("path_traversal_in_results", MALFORMED),
    ("absolute_file_among_the_immutable", REFUSED),
    ("opt_is_a_symlink", MALFORMED),
    ("train_is_a_symlink", MALFORMED),
    ("results_are_a_symlink", REFUSED),
    ("config_is_a_symlink", MALFORMED),
    ("config_is_a_fifo", MALFORMED),
    ("config_is_a_device", MALFORMED),
    ("config_is_a_directory", MALFORMED),
    ("entry_through_a_symlink", MALFORMED),
    ("device_among_the_results", MALFORMED),
    ("device_among_the_immutable", REFUSED),
    ("symlink_among_the_immutable", REFUSED),
    ("whiteout_of_the_config", MALFORMED),
    ("whiteout_of_the_train", REFUSED),
    ("whiteout_of_opt", MALFORMED),
    ("opaque_opt", MALFORMED),
    ("whiteout_of_nothing", MALFORMED),
    ("below_a_whiteout", MALFORMED),
    ("duplicate_config", MALFORMED),
    ("duplicate_file", REFUSED),
    ("hard_link_to_outside", MALFORMED),
    ("hard_link_to_nothing", MALFORMED),
    ("hard_link_to_itself", MALFORMED),
    ("sparse_file", REFUSED),
    ("pax_bomb", MALFORMED),
    ("pax_size", MALFORMED),
    ("name_of_64_kib", MALFORMED),
    ("gnu_name_of_64_kib", MALFORMED),
    ("many_unlisted_files", REFUSED),
    ("gzip_bomb", REFUSED),
    ("zstd_bomb", REFUSED),
    ("truncated_gzip", MALFORMED),
    ("garbage_after_gzip", MALFORMED),
    ("second_gzip_member", MALFORMED),
    ("second_gzip_member_with_its_diff_id", REFUSED),
    ("lying_diff_id", MALFORMED),
    ("lying_diff_id_of_a_plain_layer", MALFORMED),
    ("not_a_tar", MALFORMED),
    ("ten_thousand_layers", MALFORMED),
    ("unknown_digest_algorithm", MALFORMED),
    ("digest_with_dots", MALFORMED),
    ("diff_id_with_dots", MALFORMED),
    ("diff_ids_missing", MALFORMED),
    ("layer_size_negative", MALFORMED),
    ("layer_size_huge", MALFORMED),
    ("layer_size_beyond_64_bits", MALFORMED),
    ("layer_size_fraction", MALFORMED),
    ("deep_config", MALFORMED),
    ("deep_list_in_the_config", MALFORMED),
    ("duplicate_key_in_the_config", MALFORMED),
    ("config_of_32_mib", MALFORMED),
    ("config_is_empty", MALFORMED),
    ("config_is_a_list", MALFORMED),
    ("config_is_not_utf8", MALFORMED),
    ("index_negative", MALFORMED),
    ("index_fraction", MALFORMED),
    ("index_beyond_64_bits", MALFORMED),
    ("index_as_text", MALFORMED),
    ("index_gap", MALFORMED),
    ("index_twice", MALFORMED),
    ("station_twice", MALFORMED),
    ("route_empty", MALFORMED),
];

fn utf8(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Runs the program within bounds; its exit status and what it said.
fn bounded(line: &[&str], dir: &Path) -> Result<(i32, String), String> {
    let (took, script) = (dir.join("took.json"), test_file("python/measure.py"));
    let mut command = Command::new("python3");
    command.args(["-I", utf8(&script), utf8(&took), support::program()]).args(line);
    let start = Instant::now();
    let output = command.output().map_err(|error| error.to_string())?;
    let elapsed = start.elapsed();
    let figures: serde_json::Value =
        serde_json::from_slice(&fs::read(&took).map_err(|error| error.to_string())?).map_err(|e| e.to_string())?;
    fs::remove_file(&took).map_err(|error| error.to_string())?;
    let peak = figures["peak"].as_u64().unwrap_or(u64::MAX / 1024) * 1024;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    if elapsed > TIME || peak > MEMORY || message.contains("panicked") {
        return Err(format!("took {elapsed:?} and {peak} bytes: {message}"));
    }
    match output.status.code() {
        Some(status) if status == 0 || !message.trim().is_empty() => Ok((status, message)),
        status => Err(format!("ended with {status:?} without a word")),
    }
}

/// What the commands make of the train after `case`: in every wire pre-run, and where `all` others that read it.
fn check(train: &Signed, case: &str, statuses: &[i32], all: bool) -> Result<(), String> {
    let dir = train.dir.path();
    let script = test_file("python/hostile_images.py");
    let fixture = Layout::new(dir.join("ground"));
    copy(&train.layout.dir, &fixture.dir);
    run("python3", &[utf8(&script), fixture.path(), train.tag, "hostile", case])?;
    let (image, master) = (fixture.at("hostile"), fixture.at("master"));
    fixture.make_base("master", false);
    let (out, tmp) = (dir.join("out"), dir.join("tmp"));
    fs::create_dir_all(&tmp).map_err(|error| error.to_string())?;
    let common = ["--tmpdir", utf8(&tmp)];
    let mut lines = vec![[&["pre-run", &image, "--private-key", &train.station], &common[..]].concat()];
    if all {
        lines.push([&["verify", &image], &common[..]].concat());
        lines.push([&["results", &image, "--private-key", &train.creator, "--out", utf8(&out)], &common[..]].concat());
        lines.push([&["validate", &image, "--master", &master], &common[..]].concat());
    }
    let mut faults = Vec::new();
    for line in &lines {
        let before = snapshot(dir);
        let (status, message) = bounded(line, dir).map_err(|faults| format!("{}: {faults}", line[0]))?;
        // The creator asks for results and does not hash the immutable files in this wire, nor does who validates.
        let tolerated = match line[0] {
            "results" | "validate" => &[0, 3, 5][..],
            _ => &[],
        };
        if !(statuses.contains(&status) || tolerated.contains(&status)) {
            faults.push(format!("{} ended with {status}: {}", line[0], message.trim()));
        }
        if status == 0 && out.exists() {
            fs::remove_dir_all(&out).map_err(|error| error.to_string())?;
        }
        let changes = differences(&before, &snapshot(dir), true);
        if !changes.is_empty() {
            faults.push(format!("{} changed {changes:?}", line[0]));
        }
    }
    fs::remove_dir_all(dir.join("ground")).map_err(|error| error.to_string())?;
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n    ")) }
}

#[test]
fn every_hostile_image_is_refused() {
    if !available("hostile::every_hostile_image_is_refused", &[Peer::Python, Peer::Zstd, Peer::Openssl]) {
        return;
    }
    let refused = |wire: Wire| -> Vec<String> {
        let train = Signed::new(wire);
        // In the others another rule may be broken before: a train of wire 3 may have no layer more.
        let all = wire == Wire::V1_1_2;
        let printed = |(case, statuses)| {
            let message = check(&train, case, if all { statuses } else { REFUSED }, all).err()?;
            Some(format!("{wire:?}, {case}: {message}"))
        };
        CASES.into_iter().filter_map(printed).collect()
    };
    let failures = std::thread::scope(|scope| {
        let each = Wire::OURS.map(|wire| scope.spawn(move || refused(wire)));
        each.into_iter().flat_map(|one| one.join().expect("no panic")).collect::<Vec<String>>()
    });
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    assert!(!Path::new("/tmp/pht-hostile").exists(), "something was written outside");
}

/// The results of a train may hold any link; the creator's directory holds none that leads out of it.
#[test]
fn results_do_not_leave_their_directory() {
    if !available("hostile::results_do_not_leave_their_directory", &[Peer::Python, Peer::Openssl]) {
        return;
    }
    let vectors = Vectors::ours(Wire::V1_1_2);
    let (layout, dir) = (&vectors.layout, vectors.dir.path());
    let wrote = dir.join("wrote");
    fs::create_dir_all(wrote.join("sub")).expect("a new directory");
    fs::write(wrote.join("inside"), "inside").expect("a new file");
    for (name, target) in [
        ("absolute", "/etc/passwd"),
        ("up", "../../../../etc/passwd"),
        ("sub/up", "../../x"),
        ("through", "sub/../../x"),
        ("sub/fine", "../inside"),
    ] {
        std::os::unix::fs::symlink(target, wrote.join(name)).expect("a new link");
    }
    let key = vectors.key("station_2");
    layout.append("2-pre", "ran", &[Edit::Opaque("opt/pht_results", &wrote)]);
    pht_oci(&["post-run", &layout.at("ran"), &layout.at("closed"), "--private-key", &key], &[]).ok();
    let out = dir.join("out");
    let line = ["results", &layout.at("closed"), "--private-key", &vectors.key("user"), "--out", utf8(&out)];
    let outcome = pht_oci(&[&line[..], &["--format", "json"]].concat(), &[]).ok();
    assert_eq!(outcome.json()["warnings"].to_string().matches("left out").count(), 4);
    assert_eq!(fs::read_to_string(out.join("sub/fine")).expect("a link within"), "inside");
    for name in ["absolute", "up", "sub/up", "through"] {
        assert!(out.join(name).symlink_metadata().is_err(), "{name} is there");
    }
}
