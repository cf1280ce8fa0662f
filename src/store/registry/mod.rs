//! OCI distribution registries.
//!
//! Registries differ from other stores in three ways. What is asked for is looked up by tag or digest, never by listing.
//! What they send may stop in the middle: a download goes on with a range request, an upload where the registry says
//! that it stands. And nothing is visible before a manifest names it, so blobs go first and the travelling tag last.
//!
//! HTTP is `reqwest`'s. `oci-client` reads the registries' errors; its transfers know neither `Retry-After` nor resuming
//! nor two scopes in one token nor client certificates, so transfers are here.

mod access;
mod auth;
mod client;
mod credentials;
mod download;
mod fault;
mod location;
mod repository;
mod retry;
mod source;
mod upload;
mod write;

pub use access::{Access, Side};
pub use credentials::{AuthFile, Credentials, Login, login_in};
pub(super) use location::TRANSPORT;
pub use repository::Repository;
pub use source::Registry;
pub use write::RegistryWriter;
