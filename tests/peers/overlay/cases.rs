//! Stacks that went wrong, or nearly did, and what they must look like.
//!
//! An entry is written as `d PATH`, `f PATH=CONTENTS`, `s PATH->TARGET` or `l PATH->TARGET` (a hard link). What is
//! seen is written in the same way; there `l` is a further name of the file that has its first name at the target.

use std::collections::BTreeSet;

use super::archive::{Attributes, Dialect, Item, What, archive};
use super::layout::Form;
use super::seen::All;

#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    /// From the bottom up.
    layers: &'static [&'static [&'static str]],
    pub expected: Result<&'static [&'static str], &'static str>,
    /// Directories that are there without an entry.
    implied: &'static [&'static str],
    /// Why umoci does not show the same.
    pub umoci_differs: &'static str,
}

/// What most cases have in common.
const CASE: Case = Case { name: "", layers: &[], expected: Ok(&[]), implied: &[], umoci_differs: "" };

const T: &str = "d opt/pht_train";

pub const CASES: &[Case] = &[
    Case {
        name: "a whiteout hides what lower layers have, not what its own layer has put there",
        layers: &[
            &["d opt", T, "f opt/pht_train/a=old", "f opt/pht_train/b=old"],
            &["f opt/pht_train/.wh.a=", "f opt/pht_train/.wh.b=", "f opt/pht_train/a=new"],
        ],
        expected: Ok(&["d opt", T, "f opt/pht_train/a=new"]),
        ..CASE
    },
    Case {
        name: "a file, and its whiteout in the same layer",
        layers: &[&["d opt", T, "f opt/pht_train/a=old"], &["f opt/pht_train/a=new", "f opt/pht_train/.wh.a="]],
        expected: Err("is both removed by a whiteout and present"),
        umoci_differs: "it removes the file of the same layer, against the specification: whiteouts concern lower layers",
        ..CASE
    },
    Case {
        name: "an opaque directory keeps what its own layer has, before the marker and after it",
        layers: &[
            &[
                "d opt",
                T,
                "f opt/pht_train/a=old",
                "f opt/pht_train/z=old",
                "d opt/pht_train/sub",
                "f opt/pht_train/sub/x=old",
            ],
            &[T, "f opt/pht_train/b=before", "f opt/pht_train/.wh..wh..opq=", "f opt/pht_train/z=after"],
        ],
        expected: Ok(&["d opt", T, "f opt/pht_train/b=before", "f opt/pht_train/z=after"]),
        ..CASE
    },
    Case {
        name: "what was removed can come back in a later layer",
        layers: &[
            &["d opt", T, "d opt/pht_train/sub", "f opt/pht_train/sub/x=one", "f opt/pht_train/sub/y=one"],
            &["f opt/pht_train/.wh.sub="],
            &["d opt/pht_train/sub", "f opt/pht_train/sub/x=three"],
        ],
        expected: Ok(&["d opt", T, "d opt/pht_train/sub", "f opt/pht_train/sub/x=three"]),
        ..CASE
    },
    Case {
        name: "a file in the place of a directory hides all that the directory had",
        layers: &[&["d opt", T, "d opt/pht_train/x", "f opt/pht_train/x/a=old"], &["f opt/pht_train/x=file"]],
        expected: Ok(&["d opt", T, "f opt/pht_train/x=file"]),
        ..CASE
    },
    Case {
        name: "a directory in the place of a file",
        layers: &[&["d opt", T, "f opt/pht_train/x=file"], &["d opt/pht_train/x", "f opt/pht_train/x/a=new"]],
        expected: Ok(&["d opt", T, "d opt/pht_train/x", "f opt/pht_train/x/a=new"]),
        ..CASE
    },
    Case {
        name: "a directory that was a file in between does not get its old contents back",
        layers: &[
            &["d opt", T, "d opt/pht_train/x", "f opt/pht_train/x/old=1"],
            &["f opt/pht_train/x=file"],
            &["d opt/pht_train/x", "f opt/pht_train/x/new=3"],
        ],
        expected: Ok(&["d opt", T, "d opt/pht_train/x", "f opt/pht_train/x/new=3"]),
        ..CASE
    },
    Case {
        name: "a directory that is a file in between, in one layer",
        layers: &[
            &["d opt", T, "d opt/pht_train/x", "f opt/pht_train/x/old=1"],
            &["f opt/pht_train/x/mid=2", "f opt/pht_train/x=file", "d opt/pht_train/x", "f opt/pht_train/x/new=3"],
        ],
        expected: Err("comes after entries below it in the same layer"),
        umoci_differs: "it goes entry by entry; other engines refuse it or make something else of it",
        ..CASE
    },
    Case {
        name: "a file in the place of a directory of the same layer",
        layers: &[&["d opt", T, "d opt/pht_train/x", "f opt/pht_train/x/a=gone", "f opt/pht_train/x=file"]],
        expected: Err("appears twice in one layer"),
        umoci_differs: "it goes entry by entry; other engines refuse it or make something else of it",
        ..CASE
    },
    Case {
        name: "two entries with one name",
        layers: &[&["d opt", T, "f opt/pht_train/a=one", "f opt/pht_train/a=two"]],
        expected: Err("appears twice in one layer"),
        umoci_differs: "it goes entry by entry; other engines refuse it or make something else of it",
        ..CASE
    },
    Case {
        name: "a hard link, and its file written anew",
        layers: &[&[
            "d opt",
            T,
            "f opt/pht_train/a=one",
            "l opt/pht_train/b->opt/pht_train/a",
            "f opt/pht_train/a=two",
        ]],
        expected: Err("appears twice in one layer"),
        umoci_differs: "it goes entry by entry; other engines refuse it or make something else of it",
        ..CASE
    },
    Case {
        name: "a hard link keeps its file when an upper layer deletes the other name",
        layers: &[
            &[
                "d opt",
                T,
                "f opt/pht_train/a=one",
                "l opt/pht_train/b->opt/pht_train/a",
                "l opt/pht_train/c->/opt/pht_train/b",
            ],
            &["f opt/pht_train/.wh.a="],
        ],
        expected: Ok(&["d opt", T, "f opt/pht_train/b=one", "l opt/pht_train/c->opt/pht_train/b"]),
        ..CASE
    },
    Case {
        name: "a hard link to a file outside the wanted paths, and through a second one there",
        layers: &[&[
            "d opt",
            T,
            "d usr",
            "f usr/x=outside",
            "l usr/y->./usr/x",
            "l opt/pht_train/a->usr/x",
            "l opt/pht_train/b->usr/y",
        ]],
        expected: Ok(&["d opt", T, "f opt/pht_train/a=outside", "l opt/pht_train/b->opt/pht_train/a"]),
        ..CASE
    },
    Case {
        name: "a hard link to a lower layer's file is that file",
        layers: &[&["d opt", T, "f opt/pht_train/a=low"], &["l opt/pht_train/b->opt/pht_train/a"]],
        expected: Ok(&["d opt", T, "f opt/pht_train/a=low", "l opt/pht_train/b->opt/pht_train/a"]),
        ..CASE
    },
    Case {
        name: "a hard link to a hard link of a lower layer",
        layers: &[
            &["d opt", T, "f opt/pht_train/a=low"],
            &["l opt/pht_train/b->opt/pht_train/a"],
            &["l opt/pht_train/c->opt/pht_train/b", "f opt/pht_train/.wh.b="],
        ],
        expected: Ok(&["d opt", T, "f opt/pht_train/a=low", "l opt/pht_train/c->opt/pht_train/a"]),
        ..CASE
    },
    Case {
        name: "a hard link to a lower layer's file that its own layer writes anew",
        layers: &[
            &["d opt", T, "f opt/pht_train/a=low"],
            &["l opt/pht_train/b->opt/pht_train/a", "f opt/pht_train/a=new"],
        ],
        expected: Err("comes after a hard link to it"),
        umoci_differs: "it goes entry by entry; other engines refuse it or make something else of it",
        ..CASE
    },
    Case {
        name: "a hard link to nothing",
        layers: &[
            &["d opt", T, "f opt/pht_train/a=low"],
            &["f opt/pht_train/.wh.a="],
            &["l opt/pht_train/b->opt/pht_train/a"],
        ],
        expected: Err("a hard link to /opt/pht_train/a, which does not exist"),
        ..CASE
    },
    Case {
        name: "hard links in a circle",
        layers: &[&["d opt", T, "l opt/pht_train/a->opt/pht_train/b", "l opt/pht_train/b->opt/pht_train/a"]],
        expected: Err("comes after a hard link to it"),
        ..CASE
    },
    Case {
        name: "empty files are not one file",
        layers: &[&[
            "d opt",
            T,
            "f opt/pht_train/a=",
            "f opt/pht_train/b=",
            "f opt/pht_train/c=text",
            "l opt/pht_train/d->opt/pht_train/b",
        ]],
        expected: Ok(&[
            "d opt",
            T,
            "f opt/pht_train/a=",
            "f opt/pht_train/b=",
            "f opt/pht_train/c=text",
            "l opt/pht_train/d->opt/pht_train/b",
        ]),
        ..CASE
    },
    Case {
        name: "names of one file in two trees are apart",
        layers: &[&["d opt", "d opt/pht_results", T, "f opt/pht_train/a=x", "l opt/pht_results/b->opt/pht_train/a"]],
        expected: Ok(&["d opt", "d opt/pht_results", "f opt/pht_results/b=x", T, "f opt/pht_train/a=x"]),
        ..CASE
    },
    Case {
        name: "a directory above is removed, and one above is opaque",
        layers: &[
            &[
                "d opt",
                T,
                "f opt/pht_train/a=old",
                "f opt/train_config.json=old",
                "d opt/pht_results",
                "f opt/pht_results/r=old",
            ],
            &["f .wh.opt="],
            &["d opt", T, "f opt/pht_train/b=new", "d opt/pht_results", "f opt/pht_results/r=mid"],
            &["f opt/.wh..wh..opq=", "f opt/train_config.json=new"],
        ],
        // What opaque directories and whiteouts lie in is not looked for.
        expected: Ok(&["f opt/train_config.json=new"]),
        ..CASE
    },
    Case {
        name: "a symbolic link in the place of a directory, and a directory again",
        layers: &[
            &["d opt", T, "f opt/pht_train/a=old"],
            &["s opt/pht_train->elsewhere"],
            &["f opt/.wh.pht_train=", "f opt/pht_train/b=new"],
        ],
        expected: Err("is both removed by a whiteout and present"),
        umoci_differs: "it goes entry by entry; other engines refuse it or make something else of it",
        ..CASE
    },
    Case {
        name: "something below a whiteout",
        layers: &[&["d opt", T, "f opt/pht_train/x=file"], &["f opt/pht_train/.wh.a/b=below"]],
        expected: Err("below a name that begins with `.wh.`"),
        umoci_differs: "it unpacks it, while other engines take the directory for a whiteout",
        ..CASE
    },
    Case {
        name: "something below a mark of AUFS",
        layers: &[&["d opt", T, "f opt/pht_train/x=file"], &["f opt/pht_train/.wh..wh.plnk/b=below"]],
        expected: Err("below a name that begins with `.wh.`"),
        umoci_differs: "it unpacks it, while other engines take the directory for a whiteout",
        ..CASE
    },
    Case {
        name: "what AUFS kept at the root",
        layers: &[&["d opt", T, "f opt/pht_train/x=file"], &["f .wh..wh.plnk/1.2=link"]],
        expected: Ok(&["d opt", T, "f opt/pht_train/x=file"]),
        ..CASE
    },
    Case {
        name: "something below a file",
        layers: &[&["d opt", T, "f opt/pht_train/x=file"], &["f opt/pht_train/x/a=below"]],
        expected: Err("is a regular file, but a layer above has entries below it"),
        ..CASE
    },
    Case {
        name: "something below a symbolic link",
        layers: &[&["d opt", "s opt/pht_train->elsewhere", "f opt/pht_train/a=x"]],
        expected: Err("which is not a directory in the same layer"),
        umoci_differs: "it follows the link within the root, as a running system would not have written it",
        ..CASE
    },
    Case {
        name: "names that begin like whiteouts of AUFS mean nothing",
        layers: &[
            &["d opt", T, "f opt/pht_train/a=x"],
            &["f opt/pht_train/.wh..wh.plnk=", "f opt/pht_train/.wh..wh.aufs="],
        ],
        expected: Ok(&["d opt", T, "f opt/pht_train/a=x"]),
        ..CASE
    },
    Case {
        name: "a whiteout of nothing",
        layers: &[&["d opt", T, "f opt/pht_train/.wh.="]],
        expected: Err("a whiteout without a name"),
        umoci_differs: "it removes the directory",
        ..CASE
    },
];

