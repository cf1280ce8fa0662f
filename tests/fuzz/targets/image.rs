//! An image that opens is consistent: a manifest and, after a NUL, its config.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use oci_spec::image::{Descriptor, MediaType};
use pht_oci::error::{Error, Result};
use pht_oci::image::{ManifestFormat, Image};
use pht_oci::json::parse_object;
use pht_oci::store::{Blob, ImageEntry, Source, digest_of};

/// Documents that are found by their digests.
struct Documents(Vec<Vec<u8>>);

impl Source for Documents {
    fn name(&self) -> String {
        "documents".to_owned()
    }

    fn bytes_read(&self) -> u64 {
        0
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        Ok(Vec::new())
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let found = self.0.iter().find(|document| digest_of(document) == *descriptor.digest());
        let document = found.ok_or_else(|| Error::malformed("absent"))?.clone();
        Ok(Blob::Stream(Box::new(std::io::Cursor::new(document))))
    }
}

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (manifest, config) = (data[..end].to_vec(), data.get(end + 1..).unwrap_or_default().to_vec());
    // Nothing finds a digest by chance: name the config that is there.
    let manifest = match parse_object(&manifest) {
        Ok(mut found) if found.get("config").is_some_and(serde_json::Value::is_object) => {
            found["config"]["digest"] = digest_of(&config).as_ref().into();
            found["config"]["size"] = config.len().into();
            serde_json::to_vec(&found).expect("JSON")
        }
        _ => manifest,
    };
    let family = if data.len().is_multiple_of(2) { ManifestFormat::Oci } else { ManifestFormat::Docker };
    let media_type = MediaType::from(family.manifest());
    let descriptor = Descriptor::new(media_type, manifest.len() as u64, digest_of(&manifest));
    let source = Arc::new(Documents(vec![manifest.clone(), config]));
    let Ok(image) = Image::open(source, ImageEntry { tag: None, descriptor }, None) else { return };
    assert_eq!(image.layers().len(), image.diff_ids().len());
    assert_eq!(image.format(), family);
    assert_eq!(*image.manifest(), parse_object(&manifest).expect("a manifest is JSON"));
    assert_eq!(image.chain_id(image.layers().len()).is_some(), !image.layers().is_empty());
    assert!(image.is_based_on(&image));
});
