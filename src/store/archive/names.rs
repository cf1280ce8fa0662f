use oci_spec::image::Digest;

/// What says which images a Docker archive holds.
pub(super) const DOCKER_MANIFEST: &str = "manifest.json";

/// Where a blob lies in an OCI image layout.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.digest())
}
