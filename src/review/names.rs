//! What the name of a file may say of a person.

use super::encoded::encoded_text;
use super::finding::Severity;
use super::tokens::{self, Token};
use super::traces::{Trace, traces};

/// What a name may say of a person, and how bad that is.
pub(super) fn of_name(name: &[u8]) -> Option<(Severity, &'static str)> {
    let name = String::from_utf8_lossy(name);
    let stem = name.rsplit_once('.').map_or(&*name, |(stem, _)| if stem.is_empty() { &*name } else { stem });
    let pieces = || stem.split(|c: char| !c.is_alphanumeric() && !"-.@+".contains(c)).filter(|piece| !piece.is_empty());
    let mut forms = [stem, &*name].into_iter().chain(pieces()).filter_map(tokens::token_of);
    if forms.any(|token| token != Token::Uuid) {
        return Some((Severity::Stop, "a name with the form of an identifier, or of a date of birth"));
    }
    if encoded_text(&name).is_some() || encoded_text(stem).is_some() {
        return Some((Severity::Stop, "a name that is an encoding of text"));
    }
    let words: Vec<&str> = stem.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_person = |word: &str| {
        ["patient", "pat", "case", "subject", "fall", "person", "participant"].contains(&word.to_lowercase().as_str())
    };
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let is_year = |word: &str| word.parse::<u32>().is_ok_and(|year| (1900..2006).contains(&year));
    let text = words.join(" ");
    let tells = words.windows(2).any(|pair| is_person(pair[0]) && is_number(pair[1]))
        || traces(&text).into_iter().any(|trace| trace != Trace::Date)
        || words.iter().any(|word| is_year(word))
        || words.iter().any(|word| is_category(word)) && words.iter().any(|word| is_number(word))
        || words.iter().any(|word| {
            word.bytes().filter(u8::is_ascii_digit).count() > 4 && tokens::is_like_id(word) && !is_recent_day(word)
        })
        || name.split(|c: char| !c.is_alphanumeric() && c != '.').any(tokens::is_disease);
    tells.then_some((Severity::Look, "a name that may be about one person: names travel too"))
}

/// True for a category of diseases of ICD-10, as `I21`.
fn is_category(word: &str) -> bool {
    matches!(word.as_bytes(), [letter, tens, ones] if letter.is_ascii_uppercase() && tens.is_ascii_digit() && ones.is_ascii_digit())
}

/// True for the day of a run, as `20261126`.
fn is_recent_day(word: &str) -> bool {
    word.len() == 8 && word.parse::<u32>().is_ok_and(|day| (20_060_101..21_000_101).contains(&day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_of_people() {
        for name in [
            "anna_meier_1961-04-17.txt",
            "Anna_Meier.txt",
            "anna.meier@klinik.example.de.json",
            "patient_4711",
            "A123456780.json",
            "UEFOLTAwNDcxMjM7MzQ7ZjtJMjEuMA==.txt",
            "34-f-I21.0",
            "PAT-0047123.csv",
            "born1961_1961.csv",
        ] {
            assert!(of_name(name.as_bytes()).is_some(), "{name}");
        }
        for name in [
            "mean_age.json",
            "model_v2.pkl",
            "results-2026-11-26.csv",
            "fold_12.csv",
            "histogram.png",
            "ROC_curve.svg",
            "Mean_Age.csv",
            "report.tar.gz",
            ".gitkeep",
            "weights_epoch_100.npy",
            "confusion_matrix_test.csv",
        ] {
            assert_eq!(of_name(name.as_bytes()), None, "{name}");
        }
    }
}
