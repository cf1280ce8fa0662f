use std::fmt;

use crate::crypto::{Cipher, PrivateKey, PublicKey, StageKey, hex};
use crate::error::{Error, Result};
use crate::json::{Object, Value};
use crate::train::check::Check;
use crate::train::common::CommonFields;
use crate::train::draft::Draft;
use crate::train::files::FileMeta;
use crate::train::hash::ResultHasher;
use crate::train::image::{ImageFacts, LayerFacts};
use crate::train::party::PartyId;
use crate::train::route::RouteState;
use crate::train::signed_image::SignedImage;

/// True if a field is present; `null` counts as absent.
pub(crate) fn has(config: &Object, key: &str) -> bool {
    config.get(key).is_some_and(|value| !matches!(value, Value::Null))
}

/// Nobody outside can know what the stages will ask of a wire version next.
mod sealed {
    pub trait Sealed {}
}
pub(super) use sealed::Sealed;

/// One wire version: how to recognise, read and begin its trains.
pub trait Wire: Sealed + Sync + fmt::Debug {
    /// Its name, as in `2.0`.
    fn name(&self) -> &'static str;

    /// True if a config has the shape of this version.
    fn recognises(&self, config: &Object) -> bool;

    /// The cipher of its files.
    fn cipher(&self) -> Cipher;

    /// True if the immutable files travel encrypted, as the results do.
    fn encrypts_train(&self) -> bool;

    /// True if the train as built has its files in a payload layer, with a control layer above it, as every later state
    /// has; else they are part of the base, which is the train as built.
    fn has_payload_as_built(&self) -> bool {
        false // the reference puts them into the image that later stages build on
    }

    /// True if the creator, before reading the results, checks the immutable files as a station does.
    fn creator_checks_files(&self) -> bool {
        false // the reference does not
    }

