//! Layers, against what umoci (Go's `archive/tar`, onto the merged tree) unpacks.

use std::path::Path;
use std::process::{Command, Stdio};

use support::{Peer, available};

use super::chance::Chance;
use super::header::{Member, Oddness, padded, plain, write};
use super::view::{All, differences, on_disk, ours};
use super::{LAYERS_THAT_DIFFERED, numbers};
use crate::overlay::layout::{self, Form};

/// How many layers are tried by default.
const LAYERS: u64 = 1500;
/// How many images are unpacked at once: each in a directory of its own.
const BATCH: usize = 40;

/// One or two layers that follow from a number.
fn layers(number: u64) -> Vec<Vec<u8>> {
    let mut chance = Chance::new(number);
    let odd = Oddness(if chance.happens(50) { 0 } else { 1 + chance.below(6) });
    let count = if chance.happens(30) { 2 } else { 1 };
    let loose = chance.happens(40);
    (0..count).map(|_| layer(number, &mut chance, &odd, loose)).collect()
}

fn layer(number: u64, chance: &mut Chance, odd: &Oddness, loose: bool) -> Vec<u8> {
    let root = format!("c{number}");
    let mut out = Vec::new();
    let mut there: Vec<String> = Vec::new();
    let mut files: Vec<Member> = Vec::new();
    let mut members = vec![member(&format!("{root}/"), b'5', "", b"")];
    for _ in 0..1 + chance.below(8) {
        let path = path(&root, chance);
        let is_new = !there.iter().any(|old| old == &path || old.starts_with(&format!("{path}/")));
        let parents: Vec<String> = path.match_indices('/').skip(1).map(|(at, _)| path[..at].to_owned()).collect();
        let in_link = parents.iter().any(|dir| members.iter().any(|m| m.name == dir.as_bytes()));
        if !loose && (!is_new || in_link) {
            continue;
        }
        for dir in parents {
            let is_left_out = there.contains(&dir) || loose && chance.happens(40);
            if !is_left_out {
                members.push(member(&format!("{dir}/"), b'5', "", b""));
                there.push(dir);
            }
        }
        let mut new = random(&path, &root, chance);
        if let (b'1', Some(file)) = (new.typeflag, files.get(chance.below(files.len().max(1)))) {
            let meta = if chance.happens(90) { file.clone() } else { new.clone() };
            new = Member { link: file.name.clone(), contents: Vec::new(), name: new.name, typeflag: b'1', ..meta };
        } else if new.typeflag == b'1' {
            new.typeflag = b'0';
        }
        if chance.happens(odd.0) {
            new.typeflag = *chance.one(&[&0, &b'7', &b'6', &b'S', &b'D', &b'V', &b'Z', &b'2']);
        }
        if chance.happens(odd.0) {
            new.name.push(b'/');
        }
        if new.typeflag == b'0' {
            files.push(new.clone());
        }
        there.push(path);
        members.push(new);
    }
    members.iter().for_each(|member| write(&mut out, member, chance, odd));
    end(&mut out, chance, odd);
    out
}

fn end(out: &mut Vec<u8>, chance: &mut Chance, odd: &Oddness) {
    let zeros = if chance.happens(odd.0) { chance.below(3) } else { 2 + chance.below(4) };
    out.resize(out.len() + 512 * zeros, 0);
    if chance.happens(odd.0) {
        out.extend_from_slice(&plain(b"second/archive", b'0', 0));
    }
}

fn member(name: &str, typeflag: u8, link: &str, contents: &[u8]) -> Member {
    let mode = if typeflag == b'5' { 0o755 } else { 0o644 };
    let (name, link) = (name.as_bytes().to_vec(), link.as_bytes().to_vec());
    Member { name, typeflag, link, mode, uid: 0, gid: 0, contents: contents.to_vec() }
}

fn path(root: &str, chance: &mut Chance) -> String {
    let mut path = root.to_owned();
    for _ in 0..=chance.below(3) {
        path.push('/');
        path.push_str(chance.one(&["a", "b", "sub", "x.y", "größe"]));
    }
    if chance.happens(5) {
        path.push_str(&"n".repeat(110));
    }
    path
}

