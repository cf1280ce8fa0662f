use super::document::Image;
use crate::error::{Error, ErrorContext, Result};
use crate::store::tag::{ENCRYPTED_SUFFIX, LATEST};
use crate::store::{Context, ImageEntry, Reference, open_source, tagged};
use crate::text::Printable;

/// Opens the image that a reference names.
pub fn open_image(reference: &Reference, context: &Context) -> Result<Image> {
    let source = open_source(reference, context)?;
    let listed = choose(&source.list()?, reference.tag()).at(source.name())?;
    let image = Image::open(source, listed, context.platform.as_ref())?;
    Ok(image.with_max_files(context.max_files))
}

/// The image with the tag; without a tag the only image there, or `latest`.
fn choose(there: &[ImageEntry], tag: Option<&str>) -> Result<ImageEntry> {
    let shown = |listed: &ImageEntry| Printable::new(listed.tag.as_deref().unwrap_or("(no tag)")).to_string();
    let tags = || there.iter().map(shown).collect::<Vec<_>>().join(", ");
    if there.is_empty() {
        return Err(Error::malformed("there is no image here"));
    }
    let tagged = |wanted: &str| tagged(there, wanted).cloned();
    if let Some(tag) = tag {
        return tagged(tag).ok_or_else(|| {
            Error::usage(format!("no image has the tag `{}`", Printable::new(tag)))
                .hint(format!("there are: {}", tags()))
        });
    }
    let has_original = |listed: &&ImageEntry| {
        let original = listed.tag.as_deref().and_then(|tag| tag.strip_suffix(ENCRYPTED_SUFFIX));
        original.is_none_or(|original| tagged(original).is_none())
    };
    // What pre-run in place has put aside is no choice of its own.
    match there.iter().filter(has_original).collect::<Vec<_>>()[..] {
        [only] => Ok(only.clone()),
        _ => tagged(LATEST).ok_or_else(|| {
            let hint = format!("give a tag; there are: {}", tags());
            Error::usage("several images and no tag given").hint(hint)
        }),
    }
}
