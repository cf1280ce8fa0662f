use oci_spec::image::Digest;

/// The list of images in a Docker archive.
pub(super) const DOCKER_MANIFEST: &str = "manifest.json";

/// The path of a blob in an OCI image layout.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.digest())
}
