//! OCI distribution registries.

mod repository;

pub use repository::Repository;
