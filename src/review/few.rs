//! Counts of few people, in words and as shares.

use std::ops::Range;

/// True if a text says that some people are fewer than `least`: "3 patients", "n = 4".
pub(super) fn counts_few_people(text: &str, small: &Range<u64>) -> bool {
    const PEOPLE: [&str; 27] = [
        "patient",
        "patients",
        "case",
        "cases",
        "subject",
        "subjects",
        "participant",
        "participants",
        "person",
        "persons",
        "people",
        "women",
        "men",
        "children",
        "deaths",
        "patienten",
        "patientinnen",
        "fälle",
        "events",
        "individuals",
        "males",
        "females",
        "woman",
        "man",
        "child",
        "patientin",
        "fall",
    ];
    let parts: Vec<String> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).map(str::to_lowercase).collect();
    let value = |part: &String| part.parse().ok().or_else(|| in_words(part));
    let is_few = |part: &String| value(part).is_some_and(|count| small.contains(&count));
    let is_people = |part: &String| PEOPLE.contains(&part.as_str());
    // "3 of 12", "2 out of 31", "7 von 15": a part of more.
    let is_part = |from: usize| {
        let rest = &parts[from + 1..];
        let rest = match rest {
            [of, rest @ ..] if matches!(of.as_str(), "of" | "von" | "aus" | "sur" | "de") => rest,
            [out, of, rest @ ..] if out == "out" && of == "of" => rest,
            _ => return false,
        };
        let rest = if rest.first().is_some_and(|word| word == "the" || word == "them" || word == "den") {
            &rest[1..]
        } else {
            rest
        };
        let all = rest.first().and_then(value);
        is_few(&parts[from])
            && all.is_none_or(|all| value(&parts[from]).is_some_and(|part| part <= all))
            && (all.is_some()
                || rest.first().is_some_and(is_people)
                || parts[from + 1..].iter().any(|word| word == "them"))
    };
    shares_of_few(text, small)
        || parts.windows(2).any(|pair| is_few(&pair[0]) && is_people(&pair[1]) || pair[0] == "n" && is_few(&pair[1]))
        || parts.windows(3).any(|three| is_few(&three[0]) && is_people(&three[2]))
        || (0..parts.len())
            .any(|at| parts[at].as_str() == "all" && parts.get(at + 1).is_some_and(is_few) || is_part(at))
        || percents_of_few(text, small)
}

/// A number in words, up to nine.
fn in_words(word: &str) -> Option<u64> {
    const WORDS: [(u64, &[&str]); 10] = [
        (0, &["no", "none", "null", "kein", "keine", "keiner"]),
        (1, &["one", "single", "ein", "eine", "einer", "einem", "einen", "einzige", "einziger"]),
        (2, &["two", "zwei", "both", "beide"]),
        (3, &["three", "drei"]),
        (4, &["four", "vier"]),
        (5, &["five", "fünf"]),
        (6, &["six", "sechs"]),
        (7, &["seven", "sieben"]),
        (8, &["eight", "acht"]),
        (9, &["nine", "neun"]),
    ];
    WORDS.iter().find(|(_, words)| words.contains(&word)).map(|(value, _)| *value)
}

/// True for a cell such as "3 (0.7%)", or a share that some people in the same text have: "of 812 patients 0.37%".
fn percents_of_few(text: &str, small: &Range<u64>) -> bool {
    if !text.contains('%') {
        return false;
    }
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || "()[]{};=".contains(c)).filter(|word| !word.is_empty()).collect();
    let percent = |word: &str| {
        let number = word.trim_end_matches(['.', ',']).strip_suffix('%')?;
        number.replace(',', ".").parse::<f64>().ok()
    };
    let count = |word: &str| word.trim_end_matches(['.', ',', ':']).parse::<u64>().ok();
    let percents = || words.iter().filter_map(|word| percent(word));
    words
        .windows(2)
        .any(|pair| count(pair[0]).is_some_and(|count| small.contains(&count)) && percent(pair[1]).is_some())
        || words
            .iter()
            .filter_map(|word| count(word))
            .filter(|all| *all >= small.end)
            .any(|all| percents().any(|percent| percent > 0.0 && percent * all as f64 / 100.0 < small.end as f64 - 0.5))
}

/// True for a share that says how many it is of, as in "33 % (1/3)"; not for the steps of a program, as in "epoch 3/25".
fn shares_of_few(text: &str, small: &Range<u64>) -> bool {
    const STEPS: [&str; 12] =
        ["epoch", "fold", "step", "batch", "iteration", "iter", "round", "run", "page", "part", "station", "stop"];
    let is_edge = |c: char| c.is_whitespace() || "()[]{},;:=".contains(c);
    let words: Vec<&str> = text.split(is_edge).filter(|word| !word.is_empty()).collect();
    words.iter().enumerate().any(|(at, word)| {
        let follows_step = at > 0 && STEPS.contains(&words[at - 1].to_lowercase().as_str());
        let share = word.trim_end_matches(['.', '!', '?']).split_once('/');
        let share = share.and_then(|(part, all)| Some((part.parse::<u64>().ok()?, all.parse::<u64>().ok()?)));
        !follows_step
            && share
                .is_some_and(|(part, all)| part <= all && all > 0 && (small.contains(&part) || small.contains(&all)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_people_are_told_in_words() {
        for text in ["3 patients were excluded", "n = 4", "(N=9)", "5 female patients", "33.3% (1/3);", "in 2/40."] {
            assert!(counts_few_people(text, &(1..10)), "{text}");
        }
        for text in
            ["30 patients", "n = 40", "model 3", "F1 of 0.9 in 120 cases", "Epoch 3/25", "30/40", "mg/l", "3/5/2024"]
        {
            assert!(!counts_few_people(text, &(1..10)), "{text}");
        }
    }
}