impl Case {
    pub fn archives(&self, form: Form) -> Vec<(Vec<u8>, Form)> {
        let archive_of = |layer: &&[&str]| archive(&layer.iter().map(|text| item(text)).collect::<Vec<_>>());
        self.layers.iter().map(|layer| (archive_of(layer), form)).collect()
    }

    pub fn implied(&self) -> BTreeSet<String> {
        self.implied.iter().map(|&path| path.to_owned()).collect()
    }
}

fn item(text: &str) -> Item {
    let (kind, rest) = text.split_once(' ').unwrap();
    let cut = |at: &str| rest.split_once(at).map(|(path, rest)| (path.to_owned(), rest.to_owned())).unwrap();
    let (name, what) = match kind {
        "d" => (rest.to_owned(), What::Directory),
        "f" => {
            let (path, contents) = cut("=");
            (path, What::File(contents.into_bytes()))
        }
        "s" => {
            let (path, target) = cut("->");
            (path, What::Symlink(target))
        }
        "l" => {
            let (path, target) = cut("->");
            (path, What::HardLink(target))
        }
        _ => panic!("{text}"),
    };
    let mode = if what == What::Directory { 0o755 } else { 0o644 };
    Item { name, what, attributes: Attributes::plain(mode, 1_600_000_000), dialect: Dialect::Pax }
}

/// What is seen, in the notation of the cases.
pub fn brief(all: &All) -> Vec<String> {
    let line = |(path, seen): (&String, &super::seen::Seen)| {
        let text = |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
        match seen.kind {
            "directory" => format!("d {path}"),
            "symlink" => format!("s {path}->{}", text(&seen.target)),
            _ if seen.first_name != *path => format!("l {path}->{}", seen.first_name),
            _ => format!("f {path}={}", text(&seen.contents)),
        }
    };
    all.iter().map(line).collect()
}
