use clap::Args;

use super::output::Output;
use crate::error::Result;
use crate::image::Difference;
use crate::json::{Value, json};
use crate::stage::{Master, Method, ValidateRequest, Validation, ensure_all_layers, validate};
use crate::store::{Context, Reference};
use crate::text::Printable;

/// The number of differences that the text names.
const NAMED: usize = 20;

/// Check that a train differs from its master image only in its own files.
///
/// These are /opt/pht_train, /opt/pht_results, /opt/train_config.json and /opt/user_sym_key.key; command, labels,
/// history and layers may differ, too. Where digests agree, no layer of the master image is read; else files are
/// compared one by one. If there is a difference, the exit status is 3.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci validate ./train-layout --master oci:./master
  pht-oci validate docker://registry.example/incoming/train \\
    --master docker://registry.example/master/python:3.12")]
pub(super) struct Validate {
    /// The train
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// Its master image, or `scratch` for the empty image [default: the registry image that the train names]
    #[arg(long, value_name = "REF")]
    master: Option<String>,
    /// Read every layer of both images to its end: where digests agree, they alone bind it otherwise
    #[arg(long)]
    all_layers: bool,
}

impl Validate {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let given = self.master.as_deref().filter(|master| *master != "scratch");
        let reference = given.map(Reference::locate).transpose()?;
        let master = match (&reference, &self.master) {
            (Some(reference), _) => Master::Image(reference),
            (None, Some(_)) => Master::Scratch,
            (None, None) => Master::Named,
        };
        let found = validate(&ValidateRequest { source: &self.source, master }, context)?;
        let found = if self.all_layers { self.read_all(found, reference.as_ref(), context)? } else { found };
        output.value(&to_text(&found), &to_json(&found))?;
        found.require_ok()
    }

    /// Reads what was not read for the comparison.
    fn read_all(&self, found: Validation, master: Option<&Reference>, context: &Context) -> Result<Validation> {
        ensure_all_layers(&self.source, context)?;
        master.map_or(Ok(()), |master| ensure_all_layers(master, context))?;
        Ok(Validation { unread_layers: 0, ..found })
    }
}

fn to_text(found: &Validation) -> String {
    let mut text = format!("validate of {} (wire {})\n  {}\n", Printable::new(&found.source), found.wire, found.digest);
    let digest = found.master_digest.as_deref().unwrap_or("the empty image");
    text += &format!("  master image {}\n  {digest}\n", Printable::new(&found.master));
    text += &match found.method {
        Method::Layers => {
            let unread = match found.unread_layers {
                0 => String::new(),
                unread => format!("; {unread} of them not read, but known by their digests (--all-layers reads all)"),
            };
            format!("  layers: the lowest {} of {} are the master image's{unread}\n", found.common_layers, found.layers)
        }
        Method::Files => format!("  layers: {} in common; compared file by file\n", found.common_layers),
    };
    found.differences.iter().take(NAMED).for_each(|difference| text += &difference_text(difference));
    if found.differences.len() > NAMED {
        text += &format!("  and {} more (--format json has all)\n", found.differences.len() - NAMED);
    }
    found.warnings.iter().for_each(|warning| text += &format!("  warning: {}\n", Printable::new(warning)));
    text + match found.differences.len() {
        0 => "  the train differs from the master image only in its own files\n",
        _ => "  the train DIFFERS from the master image outside its own files\n",
    }
}

fn difference_text(difference: &Difference) -> String {
    let attributes =
        difference.attributes.iter().map(|attribute| match (attribute.before.as_str(), attribute.after.as_str()) {
            ("", "") => attribute.name.to_owned(),
            (before, after) => format!("{} {} -> {}", attribute.name, or_nothing(before), or_nothing(after)),
        });
    let attributes: Vec<String> = attributes.collect();
    let attributes = if attributes.is_empty() { String::new() } else { format!(" ({})", attributes.join("; ")) };
    let about = format!("{}{attributes}", difference.subject);
    format!("  {:8} {}\n", difference.change.name(), Printable::new(&about))
}

/// A person is not helped by digests.
fn or_nothing(text: &str) -> &str {
    let text = text.split_once(", sha256:").map_or(text, |(text, _)| text);
    if text.is_empty() { "nothing" } else { text }
}

fn to_json(found: &Validation) -> Value {
    let differences = found.differences.iter().map(|difference| {
        let attribute = |attribute: &crate::image::Attribute| {
            json!({ "name": attribute.name, "before": attribute.before, "after": attribute.after })
        };
        json!({
            "area": difference.area.name(),
            "subject": difference.subject,
            "change": difference.change.name(),
            "aspects": difference.attributes.iter().map(attribute).collect::<Vec<_>>(),
        })
    });
    json!({
        "source": found.source,
        "digest": found.digest,
        "wire": found.wire,
        "master": { "source": found.master, "digest": found.master_digest },
        "valid": found.is_valid(),
        "means": found.method.name(),
        "layers": found.layers,
        "common_layers": found.common_layers,
        "unread_layers": found.unread_layers,
        "differences": differences.collect::<Vec<_>>(),
        "read": found.read,
        "warnings": found.warnings,
    })
}
