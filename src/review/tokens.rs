//! The forms of what names a person, word by word.

use super::fhir;
use super::words::words;

/// What a word has the form of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Email,
    Kvnr,
    Uuid,
    Fhir,
    Ssn,
    Birth,
}

impl Token {
    pub(super) fn name(self) -> &'static str {
        match self {
            Token::Email => "an e-mail address",
            Token::Kvnr => "a German health insurance number",
            Token::Uuid => "a UUID",
            Token::Fhir => "a reference to a FHIR resource",
            Token::Ssn => "a social security number",
            Token::Birth => "a date of birth",
        }
    }
}

/// What a word is, if it has one of the forms.
pub(super) fn token_of(word: &str) -> Option<Token> {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    if is_email(word) {
        return Some(Token::Email);
    }
    if is_kvnr(word) {
        return Some(Token::Kvnr);
    }
    if is_uuid(word) {
        return Some(Token::Uuid);
    }
    if is_fhir(word) {
        return Some(Token::Fhir);
    }
    if is_ssn(word) {
        return Some(Token::Ssn);
    }
    // Programs are dated after 2005, people of whom there are data are mostly born before.
    date_of(word).filter(|year| (1900..2006).contains(year)).map(|_| Token::Birth)
}

fn is_email(word: &str) -> bool {
    let Some((name, host)) = word.split_once('@') else { return false };
    let part = |c: char| c.is_alphanumeric() || ".-_+".contains(c);
    let ending = host.rsplit('.').next().unwrap_or_default();
    !name.is_empty()
        && name.chars().all(part)
        && host.contains('.')
        && host.chars().all(part)
        && ending.len() >= 2
        && ending.chars().all(|c| c.is_ascii_alphabetic())
}

/// A letter, eight digits and a check digit (GKV-Spitzenverband, Krankenversichertennummer, Anlage 1).
fn is_kvnr(word: &str) -> bool {
    let bytes = word.as_bytes();
    if bytes.len() != 10 || !bytes[0].is_ascii_uppercase() || !bytes[1..].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let letter = u32::from(bytes[0] - b'A') + 1;
    let digits = [letter / 10, letter % 10].into_iter().chain(bytes[1..9].iter().map(|digit| u32::from(digit - b'0')));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| digit * if at % 2 == 0 { 1 } else { 2 })
        .map(|part| part / 10 + part % 10)
        .sum();
    sum % 10 == u32::from(bytes[9] - b'0')
}

