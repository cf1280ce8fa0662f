use std::collections::HashMap;

use oci_spec::image::{Descriptor, Digest};

use super::descriptor::read_descriptor;
use super::destination::{TagChange, is_plain_annotation};
use super::media_type;
use super::platform::Platform;
use super::source::{IMAGE_NAME, ImageEntry, LEFT_OUT, REF_NAME, left_out};
use crate::error::{Error, ErrorContext, Result};
use crate::json::{self, Object, Value, json};
use crate::text::Printable;

/// `index.json`, kept whole: only the entries that a publication names are touched.
#[derive(Debug, Clone)]
pub(super) struct Index {
    document: Object,
}

impl Index {
    pub(super) fn empty() -> Self {
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type::INDEX,
            "manifests": [],
        });
        Index { document: document.as_object().cloned().unwrap_or_default() }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let document = json::parse_document(bytes, &json::INDEX)?;
        match document.get("manifests") {
            // Go writes null for an empty list.
            Some(Value::Array(_) | Value::Null) => Ok(Index { document }),
            _ => Err(Error::malformed("`manifests` is not a list")),
        }
    }

    /// The images. One that is listed twice under a tag is one; a tag may name an image for each of several platforms.
    pub(super) fn list(&self) -> Result<Vec<ImageEntry>> {
        let mut listed: Vec<ImageEntry> = Vec::new();
        let mut tags: HashMap<String, Vec<usize>> = HashMap::new();
        for entry in self.entries().iter().enumerate().map(read_entry) {
            let entry = entry?;
            if let Some(tag) = &entry.tag {
                let others = tags.entry(tag.clone()).or_default();
                if others.iter().any(|&at| listed[at].descriptor.digest() == entry.descriptor.digest()) {
                    continue;
                }
                if !others.iter().all(|&at| are_for_two_platforms(&listed[at], &entry)) {
                    let what = format!("two images have the tag `{}`", Printable::new(tag));
                    let hint = "which one is meant is each reader's own guess; name one by its digest, as in DIR@sha256:..., \
                                or have the image copied again";
                    return Err(Error::malformed(what).hint(hint));
                }
                others.push(listed.len());
            }
            listed.push(entry);
        }
        Ok(listed)
    }

    /// The image at a position, counted from 0 as they stand.
    pub(super) fn nth(&self, place: usize) -> Result<Option<ImageEntry>> {
        self.entries().get(place).map(|entry| read_entry((place, entry))).transpose()
    }

    pub(super) fn apply(&mut self, changes: &[TagChange]) -> Result<()> {
        for change in changes {
            match change {
                TagChange::Drop { tag } => self.entries_mut().retain(|entry| tag_of(entry) != Some(tag)),
                TagChange::Forget { digest } => {
                    self.entries_mut().retain(|entry| tag_of(entry).is_some() || entry["digest"] != digest.as_ref());
                }
                TagChange::Strip { tag } => self.strip(tag),
                TagChange::Set { tag, descriptor, replaces } => self.set(tag, descriptor, replaces.as_ref())?,
            }
        }
        Ok(())
    }

    /// True if an image is listed that goes without this blob.
    pub(super) fn leaves_out(&self, digest: &Digest) -> bool {
        self.list().is_ok_and(|listed| listed.iter().any(|listed| left_out(&listed.descriptor).contains(digest)))
    }

    /// One more image, as a store lists it.
    pub(super) fn push(&mut self, listed: &ImageEntry) -> Result<()> {
        let mut entry = to_entry(&listed.descriptor)?;
        if let Some(tag) = &listed.tag {
            entry["annotations"][REF_NAME] = tag.as_str().into();
        }
        self.entries_mut().push(entry);
        Ok(())
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        json::to_vec(&Value::Object(self.document.clone()))
    }

    fn set(&mut self, tag: &str, descriptor: &Descriptor, replaces: Option<&Digest>) -> Result<()> {
        let mut entry = to_entry(descriptor)?;
        let is_replaced =
            |old: &Value| replaces.is_some_and(|digest| tag_of(old).is_none() && old["digest"] == digest.as_ref());
        let entries = self.entries_mut();
        let tagged = || entries.iter().filter(|old| tag_of(old) == Some(tag));
        if tagged().any(|old| tagged().any(|other| other["digest"] != old["digest"])) {
            return Err(several_images(tag).hint("choose another tag"));
        }
        let old =
            entries.iter().position(|old| tag_of(old) == Some(tag)).or_else(|| entries.iter().position(is_replaced));
        let mut annotations = old
            .and_then(|old| entries[old].get("annotations").cloned())
            .or_else(|| entry.get("annotations").cloned())
            .filter(Value::is_object)
            .unwrap_or_else(|| json!({}));
        // A name goes with the tag: of two images with one name an engine keeps the one that it loads last.
        let is_own = annotations.get(REF_NAME).and_then(Value::as_str) == Some(tag);
        let others = entries.iter().filter(|other| tag_of(other) != Some(tag) && !is_replaced(other));
        let name = annotations.get(IMAGE_NAME).cloned();
        let is_taken = name.is_some() && others.into_iter().any(|other| image_name(other) == name.as_ref());
        if let (Some(annotations), true) = (annotations.as_object_mut(), !is_own || is_taken) {
            annotations.shift_remove(IMAGE_NAME);
        }
        // Whether an image is thin is a matter of this very image.
        let left_out = entry.get("annotations").and_then(|annotations| annotations.get(LEFT_OUT)).cloned();
        match (annotations.as_object_mut(), left_out) {
            (Some(annotations), Some(left_out)) => drop(annotations.insert(LEFT_OUT.to_owned(), left_out)),
            (Some(annotations), None) => drop(annotations.shift_remove(LEFT_OUT)),
            (None, _) => {}
        }
        annotations[REF_NAME] = tag.into();
        entry["annotations"] = annotations;
        match old {
            Some(old) => entries[old] = entry,
            None => entries.push(entry),
        }
        let mut is_first = true;
        // What is replaced goes even where another image had the tag, and so does the second mention of one image.
        entries.retain(|entry| {
            let is_tagged = tag_of(entry) == Some(tag);
            !is_replaced(entry) && (!is_tagged || std::mem::replace(&mut is_first, false))
        });
        Ok(())
    }

    fn strip(&mut self, tag: &str) {
        let retain = |object: &mut Object| {
            if let Some(annotations) = object.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.retain(|name, _| is_plain_annotation(name));
            }
        };
        retain(&mut self.document);
        let entries = self.entries_mut().iter_mut().filter(|entry| tag_of(entry) == Some(tag));
        for entry in entries.filter_map(Value::as_object_mut) {
            retain(entry);
            entry.shift_remove("urls");
        }
    }

    pub(super) fn entries(&self) -> &[Value] {
        self.document.get("manifests").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The descriptor of what the index itself is about (OCI image specification, image index).
    pub(super) fn subject(&self) -> Option<&Value> {
        self.document.get("subject").filter(|subject| subject.is_object())
    }

    fn entries_mut(&mut self) -> &mut Vec<Value> {
        let manifests = self.document.entry("manifests").or_insert_with(|| json!([]));
        if !manifests.is_array() {
            *manifests = json!([]);
        }
        #[expect(clippy::unreachable, reason = "made an array above")]
        match manifests {
            Value::Array(entries) => entries,
            _ => unreachable!("made an array above"),
        }
    }
}

/// The refusal to put one image in the place of several, each for a platform of its own.
pub(crate) fn several_images(tag: &str) -> Error {
    let tag = Printable::new(tag);
    Error::usage(format!("several images have the tag `{tag}`, each for a platform of its own; none is replaced"))
}

fn are_for_two_platforms(one: &ImageEntry, other: &ImageEntry) -> bool {
    match (Platform::of(&one.descriptor), Platform::of(&other.descriptor)) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    }
}

fn image_name(entry: &Value) -> Option<&Value> {
    entry.get("annotations")?.get(IMAGE_NAME)
}

fn to_entry(descriptor: &Descriptor) -> Result<Value> {
    serde_json::to_value(descriptor)
        .map_err(|error| Error::malformed("cannot write the descriptor of the image").because(error))
}

fn tag_of(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(REF_NAME)?.as_str()
}

fn read_entry((position, entry): (usize, &Value)) -> Result<ImageEntry> {
    let descriptor = read_descriptor(entry).at(format_args!("manifests[{position}]"))?;
    Ok(ImageEntry { tag: tag_of(entry).map(str::to_owned), descriptor })
}
