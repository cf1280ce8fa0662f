//! The Personal Health Train security protocol on OCI images, without a container daemon.
//!
//! A *train* is a container image that travels from *station* to station. Before it runs, [`stage::pre_run`] verifies
//! its code and verifies and decrypts what the stations before have computed; after the run [`stage::post_run`] hashes,
//! signs and encrypts the new results. Both read an image from a [`store::Source`] and publish one to a
//! [`store::Destination`]; nothing is visible there before every check has passed.
//!
//! ```no_run
//! use pht_oci::crypto::PrivateKey;
//! use pht_oci::stage::{StageRequest, Station, Context, pre_run};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = PrivateKey::from_pem(&std::fs::read("station_1.pem")?, None)?;
//! let train = "oci:./train:latest".parse()?;
//! let report = pre_run(&StageRequest::new(&train, Station::of(&key)), &Context::at(1_700_000_000))?;
//! println!("{}", report.digest_after.unwrap_or_default());
//! # Ok(())
//! # }
//! ```
//!
//! # The house
//!
//! Imports run downwards in this list, never up, and never in a circle; a test holds that.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`cli`] | the command line: one file per command; reports, keys and the clock |
//! | [`stage`] | the verbs, from build to verify. The only place where the three below meet |
//! | [`train`] | the domain: config, route, wire versions, hashes, signatures, trust. No tar and no registry |
//! | [`image`] | OCI images: manifest and config, layers, the merged view, a new image from an old one. No train |
//! | [`store`] | where images live: two traits, and one implementation per transport |
//! | [`crypto`] | RSA keys and schemes, digests, streaming ciphers. No image |
//!
//! Below all of them are [`error`] and [`json`]. [`manual`] has the pages that are no command's help: [`manual::wire_3`]
//! specifies wire 3.
//!
//! # The way of a byte through a stage
//!
//! A file of a payload layer goes through a pipeline of bounded buffers; nothing is held whole in memory.
//!
//! ```text
//! layer in a file ── Extent ── Decryptor ──┬── tar, Encryptor ── ThreadedWriter ══ digest, write ── new blob
//! (or the spool of a                       └── Feeder ══ the wire's hash of the plaintext
//!  compressed layer)          one core ────────────────┴─ the other core
//! ```
//!
//! [`image::View`] reads the headers of the layers from the top down until nothing below can be seen, and leaves the
//! contents where they are. A stage walks the resulting [`image::Tree`] in the protocol's order and hands every file
//! through the cipher to an [`image::LayerSink`], while a hash looks on. Whatever is read is verified against its digest;
//! whatever is written waits in the destination's staging area until [`store::Destination::publish`].
//!
//! # Where to add
//!
//! - **a wire version**: one implementation of [`train::Wire`] and its line in [`train::wire::WIRES`]; a cipher, if it
//!   has a new one, in [`crypto::cipher`];
//! - **a transport**: one folder in [`store`] that implements [`store::Source`] and [`store::Destination`], its prefix in
//!   [`image::Reference`], and a line in [`stage::open_source`] and [`stage::open_destination`];
//! - **an engine** that runs trains: one file in `stage/engine` that implements [`stage::Engine`] and its line in
//!   [`stage::ENGINES`];
//! - **a command**: one file in [`stage`], one in [`cli`], and a line in the list of commands.

#![forbid(unsafe_code)]

pub mod cli;
pub mod crypto;
pub mod engine;
pub mod error;
pub mod image;
pub mod json;
pub mod manual;
pub mod path;
pub mod stage;
pub mod store;
pub mod tar;
pub mod text;
pub mod train;
