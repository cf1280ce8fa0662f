//! The checks, one file each, and the table of them.

mod acro;
mod declared;
mod extreme;
mod identifier;
pub(super) mod inventory;
mod kind;
mod medical;
mod model;
pub(super) mod named;
pub(super) mod nested;
mod opaque;
pub(super) mod overlap;
mod personal_text;
mod pickle;
mod rows;
mod size;
mod small_count;
mod unnamed;

use super::finding::ReviewCheck;
use super::subject::Run;

/// A check, and what a person has to know of it.
pub struct Rule {
    /// The check.
    pub check: ReviewCheck,
    /// What it looks for.
    pub finds: &'static str,
    /// What it cannot find.
    pub misses: &'static str,
    pub(super) run: Run,
    /// A second way in which it looks.
    pub(super) also: Option<Run>,
}

const fn rule(check: ReviewCheck, finds: &'static str, misses: &'static str, run: Run, also: Option<Run>) -> Rule {
    Rule { check, finds, misses, run, also }
}

/// Every check, in the order of reports.
pub const RULES: [Rule; 15] = [
    rule(
        ReviewCheck::Inventory,
        "links, extended attributes, odd modes and times, names that are hidden, long, unprintable, or that may tell of a \
         person, many files of one kind",
        "what the order, sizes and number of files tell, and names of an unknown form",
        Run::Whole(inventory::check),
        Some(Run::Whole(named::check)),
    ),
    rule(
        ReviewCheck::Declared,
        "files that the creator has not declared in outputs.json, or larger ones",
        "whether what is declared is harmless",
        Run::Whole(declared::check),
        None,
    ),
    rule(
        ReviewCheck::Type,
        "types that may not leave, and names that promise another type",
        "what a picture shows, and what a page of a document says",
        Run::File(kind::check),
        None,
    ),
    rule(
        ReviewCheck::Size,
        "files and results that are too large",
        "much that is said in little space",
        Run::Whole(size::check),
        None,
    ),
    rule(
        ReviewCheck::Rows,
        "tables with too many rows, tables and lists that may have one row a person, and numbers under the name of no \
         statistic",
        "rows of people under the names of statistics",
        Run::Values(rows::observer),
        Some(Run::Values(unnamed::observer)),
    ),
    rule(
        ReviewCheck::Identifier,
        "columns with the names of identifiers, and values with their form: e-mail, insurance numbers, dates of birth, UUIDs, FHIR \
         references, names behind a title; digests, long numbers, dates, addresses, two words with capitals, running text",
        "names of one word, identifiers of an unknown form, pseudonyms",
        Run::Values(identifier::observer),
        Some(Run::Values(personal_text::observer)),
    ),
    rule(
        ReviewCheck::SmallCount,
        "integers below the least count, under names of counts and in tables of integers, in words, and as a share of \
         another count; a count that was left out beside its total",
        "counts under other names, differences of two tables",
        Run::Values(small_count::observer),
        None,
    ),
    rule(
        ReviewCheck::Extreme,
        "least and greatest values, by their names",
        "extremes without such a name",
        Run::Values(extreme::observer),
        None,
    ),
    rule(
        ReviewCheck::Model,
        "models, frames and arrays in files of their own: they never pass",
        "what weights remember of the data",
        Run::File(model::check),
        None,
    ),
    rule(
        ReviewCheck::Pickle,
        "pickles with data frames, with models that keep their training data, and those that run something",
        "small data in plain lists; how far a model is overfitted",
        Run::File(pickle::check),
        None,
    ),
    rule(
        ReviewCheck::Medical,
        "images, signals, sequences and FHIR resources of patients",
        "an image of a patient that was saved as a picture",
        Run::File(medical::check),
        Some(Run::Values(medical::observer)),
    ),
    rule(
        ReviewCheck::Nested,
        "what is in archives and compressed files, entry by entry",
        "archives of other kinds, which stop",
        Run::File(nested::check),
        None,
    ),
    rule(
        ReviewCheck::Opaque,
        "encrypted and compressed content, what is hidden in pictures and text, encodings in text, numbers that read as text",
        "low bits of pixels and of numbers",
        Run::File(opaque::check),
        Some(Run::Values(opaque::observer)),
    ),
    rule(
        ReviewCheck::Overlap,
        "lines and values that stand verbatim in the station's data, if that is given",
        "what was rounded, joined or written in another way",
        Run::Elsewhere,
        None,
    ),
    rule(
        ReviewCheck::Acro,
        "the verdicts of ACRO, and whether the files are those that it has checked",
        "what ACRO was not asked about",
        Run::Whole(acro::check),
        None,
    ),
];
