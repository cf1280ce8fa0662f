//! The two layers of a train whose form is signed or fixed (wire 3, section 6): each entry of them is looked at as it
//! stands in the archive, and written so.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use crate::error::{Error, Result};
use crate::image::{LayerEntries, NodeKind, OPAQUE, Tree, WHITEOUT};
use crate::path::{ancestors, is_below, shown, walk_order};
use crate::tar::{self, Entry, EntryKind, Meta, PaxRecord};
use crate::train::paths;

/// The bits that make a file run as somebody else.
const SET_IDS: u32 = 0o6000;
const DIRECTORY: u32 = 0o755;
const FILE: u32 = 0o644;

/// The forms of an image's two topmost layers, as far as they are known without the train config: it lies in one of
/// them, and neither is read twice.
#[derive(Debug, Default)]
pub(in crate::stage) struct Forms {
    payload: Option<Result<(), Fault>>,
    control: Option<Result<(), Fault>>,
}

/// Why a layer has not its form.
#[derive(Debug)]
struct Fault {
    what: String,
    place: String,
}

impl Forms {
    /// Looks at a layer of an image of `top` layers.
    pub(in crate::stage) fn inspect(&mut self, layer: &LayerEntries<'_>, top: usize) {
        match top - layer.layer {
            1 => self.control = Some(found(ensure_control(layer.entries), layer.stray)),
            2 => self.payload = Some(found(ensure_payload(layer.entries), layer.stray)),
            _ => {}
        }
    }

    /// Checks that the payload layer has its form.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) for an entry that may not be there.
    pub(in crate::stage) fn ensure_payload(&self) -> Result<()> {
        require(self.payload.as_ref())
    }

    /// Checks that the control layer has its form.
    ///
    /// # Errors
    /// As [`ensure_payload`](Forms::ensure_payload).
    pub(in crate::stage) fn ensure_control(&self) -> Result<()> {
        require(self.control.as_ref())
    }
}

fn require(form: Option<&Result<(), Fault>>) -> Result<()> {
    match form {
        Some(Ok(())) => Ok(()),
        Some(Err(fault)) => Err(Error::verification(fault.what.clone()).at(&fault.place)),
        None => Err(Error::verification("a layer of the train is hidden by what lies above it")),
    }
}

fn found(form: Result<()>, stray: Option<&[u8]>) -> Result<(), Fault> {
    if let Some(stray) = stray {
        return Err(Fault { what: "not allowed in this layer".to_owned(), place: shown(stray).to_string() });
    }
    form.map_err(|error| {
        let place = error.places().next().unwrap_or_default().to_owned();
        Fault { what: error.what().to_owned(), place }
    })
}

fn refuse(what: &str, entry: &Entry) -> Error {
    Error::verification(what).at(shown(&entry.path))
}

fn is_plain_root(meta: &Meta, mode: u32) -> bool {
    meta.permissions() == mode && meta.uid == 0 && meta.gid == 0 && attributes(meta).next().is_none()
}

/// The extended attributes, by name, in all forms that tars have for them.
fn attributes(meta: &Meta) -> impl Iterator<Item = Vec<u8>> {
    meta.pax.iter().filter_map(|(key, _)| attribute(key))
}

/// The name of the extended attribute that a PAX record gives a file, if it does.
fn attribute(keyword: &[u8]) -> Option<Vec<u8>> {
    if let Some(name) = keyword.strip_prefix(b"SCHILY.xattr.") {
        return Some(name.to_vec());
    }
    if let Some(name) = keyword.strip_prefix(b"LIBARCHIVE.xattr.") {
        return Some(percent_decoded(name));
    }
    tar::is_attribute(keyword).then(|| keyword.to_vec())
}

