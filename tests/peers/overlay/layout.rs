//! Layouts written by hand.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How a layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Plain,
    Gzip,
    /// Two gzip members, one after the other, as parallel compressors write them.
    GzipMembers,
    Zstd,
}

impl Form {
    fn media_type(self) -> &'static str {
        match self {
            Form::Plain => "application/vnd.oci.image.layer.v1.tar",
            Form::Gzip | Form::GzipMembers => "application/vnd.oci.image.layer.v1.tar+gzip",
            Form::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    fn pack(self, archive: &[u8]) -> Vec<u8> {
        match self {
            Form::Plain => archive.to_vec(),
            Form::Gzip => gzip(archive),
            Form::GzipMembers => {
                // In the middle of an entry, and not at a block's border.
                let (first, second) = archive.split_at(archive.len() / 2 + 7);
                [gzip(first), gzip(second)].concat()
            }
            Form::Zstd => compress_to_vec(archive, CompressionLevel::Fastest),
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn put(dir: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = digest(bytes);
    fs::write(dir.join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

/// Writes the image of these layers (archive and form, from the bottom up) as `dir:latest`.
pub fn write(dir: &Path, layers: &[(Vec<u8>, Form)]) {
    fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    let descriptors: Vec<Value> =
        layers.iter().map(|(archive, form)| put(dir, form.media_type(), &form.pack(archive))).collect();
    let diff_ids: Vec<String> = layers.iter().map(|(archive, _)| digest(archive)).collect();
    // Without `created` umoci 0.4 crashes.
    let made = json!({ "created": "2024-01-01T00:00:00Z", "created_by": "test" });
    let config = json!({
        "created": "2024-01-01T00:00:00Z",
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": vec![made; layers.len()],
    });
    let config = put(dir, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": descriptors });
    let mut manifest = put(dir, media_type, manifest.to_string().as_bytes());
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    fs::write(dir.join("index.json"), json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}
