//! Archives of images, against the image that skopeo takes out of them by either format, and `podman load` by its own
//! choice.

use std::path::Path;
use std::process::Command;

use pht_oci::store::archive::{Archive, ArchiveFormat};
use pht_oci::store::{Source, digest_of, read_document};
use serde_json::{Value, json};
use support::{Peer, available};

use super::chance::Chance;
use super::header::{Member, Oddness, write};
use super::{ARCHIVES_THAT_DIFFERED, numbers};

/// How many archives are tried by default.
const ARCHIVES: u64 = 150;

/// A small image: its blobs, and the names of manifest, config and layer.
struct Image {
    blobs: Vec<(String, Vec<u8>)>,
    manifest: Value,
    config: String,
    layer: String,
}

fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/{}", digest_of(bytes).to_string().replace(':', "/"))
}

fn image(text: &str) -> Image {
    let file = file("x", text.as_bytes());
    let mut layer = Vec::new();
    write(&mut layer, &file, &mut Chance::new(1), &Oddness(0));
    layer.resize(layer.len() + 1024, 0);
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {}, "author": text,
        "rootfs": { "type": "layers", "diff_ids": [digest_of(&layer).to_string()] },
    });
    let config = config.to_string().into_bytes();
    let descriptor = |bytes: &[u8], kind: &str| {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest_of(bytes).to_string(), "size": bytes.len(),
        })
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor(&config, "config.v1+json"), "layers": [descriptor(&layer, "layer.v1.tar")],
    });
    let bytes = manifest.to_string().into_bytes();
    let mut manifest = descriptor(&bytes, "manifest.v1+json");
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    let names = (blob_name(&config), blob_name(&layer));
    let blobs = [bytes, config, layer].map(|bytes| (blob_name(&bytes), bytes)).to_vec();
    Image { blobs, manifest, config: names.0, layer: names.1 }
}

impl Image {
    fn index(&self) -> Vec<u8> {
        json!({ "schemaVersion": 2, "manifests": [self.manifest] }).to_string().into_bytes()
    }

    fn docker_list(&self) -> Vec<u8> {
        json!([{ "Config": self.config, "RepoTags": ["train:latest"], "Layers": [self.layer] }])
            .to_string()
            .into_bytes()
    }
}

fn file(name: &str, contents: &[u8]) -> Member {
    let (name, contents) = (name.as_bytes().to_vec(), contents.to_vec());
    Member { name, typeflag: b'0', link: Vec::new(), mode: 0o644, uid: 0, gid: 0, contents }
}

