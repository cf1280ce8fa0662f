use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};

use oci_spec::image::{Descriptor, Digest, MediaType};
use reqwest::header::ACCEPT;
use reqwest::{Method, StatusCode};

use super::access::Access;
use super::client::{Call, Client};
use super::download::Download;
use super::manifest_type;
use super::manifest_type::MANIFESTS;
use super::repository::Repository;
use super::tags::tags;
use super::words::media_type;
use crate::error::{Error, ErrorContext, Kind, Result};
use crate::store::count::Count;
use crate::store::source::{Blob, ImageEntry, Listed, MAX_DOCUMENT, Source};
use crate::store::verify::digest_of;

/// The tag that is meant where none is named.
const LATEST: &str = "latest";

/// One repository to read from, opened for one image.
pub struct Registry {
    client: Arc<Client>,
    tag: Option<String>,
    digest: Option<Digest>,
    read: Count,
    /// The manifests that were looked up; they are small.
    manifests: Mutex<HashMap<Digest, Vec<u8>>>,
}

impl Registry {
    /// Opens a repository for the image with this tag or digest (default: `latest`). Nothing is sent yet.
    ///
    /// # Errors
    /// [`Kind::Usage`] if sockets are forbidden.
    pub fn open(repository: &Repository, tag: Option<&str>, digest: Option<&Digest>, access: &Access) -> Result<Self> {
        Ok(Registry {
            client: Arc::new(Client::new(repository, access)?),
            tag: tag.map(str::to_owned),
            digest: digest.cloned(),
            read: Count::default(),
            manifests: Mutex::default(),
        })
    }

    /// Looks a manifest up by tag or digest and keeps it.
    fn look_up(&self, name: &str) -> Result<Option<Descriptor>> {
        let url = self.client.url(&format!("manifests/{name}"))?;
        let mut response = self.client.send(&Call::new(Method::GET, url).header(ACCEPT, MANIFESTS.join(", ")))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(self.client.refusal(&format!("manifest {name}"), response)),
        }
        let stated = media_type(&response);
        let what = format!("manifest {name}");
        let bytes = self.client.document(&what, &mut response)?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            let what = format!("manifest {name}: larger than {MAX_DOCUMENT} bytes");
            return Err(Error::malformed(what).at(self.client.repository()));
        }
        self.read.add(bytes.len());
        let digest = digest_of(&bytes);
        let media_type = manifest_type::of(&stated, &bytes).at(what).at(self.client.repository())?;
        let descriptor = Descriptor::new(MediaType::from(media_type), bytes.len() as u64, digest.clone());
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, bytes);
        Ok(Some(descriptor))
    }

    fn find_digest(&self, digest: &Digest) -> Result<Option<ImageEntry>> {
        let Some(mut descriptor) = self.look_up(digest.as_ref())? else { return Ok(None) };
        let bytes = self.kept(descriptor.digest());
        if !bytes.is_some_and(|bytes| {
            super::super::Digester::of(digest).is_ok_and(|mut hasher| {
                hasher.update(&bytes);
                hasher.matches(digest)
            })
        }) {
            let hint = "the registry or a proxy in front of it is faulty or dishonest; do not use this image";
            let error = Error::verification("the manifest from the registry does not have this digest");
            return Err(error.hint(hint).at(digest).at(self.client.repository()));
        }
        descriptor.set_digest(digest.clone());
        Ok(Some(ImageEntry { tag: None, descriptor }))
    }

    fn kept(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }
}

/// True if it is a manifest or an index, which registries keep apart from blobs.
pub(super) fn is_manifest(descriptor: &Descriptor) -> bool {
    MANIFESTS.contains(&descriptor.media_type().to_string().as_str())
}

impl Source for Registry {
    fn name(&self) -> String {
        format!("docker://{}", self.client.repository())
    }

    fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    /// The one image that was asked for.
    fn list(&self) -> Result<Vec<ImageEntry>> {
        let tag = self.tag.as_deref().unwrap_or(LATEST);
        let found = match &self.digest {
            Some(digest) => self.find_digest(digest),
            None => self.find(tag),
        };
        let name = self.digest.as_ref().map_or(tag.to_owned(), Digest::to_string);
        let absent = || {
            let hint = "check the repository's name and the tag";
            Error::new(Kind::Registry, format!("there is no image `{name}`")).hint(hint).at(self.name())
        };
        Ok(vec![found?.ok_or_else(absent)?])
    }

    fn find(&self, tag: &str) -> Result<Option<ImageEntry>> {
        let found = self.look_up(tag)?;
        Ok(found.map(|descriptor| ImageEntry { tag: Some(tag.to_owned()), descriptor }))
    }

    fn list_all(&self) -> Result<Vec<Listed>> {
        Ok(tags(&self.client)?.into_iter().map(|tag| Listed { tag: Some(tag), digest: None }).collect())
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let digest = descriptor.digest();
        if !is_manifest(descriptor) {
            let download = Download::start(&self.client, digest, descriptor.size(), &self.read).at(self.name())?;
            return Ok(Blob::Stream(Box::new(download)));
        }
        if self.kept(digest).is_none() {
            self.find_digest(digest)?;
        }
        let absent = || Error::new(Kind::Registry, format!("manifest {digest} is missing")).at(self.name());
        Ok(Blob::Stream(Box::new(Cursor::new(self.kept(digest).ok_or_else(absent)?))))
    }

    fn repository(&self) -> Option<&Repository> {
        Some(self.client.repository())
    }
}