fn is_uuid(word: &str) -> bool {
    let word = word.strip_prefix("urn:uuid:").unwrap_or(word);
    let parts: Vec<&str> = word.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_fhir(word: &str) -> bool {
    let Some((path, id)) = word.rsplit_once('/') else { return false };
    let resource = path.rsplit('/').next().unwrap_or_default();
    fhir::ABOUT_PEOPLE.contains(&resource)
        && (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        && id.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_ssn(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    parts.iter().map(|part| part.len()).eq([3, 2, 4])
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The year of a date, as `2001-02-03`, `03.02.2001` or `2/3/2001`, with or without a time behind it.
pub(super) fn date_of(word: &str) -> Option<u32> {
    let word = word.split(['T', ' ']).next().unwrap_or_default();
    let mut separator = None;
    let parts: Vec<&str> = word
        .split(|c: char| {
            let splits = "-./".contains(c) && separator.is_none_or(|known| known == c);
            if splits {
                separator = Some(c);
            }
            splits
        })
        .collect();
    let [a, b, c] = parts[..] else { return None };
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
    let (a_number, b_number, c_number) = (number(a)?, number(b)?, number(c)?);
    let is_day =
        |one: u32, other: u32| (1..=31).contains(&one) && (1..=31).contains(&other) && (one <= 12 || other <= 12);
    let year = |year: u32| (1900..2100).contains(&year).then_some(year);
    if a.len() == 4 && is_day(b_number, c_number) {
        return year(a_number);
    }
    (c.len() == 4 && a.len() <= 2 && b.len() <= 2 && is_day(a_number, b_number)).then(|| year(c_number)).flatten()
}

/// True if a date is the first day of a month.
pub(super) fn is_first_of_month(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric()).split(['T', ' ']).next().unwrap_or_default();
    word.ends_with("-01") || word.starts_with("01.")
}

/// The year of a month, a quarter or a week, as `2024-03`, `2024-Q1` or `2024-W09`.
pub(super) fn period_of(word: &str) -> Option<u32> {
    let (year, part) = word.trim().split_once(['-', '/'])?;
    let year = year.parse().ok().filter(|known| year.len() == 4 && (1900..2100).contains(known))?;
    let number = |digits: &str, most: u32| {
        let is_number = !digits.is_empty() && digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number && digits.parse().is_ok_and(|number: u32| (1..=most).contains(&number))
    };
    let is_period = match part.as_bytes().first()? {
        b'Q' | b'q' => number(&part[1..], 4),
        b'W' | b'w' => number(&part[1..], 53),
        _ => part.len() == 2 && number(part, 12),
    };
    is_period.then_some(year)
}

/// True if a text tells the age of one person: "an 83-year-old woman".
pub(super) fn tells_an_age(text: &str) -> bool {
    let parts: Vec<String> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).map(str::to_lowercase).collect();
    let is_age = |part: &str| part.parse().is_ok_and(|age: u32| age < 130);
    parts.windows(2).any(|pair| is_age(&pair[0]) && pair[1].starts_with("jährig"))
        || parts.windows(3).any(|three| {
            let unit = (three[1].as_str(), three[2].as_str());
            is_age(&three[0]) && matches!(unit, ("year" | "years" | "yo", "old") | ("jahre", "alt"))
        })
}

/// True if a label is about birth.
pub(super) fn is_about_birth(label: &str) -> bool {
    words(label)
        .iter()
        .any(|word| word.starts_with("birth") || word.starts_with("geb") || word == "dob" || word == "born")
}

/// True for a title of a person.
pub(super) fn is_title(word: &str) -> bool {
    const TITLES: [&str; 18] = [
        "Herr",
        "Herrn",
        "Frau",
        "Mr",
        "Mr.",
        "Mrs",
        "Mrs.",
        "Ms.",
        "Dr.",
        "Prof.",
        "Patient",
        "Patientin",
        "Pat.",
        "Patient:",
        "Name:",
        "Patientin:",
        "Hr.",
        "Fr.",
    ];
    TITLES.contains(&word)
}

/// True for a word that a name may be: a capital, then small letters.
pub(super) fn is_name(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ':', '-']);
    let mut letters = word.chars();
    letters.next().is_some_and(char::is_uppercase)
        && word.chars().count() > 2
        && letters.all(|c| c.is_lowercase() || c == '-' || c.is_uppercase() && word.contains('-'))
        && ![
            "Group",
            "Characteristics",
            "Count",
            "Cohort",
            "Data",
            "Demographics",
            "Level",
            "Total",
            "Mean",
            "Age",
            "The",
            "Outcome",
            "Outcomes",
            "Population",
            "Safety",
            "Status",
            "Summary",
            "Survival",
            "Numbers",
        ]
        .contains(&word)
}

/// True for a word of running text.
pub(super) fn is_word(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    word.chars().count() > 1 && word.chars().all(|c| c.is_lowercase() || c == '-' || c == '\'')
}

