//! Registries: the real `docker-registry` on the loopback, in the open and behind logins, TLS and a proxy that makes
//! faults and counts bytes; and two others.

mod access;
mod copying;
mod faults;
mod journey;
mod masters;
mod others;
mod progress;
mod proxy;
mod reach;
mod running;
pub mod server;
mod sessions;
mod tls;
mod tokens;
mod traffic;
