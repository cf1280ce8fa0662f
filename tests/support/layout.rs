//! OCI layouts, read and edited by `tests/support/layout.py`, which shares no code with the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::peers::{run, test_file};

/// The merged view of an image: path to type, mode, uid, gid, mtime, xattrs, link, size, sha256 and, for hard links,
/// all names of the inode.
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
        self.dir.to_str().expect("a path in UTF-8")
    }

    #[track_caller]
    fn script(&self, command: &str, arguments: &[&str]) -> Vec<u8> {
        let script = test_file("support/layout.py");
        let first = [script.to_str().expect("a path in UTF-8"), command, self.path()];
        run("python3", &[&first, arguments].concat()).unwrap_or_else(|told| panic!("{told}"))
    }

    #[track_caller]
    fn json(&self, command: &str, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.script(command, arguments)).expect("layout.py prints JSON")
    }

    /// A base image: busybox, or nothing that can run.
    pub fn make_base(&self, tag: &str, busybox: bool) {
        let options: &[&str] = if busybox { &["--busybox"] } else { &[] };
        self.script("base", &[&[tag], options].concat());
    }

    /// `descriptor`, `manifest` and `config` of an image.
    #[track_caller]
    pub fn image(&self, tag: &str) -> Value {
        self.json("image", &[tag])
    }

    /// The digests of an image's layers, lowest first.
    #[track_caller]
    pub fn layers(&self, tag: &str) -> Vec<String> {
        let image = self.image(tag);
        let layers = image["manifest"]["layers"].as_array().expect("a manifest has layers");
        layers.iter().map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect()
    }

    pub fn tags(&self) -> Vec<Value> {
        self.json("tags", &[]).as_array().expect("a list of tags").clone()
    }

    #[track_caller]
    pub fn view(&self, tag: &str, prefix: &str) -> View {
        serde_json::from_value(self.json("view", &[tag, prefix])).expect("a view")
    }

    #[track_caller]
    pub fn cat(&self, tag: &str, path: &str) -> Vec<u8> {
        self.script("cat", &[tag, path])
    }

    /// The train config of an image.
    #[track_caller]
    pub fn train_config(&self, tag: &str) -> Value {
        serde_json::from_slice(&self.cat(tag, "opt/train_config.json")).expect("a train config is JSON")
    }

    /// Puts one more layer on an image.
    #[track_caller]
    pub fn append(&self, tag: &str, out: &str, edits: &[Edit]) {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let mut arguments = vec![tag.to_owned(), out.to_owned()];
        for (number, edit) in edits.iter().enumerate() {
            let (option, value) = match edit {
                Edit::Diff(at, dir) => ("--diff", format!("{at}={}", dir.display())),
                Edit::Opaque(at, dir) => ("--opaque", format!("{at}={}", dir.display())),
                Edit::Remove(path) => ("--remove", (*path).to_owned()),
                Edit::Put(path, data) => {
                    let file = scratch.path().join(number.to_string());
                    std::fs::write(&file, data).expect("a temporary file");
                    ("--put", format!("{path}={}", file.display()))
                }
            };
            arguments.extend([option.to_owned(), value]);
        }
        self.script("append", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Gives an image one more name.
    #[track_caller]
    pub fn tag(&self, tag: &str, out: &str) {
        self.script("tag", &[tag, out]);
    }

    /// Writes an image in another form; see `reform.py`.
    #[track_caller]
    pub fn reform(&self, command: &str, arguments: &[&str]) {
        let script = test_file("support/reform.py");
        let first = [script.to_str().expect("a path in UTF-8"), command, self.path()];
        run("python3", &[&first, arguments].concat()).unwrap_or_else(|told| panic!("{told}"));
    }

    /// A layout with this one image, under the same tag.
    #[track_caller]
    pub fn only(&self, tag: &str, dir: impl Into<PathBuf>) -> Layout {
        let other = Layout::new(dir);
        self.script("only", &[tag, other.path(), tag]);
        other
    }

    /// The files of the layout that contain this text, raw or decompressed, whether a tag reaches them or not.
    #[track_caller]
    pub fn search(&self, text: &str) -> Vec<Value> {
        self.json("search", &[text]).as_array().expect("a list of files").clone()
    }

    /// Where a blob lies.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.dir.join("blobs").join(digest.replace(':', "/"))
    }
}
