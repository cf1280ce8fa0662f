use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use crate::error::Result;
use crate::stage::{RejectRequest, reject};
use crate::store::{Context, Reference};

/// Erase the results of a run that may not leave; the train stays as it came.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci reject ./train-layout
  pht-oci reject oci:work:latest --results ./results")]
pub(super) struct Reject {
    /// The opened train
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// The directory with the results, if they are not in the image: it is erased, too
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
}

impl Reject {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let mut request = RejectRequest::new(&self.source);
        request.results = self.results.as_deref();
        output.report(&reject(&request, context)?)
    }
}
