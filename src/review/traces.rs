//! Traces of a person in text: what has no form of its own that names somebody, but may be about one.

use super::tokens::{date_of, is_about_birth, is_like_id, is_name};
use super::words::names_a_statistic;

/// What in a text may be about one person, though nothing of it has the form of an identifier for sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    Name,
    Digest,
    Number,
    Digits,
    DayInDigits,
    Birth,
    Date,
    Address,
    Network,
    Sequence,
    Variant,
}

impl Trace {
    /// What it is, for a report.
    pub(super) fn evidence(self) -> &'static str {
        match self {
            Trace::Name => "two words with capitals, as first and last name have them",
            Trace::Digest => "a digest: what it stands for can be looked up by whoever has the list",
            Trace::Number => "a word of letters and digits, as the numbers of patients and cases have",
            Trace::Digits => "many digits, as numbers of telephones, accounts and insurances have",
            Trace::DayInDigits => "eight digits that may be a day long ago",
            Trace::Birth => "a day or a year long ago, in words, as of a birth",
            Trace::Date => "a date, which may be that of one person",
            Trace::Address => "a street or a place with its number",
            Trace::Network => "an address of a network",
            Trace::Sequence => "a genetic sequence",
            Trace::Variant => "a genetic variant, which few people have",
        }
    }
}

/// Every kind of trace in a text, once.
pub(super) fn traces(text: &str) -> Vec<Trace> {
    let mut found = Vec::new();
    let mut add = |trace| {
        if !found.contains(&trace) {
            found.push(trace);
        }
    };
    if has_two_names(text) {
        add(Trace::Name);
    }
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || "()[]{}<>\"',;|=".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let mut run = (0, 0);
    for (at, raw) in words.iter().enumerate() {
        let word = bare(raw);
        let next = words.get(at + 1).map_or("", |next| bare(next));
        traces_of_word(raw, next).into_iter().for_each(&mut add);
        let digits = digits_in(word);
        let is_run = digits > 0 && digits + 3 > word.len() && !word.contains(['.', ',', '-']);
        run = if is_run { (run.0 + digits, run.1 + 1) } else { (0, 0) };
        if run.0 >= 9 && run.1 > 1 {
            add(Trace::Digits);
        }
        let is_year = word.len() == 4 && word.parse().is_ok_and(|year| (1900..2006).contains(&year));
        let near = words[at.saturating_sub(3)..at].iter().any(|before| is_about_birth(before) || is_month(before));
        let behind_initials = words[..at].last().is_some_and(|before| before.matches('.').count() > 1);
        if is_year && (near || behind_initials) {
            add(Trace::Birth);
        }
    }
    found
}

/// A word without what stands around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn digits_in(word: &str) -> usize {
    word.bytes().filter(u8::is_ascii_digit).count()
}

/// True if two names stand beside each other; what `name_of_a_column` puts together is told apart as well.
fn has_two_names(text: &str) -> bool {
    let parts: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '.').filter(|part| !part.is_empty()).collect();
    let is_part = |word: &str| is_name(word) && !is_known_word(word);
    parts.windows(2).any(|pair| is_part(pair[0]) && is_part(pair[1]))
}

/// The traces in one word, as it stands in the text, before the word `next`.
fn traces_of_word(raw: &str, next: &str) -> Vec<Trace> {
    let word = bare(raw);
    let digits = digits_in(word);
    let is_id = digits >= 4 && word.len() > digits && is_like_id(word) && !word.starts_with("0x");
    let is_day = word.len() == 8 && digits == 8 && word.parse().is_ok_and(is_day_long_ago);
    let is_sequence = word.len() >= 20 && word.bytes().all(|byte| b"ACGTUNacgtun".contains(&byte));
    [
        (are_initials(raw), Trace::Name),
        (is_digest(word), Trace::Digest),
        (is_id && !is_digest(word), Trace::Number),
        (is_day, Trace::DayInDigits),
        (is_short_date(word), Trace::Birth),
        (!is_short_date(word) && date_of(raw).is_some(), Trace::Date),
        (is_address(word, next), Trace::Address),
        (is_network(word), Trace::Network),
        (is_sequence, Trace::Sequence),
        (is_variant(raw, word, next), Trace::Variant),
    ]
    .into_iter()
    .filter_map(|(is, trace)| is.then_some(trace))
    .collect()
}

/// True for initials, as `A.M.`
fn are_initials(raw: &str) -> bool {
    let letters: Vec<&str> = raw.trim_end_matches(['.', ',']).split('.').collect();
    let is_initial = |letter: &&str| letter.chars().count() == 1 && letter.chars().all(char::is_uppercase);
    letters.len() > 1 && letters.iter().all(is_initial)
}

