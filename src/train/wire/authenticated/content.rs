//! The immutable files, each by its own digest, and the results, which their cipher authenticates.

use std::collections::HashMap;

use super::config::{ListedFile, V3Config};
use crate::crypto::Sha512;
use crate::error::{Error, Result};
use crate::path::walk_order;
use crate::train::check::{self, Check, CheckId};
use crate::train::files::{FileMeta, refuse, show};
use crate::train::wire::feed::Turns;
use crate::train::wire::interface::{ContentCheck, ContentFeed, HasFeed};

/// Digests files one after the other.
pub(super) struct Digests {
    turns: Turns,
    current: Option<(Sha512, u64)>,
    done: Vec<([u8; 64], u64)>,
}

impl Digests {
    pub(super) fn new(order: Vec<usize>) -> Self {
        Digests { turns: Turns::new(order), current: None, done: Vec::new() }
    }

    /// Digest and size of each file, in the order of the turns.
    pub(super) fn finish(mut self) -> Result<Vec<([u8; 64], u64)>> {
        self.turns.finish()?;
        self.end_file();
        Ok(self.done)
    }

    fn end_file(&mut self) {
        self.done.extend(self.current.take().map(|(sha512, size)| (sha512.finish(), size)));
    }
}

impl ContentFeed for Digests {
    fn order(&self) -> &[usize] {
        self.turns.order()
    }

    fn begin(&mut self, file: usize) -> Result<()> {
        self.turns.begin(file)?;
        self.end_file();
        self.current = Some((Sha512::new(), 0));
        Ok(())
    }

    fn update(&mut self, content: &[u8]) {
        if let Some((sha512, size)) = &mut self.current {
            sha512.update(content);
            *size += content.len() as u64;
        }
    }
}

/// Checks the immutable files against the list that the creator signed: path, mode, size and content, and no others.
pub(super) struct FilesCheck {
    digests: Digests,
    listed: Vec<ListedFile>,
}

impl FilesCheck {
    pub(super) fn new(config: &V3Config, files: &[FileMeta]) -> Result<Self> {
        let listed = config.files.clone();
        let mut there = HashMap::with_capacity(files.len());
        for (index, file) in files.iter().enumerate() {
            if there.insert(file.path.as_slice(), index).is_some() {
                return Err(Error::malformed(format!("the file `{}` occurs twice", show(&file.path))));
            }
        }
        let (mut order, mut missing) = (Vec::with_capacity(listed.len()), Vec::new());
        for file in &listed {
            match there.remove(file.path.as_bytes()) {
                Some(index) => order.push(index),
                None => missing.push(file.path.clone().into_bytes()),
            }
        }
        let mut unlisted: Vec<Vec<u8>> = there.into_keys().map(<[u8]>::to_vec).collect();
        unlisted.sort_by(|a, b| walk_order(a, b));
        refuse(&missing, &unlisted)?;
        for (listed, &index) in listed.iter().zip(&order) {
            ensure_meta(listed, &files[index])?;
        }
        Ok(FilesCheck { digests: Digests::new(order), listed })
    }
}

fn ensure_meta(listed: &ListedFile, found: &FileMeta) -> Result<()> {
    let fault = if found.is_link {
        "is a hard link; the immutable files are files of their own".to_owned()
    } else if found.mode != listed.mode {
        format!("has mode {:04o}, but the statement says {:04o}", found.mode, listed.mode)
    } else if found.size != listed.size {
        format!("has {} bytes, but the statement says {}", found.size, listed.size)
    } else {
        return Ok(());
    };
    Err(Error::verification(fault).at(place(listed)))
}

fn place(file: &ListedFile) -> String {
    format!("/opt/pht_train/{}", show(file.path.as_bytes()))
}

impl HasFeed for FilesCheck {
    fn feed(&mut self) -> &mut dyn ContentFeed {
        &mut self.digests
    }
}

impl ContentCheck for FilesCheck {
    fn finish(self: Box<Self>) -> Result<Vec<Check>> {
        let found = self.digests.finish()?;
        for (listed, (sha512, size)) in self.listed.iter().zip(found) {
            if (sha512, size) != (listed.sha512, listed.size) {
                let what = "its content is not the one that the creator signed";
                return Err(Error::verification(what).at(place(listed)));
            }
        }
        Ok(vec![Check::sound(CheckId::ImmutableFiles, "immutable files")])
    }
}

/// Sees that every result is read to its end: reading authenticates.
pub(super) struct ResultsCheck {
    turns: Turns,
    signed: bool,
    files: usize,
}

impl ResultsCheck {
    /// `signed`: a station has signed, so there may be results.
    pub(super) fn new(signed: bool, files: &[FileMeta]) -> Self {
        let mut order: Vec<usize> = if signed { (0..files.len()).collect() } else { Vec::new() };
        order.sort_by(|&a, &b| walk_order(&files[a].path, &files[b].path));
        ResultsCheck { turns: Turns::new(order), signed, files: files.len() }
    }
}

impl ContentFeed for ResultsCheck {
    fn order(&self) -> &[usize] {
        self.turns.order()
    }

    fn begin(&mut self, file: usize) -> Result<()> {
        self.turns.begin(file)
    }

    /// To decrypt them is to authenticate them, and no digest of them is signed.
    fn reads_content(&self) -> bool {
        false
    }

    fn update(&mut self, _content: &[u8]) {}
}

impl HasFeed for ResultsCheck {
    fn feed(&mut self) -> &mut dyn ContentFeed {
        self
    }
}

impl ContentCheck for ResultsCheck {
    fn finish(self: Box<Self>) -> Result<Vec<Check>> {
        self.turns.finish()?;
        check::require_ok(match (self.signed, self.files) {
            (true, _) => vec![Check::sound(CheckId::Results, "results")],
            (false, 0) => Vec::new(),
            (false, files) => {
                let reason = format!("no station has signed yet, so only the builder vouches for the {files} there");
                vec![Check::weak(CheckId::Results, "results", reason)]
            }
        })
    }
}
