//! What each check means, for people who know the train and not the protocol.

use super::color::Style;
use crate::train::{CheckId, Verdict};

/// What holds if the check does, as a sentence.
pub(super) fn meaning(id: CheckId) -> &'static str {
    match id {
        CheckId::MinWire => "The train is of no older version of the protocol than is asked for.",
        CheckId::ImmutableHash => "The train's files are those that the creator signed.",
        CheckId::ImmutableFiles => "The train has exactly the files that the creator signed.",
        CheckId::FileNames => "Names, modes and ends of the files are as the creator meant them.",
        CheckId::Statement => "What the train says of itself is what the creator signed.",
        CheckId::CreatorSignature => "The creator signed this train.",
        CheckId::SessionId => "The train has a session of its own.",
        CheckId::BuildDigest => "The builder signed this very build.",
        CheckId::BuildSignature => "The builder's signature holds.",
        CheckId::BuilderKey => "Somebody vouches for the builder's key.",
        CheckId::CreatorKey => "The creator's key is the one that you have pinned.",
        CheckId::StationKey => "The station's key is one that you have pinned, or the creator has named it.",
        CheckId::Trust => "There are pinned keys to compare with.",
        CheckId::PaillierKey => "The key for encrypted sums is large enough.",
        CheckId::ConfigAfterRun => "The run has not changed what the train says of itself.",
        CheckId::RouteOrder => "The stations signed in the order of the route.",
        CheckId::RouteBinding => "The route is the one that the creator meant.",
        CheckId::KeyRecipients => "The key of the files is for the stations and the creator alone.",
        CheckId::StopDigest => "What the station signed is this stop, after the stops before it.",
        CheckId::StopSignature => "The station's signature holds.",
        CheckId::LastDigest => "What the last station signed is this state of the train.",
        CheckId::OlderDigest => "What an earlier station signed is its state of the train.",
        CheckId::Base => "The base that the image names is the one that the creator signed.",
        CheckId::Payload => "The encrypted files are those that the last station signed.",
        CheckId::Control => "Nothing lies above the signed files but the train's own records.",
        CheckId::Layers => "The layers that were read have the digests that the image gives.",
        CheckId::FileIvs => "No two files are encrypted alike.",
        CheckId::Results => "The results decrypt without a fault.",
        CheckId::ResultHash => "The results are those that the last station signed.",
        CheckId::ResultSignature => "The last station's signature of the results holds.",
        CheckId::ImageConfig => "Command, environment and user are those that the creator signed.",
        CheckId::Recipients => "The last key is for those whom the last station names.",
        CheckId::Master => "The base is one of the master images that are accepted.",
        CheckId::Time => "No stop was signed before the one that it follows.",
    }
}

/// A verdict, as one says it.
pub(super) fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Sound => "holds",
        Verdict::Weak(_) => "not proved",
        Verdict::Unpinned(_) => "no pin",
        Verdict::Broken(_) => "broken",
    }
}

/// How it is shown; ordered from good to bad.
pub(super) fn style(verdict: &Verdict) -> Style {
    match verdict {
        Verdict::Sound => Style::Good,
        Verdict::Weak(_) => Style::Doubtful,
        Verdict::Unpinned(_) | Verdict::Broken(_) => Style::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page is what a person reads who wonders about a row of a report.
    #[test]
    fn the_manual_has_every_check_in_the_same_words() {
        let page = crate::manual::page("checks").expect("a page");
        let rows = page.text.lines().filter(|line| line.starts_with("| `"));
        let expected = CheckId::ALL.map(|id| format!("| `{id}` | {} |", meaning(id)));
        assert_eq!(rows.collect::<Vec<_>>(), expected);
    }
}
