//! Stacks of layers that a file system could have left: random steps, of which those that no program could have taken
//! are passed over, against a model of the files that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proptest::prelude::*;

use super::archive::{Attributes, Dialect, Item, What, archive};
use super::layout::Form;
use super::seen::ROOTS;

/// One thing that a layer does.
#[derive(Debug, Clone)]
pub struct Step {
    path: Path,
    deed: Deed,
    attributes: Attributes,
    spelling: Spelling,
    /// Directories above that are not there get entries of their own.
    explicit_parents: bool,
}

/// A place in the image, by numbers that shrink.
#[derive(Debug, Clone)]
struct Path {
    root: usize,
    below: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Deed {
    File(Vec<u8>),
    Directory,
    Symlink(usize),
    /// A further name of one of the files that are there.
    HardLink(prop::sample::Index),
    Whiteout,
    /// Of one of the paths that are there: random ones seldom hit.
    WhiteoutExisting(prop::sample::Index),
    Opaque(prop::sample::Index),
    /// A file, link or directory in the place of one of the paths that are there.
    Replace(prop::sample::Index, Box<Deed>),
}

/// How names are written.
#[derive(Debug, Clone, Copy)]
pub struct Spelling {
    prefix: &'static str,
    /// After the names of directories.
    slash: &'static str,
    dialect: Dialect,
}

/// Where random paths begin: the roots, what is above and beside them.
const PLACES: [&str; 7] =
    ["opt/pht_train", "opt/pht_results", "opt/train_config.json", "opt/user_sym_key.key", "opt", "opt/other", "usr"];

/// No entry is newer.
pub const LAST_TIME: i64 = 1_700_000_000;

const TARGETS: [&str; 4] = ["a", "../b", "/etc/passwd", "opt/pht_train/sub"];

/// The components of random paths: few, so that steps meet.
fn component(number: usize) -> String {
    match number {
        0 => "a".to_owned(),
        1 => "sub".to_owned(),
        2 => "sub.b".to_owned(),
        3 => "größe ü".to_owned(),
        _ => format!("{}-long", "n".repeat(115)),
    }
}

impl Path {
    fn text(&self) -> String {
        let below = self.below.iter().map(|number| component(*number));
        std::iter::once(PLACES[self.root].to_owned()).chain(below).collect::<Vec<_>>().join("/")
    }
}

/// A layer as it was generated.
#[derive(Debug, Clone)]
pub struct Draft {
    pub steps: Vec<Step>,
    pub form: Form,
}

pub fn stacks() -> impl Strategy<Value = Vec<Draft>> {
    let form = prop::sample::select(vec![Form::Plain, Form::Gzip, Form::GzipMembers, Form::Zstd]);
    let draft = (prop::collection::vec(step(), 0..14), form).prop_map(|(steps, form)| Draft { steps, form });
    prop::collection::vec(draft, 1..=5)
}

fn step() -> impl Strategy<Value = Step> {
    let path =
        (0..PLACES.len(), prop::collection::vec(0..5_usize, 0..4)).prop_map(|(root, below)| Path { root, below });
    (path, deed(), attributes(), spelling(), any::<bool>()).prop_map(
        |(path, deed, attributes, spelling, explicit_parents)| Step {
            path,
            deed,
            attributes,
            spelling,
            explicit_parents,
        },
    )
}

fn deed() -> impl Strategy<Value = Deed> {
    let index = any::<prop::sample::Index>;
    let made = prop_oneof![
        // Empty files too: they take no room, so their place alone does not tell them from their neighbours.
        3 => prop::collection::vec(any::<u8>(), 0..3).prop_map(Deed::File),
        1 => (any::<u8>(), 500..1600_usize).prop_map(|(byte, len)| Deed::File(vec![byte; len])),
        3 => Just(Deed::Directory),
        1 => (0..TARGETS.len()).prop_map(Deed::Symlink),
        2 => index().prop_map(Deed::HardLink),
    ];
    prop_oneof![
        8 => made.clone(),
        1 => Just(Deed::Whiteout),
        2 => index().prop_map(Deed::WhiteoutExisting),
        2 => index().prop_map(Deed::Opaque),
        3 => (index(), made).prop_map(|(index, deed)| Deed::Replace(index, Box::new(deed))),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let mode = prop::sample::select(vec![0o755, 0o644, 0o600, 0o711, 0o4755, 0o2770, 0o1777]);
    let id = || prop::sample::select(vec![0_u64, 1000, 65534, 3_000_000]);
    let mtime = prop_oneof![
        Just((0, 0)),
        (1_000_000_000..LAST_TIME, Just(0)),
        (1_000_000_000..LAST_TIME, 1..1_000_000_000_u32),
        Just((-86_400, 0)),
    ];
    let xattr = ("user\\.[a-z]{1,3}", prop::collection::vec(any::<u8>(), 1..20));
    let xattrs = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(xattr, 1..3)];
    (mode, id(), id(), mtime, xattrs).prop_map(|(mode, uid, gid, (mtime, nanos), xattrs)| {
        // Each name once, as on disk.
        let xattrs = xattrs.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect();
        Attributes { mode, uid, gid, mtime, nanos, xattrs }
    })
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let prefix = prop::sample::select(vec!["", "./", "/"]);
    let slash = prop::sample::select(vec!["/", ""]);
    let dialect = prop::sample::select(vec![Dialect::Pax, Dialect::Gnu]);
    (prefix, slash, dialect).prop_map(|(prefix, slash, dialect)| Spelling { prefix, slash, dialect })
}

/// A stack as it is written.
#[derive(Debug)]
pub struct Stack {
    pub layers: Vec<(Vec<Item>, Form)>,
    /// Directories that no entry describes: every program makes them up in its own way.
    pub implied: BTreeSet<String>,
}

/// A line for each entry: what a failure is understood from.
impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (items, form) in &self.layers {
            writeln!(f, "layer, {form:?}")?;
            for Item { name, what, attributes, dialect } in items {
                let what = match what {
                    What::File(contents) => format!("file of {} bytes", contents.len()),
                    other => format!("{other:?}"),
                };
                let Attributes { mode, uid, gid, mtime, nanos, xattrs } = attributes;
                writeln!(f, "  {name}: {what} {mode:o} {uid}:{gid} {mtime}.{nanos:09} {xattrs:?} {dialect:?}")?;
            }
        }
        Ok(())
    }
}