fn random(path: &str, root: &str, chance: &mut Chance) -> Member {
    let (typeflag, link) = match chance.below(10) {
        0..=3 => (b'0', String::new()),
        4 | 5 => (b'5', String::new()),
        6 => (b'2', chance.one(&["a", "../b", "sub"]).to_owned()),
        7 => (b'2', format!("/{root}/{}", chance.one(&["a", "sub", "b"]))),
        8 => (b'1', String::new()),
        _ if chance.happens(30) => (b'6', String::new()),
        _ => return whiteout(path, chance),
    };
    let contents = match chance.below(4) {
        0 => Vec::new(),
        // One reader's contents, the other's next member.
        1 => [&plain(format!("{root}/inner").as_bytes(), b'0', 5)[..], &padded(b"inner")].concat(),
        _ => vec![b'x'; chance.below(1200)],
    };
    let contents = if typeflag == b'0' { contents } else { Vec::new() };
    let id = |chance: &mut Chance| [0, 1000, 65534, 3_000_000][chance.below(4)];
    let mode =
        [0o755, 0o644, 0o600, 0o4755, 0o2770, 0o1777, 0o100_644][chance.below(if typeflag == b'0' { 7 } else { 6 })];
    Member { mode, uid: id(chance), gid: id(chance), ..member(path, typeflag, &link, &contents) }
}

fn whiteout(path: &str, chance: &mut Chance) -> Member {
    let (dir, name) = path.rsplit_once('/').expect("a path below the root of the case");
    let name = match chance.below(8) {
        0 | 1 => ".wh..wh..opq".to_owned(),
        2 => chance.one(&[".wh.", ".wh..", ".wh..."]).to_owned(),
        _ => format!(".wh.{name}"),
    };
    member(&format!("{dir}/{name}"), b'0', "", b"")
}

fn image(dir: &Path, layers: &[Vec<u8>]) {
    let layers: Vec<(Vec<u8>, Form)> = layers.iter().map(|layer| (layer.clone(), Form::Plain)).collect();
    layout::write(dir, &layers);
}

fn unpack(layers: &[Vec<u8>]) -> Option<(All, All)> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (layout, bundle) = (dir.path().join("image"), dir.path().join("bundle"));
    image(&layout, layers);
    let umoci = Command::new("umoci")
        .args(["unpack", "--image", &format!("{}:latest", layout.display())])
        .arg(&bundle)
        .stdin(Stdio::null())
        .output()
        .expect("umoci");
    let here = ours(&layout, dir.path()).unwrap_or_else(|error| panic!("each was read alone, and not all: {error}"));
    umoci.status.success().then(|| (here, on_disk(&bundle.join("rootfs"))))
}

/// Compares what both make of these images; how many umoci refused, and what differs.
fn compare(batch: &[(u64, Vec<Vec<u8>>)]) -> (usize, Vec<String>) {
    let all: Vec<Vec<u8>> = batch.iter().flat_map(|(_, layers)| layers.clone()).collect();
    let found = unpack(&all).map(|(here, there)| differences(&here, &there));
    match (found, batch) {
        (Some(differ), _) if differ.is_empty() => (0, Vec::new()),
        (None, [_]) => (1, Vec::new()),
        (Some(differ), [(number, _)]) => (0, vec![format!("layer {number}:\n{}", differ.join("\n"))]),
        _ => {
            let (first, second) = batch.split_at(batch.len() / 2);
            let ((a, mut differ), (b, more)) = (compare(first), compare(second));
            differ.extend(more);
            (a + b, differ)
        }
    }
}

#[test]
fn layers_are_refused_or_read_alike() {
    if !available("differential::layers_are_refused_or_read_alike", &[Peer::Umoci, Peer::Root]) {
        return;
    }
    let (mut refused, mut alike, mut by_umoci) = (0, 0, 0);
    let (mut batch, mut differ) = (Vec::new(), Vec::new());
    let mut reasons = std::collections::BTreeMap::<String, usize>::new();
    let numbers = numbers(&LAYERS_THAT_DIFFERED, "PHT_DIFFERENTIAL_LAYERS", LAYERS);
    for (at, &number) in numbers.iter().enumerate() {
        let layers = layers(number);
        let dir = tempfile::tempdir().expect("a temporary directory");
        image(&dir.path().join("image"), &layers);
        match ours(&dir.path().join("image"), dir.path()) {
            Ok(_) => batch.push((number, layers)),
            Err(error) => {
                assert_eq!(error.kind(), pht_oci::error::Kind::Malformed, "layer {number}: {error}");
                refused += 1;
                *reasons.entry(error.what().chars().take(40).collect()).or_default() += 1;
            }
        }
        if batch.len() == BATCH || at + 1 == numbers.len() && !batch.is_empty() {
            let (more, found) = compare(&batch);
            by_umoci += more;
            alike += batch.len() - more;
            differ.extend(found);
            batch.clear();
        }
    }
    alike -= differ.len();
    for (reason, count) in reasons {
        println!("{count:6}  {reason}");
    }
    println!("{refused} layers refused, {alike} read alike, {by_umoci} refused by umoci alone");
    assert!(differ.is_empty(), "{} layers are read in two ways:\n{}", differ.len(), differ.join("\n"));
    assert!(refused > numbers.len() / 10 && alike > numbers.len() / 4, "the layers say too little");
}