    /// Reads what only this version has of a config; the last step of parsing a train config.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) with the field's path.
    fn read(&'static self, common: &CommonFields) -> Result<Box<dyn WireConfig>>;

    /// Begins a new train of this version; `files` are the immutable ones, in any order.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if this version cannot have such a train.
    fn draft(&'static self, draft: Draft, files: &[FileMeta]) -> Result<Box<dyn DraftFeed>>;

    /// True if a builder signs its trains.
    fn has_builder(&self) -> bool;

    /// True if the builder signs what the creator has signed, and so after the creator.
    fn builder_signs_last(&self) -> bool {
        false // elsewhere the creator vouches for the builder
    }

    /// Signs for the builder, and wraps the key of the build: the train config as built. Where the builder signs after the
    /// creator and the creator has not signed yet, the builder's signature is left to [`WireConfig::seal_creator`].
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if a key that this version needs is not given.
    fn seal_build(&'static self, signed: SignedDraft, seal: &BuildSeal<'_>) -> Result<Object>;
}

/// The part of a config specific to one wire version, read once: how to verify and seal this train.
///
/// The `collect_*` methods report everything they find, what is broken too. Their `config` is the one that this was read
/// from.
pub trait WireConfig: Send + Sync + fmt::Debug {
    /// The hash that the creator signs.
    fn hash(&self) -> &[u8; 64];

    /// True if the creator has not signed yet.
    fn waits_for_creator(&self) -> bool {
        false // elsewhere it is a field that must be there
    }

    /// True if the builder has not signed yet, which is for after the creator.
    fn waits_for_builder(&self) -> bool {
        false // where the builder does not sign what the creator has signed, the build is complete without
    }

    /// The builder's key, where the version has one.
    fn builder_key(&self) -> Option<&PublicKey>;

    /// True if the creator's signature covers the keys of builder and stations, and so vouches for them.
    fn creator_vouches(&self) -> bool {
        false // the reference's versions sign no key
    }

    /// The signed execution parameters of the image, if the creator has signed them.
    fn image(&self) -> Option<&SignedImage> {
        None // the earlier versions do not sign it
    }

    /// The sizes of the immutable files in the order of the config's list, where the creator has signed them.
    fn file_sizes(&self) -> Option<Vec<u64>> {
        None // the earlier versions list names alone
    }

    /// When the build was made (`None`) or a stop (its index), if it has signed it.
    fn time_of(&self, _stop: Option<usize>) -> Option<&str> {
        None // nor a time
    }

    /// The base layers, where the creator has signed them.
    fn base(&self) -> Option<&[LayerFacts]> {
        None // nor this
    }

    /// The number of the image's lowest layers that are its base, if the config tells it.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if the config says it and the image has no such base.
    fn ensure_base(&self, _image: &ImageFacts) -> Result<Option<usize>> {
        Ok(None)
    }

    /// The creator's signature of this train, which still waits for it.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::error::Kind::Io) if the system gives no random bytes.
    fn sign_as_creator(&self, key: &PrivateKey) -> Result<Vec<u8>>;

    /// Puts in the creator's signature and, where the builder signs after the creator, the builder's: the config that
    /// travels.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if it is not the creator's signature of this train;
    /// [`Kind::Key`](crate::error::Kind::Key) if the builder's key is not the one that the config names.
    fn seal_creator(&self, config: &CommonFields, seal: &SignatureSeal<'_>) -> Result<Object>;

    /// Checks that the fields about results agree with who has signed.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if they do not.
    fn ensure_route_state(&self, config: &CommonFields, route_state: &RouteState<'_>) -> Result<()>;

    /// The train's position: by the signatures on the route, with which the results' fields must agree.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if a station has signed before its turn, or if the
    /// fields about results say something else than the signatures.
    fn route_state<'c>(&self, config: &'c CommonFields) -> Result<RouteState<'c>> {
        let route_state = config.route().route_state()?;
        self.ensure_route_state(config, &route_state)?;
        Ok(route_state)
    }

    /// Checks the creator's signature, and says what it does not cover.
    fn collect_creator(&self, config: &CommonFields) -> Vec<Check>;

    /// Checks the builder's signature, where the version has one.
    fn collect_build(&self, config: &CommonFields) -> Vec<Check>;

    /// Checks the order of the route, and each signature and digest on it.
    fn collect_route(&self, config: &CommonFields) -> Vec<Check>;

    /// Checks the layers of an image that no pre-run has opened, by what it states of them; says so where the version
    /// does not bind them.
    fn collect_layers(&self, image: &ImageFacts) -> Vec<Check>;

    /// Checks how such an image runs; says so where the version does not bind it.
    fn collect_image(&self, image: &ImageFacts) -> Vec<Check>;

    /// Says what can be told of the files of a train that is closed, without its key: `files` are all regular files
    /// under `pht_train`, of the size of their plaintext where the cipher shows it.
    fn collect_closed(&self, config: &CommonFields, files: &[FileMeta]) -> Vec<Check>;

    /// Checks a stage's key that has just been unwrapped, where the version commits to it.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if it is another than the one committed to.
    fn ensure_stage_key(&self, _config: &CommonFields, _stage_key: &StageKey) -> Result<()> {
        Ok(())
    }

    /// Begins to check the immutable files: `files` are all regular files under `pht_train`.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if a file is missing or unlisted,
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if the config names no file.
    fn immutable_check(&self, config: &CommonFields, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>>;

    /// Begins to check the results of the last station that has signed: `files` are all regular files under
    /// `pht_results` (of hard links, the first name in walk order).
    ///
    /// # Errors
    /// As [`WireConfig::route_state`].
    fn result_check(&self, config: &CommonFields, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>>;

    /// The hasher of a run's results, if the version has a result hash; fed in walk order.
    fn result_hasher(&self, config: &CommonFields) -> Option<ResultHasher>;

    /// Signs for the station after its run, and wraps the key of its stage: the config that travels on.
    ///
    /// # Errors
    /// [`Kind::Key`](crate::error::Kind::Key) if it is not the station's key;
    /// [`Kind::Verification`](crate::error::Kind::Verification) if it is not the station's turn.
    fn seal_stop(&self, config: &CommonFields, seal: &StopSeal<'_>) -> Result<Object>;
}

/// Takes the plaintext of files, in an order of its own.
///
/// For each index of [`order`](ContentFeed::order): [`begin`](ContentFeed::begin), then
/// [`update`](ContentFeed::update) with the content, in pieces cut anywhere.
pub trait ContentFeed: Send {
    /// The files to feed, as indexes into the list that was handed in. It may be shorter than that list.
    fn order(&self) -> &[usize];

    /// The next file begins.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::error::Kind::Internal) if it is not the next one of [`order`](ContentFeed::order), a
    /// mistake of the caller.
    fn begin(&mut self, file: usize) -> Result<()>;

    /// True if it reads the contents at all: passing a large file to another core for nothing costs time.
    fn reads_content(&self) -> bool {
        true
    }

    /// The next piece of the file that has begun.
    fn update(&mut self, content: &[u8]);
}

/// Has a feed that takes the plaintext of files.
pub trait HasFeed: Send {
    /// The receiver of the contents.
    fn feed(&mut self) -> &mut dyn ContentFeed;
}

impl<T: HasFeed + ?Sized> HasFeed for Box<T> {
    fn feed(&mut self) -> &mut dyn ContentFeed {
        (**self).feed()
    }
}

impl HasFeed for ResultHasher {
    fn feed(&mut self) -> &mut dyn ContentFeed {
        self
    }
}

/// Hashes whatever files it is fed, in the order in which they come.
impl ContentFeed for ResultHasher {
    fn order(&self) -> &[usize] {
        &[]
    }

    fn begin(&mut self, _file: usize) -> Result<()> {
        Ok(())
    }

    fn update(&mut self, content: &[u8]) {
        ResultHasher::update(self, content);
    }
}

/// Checks the plaintext of files against the config.
pub trait ContentCheck: HasFeed {
    /// All files have been fed: the checks, none of them broken.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if a hash differs,
    /// [`Kind::Internal`](crate::error::Kind::Internal) if a file was not fed.
    fn finish(self: Box<Self>) -> Result<Vec<Check>>;
}

/// Takes the immutable files of a new train.
pub trait DraftFeed: HasFeed {
    /// All files have been fed: the creator signs, has signed, or will.
    ///
    /// # Errors
    /// [`Kind::Key`](crate::error::Kind::Key) if the key is not the draft's creator's or cannot sign,
    /// [`Kind::Verification`](crate::error::Kind::Verification) if a signature is not the creator's of this draft,
    /// [`Kind::Internal`](crate::error::Kind::Internal) if a file was not fed.
    fn seal(self: Box<Self>, creator: CreatorSeal<'_>) -> Result<SignedDraft>;

    /// [`seal`](DraftFeed::seal), by a creator who is here.
    ///
    /// # Errors
    /// As [`seal`](DraftFeed::seal).
    fn finish(self: Box<Self>, creator: &PrivateKey) -> Result<SignedDraft> {
        self.seal(CreatorSeal::Key(creator))
    }
}

/// The creator's part in a new train.
#[derive(Clone, Copy)]
pub enum CreatorSeal<'a> {
    /// The creator is here and signs.
    Key(&'a PrivateKey),
    /// The creator has signed elsewhere.
    Signature(&'a [u8]),
    /// The train will wait for its creator.
    Later,
}

/// The refusal of a signature that was made for something else, or by somebody else.
pub(super) fn foreign_signature(creator: &PartyId, hash: &[u8; 64]) -> Error {
    let what = format!(
        "the signature is not that of the creator `{creator}` for this train, whose hash is {}",
        hex::encode(hash)
    );
    let hint = "the train, its session id or its key is not the one that was signed; have the creator sign this train";
    Error::verification(what).hint(hint)
}

/// A new train that its builder has not signed yet.
#[derive(Debug)]
pub struct SignedDraft {
    /// The draft of the train.
    pub(crate) draft: Draft,
    /// The config so far.
    pub(crate) config: Object,
    /// The hash that the creator signs.
    pub(crate) hash: [u8; 64],
    /// The creator's signature, if there is one yet.
    pub(crate) signature: Option<Vec<u8>>,
}

/// The products of a stage, for a seal to vouch for. Each wire version takes those that it signs.
#[derive(Debug, Clone, Default)]
pub struct Produced {
    /// The result of [`WireConfig::result_hasher`].
    pub result_hash: Option<[u8; 64]>,
    /// The diff ID of the payload layer, as in `sha256:...`.
    pub payload: Option<String>,
}

/// The inputs of a station's signature after its run.
pub struct StopSeal<'a> {
    /// The station's index on the route.
    pub index: usize,
    /// The station's private key.
    pub key: &'a PrivateKey,
    /// The new key that this stage's files are encrypted with.
    pub stage_key: &'a StageKey,
    /// The products of the stage.
    pub produced: &'a Produced,
    /// When, in seconds since 1970.
    pub now: i64,
}

/// The signatures that a train waits for.
#[derive(Clone, Copy)]
pub struct SignatureSeal<'a> {
    /// The creator's, unless the config has it.
    pub creator: Option<&'a [u8]>,
    /// The builder's private key, where the builder signs after the creator; without it that train waits on.
    pub builder: Option<&'a PrivateKey>,
}

/// The inputs of a builder's signature.
pub struct BuildSeal<'a> {
    /// The builder's private key, where the version has a build signature.
    pub builder: Option<&'a PrivateKey>,
    /// The key that the immutable files are encrypted with, where they are.
    pub stage_key: Option<&'a StageKey>,
    /// The products of the build.
    pub produced: &'a Produced,
    /// When, in seconds since 1970.
    pub now: i64,
}
