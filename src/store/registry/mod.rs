//! OCI distribution registries.
//!
//! Registries differ from other stores in three ways. What is asked for is looked up by tag or digest, never by listing.
//! What they send may stop in the middle: a download goes on with a range request, an upload where the registry says
//! that it stands. And nothing is visible before a manifest names it, so blobs go first and the travelling tag last.
//!
//! HTTP is `reqwest`'s; what registries mean by it is here, since other clients know neither `Retry-After` nor resuming nor
//! two scopes in one token nor what registries refuse.

// Who we are is part of every command's context, whatever transports a build has; only a client asks for it.
#[cfg_attr(not(feature = "registry"), allow(dead_code))]
mod access;
#[cfg(feature = "registry")]
mod address;
#[cfg(feature = "registry")]
mod auth;
#[cfg(feature = "registry")]
mod certificates;
#[cfg(feature = "registry")]
mod client;
#[cfg_attr(not(feature = "registry"), allow(dead_code))]
mod credentials;
#[cfg(feature = "registry")]
mod download;
#[cfg(feature = "registry")]
mod fault;
#[cfg(feature = "registry")]
mod habits;
#[cfg_attr(not(feature = "registry"), allow(dead_code))]
mod helper;
mod location;
#[cfg_attr(not(feature = "registry"), allow(dead_code))]
mod login;
#[cfg(feature = "registry")]
mod manifest_type;
#[cfg(feature = "registry")]
mod presence;
#[cfg(feature = "registry")]
mod redirect;
mod repository;
#[cfg(feature = "registry")]
mod retry;
#[cfg(feature = "registry")]
mod source;
#[cfg(feature = "registry")]
mod tags;
#[cfg(feature = "registry")]
mod tls;
#[cfg(feature = "registry")]
mod token;
#[cfg(feature = "registry")]
mod transport;
#[cfg(feature = "registry")]
mod upload;
#[cfg(feature = "registry")]
mod words;
#[cfg(feature = "registry")]
mod write;

pub use access::{Access, Side};
pub use credentials::{AuthFile, Credentials, login_in};
pub(super) use location::TRANSPORT;
pub use location::without_login;
pub use login::Login;
pub use repository::Repository;
#[cfg(feature = "registry")]
pub use source::Registry;
#[cfg(feature = "registry")]
pub use write::RegistryWriter;
