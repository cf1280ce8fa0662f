use std::path::PathBuf;

use clap::Args;

use super::journal::JournalOptions;
use super::output::Output;
use super::secrets::KeyOptions;
use crate::error::Result;
use crate::json::json;
use crate::stage::{Act, RejectRequest, StageRequest, Station, reject};
use crate::store::{Context, Reference};

/// Erase the results of a run that may not leave; the train stays as it came.
///
/// With a journal, which takes the station's private key, the rejection and its reason are recorded.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci reject ./train-layout
  pht-oci reject oci:work:latest --results ./results \\
    --reason 'rows of single patients'")]
pub(super) struct Reject {
    /// The opened train
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// The directory with the results, if they are not in the image: it is erased, too
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The station's id [default: the stop with this key]
    #[arg(long, value_name = "ID", env = "STATION_ID")]
    station: Option<String>,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    journal: JournalOptions,
}

impl Reject {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let mut request = RejectRequest::new(&self.source);
        request.results = self.results.as_deref();
        if !self.journal.is_wanted() {
            if self.reason.is_some() {
                output.warn("the reason is recorded nowhere: there is no journal");
            }
            return output.report(&reject(&request, context)?);
        }
        let key = self.key.load().map_err(|error| error.at("the journal"))?;
        let station = Station { id: self.station.as_deref(), key: &key };
        let stage = StageRequest { results: self.results.as_deref(), ..StageRequest::new(&self.source, station) };
        let details = self.reason.iter().map(|reason| ("reason".to_owned(), json!(reason))).collect();
        let report = self.journal.recorded(&stage, Act::Reject, details, context, || reject(&request, context))?;
        output.report(&report)
    }
}
