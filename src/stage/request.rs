use std::path::Path;

use super::Station;
use crate::image::Reference;

/// What a station asks a stage to do.
pub struct StageRequest<'a> {
    /// The train: for pre-run as it arrived, for post-run the image after the run.
    pub source: &'a Reference,
    /// Where to publish it; in place if absent.
    pub destination: Option<&'a Reference>,
    /// The train as built, if it cannot be told otherwise.
    pub base: Option<&'a Reference>,
    /// Who acts.
    pub station: Station<'a>,
    /// A directory for the plaintext results, instead of the image. Pre-run makes it: it must not exist, or be empty.
    pub results: Option<&'a Path>,
    /// At pre-run of the first station: carry results along that are there already, though nobody vouches for them.
    pub keep_initial_results: bool,
}

impl<'a> StageRequest<'a> {
    /// In place, and nothing unusual.
    pub fn new(source: &'a Reference, station: Station<'a>) -> Self {
        StageRequest { source, destination: None, base: None, station, results: None, keep_initial_results: false }
    }
}