/// True for a street before its number, and for a postal code before its place.
fn is_address(word: &str, next: &str) -> bool {
    const STREETS: [&str; 9] = ["str", "strasse", "straße", "street", "road", "weg", "platz", "allee", "gasse"];
    let has_number = next.starts_with(|c: char| c.is_ascii_digit());
    let lower = word.to_lowercase();
    let is_street = STREETS.iter().any(|end| lower.ends_with(end));
    let is_place = word.len() == 5 && digits_in(word) == 5 && is_name(next) && !is_known_word(next);
    is_street && has_number || is_place
}

/// True for an address of the Internet protocol, version 4.
fn is_network(word: &str) -> bool {
    let octets: Vec<&str> = word.split('.').collect();
    octets.len() == 4 && octets.iter().all(|octet| octet.len() < 4 && octet.parse::<u8>().is_ok())
}

/// True for a variant of a gene: one of dbSNP before a genotype, or in the notation of HGVS.
fn is_variant(raw: &str, word: &str, next: &str) -> bool {
    let is_genotype = (2..=3).contains(&next.len()) && next.bytes().all(|byte| b"ACGT/".contains(&byte));
    let number = word.strip_prefix("rs").unwrap_or_default();
    let is_snp = number.len() > 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_snp && is_genotype || [":c.", ":p.", ":g."].iter().any(|kind| raw.contains(kind))
}

/// True for the digits of a digest.
fn is_digest(word: &str) -> bool {
    [32, 40, 56, 64, 96, 128].contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// True for a day of the last century written as `19610417` or `17041961`.
fn is_day_long_ago(digits: u32) -> bool {
    let is_day = |year: u32, month: u32, day: u32| {
        (1900..2006).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
    };
    is_day(digits / 10_000, digits / 100 % 100, digits % 100)
        || is_day(digits % 10_000, digits / 10_000 % 100, digits / 1_000_000)
}

/// True for a day with the last two digits of its year, as `17.04.61` or `4/17/61`.
fn is_short_date(word: &str) -> bool {
    let Some(separator) = word.chars().find(|c| "./".contains(*c)) else { return false };
    let parts: Vec<&str> = word.split(separator).collect();
    let number = |part: &str, most: u32| {
        (1..=2).contains(&part.len()) && part.parse::<u32>().is_ok_and(|number| (1..=most).contains(&number))
    };
    matches!(parts[..], [day, month, year] if number(day, 31) && number(month, 31) && year.len() == 2 && number(year, 99))
}

fn is_month(word: &str) -> bool {
    const MONTHS: [&str; 16] = [
        "jan", "feb", "mar", "mär", "apr", "may", "mai", "jun", "jul", "aug", "sep", "oct", "okt", "nov", "dec", "dez",
    ];
    let lower = word.to_lowercase();
    MONTHS.iter().any(|month| lower.starts_with(month))
        && word.chars().all(|c| c.is_alphabetic() || c == '.' || c == ',')
}

/// Words of headings and names of columns.
const KNOWN_WORDS: &[&str] = &[
    "logistic",
    "linear",
    "random",
    "forest",
    "regression",
    "results",
    "result",
    "test",
    "model",
    "class",
    "group",
    "age",
    "sex",
    "gender",
    "patient",
    "patients",
    "outcome",
    "outcomes",
    "characteristics",
    "variable",
    "value",
    "welch",
    "two",
    "sample",
    "pearson",
    "spearman",
    "chi",
    "squared",
    "kaplan",
    "meier",
    "cox",
    "hazards",
    "proportional",
    "station",
    "hospital",
    "table",
    "figure",
    "date",
    "time",
    "log",
    "dep",
    "method",
    "least",
    "squares",
    "covariance",
    "type",
    "prob",
    "durbin",
    "watson",
    "jarque",
    "bera",
    "omnibus",
    "skew",
    "kurtosis",
    "cond",
    "residuals",
    "call",
    "signif",
    "codes",
    "multiple",
    "adjusted",
    "null",
    "standard",
    "confidence",
    "blood",
    "pressure",
    "heart",
    "body",
    "mass",
    "index",
    "thu",
    "mon",
    "tue",
    "wed",
    "fri",
    "sat",
    "sun",
    "info",
    "warning",
    "training",
    "cohort",
    "baseline",
    "treatment",
    "control",
    "follow",
    "survival",
    "disease",
];

/// True for a word with a capital that is none of a person's names, in headings and names of columns.
fn is_known_word(word: &str) -> bool {
    let lower = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    // `Meier` is a name that is in the name of a method.
    lower != "meier" && KNOWN_WORDS.contains(&lower.as_str()) || is_month(word) || names_a_statistic(word)
}
