//! What the tests themselves stand on: two readers of images that share no code, and a search for forgotten files.

use std::fs;

use serde_json::{Value, json};
use support::tree::{sha256, write_results};
use support::vectors::Signed;
use support::{Edit, Layout, Peer, Wire, available};

/// Fixtures are made by a reader in Rust; Python, which judges what the program makes, sees the same in every image.
#[test]
fn both_readers_of_images_see_the_same() {
    if !available("support_readers::both_readers_of_images_see_the_same", &[Peer::Python]) {
        return;
    }
    for wire in Wire::OURS {
        let signed = Signed::new(wire);
        let results = signed.dir.path().join("written");
        write_results(&results, 0);
        fs::hard_link(results.join("noise.bin"), results.join("noise again")).expect("a hard link");
        let long = format!("{0}/{0}/{0}", "a name that is longer than fits into a header".repeat(2));
        fs::create_dir_all(results.join(&long)).expect("a new directory");
        fs::write(results.join(&long).join("deep"), "deep").expect("a new file");
        let layout = &signed.layout;
        layout.append(signed.tag, "diff", &[Edit::Diff("opt/pht_results", &results)]);
        fs::remove_dir_all(results.join("sub")).expect("a directory that can be removed");
        fs::write(results.join("empty"), "no more").expect("a file that can be written");
        layout.append("diff", "diff again", &[Edit::Diff("opt/pht_results", &results)]);
        layout.append("diff", "opaque", &[Edit::Opaque("opt/pht_results", &results)]);
        layout.append("diff", "removed", &[Edit::Remove("opt/pht_results/sub"), Edit::Put("tmp/x", b"x".to_vec())]);
        for tag in [signed.tag, "diff", "diff again", "opaque", "removed"] {
            check_is_seen_alike(layout, tag);
        }
        // A container engine's diff and an opaque whiteout come to the same.
        let strip = |tag: &str| {
            let mut view = layout.view(tag, "opt/pht_results");
            for entry in view.values_mut().filter_map(Value::as_object_mut) {
                // A diff leaves directories alone whose mode is the same, and gives a link to what is there no second name.
                entry.retain(|field, _| !matches!(field.as_str(), "names" | "mtime"));
            }
            view
        };
        assert_eq!(strip("diff again"), strip("opaque"), "{wire:?}");
    }
}

#[track_caller]
fn check_is_seen_alike(layout: &Layout, tag: &str) {
    let (view, merged) = (layout.view(tag, ""), layout.merged(tag));
    assert_eq!(view.keys().collect::<Vec<_>>(), merged.keys().collect::<Vec<_>>(), "{tag}");
    for (path, entry) in merged {
        let python = &view[&path];
        assert_eq!(python["mode"], format!("0o{:o}", entry.mode), "{tag}: {path}");
        assert_eq!(python["type"] == "directory", entry.kind.is_dir(), "{tag}: {path}");
        assert_eq!(python["link"], json!(entry.link.filter(|_| entry.kind.is_symlink())), "{tag}: {path}");
        if entry.kind.is_file() {
            assert_eq!(python["sha256"], sha256(&entry.data), "{tag}: {path}");
        }
    }
}

#[test]
fn a_forgotten_file_is_found() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("below a directory")).expect("a new directory");
        fs::write(path, text).expect("a new file");
    };
    write("main.rs", "mod one;\nmod two;\n");
    write("one.rs", "mod below;\n");
    write("one/below.rs", "");
    write("two/mod.rs", "pub mod inner;\n");
    write("two/inner.rs", "");
    assert_eq!(support::modules::forgotten(dir.path()), Vec::<std::path::PathBuf>::new());
    write("two/lost.rs", "#[test]\nfn fails() {\n    panic!()\n}\n");
    assert_eq!(support::modules::forgotten(dir.path()), [dir.path().join("two/lost.rs")]);
}
