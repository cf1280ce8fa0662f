//! The page about a train that is too damaged to tell its journey.

use maud::html;

use super::page::{page, sentence, shown};
use super::report_page::check_table;
use crate::error::Error;
use crate::stage::Verification;

/// What is known of a damaged train.
pub(super) struct Damage<'a> {
    /// The image, as it was named.
    pub(super) source: &'a str,
    /// What is wrong.
    pub(super) fault: &'a Error,
    /// The checks, if some could be made.
    pub(super) found: Option<&'a Verification>,
}

/// What is left to say: what is wrong, and which checks there were.
pub(super) fn damage_page(damage: &Damage<'_>, time: &str) -> String {
    let id = damage.found.and_then(|found| found.id.as_deref());
    let title = id.map_or_else(|| "Damaged train".to_owned(), |id| format!("Damaged train {}", shown(id)));
    let header = html! {
        h1 { (title) }
        p.verdict.stop role="status" { (sentence("the train is damaged, and its journey cannot be told")) }
    };
    let main = html! {
        dl {
            dt { "Image" } dd { (shown(damage.source)) }
            @if let Some(digest) = damage.found.and_then(|found| found.digest.as_ref()) { dt { "Image digest" } dd { code { (digest) } } }
            dt { "What is wrong" } dd { (shown(&damage.fault.to_string())) }
            dt { "Report made" } dd { (time) }
        }
        h2 #checks { "Checks of the train" }
        @match damage.found {
            Some(found) => { (check_table(&found.checks)) }
            None => { p { "None could be made." } }
        }
        h2 #limits { "What this page cannot say" }
        p { "What was damaged is not known: who has signed, and what left, is told by an undamaged copy of the train." }
    };
    page(&title, &header, &main)
}
