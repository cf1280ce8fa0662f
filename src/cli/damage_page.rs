//! The page about a train that is too damaged to tell its journey.

use maud::html;

use super::page::{page, sentence, shown};
use super::report_page::check_table;
use crate::stage::Verification;

/// What is left to say: which checks there were, and what is wrong.
pub(super) fn damage_page(found: &Verification, time: &str) -> String {
    let title = match &found.id {
        Some(id) => format!("Damaged train {}", shown(id)),
        None => "Damaged train".to_owned(),
    };
    let header = html! {
        h1 { (title) }
        p.verdict.stop role="status" { (sentence("the train is damaged, and its journey cannot be told")) }
    };
    let fault = found.fault.as_ref().map(ToString::to_string).unwrap_or_default();
    let main = html! {
        dl {
            dt { "Image" } dd { (shown(&found.source)) }
            dt { "Image digest" } dd { code { (found.digest) } }
            dt { "What is wrong" } dd { (shown(&fault)) }
            dt { "Report made" } dd { (time) }
        }
        h2 #checks { "Checks of the train" }
        (check_table(&found.checks))
        h2 #limits { "What this page cannot say" }
        p { "What a damaged layer held is not known: who has signed, and what left, is told by an undamaged copy of the train." }
    };
    page(&title, &header, &main)
}
