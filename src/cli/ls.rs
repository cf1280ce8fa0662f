use clap::Args;

use super::output::Output;
use crate::error::{Error, Result};
use crate::json::json;
use crate::store::{Context, Listed, Reference, open_source};
use crate::text::Printable;

/// List the images of a layout, an archive or a repository by their tags.
///
/// Nothing is read of the images themselves. An image without a tag is listed as @N, its place in the list, by which it can
/// be named; the only image of a place needs no name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci ls ./train-layout
  pht-oci ls docker://harbor.example/trains/survival --format json")]
pub(super) struct Ls {
    /// The layout, archive, directory or repository, without a tag
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
}

impl Ls {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        if self.source.is_selective() {
            let what = "one image is named, and ls lists all that are there";
            return Err(Error::usage(what)
                .hint("leave out the tag, or see the image by pht-oci inspect")
                .at(&self.source));
        }
        let images = open_source(&self.source, context)?.list_all()?;
        let name = |(place, image): (usize, &Listed)| match &image.tag {
            Some(tag) => Printable::new(tag).to_string(),
            None if images.len() == 1 => "-".to_owned(),
            None => format!("@{place}"),
        };
        let names: Vec<String> = images.iter().enumerate().map(name).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        // Without a heading, for those who read it line by line.
        let line = |(name, image): (&String, &Listed)| match &image.digest {
            Some(digest) => format!("{name:width$}  {digest}\n"),
            None => format!("{name}\n"),
        };
        let text: String = names.iter().zip(&images).map(line).collect();
        let json = images.iter().enumerate().map(|(place, image)| {
            json!({
                "place": place,
                "tag": image.tag,
                "digest": image.digest.as_ref().map(ToString::to_string),
            })
        });
        let json = json!({ "source": self.source.without_tag(), "images": json.collect::<Vec<_>>() });
        output.result(&text, &json)
    }
}