fn percent_decoded(name: &[u8]) -> Vec<u8> {
    let (mut decoded, mut at) = (Vec::with_capacity(name.len()), 0);
    while at < name.len() {
        let digits = name.get(at + 1..at + 3).and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if name[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(name[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// The payload layer: `opt`, then each of the two directories with its opaque whiteout and its entries.
fn ensure_payload(entries: &[Entry]) -> Result<()> {
    if let Some(entry) = entries.iter().find(|entry| !entry.exact) {
        return Err(refuse("entry name is not relative and plain, as the payload layer requires", entry));
    }
    let mut rest = entries.iter().peekable();
    let missing = |path: &[u8]| Error::verification("missing from its place in the payload layer").at(shown(path));
    match rest.next() {
        Some(opt)
            if *opt.path == *paths::OPT && opt.kind == EntryKind::Directory && is_plain_root(&opt.meta, DIRECTORY) => {}
        _ => return Err(missing(paths::OPT)),
    }
    for root in [paths::RESULTS, paths::TRAIN] {
        let top = rest.next().filter(|top| *top.path == *root && top.kind == EntryKind::Directory);
        let top = top.ok_or_else(|| missing(root))?;
        ensure_meta(top, root)?;
        let marker = [root, b"/", OPAQUE].concat();
        let found = rest.next().filter(|found| *found.path == *marker && found.kind == EntryKind::File);
        match found {
            Some(found) if found.size == 0 && is_plain_root(&found.meta, FILE) => {}
            _ => return Err(missing(&marker)),
        }
        let mut below = Vec::new();
        while let Some(entry) = rest.next_if(|entry| is_below(&entry.path, root)) {
            below.push(entry);
        }
        ensure_below(root, &below)?;
    }
    match rest.next() {
        None => Ok(()),
        Some(entry) => Err(refuse("misplaced in the payload layer, or not allowed in it", entry)),
    }
}

/// The entries below one of the two directories, in the order of the archive.
fn ensure_below(root: &[u8], entries: &[&Entry]) -> Result<()> {
    let (mut directories, mut regular) = (HashSet::from([root]), HashSet::new());
    let mut before: &[u8] = root;
    for entry in entries {
        if walk_order(before, &entry.path).is_ge() {
            return Err(refuse("occurs twice in the payload layer, or out of walk order", entry));
        }
        before = &entry.path;
        if entry.path.split(|byte| *byte == b'/').any(|name| name.starts_with(WHITEOUT)) {
            return Err(refuse("whiteout not allowed in the payload layer", entry));
        }
        if !ancestors(&entry.path).next().is_some_and(|parent| directories.contains(parent)) {
            return Err(refuse("no entry for its parent directory comes before it in the payload layer", entry));
        }
        ensure_meta(entry, root)?;
        match &entry.kind {
            EntryKind::Directory => drop(directories.insert(&entry.path)),
            EntryKind::File => drop(regular.insert(&*entry.path)),
            EntryKind::Symlink(_) if root == paths::RESULTS => {}
            EntryKind::HardLink(target) if root == paths::RESULTS && regular.contains(&**target) => {}
            EntryKind::HardLink(_) if root == paths::RESULTS => {
                return Err(refuse("hard link whose target is not an earlier regular file of the results", entry));
            }
            kind => return Err(refuse(&format!("{} not allowed in the payload layer", kind.name()), entry)),
        }
    }
    Ok(())
}

/// Modes, owners and attributes.
fn ensure_meta(entry: &Entry, root: &[u8]) -> Result<()> {
    let meta = &entry.meta;
    if root == paths::RESULTS {
        if meta.permissions() & SET_IDS != 0 {
            return Err(refuse("set-ID bit not allowed on a result", entry));
        }
        return match attributes(meta).any(|name| !name.starts_with(b"user.")) {
            true => Err(refuse("extended attribute outside of `user.` not allowed on a result", entry)),
            false => Ok(()),
        };
    }
    let mode = if entry.kind == EntryKind::Directory { DIRECTORY } else { meta.permissions() & 0o777 };
    match is_plain_root(meta, mode) {
        true => Ok(()),
        false => {
            Err(refuse("owner, mode or extended attributes differ from those required of an immutable file", entry))
        }
    }
}

/// The immutable files and exactly their parent directories.
pub(in crate::stage) fn ensure_listed(tree: &Tree, files: &[String]) -> Result<()> {
    let listed: Vec<Vec<u8>> = files.iter().map(|file| [paths::TRAIN, b"/", file.as_bytes()].concat()).collect();
    let expected: HashSet<&[u8]> = listed.iter().map(Vec::as_slice).collect();
    let parents: HashSet<&[u8]> = listed.iter().flat_map(|path| ancestors(path)).collect();
    let mut found = 0;
    for node in &tree.nodes()[tree.below(paths::TRAIN)] {
        let belongs = match node.kind {
            NodeKind::Directory => parents.contains(&*node.path),
            _ => expected.contains(&*node.path),
        };
        if !belongs {
            return Err(
                Error::verification("file among the immutable files that file_list does not name").at(node.shown())
            );
        }
        found += usize::from(node.kind != NodeKind::Directory);
    }
    match found == expected.len() {
        true => Ok(()),
        false => Err(Error::verification("immutable files are missing from the payload layer").at(shown(paths::TRAIN))),
    }
}

/// The control layer: `opt`, the config and the creator's wrapped key.
fn ensure_control(entries: &[Entry]) -> Result<()> {
    let what = "above the signed payload layer, where only the train config and the creator's key may be";
    let expected = [
        (paths::OPT, EntryKind::Directory, DIRECTORY),
        (paths::CONFIG, EntryKind::File, FILE),
        (paths::USER_KEY, EntryKind::File, FILE),
    ];
    for (entry, (path, kind, mode)) in entries.iter().zip(&expected) {
        if *entry.path != **path || entry.kind != *kind || !entry.exact {
            return Err(refuse(what, entry));
        }
        if !is_plain_root(&entry.meta, *mode) {
            return Err(refuse(
                "owner, mode or extended attributes differ from those required in the control layer",
                entry,
            ));
        }
    }
    match (entries.get(expected.len()), expected.get(entries.len())) {
        (Some(entry), _) => Err(refuse(what, entry)),
        (None, Some((path, ..))) => {
            Err(Error::verification("missing from its place in the control layer").at(shown(path)))
        }
        (None, None) => Ok(()),
    }
}

/// Writes the entries of a payload layer as [`ensure_payload_form`] demands them: owners, modes and attributes that may not
/// be there are left out, and so are pipes, which is said.
#[derive(Default)]
pub(in crate::stage) struct StrictForm {
    /// The directories that were written.
    written: HashSet<Vec<u8>>,
    /// The times of directories that are written when something is in them.
    waiting: HashMap<Vec<u8>, i64>,
    /// The paths left out of the layer.
    pub(in crate::stage) left_out: Vec<String>,
}

impl StrictForm {
    /// Writes the header of one entry, if it may be there, and of the directories above it that are missing.
    pub(in crate::stage) fn entry<W: Write>(
        &mut self,
        tar: &mut tar::Writer<W>,
        path: &[u8],
        kind: &EntryKind,
        meta: &Meta,
        size: u64,
    ) -> Result<()> {
        let of_train = is_below(path, paths::TRAIN);
        if *kind == EntryKind::Directory && of_train {
            self.waiting.insert(path.to_vec(), meta.mtime);
            return Ok(());
        }
        if *kind == EntryKind::Fifo {
            self.left_out.push(shown(path).to_string());
            return Ok(());
        }
        let is_there =
            |dir: &[u8]| self.written.contains(dir) || [paths::OPT, paths::RESULTS, paths::TRAIN].contains(&dir);
        let mut missing: Vec<&[u8]> = ancestors(path).take_while(|dir| !is_there(dir)).collect();
        while let Some(parent) = missing.pop() {
            let mtime = self.waiting.remove(parent).unwrap_or(meta.mtime);
            tar.header(parent, &EntryKind::Directory, &of_directory(mtime), 0)?;
            self.written.insert(parent.to_vec());
        }
        if *kind == EntryKind::Directory {
            self.written.insert(path.to_vec());
        }
        let meta = if of_train { Meta::new(meta.permissions(), meta.mtime) } else { of_results(meta) };
        tar.header(path, kind, &meta, size)
    }

    /// The directories of the train that no file lies in, so that they are not in the layer.
    pub(in crate::stage) fn empty_directories(&self) -> Vec<String> {
        let mut empty: Vec<&Vec<u8>> = self.waiting.keys().collect();
        empty.sort();
        empty.into_iter().map(|path| shown(path).to_string()).collect()
    }
}

/// Owner, mode and attributes that a result may have: a whole number for each owner, the time, and the user's own
/// attributes. Whatever else stands in a header would leave unencrypted, and no review shows it.
pub(in crate::stage) fn of_results(meta: &Meta) -> Meta {
    let allowed = |(key, _): &&PaxRecord| match attribute(key) {
        Some(name) => name.starts_with(b"user."),
        None => **key == *b"mtime",
    };
    let pax = meta.pax.iter().filter(allowed).cloned().collect();
    let (user, group) = Default::default();
    Meta { mode: meta.permissions() & !SET_IDS, user, group, pax, ..meta.clone() }
}

/// Owner, mode and attributes of a directory of ours.
pub(in crate::stage) fn of_directory(mtime: i64) -> Meta {
    Meta::new(DIRECTORY, mtime)
}

/// Those of a file of ours.
pub(in crate::stage) fn of_file(mtime: i64) -> Meta {
    Meta::new(FILE, mtime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::image::{Content, Node};
    use crate::tar::{Reader, Sequential};

    /// An entry of a test layer: its path, kind and mode.
    type Row<'a> = (&'a str, EntryKind, u32);

    fn file(path: &str, mode: u32) -> Row<'_> {
        (path, EntryKind::File, mode)
    }

    fn directory(path: &str) -> Row<'_> {
        (path, EntryKind::Directory, 0o755)
    }

    /// The payload layer of a train with two files and some results.
    fn payload() -> Vec<Row<'static>> {
        vec![
            directory("opt"),
            directory("opt/pht_results"),
            file("opt/pht_results/.wh..wh..opq", 0o644),
            file("opt/pht_results/a", 0o640),
            ("opt/pht_results/b", EntryKind::HardLink(b"opt/pht_results/a"[..].into()), 0o640),
            ("opt/pht_results/c", EntryKind::Symlink(b"../x"[..].into()), 0o777),
            directory("opt/pht_results/d"),
            file("opt/pht_results/d/e", 0o600),
            directory("opt/pht_train"),
            file("opt/pht_train/.wh..wh..opq", 0o644),
            directory("opt/pht_train/lib"),
            file("opt/pht_train/lib/a.py", 0o644),
            file("opt/pht_train/main.py", 0o755),
        ]
    }

    fn entries(rows: &[Row<'_>]) -> Vec<Entry> {
        let entry = |(path, kind, mode): &Row<'_>| Entry {
            path: path.as_bytes().into(),
            kind: kind.clone(),
            meta: Meta::new(*mode, 1),
            size: 0,
            offset: 0,
            exact: true,
            position: 0,
        };
        rows.iter().map(entry).collect()
    }

    fn refused(entries: &[Entry], what: &str) {
        assert_eq!(ensure_payload(entries).unwrap_err().kind(), Kind::Verification, "{what}");
    }

    #[test]
    fn a_payload_layer_has_its_entries_and_no_others() {
        let whole = payload();
        ensure_payload(&entries(&whole)).unwrap();
        // That files are missing is for the list of them to tell.
        let optional = [
            "opt/pht_results/b",
            "opt/pht_results/c",
            "opt/pht_results/d/e",
            "opt/pht_train/lib/a.py",
            "opt/pht_train/main.py",
        ];
        for left_out in 0..whole.len() {
            let mut rows = whole.clone();
            let gone = rows.remove(left_out).0;
            match optional.contains(&gone) {
                true => ensure_payload(&entries(&rows)).unwrap(),
                false => refused(&entries(&rows), gone),
            }
            rows.insert(left_out, whole[left_out].clone());
            rows.insert(left_out, whole[left_out].clone());
            refused(&entries(&rows), "twice");
        }
        for at in 0..whole.len() - 1 {
            let mut rows = whole.clone();
            rows.swap(at, at + 1);
            refused(&entries(&rows), whole[at].0);
        }
        for (at, row) in [
            (13, file("opt/train_config.json", 0o644)),
            (13, file("usr/bin/python3", 0o755)),
            (13, ("opt/pht_train/x", EntryKind::Symlink(b"x"[..].into()), 0o777)),
            (13, ("opt/pht_train/x", EntryKind::HardLink(b"opt/pht_train/main.py"[..].into()), 0o755)),
            (0, directory("")),
            (8, file("opt/pht_results/.wh.a", 0o644)),
            (8, file("opt/pht_results/x/y", 0o644)),
            (8, ("opt/pht_results/f", EntryKind::Fifo, 0o644)),
            (8, ("opt/pht_results/f", EntryKind::Device { character: true, number: (1, 3) }, 0o644)),
            (8, ("opt/pht_results/f", EntryKind::HardLink(b"opt/pht_train/main.py"[..].into()), 0o644)),
            (8, ("opt/pht_results/f", EntryKind::HardLink(b"opt/pht_results/b"[..].into()), 0o644)),
        ] {
            let mut rows = whole.clone();
            rows.insert(at, row.clone());
            refused(&entries(&rows), row.0);
        }
    }

    #[test]
    fn only_the_listed_files_and_their_directories_are_there() {
        let node = |path: &str, kind| Node { path: path.as_bytes().into(), kind, meta: Meta::default() };
        let content = || NodeKind::File { size: 0, content: Content::Layer { layer: 0, offset: 0 } };
        let whole = || {
            vec![
                node("opt/pht_train", NodeKind::Directory),
                node("opt/pht_train/lib", NodeKind::Directory),
                node("opt/pht_train/lib/a.py", content()),
                node("opt/pht_train/main.py", content()),
            ]
        };
        let listed = ["lib/a.py", "main.py"].map(str::to_owned);
        let check = |nodes| ensure_listed(&Tree::new(nodes, Vec::new()), &listed);
        check(whole()).unwrap();
        for more in [node("opt/pht_train/x", content()), node("opt/pht_train/libx", NodeKind::Directory)] {
            let nodes = [whole(), vec![more]].concat();
            assert_eq!(check(nodes).unwrap_err().kind(), Kind::Verification);
        }
        assert_eq!(check(whole()[..3].to_vec()).unwrap_err().kind(), Kind::Verification);
    }

    #[test]
    fn a_control_layer_has_its_three_entries() {
        let whole = [directory("opt"), file("opt/train_config.json", 0o644), file("opt/user_sym_key.key", 0o644)];
        ensure_control(&entries(&whole)).unwrap();
        let refused = |entries: &[Entry]| assert_eq!(ensure_control(entries).unwrap_err().kind(), Kind::Verification);
        for at in 0..3 {
            refused(&entries(&whole[..at]));
            refused(&entries(&[&whole[..], &whole[at..]].concat()));
            let changes: [fn(&mut Entry); 6] = [
                |entry| entry.meta.mode ^= 0o20,
                |entry| entry.meta.mode |= 0o4000,
                |entry| entry.meta.uid = 1,
                |entry| entry.meta.gid = 1,
                |entry| entry.meta.pax = [(b"SCHILY.xattr.user.x"[..].into(), Box::default())].into(),
                |entry| entry.exact = false,
            ];
            for change in changes {
                let mut changed = entries(&whole);
                change(&mut changed[at]);
                refused(&changed);
            }
        }
        refused(&entries(&[&whole[..2], &[("opt/user_sym_key.key", EntryKind::Fifo, 0o644)]].concat()));
        assert!(found(Ok(()), Some(b"etc")).is_err() && found(Ok(()), None).is_ok());
    }

    #[test]
    fn owners_modes_attributes_and_names_are_the_fixed_ones() {
        type Change = fn(&mut Entry);
        let changes: [(&str, Change); 7] = [
            ("owner", |entry| entry.meta.uid = 1),
            ("group", |entry| entry.meta.gid = 1),
            ("set-ID", |entry| entry.meta.mode |= 0o4000),
            ("capability", |entry| {
                entry.meta.pax = [(b"SCHILY.xattr.security.capability"[..].into(), Box::default())].into()
            }),
            ("encoded", |entry| {
                entry.meta.pax = [(b"LIBARCHIVE.xattr.%73ecurity.x"[..].into(), Box::default())].into()
            }),
            ("acl", |entry| entry.meta.pax = [(b"SCHILY.acl.access"[..].into(), Box::default())].into()),
            ("name", |entry| entry.exact = false),
        ];
        let rows = payload();
        for at in 0..rows.len() {
            for (what, change) in changes {
                let mut changed = entries(&rows);
                change(&mut changed[at]);
                let is_result = rows[at].0.starts_with("opt/pht_results") && !rows[at].0.ends_with("opq");
                match is_result && matches!(what, "owner" | "group") {
                    true => ensure_payload(&changed).unwrap(),
                    false => refused(&changed, &format!("{what} of {}", rows[at].0)),
                }
            }
        }
        let mut noted = entries(&rows);
        noted[3].meta.pax = [(b"LIBARCHIVE.xattr.user.%20"[..].into(), Box::default())].into();
        noted[3].meta.mode = 0o1777;
        ensure_payload(&noted).unwrap();
        noted[3].meta.pax = [(b"mtime"[..].into(), b"1.5"[..].into())].into();
        ensure_payload(&noted).unwrap();
        let mut full = entries(&rows);
        full[2].size = 1;
        refused(&full, "a marker with contents");
    }

    #[test]
    fn a_result_has_nothing_in_its_header_that_nobody_sees() {
        let record = |key: &str| -> PaxRecord { (key.as_bytes().into(), b"1"[..].into()) };
        let records = ["mtime", "comment", "ACME.x", "SCHILY.xattr.user.a", "SCHILY.xattr.trusted.a", "uname", "atime"];
        let pax = records.iter().map(|key| record(key)).collect();
        let odd = Meta { user: b"patient 7"[..].into(), group: b"x"[..].into(), pax, ..Meta::new(0o6644, 1) };
        let kept = of_results(&odd);
        assert_eq!(*kept.pax, [record("mtime"), record("SCHILY.xattr.user.a")]);
        assert_eq!((kept.mode, kept.user.len(), kept.group.len()), (0o644, 0, 0));
    }

    #[test]
    fn what_is_written_has_the_form_that_is_checked() {
        let mut strict = StrictForm::default();
        let mut tar = tar::Writer::new(Vec::new());
        let odd = Meta {
            mode: 0o6755,
            uid: 7,
            gid: 7,
            pax: [
                (b"SCHILY.xattr.security.capability"[..].into(), b"x"[..].into()),
                (b"SCHILY.xattr.user.note"[..].into(), b"x"[..].into()),
            ]
            .into(),
            ..Meta::default()
        };
        tar.header(paths::OPT, &EntryKind::Directory, &of_directory(1), 0).unwrap();
        for root in [paths::RESULTS, paths::TRAIN] {
            tar.header(root, &EntryKind::Directory, &of_directory(1), 0).unwrap();
            tar.header(&[root, b"/", OPAQUE].concat(), &EntryKind::File, &of_file(1), 0).unwrap();
            let mut put = |path: &str, kind| strict.entry(&mut tar, path.as_bytes(), &kind, &odd, 0).unwrap();
            if root == paths::RESULTS {
                put("opt/pht_results/a/b/c", EntryKind::File);
                put("opt/pht_results/d", EntryKind::Directory);
                put("opt/pht_results/e", EntryKind::Fifo);
            } else {
                put("opt/pht_train/empty", EntryKind::Directory);
                put("opt/pht_train/lib", EntryKind::Directory);
                put("opt/pht_train/lib/a.py", EntryKind::File);
                put("opt/pht_train/main.py", EntryKind::File);
            }
        }
        let archive = tar.finish().unwrap();
        let mut reader = Reader::new(Sequential(archive.as_slice()));
        let found: Vec<Entry> = std::iter::from_fn(|| reader.next_entry().unwrap()).collect();
        let allowed: Vec<Entry> = found
            .into_iter()
            .map(|mut entry| {
                // Of the files of the test the modes are odd.
                entry.meta.mode &= if entry.path.starts_with(paths::TRAIN) { 0o777 } else { 0o7777 };
                entry
            })
            .collect();
        ensure_payload(&allowed).unwrap();
        assert_eq!(strict.left_out, ["/opt/pht_results/e"]);
        assert_eq!(strict.empty_directories(), ["/opt/pht_train/empty"]);
        let result = allowed.iter().find(|entry| entry.path.ends_with(b"/c")).unwrap();
        assert_eq!((result.meta.mode, result.meta.uid, result.meta.pax.len()), (0o755, 7, 1));
    }
}