/// The archive that follows from a number.
fn archive(number: u64, images: &[Image; 2]) -> Vec<u8> {
    let mut chance = Chance::new(number);
    let odd = Oddness(if chance.happens(40) { 0 } else { 1 + chance.below(4) });
    let one = |chance: &mut Chance| &images[usize::from(chance.happens(30))];
    let dot = if chance.happens(20) { "./" } else { "" };
    let mut members: Vec<Member> = images
        .iter()
        .flat_map(|image| &image.blobs)
        .map(|(name, bytes)| file(&format!("{dot}{name}"), bytes))
        .collect();
    members.push(file(&format!("{dot}oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#));
    if !chance.happens(15) {
        members.push(file(&format!("{dot}index.json"), &one(&mut chance).index()));
    }
    if chance.happens(50) {
        members.push(file(&format!("{dot}manifest.json"), &one(&mut chance).docker_list()));
    }
    if chance.happens(45) {
        let name = *chance.one(&[
            &"index.json",
            &"manifest.json",
            &"./index.json",
            &"d/index.json",
            &"d/../index.json",
            &"/index.json",
            &".//index.json",
            &"index.json/",
            &"x/./index.json",
            &"other",
            &"blobs/./sha256/x",
        ]);
        let evil = if name.contains("manifest") { images[1].docker_list() } else { images[1].index() };
        members.push(file(name, &evil));
    }
    if chance.happens(20) {
        let target = *chance.one(&[&".", &"..", &"/", &"blobs", &"other", &"index.json"]);
        let name = *chance.one(&[&"d", &"x", &"index.json", &"manifest.json", &"blobs"]);
        let link = Member { typeflag: b'2', link: target.as_bytes().to_vec(), ..file(name, b"") };
        members.insert(chance.below(members.len() + 1), link);
    }
    if chance.happens(25) {
        // In another order, some programs take the first of two and others the last.
        let (a, b) = (chance.below(members.len()), chance.below(members.len()));
        members.swap(a, b);
    }
    pack(&members, &images[1], &mut chance, &odd)
}

fn pack(members: &[Member], evil: &Image, chance: &mut Chance, odd: &Oddness) -> Vec<u8> {
    let mut out = Vec::new();
    members.iter().for_each(|member| write(&mut out, member, chance, odd));
    out.resize(out.len() + 1024, 0);
    if chance.happens(odd.0) {
        write(&mut out, &file("index.json", &evil.index()), chance, &Oddness(0));
        out.resize(out.len() + 1024, 0);
    }
    out
}

/// The config of the image that is read from the archive here; `None` if it is refused or holds none.
fn ours(path: &Path, format: ArchiveFormat) -> Option<String> {
    let archive = Archive::open(path, Some(format), path.parent()?).ok()?;
    let listed = archive.list().ok()?;
    let manifest: Value = serde_json::from_slice(&read_document(&archive, &listed.first()?.descriptor).ok()?).ok()?;
    Some(manifest["config"]["digest"].as_str()?.to_owned())
}

/// The same by skopeo.
fn theirs(path: &Path, format: ArchiveFormat) -> Option<String> {
    let transport = if format == ArchiveFormat::Oci { "oci-archive" } else { "docker-archive" };
    let reference = format!("{transport}:{}", path.display());
    let output = Command::new("skopeo").args(["inspect", "--raw", "--config", &reference]).output().expect("skopeo");
    output.status.success().then(|| digest_of(&output.stdout).to_string())
}

/// The same by `podman load`, which tries one format after the other; its storage is of its own.
fn by_podman(path: &Path, variables: &[(&str, String)]) -> Option<String> {
    let podman = |line: &[&str]| {
        let variables = variables.iter().map(|(name, value)| (*name, value));
        let output = Command::new("podman").args(line).envs(variables).output().expect("podman");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let said = podman(&["load", "-q", "-i", path.to_str().expect("a path in UTF-8")])?;
    let name = said.lines().last()?.rsplit_once(": ")?.1.to_owned();
    // In the storage an image is called by the digest of its config.
    let id = podman(&["image", "inspect", "--format", "{{.Id}}", &name])?;
    Some(format!("sha256:{}", id.trim_start_matches("sha256:")))
}

#[test]
fn archives_are_refused_or_read_alike() {
    if !available("differential::archives_are_refused_or_read_alike", &[Peer::Skopeo, Peer::Podman]) {
        return;
    }
    let images = [image("good"), image("evil")];
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("archive.tar");
    let variables = support::containers::configure(dir.path());
    let (mut refused, mut alike, mut by_skopeo) = (0, 0, 0);
    let (mut loaded_alike, mut by_podman_alone) = (0, 0);
    let mut differ = Vec::new();
    for number in numbers(&ARCHIVES_THAT_DIFFERED, "PHT_DIFFERENTIAL_ARCHIVES", ARCHIVES) {
        std::fs::write(&path, archive(number, &images)).expect("an archive");
        let (mut reads, mut seen) = (0, Vec::new());
        for format in [ArchiveFormat::Oci, ArchiveFormat::Docker] {
            let Some(here) = ours(&path, format) else { continue };
            reads += 1;
            seen.push((format, here.clone()));
            match theirs(&path, format) {
                None => by_skopeo += 1,
                Some(there) if there == here => alike += 1,
                Some(there) => differ.push(format!("archive {number}, {format:?}: {here} here, {there} by skopeo")),
            }
        }
        refused += u64::from(reads == 0);
        if reads > 0 {
            // Podman says not which format it took: none of ours may be another image.
            match by_podman(&path, &variables) {
                None => by_podman_alone += 1,
                Some(there) => {
                    loaded_alike += 1;
                    let others = seen.iter().filter(|(_, here)| *here != there);
                    differ.extend(
                        others.map(|(format, here)| {
                            format!("archive {number}, {format:?}: {here} here, {there} by podman")
                        }),
                    );
                }
            }
        }
    }
    println!(
        "{refused} archives refused; {alike} images read alike by skopeo, {by_skopeo} refused by it alone; {loaded_alike} \
         archives loaded by podman, {by_podman_alone} refused by it alone"
    );
    assert!(differ.is_empty(), "{} archives are read in two ways:\n{}", differ.len(), differ.join("\n"));
    assert!(refused > 5 && alike > 20 && loaded_alike > 20, "the archives say too little");
}
