//! OCI layouts, made and changed without a line of the program; `tests/python/layout.py` judges them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use ruzstd::decoding::StreamingDecoder;
use serde_json::{Value, json};

use crate::judge::judge;
use crate::merged::{LayerBuilder, Merged, apply, normal};
use crate::peers::{run, test_file};
use crate::tree::sha256;
use crate::utf8;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CREATED: &str = "2024-01-01T00:00:00Z";
const DOCKER: &str = "application/vnd.docker.";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const APPLETS: [&str; 19] = [
    "sh", "ls", "cat", "cp", "mv", "mkdir", "echo", "head", "sleep", "rm", "ln", "chmod", "chown", "touch", "wc",
    "printf", "find", "id", "true",
];

/// The merged view of an image as Python reads it: path to type, mode, uid, gid, mtime, xattrs, link, size, sha256 and,
/// for hard links, all names of the inode.
pub type View = BTreeMap<String, Value>;

/// A change that one more layer makes; paths in the image are relative to its root.
pub enum Edit<'a> {
    /// The directory became this one, as a container engine commits it.
    Diff(&'a str, &'a Path),
    /// The directory became this one, by an opaque whiteout.
    Opaque(&'a str, &'a Path),
    /// The file has these bytes.
    Put(&'a str, Vec<u8>),
    /// The path is gone.
    Remove(&'a str),
}

/// An OCI layout in a directory.
#[derive(Debug, Clone)]
pub struct Layout {
    pub dir: PathBuf,
}

impl Layout {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// How the program and skopeo call this tag.
    pub fn at(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", self.path())
    }

    pub fn path(&self) -> &str {
        utf8(&self.dir)
    }

    /// Where a blob lies.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.dir.join("blobs").join(digest.replace(':', "/"))
    }

    #[track_caller]
    fn python(&self, command: &str, arguments: &[&str]) -> Value {
        let printed = judge(&[&[command, self.path()], arguments].concat());
        serde_json::from_str(&printed.unwrap_or_else(|fault| panic!("layout.py {command}: {fault}"))).expect("JSON")
    }

    /// The merged view as Python reads it, with every digest verified.
    #[track_caller]
    pub fn view(&self, tag: &str, prefix: &str) -> View {
        serde_json::from_value(self.python("view", &[tag, prefix])).expect("a view")
    }

    /// The files of the layout that contain this text, raw or decompressed, whether a tag reaches them or not, as Python
    /// finds them.
    #[track_caller]
    pub fn search(&self, text: &str) -> Vec<Value> {
        self.python("search", &[text]).as_array().expect("a list of files").clone()
    }

    /// Writes an image in another form; see `reform.py`.
    #[track_caller]
    pub fn reform(&self, command: &str, arguments: &[&str]) {
        let script = test_file("python/reform.py");
        let first = ["-S", utf8(&script), command, self.path()];
        run("python3", &[&first, arguments].concat()).unwrap_or_else(|message| panic!("{message}"));
    }

    #[track_caller]
    fn read_json(&self, digest: &str) -> Value {
        let data = fs::read(self.blob(digest)).unwrap_or_else(|error| panic!("{}: {digest}: {error}", self.path()));
        serde_json::from_slice(&data).expect("JSON")
    }

    /// `digest` and `size` of a blob that is now here.
    pub fn write_blob(&self, data: &[u8]) -> (Value, Value) {
        let digest = format!("sha256:{}", sha256(data));
        let path = self.blob(&digest);
        if !path.exists() {
            fs::create_dir_all(path.parent().expect("below a directory")).expect("a new directory");
            fs::write(path, data).expect("a new blob");
        }
        (json!(digest), json!(data.len()))
    }

    #[track_caller]
    fn index(&self) -> Value {
        match fs::read(self.dir.join("index.json")) {
            Ok(data) => serde_json::from_slice(&data).expect("JSON"),
            Err(_) => json!({ "schemaVersion": 2, "manifests": [] }),
        }
    }

    /// Points the tag at an image.
    #[track_caller]
    fn point(&self, tag: &str, mut descriptor: Value) {
        let mut index = self.index();
        let entries = index["manifests"].as_array_mut().expect("an index has entries");
        entries.retain(|entry| entry["annotations"][REF_NAME] != tag);
        descriptor["annotations"] = json!({ REF_NAME: tag });
        entries.push(descriptor);
        fs::create_dir_all(&self.dir).expect("a directory");
        fs::write(self.dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a new file");
        fs::write(self.dir.join("index.json"), index.to_string()).expect("a new file");
    }

    #[track_caller]
    fn descriptor(&self, tag: &str) -> Value {
        let index = self.index();
        let entries = index["manifests"].as_array().expect("an index has entries");
        let found = entries.iter().find(|entry| entry["annotations"][REF_NAME] == tag);
        found.unwrap_or_else(|| panic!("{}: no tag {tag}; there are {:?}", self.path(), self.tags())).clone()
    }

    /// Every tag, in order; `null` for an image that has none.
    pub fn tags(&self) -> Vec<Value> {
        let index = self.index();
        let entries = index["manifests"].as_array().expect("an index has entries");
        entries.iter().map(|entry| entry["annotations"][REF_NAME].clone()).collect()
    }

    /// `descriptor`, `manifest` and `config` of an image.
    #[track_caller]
    pub fn image(&self, tag: &str) -> Value {
        let descriptor = self.descriptor(tag);
        let manifest = self.read_json(text(&descriptor["digest"]));
        let config = self.read_json(text(&manifest["config"]["digest"]));
        json!({ "descriptor": descriptor, "manifest": manifest, "config": config })
    }

    /// The digests of an image's layers, lowest first.
    #[track_caller]
    pub fn layers(&self, tag: &str) -> Vec<String> {
        let image = self.image(tag);
        let layers = image["manifest"]["layers"].as_array().expect("a manifest has layers");
        layers.iter().map(|layer| text(&layer["digest"]).to_owned()).collect()
    }

    /// The merged view, as fixtures are made of it.
    #[track_caller]
    pub fn merged(&self, tag: &str) -> Merged {
        let image = self.image(tag);
        let mut view = Merged::new();
        let layers = image["manifest"]["layers"].as_array().expect("a manifest has layers");
        let ids = image["config"]["rootfs"]["diff_ids"].as_array().expect("a config has diff IDs");
        assert_eq!(layers.len(), ids.len(), "{}:{tag}", self.path());
        for (layer, id) in layers.iter().zip(ids) {
            let raw = fs::read(self.blob(text(&layer["digest"]))).expect("a layer");
            assert_eq!(layer["size"], raw.len(), "{}:{tag}: the size of {}", self.path(), layer["digest"]);
            let tar = decompress(raw);
            assert_eq!(*id, format!("sha256:{}", sha256(&tar)), "{}:{tag}: {}", self.path(), layer["digest"]);
            apply(&mut view, &tar);
        }
        view
    }

    /// The bytes of one file.
    #[track_caller]
    pub fn cat(&self, tag: &str, path: &str) -> Vec<u8> {
        let view = self.merged(tag);
        let entry = view.get(&normal(path)).filter(|entry| entry.kind.is_file());
        entry.unwrap_or_else(|| panic!("{}:{tag}: no file {path}", self.path())).data.to_vec()
    }

    /// The train config of an image.
    #[track_caller]
    pub fn train_config(&self, tag: &str) -> Value {
        serde_json::from_slice(&self.cat(tag, "opt/train_config.json")).expect("a train config is JSON")
    }

    /// A base image: busybox, or nothing that can run.
    #[track_caller]
    pub fn make_base(&self, tag: &str, busybox: bool) {
        let mut layer = LayerBuilder::empty();
        for path in ["bin", "etc", "opt", "tmp"] {
            layer.directory(path, None);
        }
        layer.file("etc/os-release", b"ID=pht-test-base\n", 0o644);
        if busybox {
            let program = ["/bin/busybox", "/usr/bin/busybox"].iter().find_map(|path| fs::read(path).ok());
            layer.file("bin/busybox", &program.expect("busybox is here"), 0o755);
            APPLETS.iter().for_each(|applet| layer.symlink(&format!("bin/{applet}"), "busybox"));
        }
        let machine = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let config = json!({
            "created": CREATED, "architecture": machine, "os": "linux",
            "config": { "Env": ["PATH=/bin"], "Labels": { "org.example.base": "kept" } },
            "rootfs": { "type": "layers", "diff_ids": [] }, "history": [],
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": { "mediaType": OCI_CONFIG }, "layers": [],
        });
        self.add_layer(tag, (manifest, config), &layer.finish(), "test base", 6);
    }

    /// Puts one more layer on an image.
    #[track_caller]
    pub fn append(&self, tag: &str, out: &str, edits: &[Edit]) {
        let mut layer = LayerBuilder::empty();
        let is_diff = |edit: &Edit| matches!(edit, Edit::Diff(..));
        let view = if edits.iter().any(is_diff) { self.merged(tag) } else { Merged::new() };
        for edit in edits {
            match edit {
                Edit::Diff(at, source) => layer.diff(&view, &normal(at), source),
                Edit::Opaque(at, source) => layer.opaque(&normal(at), source),
                Edit::Remove(path) => layer.whiteout(&normal(path)),
                Edit::Put(path, data) => layer.file(&normal(path), data, 0o644),
            }
        }
        self.append_tar(tag, out, &layer.finish());
    }

    /// Puts a layer with these bytes on an image.
    #[track_caller]
    pub fn append_tar(&self, tag: &str, out: &str, tar: &[u8]) {
        self.append_packed(tag, out, tar, 6);
    }

    /// The image with one more layer, which has a file that gets no smaller, and is packed fast.
    #[track_caller]
    pub fn append_noise(&self, tag: &str, out: &str, path: &str, noise: Vec<u8>) {
        let mut layer = LayerBuilder::empty();
        layer.file(&normal(path), &noise, 0o644);
        self.append_packed(tag, out, &layer.finish(), 1);
    }

    #[track_caller]
    fn append_packed(&self, tag: &str, out: &str, tar: &[u8], level: u32) {
        let mut image = self.image(tag);
        self.add_layer(out, (image["manifest"].take(), image["config"].take()), tar, "test layer", level);
    }

    /// The image with another manifest or config, which `change` makes of its own.
    #[track_caller]
    pub fn edit(&self, tag: &str, out: &str, change: impl FnOnce(&mut Value, &mut Value)) {
        let mut image = self.image(tag);
        let (mut manifest, mut config) = (image["manifest"].take(), image["config"].take());
        change(&mut manifest, &mut config);
        self.save(out, manifest, &config);
    }

    /// Stores a document; its digest and size.
    #[track_caller]
    pub fn put(&self, document: &Value) -> Value {
        let (digest, size) = self.write_blob(document.to_string().as_bytes());
        json!({ "digest": digest, "size": size })
    }

    #[track_caller]
    fn add_layer(&self, out: &str, (mut manifest, mut config): (Value, Value), tar: &[u8], note: &str, level: u32) {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::new(level));
        gzip.write_all(tar).expect("an archive in memory");
        let (digest, size) = self.write_blob(&gzip.finish().expect("an archive in memory"));
        let is_docker = manifest["mediaType"].as_str().is_some_and(|kind| kind.starts_with(DOCKER));
        let kind = if is_docker { DOCKER_LAYER } else { OCI_LAYER };
        let layers = manifest["layers"].as_array_mut().expect("a manifest has layers");
        layers.push(json!({ "mediaType": kind, "digest": digest, "size": size }));
        let ids = config["rootfs"]["diff_ids"].as_array_mut().expect("a config has diff IDs");
        ids.push(json!(format!("sha256:{}", sha256(tar))));
        if config["history"].is_null() {
            config["history"] = json!([]);
        }
        let history = config["history"].as_array_mut().expect("a history");
        history.push(json!({ "created": CREATED, "created_by": note }));
        self.save(out, manifest, &config);
    }

    /// Writes config and manifest and points the tag at them.
    #[track_caller]
    fn save(&self, tag: &str, mut manifest: Value, config: &Value) {
        (manifest["config"]["digest"], manifest["config"]["size"]) = self.write_blob(config.to_string().as_bytes());
        if manifest["mediaType"].is_null() {
            manifest["mediaType"] = json!(OCI_MANIFEST);
        }
        let (digest, size) = self.write_blob(manifest.to_string().as_bytes());
        self.point(tag, json!({ "mediaType": manifest["mediaType"], "digest": digest, "size": size }));
    }

    /// The image with these fields in what its config says of the run.
    #[track_caller]
    pub fn merge_config(&self, tag: &str, out: &str, fields: &Value) {
        let mut image = self.image(tag);
        for (name, value) in fields.as_object().expect("an object") {
            image["config"]["config"][name] = value.clone();
        }
        self.save(out, image["manifest"].take(), &image["config"]);
    }

    /// The image with another manifest and config.
    #[track_caller]
    pub fn rewrite(&self, tag: &str, out: &str, change: impl FnOnce(&mut Value, &mut Value)) {
        let mut image = self.image(tag);
        let (mut manifest, mut config) = (image["manifest"].take(), image["config"].take());
        change(&mut manifest, &mut config);
        self.save(out, manifest, &config);
    }

    /// Gives an image one more name.
    #[track_caller]
    pub fn tag(&self, tag: &str, out: &str) {
        self.point(out, self.descriptor(tag));
    }

    /// A layout with this one image, under the same tag.
    #[track_caller]
    pub fn only(&self, tag: &str, dir: impl Into<PathBuf>) -> Layout {
        let other = Layout::new(dir);
        let image = self.image(tag);
        let manifest = &image["manifest"];
        let layers = manifest["layers"].as_array().expect("a manifest has layers").iter();
        let blobs = [&image["descriptor"], &manifest["config"]].into_iter().chain(layers);
        for digest in blobs.map(|descriptor| text(&descriptor["digest"])) {
            let to = other.blob(digest);
            fs::create_dir_all(to.parent().expect("below a directory")).expect("a new directory");
            fs::copy(self.blob(digest), to).expect("a copy");
        }
        other.point(tag, image["descriptor"].clone());
        other
    }
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn decompress(data: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    if data.starts_with(b"\x1f\x8b") {
        MultiGzDecoder::new(data.as_slice()).read_to_end(&mut out).expect("gzip");
    } else if data.starts_with(b"\x28\xb5\x2f\xfd") {
        let mut decoder = StreamingDecoder::new(data.as_slice()).expect("zstd");
        decoder.read_to_end(&mut out).expect("zstd");
    } else {
        out = data;
    }
    out
}
