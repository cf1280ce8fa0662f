//! Images without a name: podman and skopeo that write another image under a tag leave the one before in the layout, and
//! when it was an opened train nothing of it may stay.

use std::fs;

use serde_json::Value;
use support::Wire;
use support::stage::StageFixture;

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Opens the train in place, and has its run put under the tag as those tools do it.
fn opened_and_run(wire: Wire) -> StageFixture {
    let fixture = StageFixture::new(wire);
    fixture.stage("pre-run", &["latest"], &[]).ok();
    fixture.write("latest", "ran");
    let path = fixture.layout.dir.join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for entry in index["manifests"].as_array_mut().unwrap() {
        let annotations = entry["annotations"].as_object_mut().unwrap();
        match annotations[REF_NAME].as_str().unwrap() {
            "latest" => drop(annotations.remove(REF_NAME)),
            "ran" => drop(annotations.insert(REF_NAME.to_owned(), "latest".into())),
            _ => {}
        }
    }
    fs::write(&path, index.to_string()).unwrap();
    fixture
}

#[test]
fn post_run_in_place_takes_the_nameless_opened_image_along() {
    for wire in [Wire::V1_1_2, Wire::V2_0] {
        let fixture = opened_and_run(wire);
        let plaintext = || fixture.layout.search("first run").len() + fixture.layout.search("second run").len();
        assert!(plaintext() > 0, "{wire:?}: nothing to look for");
        assert!(fixture.layout.tags().contains(&Value::Null));
        fixture.stage("post-run", &["latest"], &[]).ok();
        assert_eq!(fixture.layout.tags(), ["latest"], "{wire:?}");
        assert_eq!(plaintext(), 0, "{wire:?}");
    }
}

#[test]
fn what_is_no_opened_image_of_this_train_stays() {
    let fixture = opened_and_run(Wire::V2_0);
    let other = StageFixture::new(Wire::V1_1_2);
    other.stage("pre-run", &["latest"], &[]).ok();
    // Another train, opened and without a name, and one that is closed.
    let path = fixture.layout.dir.join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut kept = Vec::new();
    for (layout, tag) in [(&other.layout, "latest"), (&other.layout, "latest-encrypted")] {
        for blob in fs::read_dir(layout.dir.join("blobs/sha256")).unwrap().map(|blob| blob.unwrap()) {
            fs::copy(blob.path(), fixture.layout.dir.join("blobs/sha256").join(blob.file_name())).unwrap();
        }
        let mut descriptor = layout.image(tag)["descriptor"].clone();
        descriptor.as_object_mut().unwrap().remove("annotations");
        kept.push(descriptor["digest"].clone());
        index["manifests"].as_array_mut().unwrap().push(descriptor);
    }
    fs::write(&path, index.to_string()).unwrap();
    fixture.stage("post-run", &["latest"], &[]).ok();
    let index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let nameless =
        index["manifests"].as_array().unwrap().iter().filter(|entry| entry["annotations"][REF_NAME].is_null());
    assert_eq!(nameless.map(|entry| entry["digest"].clone()).collect::<Vec<_>>(), kept);
    for digest in kept {
        assert!(fixture.layout.blob(digest.as_str().unwrap()).exists());
    }
}
