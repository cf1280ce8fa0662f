use super::document::Image;
use crate::error::{Advice, Error, ErrorContext, Result};
use crate::store::tag::{ENCRYPTED_SUFFIX, LATEST};
use crate::store::{Context, ImageEntry, Platform, Reference, Source, open_source, tagged};
use crate::text::Printable;

/// The most images that a hint lists.
const MAX_LISTED: usize = 12;

/// Opens the image that a reference names.
pub fn open_image(reference: &Reference, context: &Context) -> Result<Image> {
    let source = open_source(reference, context)?;
    let platform = context.platform.as_ref();
    let listed = choose(&*source, reference, platform).at(source.name())?;
    Ok(Image::open(source, listed, platform)?.with_max_files(context.max_files))
}

/// The image that the reference names by position, digest or tag; without any of them the only image there, or `latest`.
fn choose(source: &dyn Source, reference: &Reference, platform: Option<&Platform>) -> Result<ImageEntry> {
    if let Some(place) = reference.place() {
        let absent = || Error::usage(format!("there is no image at place {place}, counted from 0"));
        return source.nth(place)?.ok_or_else(absent);
    }
    let there = source.list()?;
    if there.is_empty() {
        return Err(Error::malformed("there is no image here").hint("an image is put there by pht-oci copy SRC DEST"));
    }
    let absent = |what: String| Error::usage(what).hint(format!("there are: {}", shown(&there)));
    if let Some(digest) = reference.digest() {
        let found = there.iter().filter(|listed| listed.descriptor.digest() == digest);
        let mut found =
            found.filter(|listed| reference.tag().is_none_or(|tag| tagged(&[(*listed).clone()], tag).is_some()));
        let found = found.next().cloned();
        return found.ok_or_else(|| absent(format!("no image that is listed has the digest {digest}")));
    }
    if let Some(tag) = reference.tag() {
        let found = for_platform(&there, tag, platform)?;
        return found.ok_or_else(|| absent(format!("no image has the tag `{}`", Printable::new(tag))));
    }
    if let Some(only) = only_tag_or_image(&there) {
        return match &only.tag {
            Some(tag) => Ok(for_platform(&there, tag, platform)?.unwrap_or_else(|| only.clone())),
            None => Ok(only.clone()),
        };
    }
    for_platform(&there, LATEST, platform)?.ok_or_else(|| {
        let hint = format!("name one by :TAG, @DIGEST or :@N, counted from 0; there are: {}", shown(&there));
        Error::usage("several images and none of them named").hint(hint)
    })
}

/// The images there, by their tags or else their digests.
fn shown(there: &[ImageEntry]) -> String {
    let name = |listed: &ImageEntry| match &listed.tag {
        Some(tag) => Printable::new(tag).to_string(),
        None => format!("@{}", listed.descriptor.digest()),
    };
    let mut names: Vec<String> = there.iter().map(name).collect();
    names.dedup();
    let more = names.len().saturating_sub(MAX_LISTED);
    names.truncate(MAX_LISTED);
    names.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// One entry of what is there, if that is one image, whatever the number of its names, or one tag. What pre-run in place
/// has put aside is no choice of its own.
fn only_tag_or_image(there: &[ImageEntry]) -> Option<&ImageEntry> {
    let is_aside = |listed: &&ImageEntry| {
        let original = listed.tag.as_deref().and_then(|tag| tag.strip_suffix(ENCRYPTED_SUFFIX));
        original.is_some_and(|original| tagged(there, original).is_some())
    };
    let choices: Vec<&ImageEntry> = there.iter().filter(|listed| !is_aside(listed)).collect();
    let first = choices.first()?;
    let is_same = |other: &&ImageEntry| {
        other.descriptor.digest() == first.descriptor.digest() || first.tag.is_some() && other.tag == first.tag
    };
    if !choices.iter().all(is_same) {
        return None;
    }
    choices.iter().find(|listed| listed.tag.as_deref() == Some(LATEST)).or(choices.first()).copied()
}

/// The image with a tag; if there is one for each of several platforms, that for `platform` (default: this machine's).
fn for_platform(there: &[ImageEntry], tag: &str, platform: Option<&Platform>) -> Result<Option<ImageEntry>> {
    let Some(first) = tagged(there, tag) else { return Ok(None) };
    let all: Vec<&ImageEntry> = there.iter().filter(|listed| listed.tag == first.tag).collect();
    if let [only] = all[..] {
        return Ok(Some(only.clone()));
    }
    let wanted = platform.cloned().unwrap_or_else(Platform::here);
    let of = |listed: &&ImageEntry| Platform::of(&listed.descriptor);
    if let Some(found) = all.iter().find(|listed| of(listed).is_some_and(|found| wanted.accepts(&found))) {
        return Ok(Some((*found).clone()));
    }
    let available = all.iter().filter_map(of).map(|found| Printable::new(&found.to_string()).to_string()).collect();
    Err(Error::usage(format!("there is no image for {wanted}")).advise(Advice::ChoosePlatform { available }))
}
