//! The fixture of these tests: a train before its second station, alone on its layout, in a form of choice.

use std::path::Path;

use serde_json::Value;

use crate::vectors::Vectors;
use crate::{Edit, Layout, Outcome, Wire, pht_oci, utf8};

pub const RESULT: &str = "opt/pht_results/result.txt";
const STATION: &str = "station_2";

pub struct StageFixture {
    pub vectors: Vectors,
    /// Nothing but the tag `latest`: the train as its first station, a reference's, has left it.
    pub layout: Layout,
}

impl StageFixture {
    pub fn new(wire: Wire) -> Self {
        let vectors = Vectors::ours(wire);
        vectors.layout.tag("1-post", "latest");
        let layout = vectors.layout.only("latest", vectors.dir.path().join("fixture"));
        Self { vectors, layout }
    }

    /// With `base` beside it: the train as built, in the same layout.
    pub fn with_base(wire: Wire) -> Self {
        let fixture = Self::new(wire);
        let built = fixture.vectors.layout.only("base", fixture.layout.dir.clone());
        assert_eq!(built.tags().len(), 2, "two images on the fixture");
        fixture
    }

    #[track_caller]
    pub fn reform(&self, options: &[&str]) {
        self.layout.reform("image", &[&["latest", "latest"], options].concat());
    }

    /// A stage in place, or to another tag.
    pub fn stage(&self, stage: &str, images: &[&str], options: &[&str]) -> Outcome {
        let images: Vec<String> = images.iter().map(|tag| self.layout.at(tag)).collect();
        let key = self.vectors.key(STATION);
        let mut line = vec![stage, "--station", STATION, "--private-key", &key];
        line.extend(images.iter().map(String::as_str));
        line.extend(options);
        pht_oci(&line, &[])
    }

    /// What the run of the second station writes, as one more layer.
    pub fn write(&self, from: &str, to: &str) {
        self.layout.append(from, to, &[Edit::Put(RESULT, b"second run\n".to_vec())]);
    }

    /// Pre-run, run and post-run in place; then the creator must get what was written. The images after each.
    #[track_caller]
    pub fn whole_stop(&self) -> [Value; 2] {
        self.stage("pre-run", &["latest"], &[]).ok();
        self.check_opened("latest");
        let opened = self.layout.image("latest");
        self.write("latest", "latest");
        self.stage("post-run", &["latest"], &[]).ok();
        self.check_closed("latest");
        [opened, self.layout.image("latest")]
    }

    /// The opened image shows what the reference's own pre-run shows.
    #[track_caller]
    pub fn check_opened(&self, tag: &str) {
        let contents = |layout: &Layout, tag: &str| -> Vec<(String, Value)> {
            let files = layout.view(tag, "opt").into_iter().filter(|(_, node)| node["type"] == "file");
            let of_train = files.filter(|(path, _)| path.starts_with("opt/pht_"));
            of_train.map(|(path, node)| (path, node["sha256"].clone())).collect()
        };
        let shown = contents(&self.layout, tag);
        for top in ["opt/pht_train/", "opt/pht_results/"] {
            assert!(shown.iter().any(|(path, _)| path.starts_with(top)), "nothing in {top}");
        }
        assert_eq!(shown, contents(&self.vectors.layout, "2-pre"));
    }

    /// The creator gets the results of the second station, and nothing of them is readable in the layout's images.
    #[track_caller]
    pub fn check_closed(&self, tag: &str) {
        let out = self.vectors.dir.path().join(format!("out-{tag}"));
        let (image, key) = (self.layout.at(tag), self.vectors.key("user"));
        pht_oci(&["results", &image, "--private-key", &key, "--out", utf8(&out)], &[]).ok();
        assert_eq!(std::fs::read(out.join("result.txt")).expect("a result"), b"second run\n");
        assert!(out.join("sub/x").exists(), "the first station's results are not all there");
        assert_ne!(self.layout.cat(tag, RESULT), b"second run\n", "plaintext in the image");
    }

    /// Reads `index.json` as it stands.
    pub fn index(&self) -> Value {
        read_json(&self.layout.dir.join("index.json"))
    }
}

#[track_caller]
pub fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

/// Layers and diff IDs of an image are one to one, and `layout.py` verifies each while it reads the view.
#[track_caller]
pub fn layers(image: &Value) -> &[Value] {
    let layers = image["manifest"]["layers"].as_array().expect("layers");
    assert_eq!(image["config"]["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(layers.len()));
    layers
}
