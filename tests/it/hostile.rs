//! Images made by an enemy, met by every command that reads one: refused in bounded time, memory and disk, and nothing
//! is written anywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::peers::test_file;
use support::tree::{Tree, copy, differences, snapshot};
use support::vectors::{Signed, Vectors};
use support::{Edit, Layout, Peer, Wire, available, pht_oci, rows, run, utf8};

/// The most that one command may take.
const TIME: Duration = Duration::from_secs(60);
/// In bytes.
const MEMORY: u64 = 128 << 20;

/// Malformed, whatever else it may be.
const MALFORMED: &[i32] = &[5];
/// Something does not hold, or the image is malformed: which of the two shows first is no matter.
const REFUSED: &[i32] = &[3, 5];

/// Functions of `hostile_images.py`.
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

/// Runs the program within bounds; its exit status and what it said.
fn bounded(line: &[String], dir: &Path) -> Result<(i32, String), String> {
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

/// Where the images of one case are made and met: for each wire version a copy of the train's layout.
struct Place<'a> {
    train: &'a Signed,
    wire: Wire,
    dir: PathBuf,
    layout: Layout,
}

impl<'a> Place<'a> {
    fn new(train: &'a Signed, wire: Wire, case: &Path) -> Self {
        let dir = case.join(wire.option());
        let layout = Layout::new(dir.join("layout"));
        copy(&train.layout.dir, &layout.dir);
        layout.make_base("master", false);
        fs::create_dir(dir.join("tmp")).expect("a new directory");
        Place { train, wire, dir, layout }
    }

    /// In every wire pre-run, and in one of them the others that read a train.
    fn lines(&self) -> Vec<Vec<String>> {
        let (image, master) = (self.layout.at("hostile"), self.layout.at("master"));
        let (tmp, out) = (self.dir.join("tmp"), self.dir.join("out"));
        let mut lines = vec![vec!["pre-run", &image, "--private-key", &self.train.station]];
        if self.is_whole() {
            lines.push(vec!["verify", &image]);
            lines.push(vec!["results", &image, "--private-key", &self.train.creator, "--out", utf8(&out)]);
            lines.push(vec!["validate", &image, "--master", &master]);
        }
        lines.iter_mut().for_each(|line| line.extend(["--tmpdir", utf8(&tmp)]));
        lines.into_iter().map(|line| line.into_iter().map(str::to_owned).collect()).collect()
    }

    /// In the others another rule may be broken before: a train of wire 3 may have no layer more.
    fn is_whole(&self) -> bool {
        self.wire == Wire::V1_1_2
    }

    /// What the commands make of the train.
    fn check(&self, statuses: &[i32]) -> Result<(), String> {
        let statuses = if self.is_whole() { statuses } else { REFUSED };
        let (dir, out) = (&self.dir, self.dir.join("out"));
        let mut told = Vec::new();
        let mut before = snapshot(dir);
        for line in &self.lines() {
            let (status, said) = bounded(line, dir).map_err(|told| format!("{}: {told}", line[0]))?;
            // The creator asks for results and does not hash the immutable files in this wire, nor does who validates.
            let tolerated = match line[0].as_str() {
                "results" | "validate" => &[0, 3, 5][..],
                _ => &[],
            };
            if !(statuses.contains(&status) || tolerated.contains(&status)) {
                told.push(format!("{} ended with {status}: {}", line[0], said.trim()));
            }
            if status == 0 && out.exists() {
                fs::remove_dir_all(&out).map_err(|error| error.to_string())?;
            }
            let after = snapshot(dir);
            let changes = differences(&before, &after, true);
            if !changes.is_empty() {
                told.push(format!("{} changed {changes:?}", line[0]));
            }
            before = after;
        }
        if told.is_empty() { Ok(()) } else { Err(told.join("\n    ")) }
    }
}

/// One case in all wire versions; what went wrong.
fn refused(trains: &[(Wire, Signed)], case: &str, statuses: &[i32]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let places: Vec<Place> = trains.iter().map(|(wire, train)| Place::new(train, *wire, dir.path())).collect();
    let script = test_file("python/hostile_images.py");
    let mut line = vec![utf8(&script), case];
    places.iter().for_each(|place| line.extend([place.layout.path(), place.train.tag, "hostile"]));
    if let Err(message) = run("python3", &line) {
        return vec![format!("{case}: {message}")];
    }
    let check = |place: &Place| Some(format!("{:?}, {case}: {}", place.wire, place.check(statuses).err()?));
    places.iter().filter_map(check).collect()
}

#[test]
fn every_hostile_image_is_refused() {
    if !available("hostile::every_hostile_image_is_refused", &[Peer::Python, Peer::Zstd]) {
        return;
    }
    let trains = Wire::OURS.map(|wire| (wire, Signed::new(wire)));
    let before: Vec<Tree> = trains.iter().map(|(_, train)| snapshot(train.dir.path())).collect();
    let (next, chosen) = (AtomicUsize::new(0), rows::chosen(CASES).collect::<Vec<_>>());
    let worker = || {
        let cases = std::iter::from_fn(|| chosen.get(next.fetch_add(1, Ordering::Relaxed)));
        cases.flat_map(|(case, statuses)| refused(&trains, case, statuses)).collect::<Vec<String>>()
    };
    let failures = std::thread::scope(|scope| {
        let workers = [(); 3].map(|()| scope.spawn(worker));
        workers.into_iter().flat_map(|one| one.join().expect("no panic")).collect::<Vec<String>>()
    });
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    assert!(!Path::new("/tmp/pht-hostile").exists(), "something was written outside");
    for ((wire, train), before) in trains.iter().zip(before) {
        let changes = differences(&before, &snapshot(train.dir.path()), true);
        assert!(changes.is_empty(), "{wire:?}: the train that the images were made of has changed: {changes:?}");
    }
}

/// The results of a train may hold any link; the creator's directory holds none that leads out of it.
#[test]
fn results_do_not_leave_their_directory() {
    if !available("hostile::results_do_not_leave_their_directory", &[Peer::Python]) {
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
