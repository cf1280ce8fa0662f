//! The media types of images (OCI image specification, media types; Docker image manifest version 2, schema 2).

/// An image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An image config.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A plain layer; compressed ones say so at its end, as in `+gzip`.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Docker's manifest list, which is an index.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A plain layer of Docker's, which no manifest of its own has; compressed ones say so at its end, as in `.gzip`.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Docker's layer, compressed by gzip.
pub const DOCKER_GZIP_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// How the media types of Docker's manifests of before 2016 begin, which name no config.
pub const DOCKER_FIRST_SCHEMA: &str = "application/vnd.docker.distribution.manifest.v1+";
