//! Pages of the manual that are no command's help: `pht-oci help TOPIC` prints them, and `pht-oci man` writes them.

mod roff;

#[doc = include_str!("review.md")]
pub mod review {}

#[doc = include_str!("wire-3.md")]
pub mod wire_3 {}

#[doc = include_str!("running.md")]
pub mod running {}

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
pub const PAGES: [Page; 4] = [
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
        topic: "review",
        about: "the review of results before they leave: checks, rules, approvals, and what they cannot find",
        text: include_str!("review.md"),
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