impl Stack {
    /// The archives of the layers.
    pub fn archives(&self) -> Vec<(Vec<u8>, Form)> {
        self.layers.iter().map(|(items, form)| (archive(items), *form)).collect()
    }

    /// Takes the steps that can be taken.
    pub fn build(drafts: &[Draft]) -> Self {
        let mut model = Model::default();
        let mut layers = Vec::new();
        for draft in drafts {
            model.placed.clear();
            model.touched.clear();
            model.passed.clear();
            let mut items = Vec::new();
            for step in &draft.steps {
                model.take(step, &mut items);
            }
            layers.push((items, draft.form));
        }
        let implied = model.there.iter().filter(|(_, there)| **there == There::Implied);
        Stack { layers, implied: implied.map(|(path, _)| path.clone()).collect() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    File,
    Symlink,
    Directory,
    /// A directory without an entry of its own.
    Implied,
}

impl There {
    fn is_directory(self) -> bool {
        matches!(self, There::Directory | There::Implied)
    }
}

/// The files as they are after the steps so far.
#[derive(Default)]
struct Model {
    there: BTreeMap<String, There>,
    /// What the current layer has put there: whiteouts do not concern it. `false` stands for a directory above
    /// something, without an entry of its own in this layer.
    placed: BTreeMap<String, bool>,
    /// What the current layer has removed, and what its hard links name: engines differ over what comes there later.
    touched: BTreeSet<String>,
    /// The directories that the current layer has whiteouts in.
    passed: BTreeSet<String>,
    /// Mode and owner of files, which all their names have.
    attributes: BTreeMap<String, Attributes>,
}

impl Model {
    fn take(&mut self, step: &Step, items: &mut Vec<Item>) {
        let path = step.path.text();
        match &step.deed {
            Deed::Whiteout => self.whiteout(&path, step, items),
            Deed::WhiteoutExisting(index) => {
                let there: Vec<&String> = self.there.keys().collect();
                if !there.is_empty() {
                    let path = (*index.get(&there)).clone();
                    self.whiteout(&path, step, items);
                }
            }
            Deed::Opaque(index) => self.opaque(index, step, items),
            Deed::Replace(index, deed) => {
                let there: Vec<&String> = self.there.keys().filter(|path| *path != "opt").collect();
                if !there.is_empty() {
                    let path = (*index.get(&there)).clone();
                    self.place(&path, deed, step, items);
                }
            }
            deed => self.place(&path, deed, step, items),
        }
    }

    fn whiteout(&mut self, path: &str, step: &Step, items: &mut Vec<Item>) {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut own = self.placed.keys().chain(&self.passed);
        let own = own.any(|placed| placed == path || is_below(placed, path));
        // umoci removes what the same layer has put there before; the specification says that whiteouts concern lower
        // layers only, and no program writes such a layer.
        if own || !self.touched.insert(path.to_owned()) || path == "opt" || !dir.is_empty() && !self.is_directory(dir) {
            return;
        }
        self.there.retain(|there, _| there != path && !is_below(there, path));
        self.passed.extend(ancestors(path).map(str::to_owned));
        let slash = if dir.is_empty() { "" } else { "/" };
        items.push(step.item(&format!("{dir}{slash}.wh.{name}"), What::File(Vec::new())));
    }

    fn opaque(&mut self, index: &prop::sample::Index, step: &Step, items: &mut Vec<Item>) {
        let directories: Vec<&String> =
            self.there.iter().filter(|(_, there)| there.is_directory()).map(|(path, _)| path).collect();
        if directories.is_empty() {
            return;
        }
        let dir = (*index.get(&directories)).clone();
        let Model { there, placed, passed, .. } = self;
        there.retain(|path, _| !is_below(path, &dir) || placed.contains_key(path));
        // A directory of a lower layer goes, and what the layer has put below implies one of the same name. umoci leaves
        // the old one if the marker comes later than its contents, but not if it comes before.
        for (path, _) in placed.iter().filter(|(path, explicit)| !**explicit && is_below(path, &dir)) {
            there.insert(path.clone(), There::Implied);
        }
        passed.extend(ancestors(&dir).map(str::to_owned).chain([dir.clone()]));
        items.push(step.item(&format!("{dir}/.wh..wh..opq"), What::File(Vec::new())));
    }

    fn place(&mut self, path: &str, deed: &Deed, step: &Step, items: &mut Vec<Item>) {
        let blocked = ancestors(path).any(|dir| self.there.get(dir).is_some_and(|there| !there.is_directory()));
        let is_directory = matches!(deed, Deed::Directory);
        // Engines differ over what is there twice in one layer, or removed and there.
        let twice = self.placed.get(path).is_some_and(|explicit| *explicit || !is_directory)
            || ancestors(path).any(|dir| self.touched.contains(dir))
            || self.touched.contains(path)
            || !is_directory && self.passed.contains(path);
        if blocked || twice || path == "opt" && !is_directory {
            return;
        }
        let mut attributes = step.attributes.clone();
        let (what, there) = match deed {
            Deed::File(contents) => (What::File(contents.clone()), There::File),
            Deed::Directory => (What::Directory, There::Directory),
            Deed::Symlink(target) => (What::Symlink(TARGETS[*target].to_owned()), There::Symlink),
            Deed::HardLink(index) => {
                let files: Vec<&String> =
                    self.there.iter().filter(|(_, there)| **there == There::File).map(|(path, _)| path).collect();
                let fitting: Vec<&&String> =
                    files.iter().filter(|file| file.as_str() != path && !is_below(file, path)).collect();
                if fitting.is_empty() {
                    return;
                }
                let file: String = (**index.get(&fitting)).clone();
                attributes = Attributes { mtime: attributes.mtime, ..self.attributes[&file].clone() };
                let target = format!("{}{file}", step.spelling.prefix);
                self.touched.insert(file);
                (What::HardLink(target), There::File)
            }
            other => unreachable!("{other:?}"),
        };
        self.place_parents(path, step.explicit_parents, step, items);
        if there != There::Directory || !self.is_directory(path) {
            self.there.retain(|there, _| !is_below(there, path));
            self.placed.retain(|placed, _| !is_below(placed, path));
        }
        self.there.insert(path.to_owned(), there);
        self.placed.insert(path.to_owned(), true);
        self.attributes.insert(path.to_owned(), attributes.clone());
        items.push(Step { attributes, ..step.clone() }.item(path, what));
    }

    fn place_parents(&mut self, path: &str, explicit: bool, step: &Step, items: &mut Vec<Item>) {
        let mut dirs: Vec<&str> = ancestors(path).collect();
        dirs.reverse();
        for dir in dirs {
            let made = !self.there.contains_key(dir);
            if made {
                let there = if explicit { There::Directory } else { There::Implied };
                self.there.insert(dir.to_owned(), there);
                if explicit {
                    items.push(step.item(dir, What::Directory));
                }
            }
            let own = self.placed.entry(dir.to_owned()).or_default();
            *own |= made && explicit;
        }
    }

    fn is_directory(&self, path: &str) -> bool {
        self.there.get(path).is_some_and(|there| there.is_directory())
    }
}

impl Step {
    fn item(&self, path: &str, what: What) -> Item {
        let Spelling { prefix, slash, dialect } = self.spelling;
        let slash = if what == What::Directory { slash } else { "" };
        let mut attributes = self.attributes.clone();
        match what {
            // Linux lets users set attributes on files and directories only; links have those of their file.
            What::Symlink(_) | What::HardLink(_) => attributes.xattrs.clear(),
            // The owner must be able to look into it, to be held against without root.
            What::Directory => attributes.mode |= 0o700,
            What::File(_) => {}
        }
        Item { name: format!("{prefix}{path}{slash}"), what, attributes, dialect }
    }
}

fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(slash, _)| &path[..slash])
}

/// Whether the view is about a path at all: at, below or above a root.
pub fn is_wanted(path: &str) -> bool {
    ROOTS.iter().any(|root| path == *root || is_below(path, root) || is_below(root, path))
}
