//! The rules of the crate's structure that the compiler does not hold: imports run downwards and never in a circle, and
//! files stay readable. The sources are parsed as the compiler parses them, and every path is followed through
//! re-exports to the file that defines what it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// The layers from the top down: one may import from those below it, and from the floor.
const LAYERS: &[&str] = &["cli", "stage", "engine", "train", "review", "image", "store", "tar", "crypto"];
/// Below all layers; these import from one another only.
const FLOOR: &[&str] = &["error", "json", "path", "text", "manual", "decisions"];
/// Lines of a file without its tests.
const MAX_LINES: usize = 500;

/// A module as its path below the crate's root, as in `store/layout`.
type Module = Vec<String>;

/// What is known of one module.
#[derive(Default)]
struct Contents {
    /// Names of its child modules.
    children: BTreeSet<String>,
    /// Names of the items that it defines.
    items: BTreeSet<String>,
    /// Names that it imports or re-exports, with the path of each as it is written.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths of `*` imports.
    globs: Vec<Vec<String>>,
    /// Every path that occurs in it: those of imports, and those in code that begin with a module or an import.
    paths: Vec<Vec<String>>,
    /// Paths that are only handed on to whoever imports from this module.
    re_exports: Vec<Vec<String>>,
}

/// All modules of a crate, without those that are compiled for tests only.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<Module, Contents>,
    /// Those that have no file of their own.
    inline: BTreeSet<Module>,
}

impl Crate {
    /// Parses the crate whose files `read` gives by their paths below `src`; `None` where there is no such file.
    fn parse(read: &dyn Fn(&str) -> Option<String>) -> Crate {
        let mut modules = Crate::default();
        modules.file(Vec::new(), "lib.rs", read);
        modules
    }

    fn file(&mut self, module: Module, path: &str, read: &dyn Fn(&str) -> Option<String>) {
        let text = read(path).unwrap_or_else(|| panic!("no file {path}"));
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let is_root = module.is_empty() || path.ends_with("/mod.rs");
        let dir = if is_root { path.rsplit_once('/').map_or("", |(dir, _)| dir) } else { path.trim_end_matches(".rs") };
        self.items(module, &file.items, dir, read);
    }

    fn items(&mut self, module: Module, items: &[Item], dir: &str, read: &dyn Fn(&str) -> Option<String>) {
        let mut contents = Contents::default();
        for item in items.iter().filter(|item| !is_for_tests(item)) {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    contents.children.insert(name.clone());
                    let below = if dir.is_empty() { name.clone() } else { format!("{dir}/{name}") };
                    let path = [module.clone(), vec![name]].concat();
                    match &child.content {
                        Some((_, items)) => {
                            self.inline.insert(path.clone());
                            self.items(path, items, &below, read);
                        }
                        None => {
                            let file = [format!("{below}.rs"), format!("{below}/mod.rs")];
                            let file = file.iter().find(|file| read(file).is_some());
                            self.file(path, file.unwrap_or_else(|| panic!("no file for {below}")), read);
                        }
                    }
                }
                Item::Use(import) => {
                    let mut leaves = Vec::new();
                    flatten(&import.tree, &mut Vec::new(), &mut leaves);
                    let is_public = !matches!(import.vis, syn::Visibility::Inherited);
                    for (path, name) in leaves {
                        if is_public {
                            contents.re_exports.push(path.clone())
                        } else {
                            contents.paths.push(path.clone())
                        }
                        match name {
                            Some(name) => drop(contents.imports.insert(name, path)),
                            None => contents.globs.push(path),
                        }
                    }
                }
                item => {
                    contents.items.extend(name_of(item));
                    let mut paths = Paths::default();
                    paths.visit_item(item);
                    contents.paths.append(&mut paths.0);
                }
            }
        }
        self.modules.insert(module, contents);
    }

    /// The module that defines what `path` names when it is written in `module`; `None` if it is none of this crate's.
    fn defines(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => module.split_last()?.1.to_vec(),
            name => {
                let contents = self.modules.get(module)?;
                if contents.children.contains(name) {
                    [module.clone(), vec![name.to_owned()]].concat()
                } else {
                    let import = contents.imports.get(name).filter(|_| depth > 0)?;
                    return self.defines(module, &[&import[..], rest].concat(), depth - 1);
                }
            }
        };
        while let Some((segment, further)) = rest.split_first() {
            let contents = self.modules.get(&at)?;
            if segment == "super" {
                at.pop()?;
            } else if contents.children.contains(segment) {
                at.push(segment.clone());
            } else if contents.items.contains(segment) {
                return Some(at);
            } else if let Some(import) = contents.imports.get(segment).filter(|_| depth > 0) {
                return self.defines(&at, &[&import[..], further].concat(), depth - 1).or(Some(at));
            } else {
                return Some(at);
            }
            rest = further;
        }
        Some(at)
    }

    /// For each file, as its module, the other files that it uses something of.
    fn uses(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut uses: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (module, contents) in &self.modules {
            let found = |path: &Vec<String>| self.defines(module, path, 16);
            // A module hands on what its own children define: that is what it is for, and no import.
            let handed_on = contents.re_exports.iter().filter_map(found).filter(|found| !found.starts_with(module));
            let used = contents.paths.iter().chain(&contents.globs).filter_map(found);
            let file = self.file_of(module);
            let used = used.chain(handed_on).map(|used| self.file_of(&used));
            let others: Vec<Module> = used.filter(|used| *used != file && !used.is_empty()).collect();
            uses.entry(file).or_default().extend(others);
        }
        uses
    }

    /// The module that is the whole file in which another one stands.
    fn file_of(&self, module: &Module) -> Module {
        let mut file = module.clone();
        while self.inline.contains(&file) {
            file.pop();
        }
        file
    }
}

