//! What `doctor` has found, and how it is shown.

use super::advice::words;
use super::color::Style;
use super::output::Output;
use super::repeated::Repeated;
use crate::error::{Error, Kind, Result};
use crate::json::{Value, json};
use crate::text::{Printable, counted};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Warning,
    Fault(Kind),
}

/// What was found of one thing.
struct Finding {
    id: &'static str,
    verdict: Verdict,
    what: String,
    advice: Option<String>,
}

/// What was looked at, and what was found.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn good(&mut self, id: &'static str, what: impl Into<String>) {
        self.0.push(Finding { id, verdict: Verdict::Good, what: what.into(), advice: None });
    }

    pub(super) fn warning(&mut self, id: &'static str, what: impl Into<String>, advice: &str) {
        let advice = Some(advice.to_owned());
        self.0.push(Finding { id, verdict: Verdict::Warning, what: what.into(), advice });
    }

    pub(super) fn fault(&mut self, id: &'static str, error: &Error) {
        let advice = error.advice().map(|advice| words(advice, &Repeated::default()));
        self.0.push(Finding { id, verdict: Verdict::Fault(error.kind()), what: error.to_string(), advice });
    }

    /// The value, or its fault.
    pub(super) fn found<T>(&mut self, id: &'static str, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.fault(id, &error)).ok()
    }

    /// True if one begins with these words.
    pub(super) fn mention(&self, words: &str) -> bool {
        self.0.iter().any(|finding| finding.what.starts_with(words))
    }

    /// The error where something is wrong: with what, and what to do about the first of it.
    pub(super) fn enforce(&self) -> Result<()> {
        let is_fault = |finding: &&Finding| matches!(finding.verdict, Verdict::Fault(_));
        let Some(first) = self.0.iter().find(is_fault) else { return Ok(()) };
        let kind = match first.verdict {
            Verdict::Fault(kind) => kind,
            _ => Kind::Usage,
        };
        let mut ids: Vec<&str> = self.0.iter().filter(is_fault).map(|finding| finding.id).collect();
        let faults = counted(ids.len() as u64, "fault");
        ids.dedup();
        let error = Error::new(kind, format!("not ready for a train: {faults} ({})", ids.join(", ")));
        Err(match &first.advice {
            Some(advice) => error.hint(advice.clone()),
            None => error,
        })
    }

    fn count(&self, of: impl Fn(Verdict) -> bool) -> u64 {
        self.0.iter().filter(|finding| of(finding.verdict)).count() as u64
    }
}

pub(super) fn to_text(output: &Output, found: &Findings) -> String {
    let color = output.color();
    let mut text = String::new();
    for finding in &found.0 {
        let (mark, style) = match finding.verdict {
            Verdict::Good => ("ok     ", Style::Good),
            Verdict::Warning => ("warning", Style::Doubtful),
            Verdict::Fault(_) => ("FAULT  ", Style::Bad),
        };
        text += &format!("  {} {:10} {}\n", color.style(style, mark), finding.id, Printable::new(&finding.what));
        if let Some(advice) = &finding.advice {
            advice.lines().for_each(|line| text += &format!("                     {}\n", Printable::new(line)));
        }
    }
    let faults = found.count(|verdict| matches!(verdict, Verdict::Fault(_)));
    let warnings = found.count(|verdict| verdict == Verdict::Warning);
    text + &match (faults, warnings) {
        (0, 0) => "ready\n".to_owned(),
        (0, warnings) => format!("ready, with {}\n", counted(warnings, "warning")),
        (faults, _) => format!("NOT ready: {}\n", counted(faults, "fault")),
    }
}

pub(super) fn to_json(found: &Findings) -> Value {
    let findings = found.0.iter().map(|finding| {
        let verdict = match finding.verdict {
            Verdict::Good => "ok",
            Verdict::Warning => "warning",
            Verdict::Fault(_) => "fault",
        };
        json!({ "id": finding.id, "verdict": verdict, "what": finding.what, "advice": finding.advice })
    });
    let ready = found.count(|verdict| matches!(verdict, Verdict::Fault(_))) == 0;
    json!({ "ready": ready, "findings": findings.collect::<Vec<_>>() })
}
