use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use super::review::ReviewOptions;
use super::secrets::{load_private_key, read_passphrase};
use crate::crypto::PublicKey;
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::json::json;
use crate::review::Accepted;
use crate::stage::{ApproveRequest, approve, read_reviewers};
use crate::store::fs::StagedFile;
use crate::store::{Audience, Context};
use crate::text::{Printable, counted};

/// Sign, as a reviewer, that exactly these results may leave.
///
/// The approval binds the train, the stop, every file with path, kind, mode and content, and the station's rules. Findings
/// that stop have to be accepted by name, each with a reason. `post-run --approval` and `release` let nothing else out.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci approve oci:work:latest --reviewer-key anna.pem \\
    --out anna.approval.json
  pht-oci approve oci:work:latest --results ./results \\
    --reviewer-key anna.pem --out anna.approval.json \\
    --accept 'model:model.pkl=12 coefficients, looked at with pickletools'")]
pub(super) struct Approve {
    /// The reviewer's private key; the public key has to be in reviewers/NAME.pem of the station's pinned keys
    #[arg(long, value_name = "PEM")]
    reviewer_key: PathBuf,
    /// File whose first line is the passphrase of the reviewer's key
    #[arg(long, value_name = "FILE")]
    reviewer_passphrase_file: Option<PathBuf>,
    /// Accept what a check has found in a file, with the reason
    #[arg(long, value_name = "CHECK:PATH=REASON", value_parser = accepted)]
    accept: Vec<Accepted>,
    /// What else is to be recorded
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// The file of the approval, which must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Pinned keys, among which the reviewer's has to be, in reviewers/NAME.pem
    #[arg(long, value_name = "DIR", env = "PHT_TRUST_DIR")]
    trust: Option<PathBuf>,
    #[command(flatten)]
    subject: ReviewOptions,
}

impl Approve {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let Some(image) = self.subject.image()? else {
            let hint = "name the opened train, and the directory with --results";
            return Err(Error::usage("a directory of results alone says of no train").hint(hint));
        };
        let passphrase = self.reviewer_passphrase_file.as_deref().map(read_passphrase).transpose()?;
        let key = load_private_key(&self.reviewer_key, passphrase.as_ref())?;
        self.ensure_is_reviewer(&key.public_key())?;
        let station = self.subject.station_key()?;
        let (reviewed, approval) = self.subject.with(&image, station.as_ref(), |review| {
            let mut request = ApproveRequest::new(*review, &key);
            (request.accepted, request.comment) = (&self.accept, self.comment.as_deref());
            approve(&request, context)
        })?;
        let document = [approval.to_json(&key.public_key()), b"\n".to_vec()].concat();
        let staged = StagedFile::new(&self.out, Audience::Anyone)?;
        let mut file = staged.filling()?;
        file.write_all(&document).doing("write the approval").at(self.out.display())?;
        staged.reveal(&file)?;
        let review = &reviewed.review;
        let (file, reviewer) = (self.out.display().to_string(), key.public_key().fingerprint());
        let files = counted(review.files.len() as u64, "file");
        let text = format!("approved: {files} ({})\n  by {reviewer}\n  {}\n", review.digest, Printable::new(&file));
        if self.trust.is_none() {
            output.warn("no keys are pinned here, with --trust: whether the station takes this reviewer is not known");
        }
        let accepted: Vec<&str> = self.accept.iter().map(|accepted| accepted.finding.as_str()).collect();
        let json = json!({ "approval": file, "results": review.digest, "reviewer": reviewer, "accepted": accepted });
        output.value(&text, &json)
    }

    /// An approval by anybody else would be refused later.
    fn ensure_is_reviewer(&self, key: &PublicKey) -> Result<()> {
        let Some(dir) = &self.trust else { return Ok(()) };
        match read_reviewers(dir)?.name_of(&key.fingerprint()) {
            Some(_) => Ok(()),
            None => Err(Error::new(Kind::Key, "not the key of a reviewer of this station")
                .hint(format!("have the public key pinned as {}/reviewers/NAME.pem", dir.display()))
                .at(self.reviewer_key.display())),
        }
    }
}

fn accepted(text: &str) -> Result<Accepted, String> {
    match text.split_once('=') {
        Some((finding, reason)) if finding.contains(':') && !reason.trim().is_empty() => {
            Ok(Accepted::new(finding, reason.trim()))
        }
        _ => Err("not of the form CHECK:PATH=REASON".to_owned()),
    }
}
