//! The page about a train that is too damaged to tell its journey.

use maud::html;

use super::page::{page, sentence, shown};
use super::report_page::check_table;
use super::told::Damage;

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
        @if let Some(found) = damage.found { (check_table(&found.checks)) }
        @if damage.found.is_none_or(|found| found.digest.is_none()) { p { "Other checks: None could be made." } }
        h2 #limits { "What this page cannot say" }
        p { "What was damaged is not known, and no journal was read: who has signed, and what left, is told by an undamaged copy of the train." }
    };
    page(&title, &header, &main)
}