fn is_for_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The leaves of a `use`: path and local name, or no name for `*`.
fn flatten(tree: &UseTree, above: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, Option<String>)>) {
    match tree {
        UseTree::Path(path) => {
            above.push(path.ident.to_string());
            flatten(&path.tree, above, leaves);
            above.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, above, leaves)),
        UseTree::Glob(_) => leaves.push((above.clone(), None)),
        UseTree::Name(name) if name.ident == "self" => {
            leaves.push((above.clone(), above.last().cloned()));
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            leaves.push(([above.clone(), vec![name.clone()]].concat(), Some(name)));
        }
        UseTree::Rename(rename) => {
            let path = [above.clone(), vec![rename.ident.to_string()]].concat();
            leaves.push((path, Some(rename.rename.to_string())));
        }
    }
}

/// Collects the paths of an item, those in the arguments of macros too.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Visit<'_> for Paths {
    fn visit_path(&mut self, path: &syn::Path) {
        // A single name is a local variable, or was imported.
        if path.segments.len() > 1 {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, import: &syn::ItemUse) {
        let mut leaves = Vec::new();
        flatten(&import.tree, &mut Vec::new(), &mut leaves);
        self.0.extend(leaves.into_iter().map(|(path, _)| path));
    }

    fn visit_macro(&mut self, called: &syn::Macro) {
        let text = called.tokens.to_string().replace(' ', "");
        for (at, _) in text.match_indices("crate::") {
            let rest = text[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next();
            self.0.push(rest.unwrap_or_default().split("::").map(str::to_owned).collect());
        }
        visit::visit_macro(self, called);
    }
}

/// Imports that run up between layers, as text.
fn upwards(uses: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let rank = |module: &Module| {
        let name = module.first().map_or("", String::as_str);
        match LAYERS.iter().position(|layer| *layer == name) {
            Some(rank) => rank,
            None if FLOOR.contains(&name) => LAYERS.len(),
            None => panic!("`{name}` is no layer: give it its place in LAYERS or FLOOR"),
        }
    };
    let below_root = uses.iter().filter(|(module, _)| !module.is_empty());
    let pairs = below_root.flat_map(|(module, used)| used.iter().map(move |used| (module, used)));
    let upwards = pairs.filter(|(module, used)| rank(used) < rank(module));
    upwards.map(|(module, used)| format!("{} uses {}", module.join("::"), used.join("::"))).collect()
}

/// The circles of imports, each as the imports among modules that can be reached from one another.
fn circles(uses: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<String>> {
    let reach = |from: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(module) = open.pop() {
            for next in uses.get(module).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = uses.keys().map(|module| (module, reach(module))).collect();
    let mut found: Vec<Vec<String>> = Vec::new();
    for (module, there) in &reached {
        let back = |other: &&&Module| reached.get(**other).is_some_and(|back| back.contains(module));
        let circle: BTreeSet<&Module> = there.iter().filter(back).copied().collect();
        let arrows = circle.iter().flat_map(|from| uses[*from].iter().map(move |to| (*from, to)));
        let arrows = arrows.filter(|(_, to)| circle.contains(to));
        let arrows: Vec<String> =
            arrows.map(|(from, to)| format!("{} uses {}", from.join("::"), to.join("::"))).collect();
        if circle.len() > 1 && !found.contains(&arrows) {
            found.push(arrows);
        }
    }
    found
}

fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn this_crate() -> Crate {
    let parsed = Crate::parse(&|path| fs::read_to_string(source_dir().join(path)).ok());
    assert!(parsed.modules.len() > 100, "the sources were not found");
    parsed
}

#[test]
fn imports_run_downwards() {
    let upwards = upwards(&this_crate().uses());
    assert!(upwards.is_empty(), "imports that run up: {upwards:#?}");
}

#[test]
fn imports_run_in_no_circle() {
    let circles = circles(&this_crate().uses());
    assert!(circles.is_empty(), "imports that run in a circle: {circles:#?}");
}

/// A crate of these files, each a path and its text.
fn crate_of(files: &[(&str, &str)]) -> Crate {
    Crate::parse(&|path| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned()))
}

#[test]
fn finds_an_import_that_runs_up_however_it_is_written() {
    for import in [
        "use crate::stage::verb;",
        "use crate::{error, stage::{other, verb}};",
        "use crate::{self as root, stage};",
        "use super::stage::verb as v;",
        "fn f() { use crate::stage::verb; }",
        "fn f() { crate::stage::verb() }",
        "fn f(_: super::stage::Request) {}",
        "fn f() { println!(\"{}\", crate::stage::verb()) }",
        "use crate::facade::verb;",
        "use crate::stage::*;",
    ] {
        let parsed = crate_of(&[
            ("lib.rs", "mod stage; mod store; mod error; pub mod facade { pub use crate::stage::verb; }"),
            ("stage/mod.rs", "mod verb; pub use verb::{Request, verb}; pub fn other() {}"),
            ("stage/verb.rs", "pub struct Request; pub fn verb() {}"),
            ("store.rs", import),
            ("error.rs", ""),
        ]);
        let found = upwards(&parsed.uses());
        assert!(found.iter().any(|found| found.starts_with("store uses stage")), "{import}: {found:?}");
    }
}

#[test]
fn finds_circles_within_a_layer() {
    let files = |leaf| {
        [
            ("lib.rs", "mod store;"),
            ("store/mod.rs", "mod a; mod b; pub use a::A; pub use b::b;"),
            ("store/a.rs", leaf),
            ("store/b.rs", "use super::A; pub fn b(_: A) {}"),
        ]
    };
    assert_eq!(circles(&crate_of(&files("pub struct A;")).uses()), Vec::<Vec<String>>::new());
    let circle = circles(&crate_of(&files("pub struct A; impl A { fn c() { super::b(A) } }")).uses());
    assert_eq!(circle, [["store::a uses store::b", "store::b uses store::a"]]);
    // A module whose own code needs a child that needs it.
    let parent = crate_of(&[
        ("lib.rs", "mod store;"),
        ("store/mod.rs", "mod a; pub trait T {} pub fn open() -> a::A { a::A }"),
        ("store/a.rs", "use super::T; pub struct A; impl T for A {}"),
    ]);
    assert_eq!(circles(&parent.uses()), [["store uses store::a", "store::a uses store"]]);
}

#[test]
fn files_stay_readable() {
    let mut open = vec![source_dir()];
    let mut long = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let is_source = path.extension().is_some_and(|end| end == "rs");
            let is_test = path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests");
            if path.is_dir() {
                open.push(path);
            } else if is_source && !is_test && lines_of_code(&path) > MAX_LINES {
                long.push(path);
            }
        }
    }
    assert!(long.is_empty(), "longer than {MAX_LINES} lines: {long:#?}");
}

/// Lines without the module of unit tests at the end.
fn lines_of_code(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count()
}
