//! The Personal Health Train security protocol on OCI images, without a container daemon.
//!
//! A *train* is a container image that travels from *station* to station. Before it runs, [`pre_run`] verifies its code
//! and verifies and decrypts what the stations before have computed; after the run [`post_run`] hashes, signs and encrypts
//! the new results. Both read an image from a [`store::Source`] and publish one to a [`store::Destination`]; nothing is
//! visible there before every check has passed.
//!
//! ```no_run
//! use pht_oci::{Context, PrivateKey, Reference, StageRequest, Station, pre_run};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = PrivateKey::from_pem(&std::fs::read("station_1.pem")?, None)?;
//! let train: Reference = "oci:./train:latest".parse()?;
//! let context = Context::new(1_700_000_000, "/var/tmp");
//! let report = pre_run(&StageRequest::new(&train, Station::of(&key)), &context)?;
//! println!("{}", report.image.digest_after.unwrap_or_default());
//! # Ok(())
//! # }
//! ```
//!
//! # Where to begin
//!
//! What most programs need is at the root: a verb for each step of a train's life, with its request and its report.
//! [`build`] makes a train; [`pre_run`], [`post_run`] and [`run()`] are a station's; [`results`] is its creator's;
//! [`inspect`], [`verify`] and [`validate`] look at one and change nothing. All take a [`Context`]: the time, where
//! temporary files go, how registries are reached and who is told of progress come from the caller, never from the process
//! (with one exception, [`store::interrupt`]). All return [`Error`], whose [`Kind`](error::Kind) says who has to act.
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `cli` | yes | [`cli`] and the program; without it none of its crates is built |
//! | `registry` | yes | `docker://`; without it such a reference is refused |
//! | `engines` | yes | [`engine`] and [`run()`] |
//! | `fast` | yes | `aws-lc`, `openssl` and `zstd`: ciphers, TLS, digests and Zstandard in C and assembler |
//! | `portable` | no | the first three with `graviola` for TLS: the whole program without a C compiler, make and Perl |
//!
//! # Glossary
//!
//! The words are those of the papers on the Personal Health Train, of the OCI specifications and of RFCs. Where a word has
//! one meaning here and several elsewhere:
//!
//! | word | meaning |
//! | --- | --- |
//! | **train** | a container image with an algorithm that is to run at several places, and what they have computed so far |
//! | **station** | a place with data where trains run, a hospital for instance; it has a key pair |
//! | **route** | the stations that a train visits, in order, each with its public key |
//! | **stop** | one station on the route of one train ([`train::Stop`]); a station may be more than one stop |
//! | **creator** | who wrote the algorithm, signs it, and gets the results in the end |
//! | **builder** | the service that makes the train and signs how it was built |
//! | **master image** | the image that a train is built on: a system with the programs that the algorithm needs |
//! | **base** | the layers of the train as it was built, of which its master image's are the lowest |
//! | **immutable files** | the algorithm, and the query if there is one: what no station may change (`/opt/pht_train`) |
//! | **results** | the files that stations compute and pass on (`/opt/pht_results`) |
//! | **payload layer** | the layer above the base with immutable files and results; a stage replaces it |
//! | **control layer** | the layer above that with the train config (`/opt/train_config.json`) and the creator's wrapped key |
//! | **statement** | in wire 3, the part of the train config that the creator signs: all but what changes on the way |
//! | **train config** | the JSON document with route, keys, hashes and signatures ([`train::TrainConfig`]) |
//! | **wire version** | a version of the protocol: what is hashed and signed in what order, and how files are encrypted ([`train::Wire`]); **classic** before 3, **authenticated** from 3 on |
//! | **stage** | a step of the protocol at a station: pre-run or post-run |
//! | **open train** | a train after pre-run: its files can be read, and it can run |
//! | **closed train** | a train as built or after post-run: files that travel encrypted are encrypted, and the last signature is there |
//! | **stage key** | the symmetric key of the files of a closed train, wrapped for those who may open it ([`crypto::StageKey`]) |
//! | **recipient** | whose public key a stage key is wrapped for |
//! | **pinned keys** | public keys that were checked out of band; a train must have these and no others ([`TrustStore`]) |
//! | **journal** | a station's signed record of what it did; each line has the digest of the one before ([`stage::Journal`]) |
//! | **sound, weak, unpinned, broken** | what a check found: it holds; this wire version cannot prove it; no key is pinned for its owner; it does not hold ([`train::Verdict`]) |
//! | **reference** | how a person names an image ([`Reference`]); also, in full, the *reference implementation* of the protocol in Python |
//! | **transport** | a kind of place for images, with its prefix: `oci:`, `docker://`, ... ([`store::TRANSPORTS`]) |
//! | **layout** | a directory with images (OCI image layout specification) |
//! | **diff ID, chain ID** | digests of an uncompressed layer, and of a layer with all below it (OCI image specification) |
//! | **whiteout, opaque** | entries of a layer that hide what is below |
//! | **rescue** | keeping a train that has run where its registry refuses it |
//! | **spool** | an unlinked temporary file for what must be read at any position and cannot be where it is |
//! | **extent** | a range of a local file that can be read at any position ([`store::Extent`]) |
//! | **engine** | a program that runs containers |
//! | **peer** | in tests, another program that this one is held against |
//!
//! # The layers
//!
//! Imports run downwards in this list, never up, and never in a circle; a test holds that.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`cli`] | the command line: one file per command; reports, keys, the clock, and words for people |
//! | [`stage`] | the verbs, from build to verify: the only place where a train, its image and its ciphers meet |
//! | [`engine`] | Podman, Docker and runc behind one trait. Knows an image and mounts, no train |
//! | [`train`] | the domain: config, route, wire versions, hashes, signatures, trust. No tar and no registry |
//! | [`review`] | results before they leave: what is in them, and whether a station's rules let it out. Files, no train |
//! | [`image`] | OCI images: manifest and config, layers, the merged view, a new image from an old one. No train |
//! | [`store`] | where images live: two traits, one implementation for each transport, and the [`Context`] of a verb |
//! | [`tar`] | tar archives and their compression. No image |
//! | [`crypto`] | RSA keys and schemes, digests, streaming ciphers. No image |
//!
//! Below all of them is the floor: [`error`], [`json`], [`path`] and [`text`]. Why things are as they are, where one would
//! ask, is in [`decisions`]. [`manual`] has the pages that are no command's help: [`manual::wire_3`] specifies wire 3.
//!
//! # The path of a byte through a stage
//!
//! A file of a payload layer goes through a pipeline of bounded buffers; nothing is held whole in memory.
//!
//! ```text
//! layer in a file ── Extent ── Decryptor ──┬── tar, Encryptor ── ThreadedWriter ══ digest, write ── new blob
//! (or the spool of a                       └── BackgroundHasher ══ the wire's hash of the plaintext
//!  compressed layer)          one core ────────────────┴─ the other core
//! ```
//!
//! [`image::View`] reads the headers of the layers from the top down until nothing below can be seen, and leaves the
//! contents where they are. A stage walks the resulting [`image::Tree`] in the protocol's order and hands every file
//! through the cipher to an [`image::LayerSink`], while a hash looks on. Whatever is read is verified against its digest
//! ([`store::Verified`], above all transports); whatever is written waits in the destination's staging area until
//! [`store::Destination::publish`].
//!
//! # Where to add
//!
//! - **a wire version**: a folder in `src/train/wire` that implements [`train::Wire`], and its line in
//!   [`train::wire::WIRES`]; a cipher, if it has a new one, in [`crypto::cipher`]; its specification in [`manual`];
//! - **a transport**: a file or folder in `src/store` with its [`store::Location`], [`store::Source`] and
//!   [`store::Destination`], and its line in [`store::TRANSPORTS`] (`src/store/transports.rs`);
//! - **a check of results**: a file in `src/review/checks`, and its line in [`review::RULES`];
//! - **an engine**: a file in `src/engine` that implements [`engine::Engine`], and its line in [`engine::ENGINES`]
//!   (`src/engine/mod.rs`);
//! - **a command**: a file in `src/stage`, or in `src/image` if it knows no train; one in `src/cli`, and its lines in the
//!   list of commands in `src/cli/mod.rs`.
//!
//! How to build and test, and the rules that are kept, is in `.github/CONTRIBUTING.md`.

#![forbid(unsafe_code)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod crypto;
pub mod decisions;
#[cfg(feature = "engines")]
pub mod engine;
pub mod error;
pub mod image;
pub mod json;
pub mod manual;
pub mod path;
pub mod review;
pub mod stage;
pub mod store;
pub mod tar;
pub mod text;
pub mod train;

pub use crypto::{Passphrase, PrivateKey, PublicKey};
pub use error::{Error, Result};
pub use stage::{
    ApproveRequest, BuildCreator, BuildRequest, BuildStop, Inspection, Master, RebaseRequest, RejectRequest, Release,
    Report, ResultsRequest, ResultsTo, ReviewRequest, StageRequest, Station, ValidateRequest, Validation, Verification,
    VerificationPolicy, approve, build, inspect, post_run, pre_run, rebase, reject, results, review_train, validate,
    verify,
};
#[cfg(feature = "engines")]
pub use stage::{RunRequest, TrainFailed, run};
pub use store::{Context, Reference};
pub use train::{MinWire, TrustStore};
