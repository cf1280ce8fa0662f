//! The two content hashes of the reference's wire versions, as feeds.

use super::config::ClassicConfig;
use crate::crypto::hex;
use crate::error::Result;
use crate::path::walk_order;
use crate::train::check::{self, Check, CheckId};
use crate::train::common::CommonFields;
use crate::train::files::{FileMeta, HashOrder, hash_order};
use crate::train::hash::{ImmutableHasher, QueryHasher, ResultHasher};
use crate::train::party::PartyId;
use crate::train::wire::feed::Turns;
use crate::train::wire::interface::{ContentCheck, ContentFeed, HasFeed, WireConfig};

const NAMES_ARE_FREE: &str = "the immutable hash covers the contents in their order, but neither names nor modes nor \
                              where one file ends and the next begins";

/// Hashes the immutable files: the listed ones, the session id, the query.
pub(super) struct ImmutableFeed {
    turns: Turns,
    query: Option<usize>,
    session_id: Vec<u8>,
    state: State,
}

enum State {
    Files(ImmutableHasher),
    Query(QueryHasher),
}

impl ImmutableFeed {
    pub(super) fn new(creator: &PartyId, session_id: &[u8], order: HashOrder) -> Self {
        let query = order.query;
        let order = order.files.into_iter().chain(query).collect();
        ImmutableFeed {
            turns: Turns::new(order),
            query,
            session_id: session_id.to_vec(),
            state: State::Files(ImmutableHasher::new(creator)),
        }
    }

    pub(super) fn finish(self) -> Result<[u8; 64]> {
        self.turns.finish()?;
        Ok(match self.state {
            State::Files(hasher) => hasher.session(&self.session_id).finish(),
            State::Query(hasher) => hasher.finish(),
        })
    }
}

impl ContentFeed for ImmutableFeed {
    fn order(&self) -> &[usize] {
        self.turns.order()
    }

    fn begin(&mut self, file: usize) -> Result<()> {
        self.turns.begin(file)?;
        if Some(file) == self.query
            && let State::Files(hasher) = &mut self.state
        {
            self.state = State::Query(hasher.clone().session(&self.session_id));
        }
        Ok(())
    }

    fn update(&mut self, content: &[u8]) {
        match &mut self.state {
            State::Files(hasher) => hasher.update(content),
            State::Query(hasher) => hasher.update(content),
        }
    }
}

/// Checks the immutable files against the hash that the creator signed.
pub(super) struct ImmutableCheck {
    feed: ImmutableFeed,
    expected: [u8; 64],
}

impl ImmutableCheck {
    pub(super) fn new(own: &ClassicConfig, config: &CommonFields, files: &[FileMeta]) -> Result<Self> {
        let paths: Vec<&[u8]> = files.iter().map(|file| file.path.as_slice()).collect();
        let order = hash_order(config.file_list(), &paths, own.wire.query)?;
        let feed = ImmutableFeed::new(&config.creator().id, config.session_id(), order);
        Ok(ImmutableCheck { feed, expected: own.hash })
    }
}

impl HasFeed for ImmutableCheck {
    fn feed(&mut self) -> &mut dyn ContentFeed {
        &mut self.feed
    }
}

impl ContentCheck for ImmutableCheck {
    fn finish(self: Box<Self>) -> Result<Vec<Check>> {
        let found = self.feed.finish()?;
        let reason = || {
            format!(
                "they hash to {}, but the creator signed {}: a file, their order, the creator's id or the session id \
                 has changed",
                short(&found),
                short(&self.expected)
            )
        };
        check::require_ok(vec![
            Check::of(found == self.expected, CheckId::ImmutableHash, "immutable files", reason()),
            Check::weak(CheckId::FileNames, "immutable files", NAMES_ARE_FREE),
        ])
    }
}

/// Checks the results against the hash that the last station signed.
pub(super) struct ResultCheck {
    turns: Turns,
    hasher: ResultHasher,
    expected: Option<[u8; 64]>,
    files: usize,
}

impl ResultCheck {
    pub(super) fn new(own: &ClassicConfig, config: &CommonFields, files: &[FileMeta]) -> Result<Self> {
        let signed = own.route_state(config)?.last_signed().is_some();
        let mut order: Vec<usize> = if signed { (0..files.len()).collect() } else { Vec::new() };
        order.sort_by(|&a, &b| walk_order(&files[a].path, &files[b].path));
        Ok(ResultCheck {
            turns: Turns::new(order),
            hasher: ResultHasher::new(config.session_id()),
            expected: own.result_hash,
            files: files.len(),
        })
    }
}

impl ContentFeed for ResultCheck {
    fn order(&self) -> &[usize] {
        self.turns.order()
    }

    fn begin(&mut self, file: usize) -> Result<()> {
        self.turns.begin(file)
    }

    fn update(&mut self, content: &[u8]) {
        self.hasher.update(content);
    }
}

impl HasFeed for ResultCheck {
    fn feed(&mut self) -> &mut dyn ContentFeed {
        self
    }
}

impl ContentCheck for ResultCheck {
    fn finish(self: Box<Self>) -> Result<Vec<Check>> {
        self.turns.finish()?;
        let Some(expected) = self.expected else {
            return Ok(match self.files {
                0 => Vec::new(),
                files => {
                    let reason = format!("no station has signed yet, so nobody vouches for the {files} there");
                    vec![Check::weak(CheckId::ResultHash, "results", reason)]
                }
            });
        };
        let found = self.hasher.finish();
        let (found_text, expected_text) = (short(&found), short(&expected));
        let reason = format!("they hash to {found_text}, but result_hash is {expected_text}: a file has changed");
        check::require_ok(vec![Check::of(found == expected, CheckId::ResultHash, "results", reason)])
    }
}

/// The beginning of a digest, enough to tell two apart.
pub(super) fn short(digest: &[u8; 64]) -> String {
    format!("{}...", hex::encode(&digest[..8]))
}
