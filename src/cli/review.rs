use std::path::{Path, PathBuf};

use clap::Args;

use super::output::Output;
use super::release_options::RuleOptions;
use super::review_page::write_page;
use super::review_text::{review_json, review_text};
use super::secrets::KeyOptions;
use crate::crypto::PrivateKey;
use crate::error::{Error, Result};
use crate::review::{Review, Severity};
use crate::stage::{Before, ReviewRequest, Reviewed, parts_of_kept, review_results, review_train};
use crate::store::{Context, Reference};
use crate::text::counted;

/// Look at the results of a train before they leave: what is in them, and what the station's rules say.
///
/// That nothing is found does not say that results are safe: `pht-oci help review` says what each check cannot find. If
/// anything is found the exit status is 7: a person has to decide.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci review oci:work:latest --html review.html
  pht-oci review oci:work:latest --results ./results --against /srv/data
  pht-oci review ./results --format json")]
pub(super) struct ReviewCommand {
    /// Write a page for a person: one file, which loads nothing and runs nothing
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    subject: ReviewOptions,
}

/// What is reviewed.
#[derive(Debug, Args)]
pub(super) struct ReviewOptions {
    /// The opened train after its run, or a directory of results
    #[arg(value_name = "SRC|DIR")]
    pub(super) source: PathBuf,
    /// The directory with the results, if they are not in the image
    #[arg(long, value_name = "DIR")]
    pub(super) results: Option<PathBuf>,
    /// The station's data: what stands in them verbatim is found in the results
    #[arg(long, value_name = "DIR")]
    against: Vec<PathBuf>,
    /// The train as it came, encrypted, to tell what is new in a directory of results; takes the station's private key
    #[arg(long, value_name = "REF", value_parser = Reference::locate)]
    before: Option<Reference>,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    rules: RuleOptions,
}

impl ReviewOptions {
    /// The image, unless it is a directory of files.
    pub(super) fn image(&self) -> Result<Option<Reference>> {
        // Results may have one of these names, too.
        let has = |dir: &Path, names: [&str; 2]| names.iter().all(|name| dir.join(name).is_file());
        let is_image = |dir: &Path| has(dir, ["index.json", "oci-layout"]) || has(dir, ["manifest.json", "version"]);
        if self.source.is_dir() && !is_image(&self.source) {
            let (opened, results) = parts_of_kept(&self.source);
            if is_image(&opened) && results.is_dir() {
                let hint = format!("name {}, and the results with --results {}", opened.display(), results.display());
                return Err(Error::usage("the directory of a run that is held").hint(hint).at(self.source.display()));
            }
            return Ok(None);
        }
        let text =
            self.source.to_str().ok_or_else(|| Error::usage("not a name of an image").at(self.source.display()))?;
        Reference::locate(text).map(Some)
    }

    /// The key of the station, where it is needed.
    pub(super) fn station_key(&self) -> Result<Option<PrivateKey>> {
        self.before.as_ref().map(|_| self.key.load()).transpose()
    }

    /// Calls `then` with the request.
    pub(super) fn with<T>(
        &self,
        image: &Reference,
        key: Option<&PrivateKey>,
        then: impl FnOnce(&ReviewRequest<'_>) -> Result<T>,
    ) -> Result<T> {
        let against: Vec<&Path> = self.against.iter().map(PathBuf::as_path).collect();
        let policy = self.rules.policy(false);
        let before = self.before.as_ref().zip(key).map(|(source, key)| Before { source, key });
        let mut request = ReviewRequest::new(image, &policy);
        (request.results, request.against, request.before) = (self.results.as_deref(), &against, before);
        then(&request)
    }

    fn review(&self, context: &Context) -> Result<Reviewed> {
        match self.image()? {
            Some(image) => {
                let key = self.station_key()?;
                self.with(&image, key.as_ref(), |request| review_train(request, context))
            }
            None => {
                let against: Vec<&Path> = self.against.iter().map(PathBuf::as_path).collect();
                review_results(&self.source, &against, &self.rules.policy(false), context)
            }
        }
    }
}

impl ReviewCommand {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let reviewed = self.subject.review(context)?;
        if let Some(file) = &self.html {
            write_page(&reviewed, file, context)?;
        }
        output.value(&review_text(output.color(), &reviewed), &review_json(&reviewed))?;
        enforce(&reviewed.review)
    }
}

/// Whether a person has to decide.
pub(super) fn enforce(review: &Review) -> Result<()> {
    let count = |severity| review.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let what = match review.verdict() {
        Severity::Pass => return Ok(()),
        Severity::Look => format!("a person has to look at {}", counted(count(Severity::Look), "finding")),
        Severity::Stop => format!("{} against the rules of the station", counted(count(Severity::Stop), "finding")),
    };
    Err(Error::decision(what).hint(
        "approve the results with pht-oci approve, each finding that stops by --accept 'FINDING=REASON', or reject them with \
         pht-oci reject",
    ))
}