/// True if a value has the form of an identifier: many digits, or letters and digits in no known code.
pub(super) fn is_like_id(text: &str) -> bool {
    let text = text.trim();
    if text.len() < 5 || text.len() > 80 || text.contains(char::is_whitespace) {
        return false;
    }
    if date_of(text).is_some() || period_of(text).is_some() || is_of_no_person(text) {
        return false;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 || is_code(text) {
        return false;
    }
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/.:#".contains(&byte));
    let has_letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    is_plain
        && text.parse::<f64>().map_or(digits >= if has_letters { 2 } else { 6 }, |number| {
            number.fract() == 0.0 && !text.contains(['.', 'e', 'E'])
        })
}

/// True for intervals, times of day, names of weights and of places that are numbered: what has digits, and is no
/// identifier of anybody.
fn is_of_no_person(text: &str) -> bool {
    let interval = text.char_indices().skip(1).filter(|(_, c)| "-/:".contains(*c)).any(|(at, _)| {
        let number = |part: &str| {
            part.parse::<f64>().ok().filter(|_| part.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
        };
        let (from, until) = (&text[..at], &text[at + 1..]);
        let is_whole = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_year = |number: f64| (1900.0..2101.0).contains(&number);
        match (number(from), number(until)) {
            // Two long numbers are a number of a case, or of a telephone.
            (Some(low), Some(high)) if is_whole(from) && is_whole(until) && from.len() + until.len() > 6 => {
                low < high && is_year(low) && is_year(high)
            }
            (Some(low), Some(high)) => low <= high,
            _ => false,
        }
    });
    let is_time = text.contains(':') && {
        let parts: Vec<&str> = text.split([':', '.']).collect();
        (2..=4).contains(&parts.len())
            && parts.iter().all(|part| (1..=6).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
            && parts[..2].iter().all(|part| part.len() <= 2)
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_weight = text.contains('.')
        && ["weight", "bias", "running_mean", "running_var", "num_batches_tracked", "kernel", "gamma", "beta"]
            .contains(&last);
    let numbered = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_place = text.len() - numbered.len() <= 3
        && [
            "station", "site", "hospital", "center", "centre", "clinic", "region", "cluster", "class", "group",
            "model", "layer", "block",
        ]
        .contains(&numbered.trim_end_matches(['_', '-']).to_ascii_lowercase().as_str());
    interval || is_time || is_weight || is_place
}

/// True for the code of a disease (ICD-10) with its point.
pub(super) fn is_disease(text: &str) -> bool {
    let bytes = text.as_bytes();
    (5..=7).contains(&bytes.len())
        && bytes[0].is_ascii_uppercase()
        && bytes[1].is_ascii_digit()
        && bytes[2].is_ascii_digit()
        && bytes[3] == b'.'
        && bytes[4..].iter().all(u8::is_ascii_digit)
}

/// True for codes of diseases, drugs, genes and places in a genome, which name no person.
fn is_code(text: &str) -> bool {
    const PREFIXES: [&str; 17] = [
        "ENSG", "ENST", "ENSP", "rs", "chr", "NM_", "NP_", "HP:", "ORPHA", "HGNC:", "GO:", "LOINC", "HLA-", "hsa-",
        "ILMN_", "cg0", "cg1",
    ];
    let upper = text.as_bytes();
    let is_icd = upper.len() >= 3
        && upper[0].is_ascii_uppercase()
        && upper[1].is_ascii_digit()
        && upper[2].is_ascii_digit()
        && upper.len() <= 8
        && (upper.len() == 3 || upper[3] == b'.' || upper[3] == b'-');
    let is_atc = upper.len() == 7
        && upper[0].is_ascii_uppercase()
        && upper[1..3].iter().all(u8::is_ascii_digit)
        && upper[3..5].iter().all(u8::is_ascii_uppercase)
        && upper[5..].iter().all(u8::is_ascii_digit);
    let is_loinc = text.split_once('-').is_some_and(|(number, check)| {
        number.len() <= 6 && check.len() == 1 && number.bytes().chain(check.bytes()).all(|byte| byte.is_ascii_digit())
    });
    // Features that a program has numbered: `x10001`, `feature_12`.
    let numbered = text.trim_end_matches(|c: char| c.is_ascii_digit()).to_ascii_lowercase();
    let is_feature =
        ["x", "v", "feature", "feature_", "pc", "gene", "gene_", "bin", "bin_", "fold_", "epoch_", "layer_"]
            .contains(&numbered.as_str());
    // Concepts of UMLS, proteins of UniProt, procedures of OPS, genes whose letters and digits alternate.
    let is_cui = upper.len() == 8 && upper[0] == b'C' && upper[1] == b'0' && upper[1..].iter().all(u8::is_ascii_digit);
    let is_protein = upper.len() == 6
        && b"OPQ".contains(&upper[0])
        && upper[1].is_ascii_digit()
        && upper[2..5].iter().all(u8::is_ascii_alphanumeric)
        && upper[2..5].iter().any(u8::is_ascii_uppercase)
        && upper[5].is_ascii_digit();
    let is_ops = upper.len() >= 5
        && upper.len() <= 8
        && upper[0].is_ascii_digit()
        && upper[1] == b'-'
        && upper[2..5].iter().all(u8::is_ascii_digit)
        && (upper.len() == 5 || upper[5] == b'.');
    let is_gene = {
        let runs = text.as_bytes().chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()).collect::<Vec<_>>();
        runs.len() >= 4
            && runs[0].len() >= 3
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && runs.iter().skip(1).all(|run| run.len() <= 2)
    };
    is_cui
        || is_protein
        || is_ops
        || is_gene
        || is_icd
        || is_atc
        || is_loinc
        || is_feature
        || PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_forms_of_what_names_a_person() {
        for (word, token) in [
            ("anna.meier@klinik.example.de", Some(Token::Email)),
            ("A123456780", Some(Token::Kvnr)),
            ("A123456781", None),
            ("3fa85f64-5717-4562-b3fc-2c963f66afa6", Some(Token::Uuid)),
            ("Patient/4711", Some(Token::Fhir)),
            ("https://fhir.example/Patient/a-1", Some(Token::Fhir)),
            ("123-45-6789", Some(Token::Ssn)),
            ("1961-04-17", Some(Token::Birth)),
            ("17.04.1961", Some(Token::Birth)),
            ("4/17/1961,", Some(Token::Birth)),
            ("1961-04-17T00:00:00", Some(Token::Birth)),
            ("2026-11-25", None),
            ("1.2.840", None),
            ("0.9134", None),
            ("user@host", None),
            ("Patient/ratio", None),
            ("192.168.0.1", None),
        ] {
            assert_eq!(token_of(word), token, "{word}");
        }
    }

    #[test]
    fn codes_are_no_identifiers() {
        for id in ["100234", "PAT-00123", "a7f3c9e2d1", "MRN12345", "7345-2231"] {
            assert!(is_like_id(id), "{id}");
        }
        for code in [
            "I25.1",
            "E11",
            "A10BA02",
            "ENSG00000141510",
            "rs7903146",
            "718-7",
            "2345-7",
            "glucose",
            "1234",
            "feature_1234",
            "2026-01-01",
        ] {
            assert!(!is_like_id(code), "{code}");
        }
    }

    #[test]
    fn periods_are_no_identifiers() {
        for (text, year) in [("2024-01", Some(2024)), ("1974-Q3", Some(1974)), ("2024-W53", Some(2024))] {
            assert_eq!(period_of(text), year, "{text}");
            assert!(!is_like_id(text), "{text}");
        }
        for text in ["2024-13", "2024-Q5", "2024-0", "202401", "20240-1", "77123-01", "2024-ü1", "-01", "2024-"] {
            assert_eq!(period_of(text), None, "{text}");
        }
    }

    #[test]
    fn an_age_is_told_in_words() {
        for text in ["an 83-year-old woman", "83 years old", "eine 83-jährige Frau", "83 Jahre alt"] {
            assert!(tells_an_age(text), "{text}");
        }
        for text in ["the 5-year survival", "old age", "1999 years old", "10 years of data"] {
            assert!(!tells_an_age(text), "{text}");
        }
    }
}
