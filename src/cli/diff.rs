use std::collections::BTreeMap;

use clap::Args;

use super::color::Style;
use super::documents::inspection_json;
use super::output::Output;
use super::text::printable;
use crate::error::Result;
use crate::json::{Value, json};
use crate::stage::inspect;
use crate::store::{Context, Reference};

/// Compare what two trains say of themselves: parties, route, signatures, files, layers, how they run.
///
/// It is what `inspect` shows of both, and nothing is verified. What differs is listed; the exit status is 0 either way.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci diff oci:./inbox:latest oci:./outbox:latest
  pht-oci diff ./before.tar ./after.tar --format json")]
pub(super) struct Diff {
    /// The train before
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    before: Reference,
    /// The train after
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    after: Reference,
}

impl Diff {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let (before, after) = (inspect(&self.before, context)?, inspect(&self.after, context)?);
        let (left, right) = (facts(&inspection_json(&before)), facts(&inspection_json(&after)));
        let differences = differences(&left, &right);

        let color = output.color();
        let mut text = format!("- {}\n+ {}\n", printable(&before.source), printable(&after.source));
        for (subject, values) in &differences {
            text += &format!("\n{}\n", color.style(Style::Heading, &printable(subject)));
            for (mark, value, style) in [('-', values[0], Style::Bad), ('+', values[1], Style::Good)] {
                let line = value.map(|value| color.style(style, &format!("{mark} {}", shown(value))));
                text.extend(line.map(|line| format!("  {line}\n")));
            }
        }
        if differences.is_empty() {
            text += "\nno difference\n";
        }
        let json = differences
            .iter()
            .map(|(subject, [before, after])| json!({ "subject": subject, "before": before, "after": after }));
        let json = json!({ "before": before.source, "after": after.source, "differences": json.collect::<Vec<_>>() });
        output.result(&text, &json)
    }
}

/// The members of a document that have no members themselves, by their paths.
type Facts = BTreeMap<String, Value>;

fn facts(document: &Value) -> Facts {
    let mut facts = Facts::new();
    collect("", document, &mut facts);
    facts
}

/// Collects what is below a path; of lists of objects by the name that each has, as in `route[hospital_a].signed`.
fn collect(path: &str, value: &Value, facts: &mut Facts) {
    let named = |item: &Value| ["path", "station"].iter().find_map(|name| item.get(name)?.as_str().map(str::to_owned));
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(&below, member, facts);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (at, item) in items.iter().enumerate() {
                collect(&format!("{path}[{}]", named(item).unwrap_or_else(|| at.to_string())), item, facts);
            }
        }
        fact => drop(facts.insert(path.to_owned(), fact.clone())),
    }
}

/// What is not in both, or not the same, by its path. Where a train was found is no property of it.
fn differences<'a>(before: &'a Facts, after: &'a Facts) -> BTreeMap<&'a str, [Option<&'a Value>; 2]> {
    let paths = before.keys().chain(after.keys()).map(String::as_str).filter(|path| *path != "source");
    let pairs = paths.map(|path| (path, [before.get(path), after.get(path)]));
    pairs.filter(|(_, [before, after])| before != after).collect()
}

/// A member as a person reads it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Null => "none".to_owned(),
        other => printable(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_and_files_are_compared_by_their_names() {
        let one = json!({ "source": "a", "route": [{ "station": "x", "signed": false }, { "station": "y", "signed": false }] });
        let other = json!({ "source": "b", "route": [{ "station": "x", "signed": true }] });
        let (one, other) = (facts(&one), facts(&other));
        let found = differences(&one, &other);
        let names: Vec<&str> = found.keys().copied().collect();
        assert_eq!(names, ["route[x].signed", "route[y].signed", "route[y].station"]);
        assert_eq!(found["route[x].signed"], [Some(&json!(false)), Some(&json!(true))]);
        assert_eq!(found["route[y].signed"], [Some(&json!(false)), None]);
        assert!(differences(&one, &one).is_empty());
    }
}
