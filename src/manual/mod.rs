//! Pages of the manual that are no command's help: `pht-oci help TOPIC` prints them, and `pht-oci man` writes them.

mod roff;

#[cfg(feature = "cli")]
pub(crate) use roff::literal;

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

/// Each page: the module in which rustdoc shows it, its topic, its file, and what it is about.
macro_rules! pages {
    ($($module:ident, $topic:literal, $file:literal, $about:literal;)*) => {
        $(
            #[doc = include_str!($file)]
            pub mod $module {}
        )*

        /// Every page.
        pub const PAGES: [Page; [$($topic),*].len()] = [$(Page { topic: $topic, about: $about, text: include_str!($file) }),*];
    };
}

pages! {
    wire_3, "wire-3", "wire-3.md", "the specification of wire 3, the authenticated version of the train security protocol";
    running, "running", "running.md", "the run of a train: what it sees, data of a FHIR server, engines, and what is kept when something fails";
    station, "station", "station.md", "settings, limits and records of a station, and its steps one by one";
    creator, "creator", "creator.md", "building a train, signing apart from building, results, encrypted sums";
    review, "review", "review.md", "the review of results before they leave: checks, rules, approvals, and what they cannot find";
    pipelines, "pipelines", "pipelines.md", "registries and credentials, Airflow, Kubernetes, Python, metrics";
    security, "security", "security.md", "what each wire version binds, pinned keys, the threat model";
    troubleshooting, "troubleshooting", "troubleshooting.md", "what to do about the most frequent errors";
    commands, "commands", "commands.md", "every command, every exit status, and what is printed";
    checks, "checks", "checks.md", "what each check of a train means, and its verdicts";
    json, "json", "json.md", "every field of the reports as JSON";
    images, "images", "images.md", "what happens to an image, where it may be, and what other tools do with it";
    performance, "performance", "performance.md", "speed and memory, measured beside other tools";
    migrating, "migrating", "migrating.md", "each call of the reference implementation, and what takes its place";
}

/// The page about a topic.
pub fn page(topic: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.topic == topic)
}
