use std::path::{Path, PathBuf};

use clap::Args;

use super::on_terminal::ensure_no_terminal;
use super::output::Output;
use super::policy::PolicyOptions;
use super::secrets::{KeyOptions, load_paillier_secret};
use crate::error::Result;
use crate::stage::{ResultsRequest, ResultsTo, results};
use crate::store::{Context, Reference};

/// Decrypt the results for the creator of the train.
///
/// Nothing is written until all checks have passed. With `--out -` the report goes to standard error.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci results ./train-layout --private-key creator.pem --out ./results
  pht-oci results ./train-layout --private-key creator.pem --out results.tar
  pht-oci results download.tar --private-key creator.pem \\
    --paillier-key paillier.json --out ./results
  pht-oci results ./train-layout --private-key creator.pem --out - \\
    | tar xO pht_results/summary.csv")]
pub(super) struct Results {
    /// The train, or the archive of its results that the central service gives to its creator
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    policy: PolicyOptions,
    /// A new directory, or a tar archive: a new FILE.tar, or `-` for standard output
    #[arg(long, value_name = "DIR|FILE.tar|-")]
    out: PathBuf,
    /// The creator's Paillier private key, JSON with `lambda` and `mu`: of files with `.he.json` in their name every
    /// string and every integer of 16 digits or more is replaced by its plaintext, a number; the public key is the
    /// train's
    #[arg(long, value_name = "FILE")]
    paillier_key: Option<PathBuf>,
}

impl Results {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let key = self.key.load()?;
        let paillier = self.paillier_key.as_deref().map(load_paillier_secret).transpose()?;
        let demands = self.policy.load()?;
        let policy = demands.policy();
        let mut stdout = std::io::stdout().lock();
        let to = match &*self.out {
            out if out == Path::new("-") => {
                ensure_no_terminal(&stdout)?;
                output.step_aside();
                ResultsTo::Stream(&mut stdout)
            }
            out if is_archive(out) => ResultsTo::Archive(out),
            out => ResultsTo::Directory(out),
        };
        let request = ResultsRequest { source: &self.source, key: &key, to, paillier: paillier.as_ref(), policy };
        let report = results(request, context)?;
        drop(stdout);
        output.report(&report)
    }
}

/// True if the name asks for an archive; an existing directory is one whatever its name.
fn is_archive(out: &Path) -> bool {
    out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tar")) && !out.is_dir()
}
