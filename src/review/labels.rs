//! The names of columns and keys that are neither statistics nor about people: settings, facts of a run, codes, parts.

use super::personal::personal;
use super::words::{COUNTS, HYPER, STRONG, WEAK, is_count, is_statistic, words};

/// True if a label is that of a setting, or of a fact of the run: of nobody's data.
pub(super) fn is_setting(label: &str) -> bool {
    const FACTS: &[&str] = &[
        "version",
        "seconds",
        "second",
        "duration",
        "runtime",
        "elapsed",
        "rate",
        "lr",
        "alpha",
        "gamma",
        "lambda",
        "c",
        "penalty",
        "tol",
        "tolerance",
        "k",
        "station",
        "stations",
        "site",
        "sites",
        "stop",
        "round",
        "rounds",
        "threads",
        "decimals",
        "schema",
        "nbformat",
        "minor",
        "window",
        "order",
        "level",
        "dim",
        "dims",
        "shape",
        "momentum",
        "dropout",
        "verbose",
        "random",
        "state",
        "ms",
    ];
    let words = words(label);
    words.iter().any(|word| HYPER.contains(&word.as_str()) || FACTS.contains(&word.as_str()))
}

/// True if a label is that of a time, a version or a digest of the run itself.
pub(super) fn is_run_fact(label: &str) -> bool {
    const FACTS: [&str; 20] = [
        "started",
        "start",
        "ended",
        "end",
        "finished",
        "created",
        "generated",
        "timestamp",
        "time",
        "date",
        "version",
        "run",
        "month",
        "quarter",
        "week",
        "year",
        "period",
        "commit",
        "code",
        "model",
    ];
    words(label).iter().any(|word| FACTS.contains(&word.as_str()))
}

/// Words for codes, features, places, times and intervals.
const THINGS: &[&str] = &[
    "concept",
    "snomed",
    "cui",
    "umls",
    "rxnorm",
    "mesh",
    "loinc",
    "ops",
    "icd",
    "atc",
    "pzn",
    "omim",
    "hpo",
    "gene",
    "genes",
    "protein",
    "probe",
    "mirna",
    "snp",
    "rsid",
    "variant",
    "feature",
    "features",
    "term",
    "terms",
    "region",
    "regions",
    "site",
    "sites",
    "station",
    "stations",
    "hospital",
    "center",
    "centre",
    "clinic",
    "season",
    "year",
    "years",
    "period",
    "month",
    "quarter",
    "week",
    "time",
    "timestamp",
    "ts",
    "ci",
    "interval",
    "range",
    "population",
    "cost",
    "costs",
    "bytes",
    "seed",
    "layer",
    "module",
    "bin",
    "bins",
    "band",
    "model",
    "version",
    "metric",
];

/// True if a column holds codes, names of features or of places, times or intervals: values of which each stands there
/// once, and that name nobody.
pub(super) fn is_of_things(label: &str) -> bool {
    is_statistic(label) || is_count(label) || words(label).iter().any(|word| THINGS.contains(&word.as_str()))
}

/// True for labels of values of which there is one a person, though they are statistics in other places.
pub(super) fn is_of_each(label: &str) -> bool {
    const EACH: [&str; 12] = [
        "prob",
        "probs",
        "probability",
        "probabilities",
        "error",
        "errors",
        "score",
        "scores",
        "residual",
        "residuals",
        "risk",
        "prediction",
    ];
    words(label).iter().any(|word| EACH.contains(&word.as_str()))
}

/// True for a label of a share of something, and whether it says that it is one in a hundred.
pub(super) fn share(label: &str) -> Option<bool> {
    const HUNDREDTHS: [&str; 5] = ["percent", "percentage", "pct", "prozent", "perc"];
    const PARTS: [&str; 10] =
        ["proportion", "prevalence", "share", "rate", "fraction", "anteil", "ratio", "incidence", "quote", "freq"];
    let words = words(label);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if has(&HUNDREDTHS) || label.contains('%') { Some(true) } else { has(&PARTS).then_some(false) }
}

/// True for the label of a total, from which a count that was left out can be computed.
pub(super) fn is_total(label: &str) -> bool {
    const TOTALS: [&str; 8] = ["total", "all", "overall", "sum", "gesamt", "summe", "insgesamt", "n"];
    words(label).iter().any(|word| TOTALS.contains(&word.as_str()))
}

/// True if a label is that of a column whose values name statistics, features or bins.
pub(super) fn is_naming(label: &str) -> bool {
    const NAMES: &[&str] = &[
        "metric",
        "statistic",
        "feature",
        "features",
        "variable",
        "variables",
        "parameter",
        "term",
        "coefficient",
        "measure",
        "step",
        "bin",
        "epoch",
    ];
    words(label).last().is_some_and(|word| NAMES.contains(&word.as_str()))
}

/// A label for a report: shown only if every word of it is one that is known here, for it may be a datum itself.
pub(super) fn known(label: &str) -> Option<&str> {
    let words = words(label);
    let is_known = |word: &String| {
        let word = word.as_str();
        STRONG.contains(&word)
            || WEAK.contains(&word)
            || COUNTS.contains(&word)
            || HYPER.contains(&word)
            || OTHERS.contains(&word)
    };
    (!words.is_empty()
        && label.len() <= 40
        && label.is_ascii()
        && (words.iter().all(is_known) || personal(label).is_some_and(|(name, _)| name == words.concat())))
    .then_some(label)
}

/// Further words that are no datum.
const OTHERS: &[&str] = &[
    "min", "max", "age", "sex", "gender", "group", "model", "results", "result", "data", "train", "test", "class",
    "label", "labels", "index", "table", "values", "summary", "report", "name", "id", "date", "key",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_known_labels_alone() {
        assert_eq!((known("mean"), known("Mueller"), known("patient_id")), (Some("mean"), None, Some("patient_id")));
    }
}
