use std::path::PathBuf;

use clap::Args;

use super::damage_page::damage_page;
use super::journal::pinned_stations;
use super::output::Output;
use super::page::write;
use super::policy::PolicyOptions;
use super::release_options::load_reviewers;
use super::report_json::{damage_json, report_json};
use super::report_page::write_page;
use super::report_text::{damage_text, report_text};
use super::secrets::load_any_key;
use super::told::{Damage, Told};
use crate::crypto::PublicKey;
use crate::error::{Error, Kind, Result};
use crate::image::rfc3339;
use crate::stage::{JourneyRequest, VerificationPolicy, journey, verify};
use crate::store::{Context, Reference};
use crate::text::Printable;

/// Tell the journey of a train to an auditor: who signed what, what ran, what left, and whether the journals agree.
///
/// Each journal is verified first, and one that does not hold is not used. Journals of several stations are put together by
/// stop. If the train or a journal is broken, or they contradict each other, the exit status is 3. No private key is needed,
/// and no network, but for an image in a registry.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci report train.tar --journal a.intoto.jsonl --journal b.intoto.jsonl \\
    --html report.html
  pht-oci report train.tar --trust ./pinned-keys --format json")]
pub(super) struct Report {
    /// The train
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// A journal that a station has handed on, with FILE.head beside it; repeat for more
    #[arg(long, value_name = "FILE")]
    journal: Vec<PathBuf>,
    /// Another key of a station, for lines of its journal about other trains; repeat for more
    #[arg(long = "key", value_name = "PEM")]
    keys: Vec<PathBuf>,
    /// Write a page for a person: one file, which loads nothing and runs nothing
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Read every layer to its end, those of the base, too, which their digests alone bind otherwise
    #[arg(long)]
    all_layers: bool,
    #[command(flatten)]
    policy: PolicyOptions,
}

impl Report {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let demands = self.policy.load()?;
        let mut keys: Vec<PublicKey> = self.keys.iter().map(|path| load_any_key(path)).collect::<Result<_>>()?;
        keys.extend(self.policy.trust_dir().map(pinned_stations).transpose()?.unwrap_or_default());
        let mut request = JourneyRequest::new(&self.source);
        let policy = VerificationPolicy { all_layers: self.all_layers, ..demands.policy() };
        (request.policy, request.journals, request.keys) = (policy, &self.journal, &keys);
        let reviewers = load_reviewers(self.policy.trust_dir())?;
        request.reviewers = self.policy.trust_dir().map(|_| &reviewers);
        let found = match journey(&request, context) {
            Ok(found) => found,
            Err(fault) => return self.report_damage(fault, policy, context, output),
        };
        let told = Told { journey: &found, reviewers: &reviewers, strict: policy.strict };
        let time = rfc3339(context.now)?;
        if let Some(file) = &self.html {
            write_page(&told, file, context)?;
        }
        output.value(&(report_text(output.color(), &told, &time) + &self.page_line()), &report_json(&told, &time))?;
        found.enforce(request.policy)
    }

    /// What can be said of a train that is damaged, as a document all the same: the checks that could be made. An older page
    /// would say that all was well.
    fn report_damage(
        &self,
        fault: Error,
        policy: VerificationPolicy<'_>,
        context: &Context,
        output: &mut Output,
    ) -> Result<()> {
        if !matches!(fault.kind(), Kind::Malformed | Kind::Verification) {
            return Err(fault);
        }
        let found = verify(&self.source, policy, context).ok();
        let (source, time) = (self.source.to_string(), rfc3339(context.now)?);
        let damage = Damage { source: &source, fault: &fault, found: found.as_ref() };
        if let Some(file) = &self.html {
            write(file, &damage_page(&damage, &time))?;
        }
        let text = damage_text(output.color(), &damage) + &self.page_line();
        output.value(&text, &damage_json(&damage, &time))?;
        Err(fault)
    }

    /// Where the page is, if one was wanted.
    fn page_line(&self) -> String {
        let told = |file: &PathBuf| format!("  the page is in {}\n", Printable::new(&file.display().to_string()));
        self.html.as_ref().map(told).unwrap_or_default()
    }
}
