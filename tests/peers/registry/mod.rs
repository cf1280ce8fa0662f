//! Registries: the real `docker-registry` on the loopback, in the open and behind logins, TLS and a proxy that makes
//! faults and counts bytes.

mod access;
mod copying;
mod faults;
mod journey;
mod masters;
mod progress;
mod proxy;
mod reach;
mod running;
pub mod server;
mod sessions;
mod tokens;
mod traffic;
