//! Places on this machine: who can read what is plaintext, and what strangers can have done to the host by a train, a
//! layout or a directory.

mod links;
mod many;
mod modes;
mod nameless;
mod results;
mod volumes;
