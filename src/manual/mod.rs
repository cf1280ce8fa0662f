//! Pages of the manual that are no command's help: `pht-oci help TOPIC` prints them, and `pht-oci man` writes them.

mod roff;

#[cfg(feature = "cli")]
pub(crate) use roff::literal;

#[doc = include_str!("wire-3.md")]
pub mod wire_3 {}

#[doc = include_str!("running.md")]
pub mod running {}
#[doc = include_str!("station.md")]
pub mod station {}

#[doc = include_str!("creator.md")]
pub mod creator {}

#[doc = include_str!("review.md")]
pub mod review {}

#[doc = include_str!("pipelines.md")]
pub mod pipelines {}

#[doc = include_str!("security.md")]
pub mod security {}

#[doc = include_str!("troubleshooting.md")]
pub mod troubleshooting {}

#[doc = include_str!("commands.md")]
pub mod commands {}

#[doc = include_str!("json.md")]
pub mod json {}

#[doc = include_str!("images.md")]
pub mod images {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("migrating.md")]
pub mod migrating {}

/// A page of the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// What `pht-oci help` calls it.
    pub topic: &'static str,
    /// What it is about, in one line.
    pub about: &'static str,
    /// The page itself, Markdown of at most 120 columns but for tables.
    pub text: &'static str,
}

/// Every page.
pub const PAGES: [Page; 13] = [
    Page {
        topic: "wire-3",
        about: "the specification of wire 3, the authenticated version of the train security protocol",
        text: include_str!("wire-3.md"),
    },
    Page {
        topic: "running",
        about: "the run of a train: what it sees, data of a FHIR server, engines, and what is kept when something fails",
        text: include_str!("running.md"),
    },
    Page {
        topic: "station",
        about: "settings, limits and records of a station, and its steps one by one",
        text: include_str!("station.md"),
    },
    Page {
        topic: "creator",
        about: "building a train, signing apart from building, results, encrypted sums",
        text: include_str!("creator.md"),
    },
    Page {
        topic: "review",
        about: "the review of results before they leave: checks, rules, approvals, and what they cannot find",
        text: include_str!("review.md"),
    },
    Page {
        topic: "pipelines",
        about: "registries and credentials, Airflow, Kubernetes, Python, metrics",
        text: include_str!("pipelines.md"),
    },
    Page {
        topic: "security",
        about: "what each wire version binds, pinned keys, the threat model",
        text: include_str!("security.md"),
    },
    Page {
        topic: "troubleshooting",
        about: "what to do about the most frequent errors",
        text: include_str!("troubleshooting.md"),
    },
    Page {
        topic: "commands",
        about: "every command, every exit status, and what is printed",
        text: include_str!("commands.md"),
    },
    Page { topic: "json", about: "every field of the reports as JSON", text: include_str!("json.md") },
    Page {
        topic: "images",
        about: "what happens to an image, where it may be, and what other tools do with it",
        text: include_str!("images.md"),
    },
    Page {
        topic: "performance",
        about: "speed and memory, measured beside other tools",
        text: include_str!("performance.md"),
    },
    Page {
        topic: "migrating",
        about: "each call of the reference implementation, and what takes its place",
        text: include_str!("migrating.md"),
    },
];

/// The page about a topic.
pub fn page(topic: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.topic == topic)
}
