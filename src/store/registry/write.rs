use std::sync::Arc;

use oci_spec::image::{Descriptor, Digest};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, StatusCode};

use super::access::Access;
use super::client::{Call, Client};
use super::presence::{DIGEST, presence};
use super::repository::Repository;
use super::retry::RetryPolicy;
use super::source::is_manifest;
use super::transport::Response;
use super::upload::Upload;
use super::words::{document, is_page};
use crate::error::{Error, ErrorContext, Kind, Result};
use crate::store::count::Count;
use crate::store::destination::{BlobSink, Destination, GcStats, TagChange, Transfer, Unreached, Written};
use crate::store::parallel::{Shared, copy_each};
use crate::store::source::{ImageEntry, MAX_DOCUMENT, Source, read_document};
use crate::store::verify::{Digester, digest_of};

/// How often a mount that fails is asked for again: a copy does as well.
const MOUNT_RETRIES: u32 = 1;

/// Writes to a repository: blobs as they come, manifests and tags when all is there.
pub struct RegistryWriter {
    client: Arc<Client>,
    /// In the order in which they came: what an index names is there before it.
    manifests: Vec<Manifest>,
    written: Count,
}

/// A manifest that waits until everything that it names is there.
struct Manifest {
    digest: Digest,
    media_type: String,
    bytes: Vec<u8>,
}

impl RegistryWriter {
    /// Opens a repository for writing. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Kind::Usage`] if sockets are forbidden.
    pub fn open(repository: &Repository, access: &Access) -> Result<Self> {
        let client = Arc::new(Client::new(repository, access)?);
        Ok(RegistryWriter { client, manifests: Vec::new(), written: Count::default() })
    }

    /// Has the registry share a blob of another repository of its own. Where it does not, for whatever reason (who
    /// writes here need not be allowed to read there), the blob is copied.
    fn mount(&self, from: &Repository, digest: &Digest) -> Result<Mounted> {
        self.client.read_also(from);
        match self.ask_to_mount(from, digest) {
            Err(error) if error.kind() == Kind::Registry => {
                tracing::info!("{error}; copying {digest} instead of sharing it with {from}");
                self.client.stop_reading(from);
                Ok(Mounted::Refused)
            }
            mounted => mounted,
        }
    }

    fn ask_to_mount(&self, from: &Repository, digest: &Digest) -> Result<Mounted> {
        let mut url = self.client.url("blobs/uploads/")?;
        url.query_pairs_mut().append_pair("mount", digest.as_ref()).append_pair("from", from.path());
        let call = Call::new(Method::POST, url).header(CONTENT_LENGTH, "0");
        let response = self.client.send_within(&call, RetryPolicy::times(MOUNT_RETRIES))?;
        Ok(match response.status() {
            StatusCode::CREATED => Mounted::Shared,
            StatusCode::ACCEPTED => Mounted::Begun(Box::new(response)),
            _ => Mounted::Refused,
        })
    }

    fn take_blob(&self, source: &dyn Source, descriptor: &Descriptor, shared: &Shared) -> Result<Transfer> {
        let digest = descriptor.digest();
        // What cannot be asked for is sent.
        if presence(&self.client, digest, Some(descriptor.size()))?.is_there() {
            return Ok(Transfer::Reused);
        }
        let own = self.client.repository();
        let near = source.repository().filter(|from| from.host() == own.host() && *from != own);
        let mut begun = match near.map(|from| self.mount(from, digest)).transpose()? {
            Some(Mounted::Shared) => return Ok(Transfer::Reused),
            Some(Mounted::Begun(response)) => Some(response),
            Some(Mounted::Refused) | None => None,
        };
        let mut retry = RetryPolicy::default();
        loop {
            let upload = Upload::of(descriptor, &self.client, &self.written);
            let mut upload = match begun.take() {
                Some(response) => upload.begun(&response)?,
                None => upload,
            };
            let copied = shared.copy(source, descriptor, &self.name(), &mut upload);
            match copied.and_then(|()| upload.end()) {
                Ok(written) => return Ok(Transfer::Copied(written.size)),
                // The source still has it.
                Err(error) if upload.can_begin_again() => retry.wait(error, None)?,
                Err(error) => return Err(error),
            }
        }
    }

    fn keep(&mut self, digest: &Digest, media_type: &str, bytes: Vec<u8>) {
        if self.manifests.iter().all(|manifest| manifest.digest != *digest) {
            self.manifests.push(Manifest { digest: digest.clone(), media_type: media_type.to_owned(), bytes });
        }
    }

    fn tag(&self, name: &str, digest: &Digest) -> Result<()> {
        let Some(manifest) = self.manifests.iter().find(|manifest| manifest.digest == *digest) else {
            let what = format!("manifest {digest} was not written to this repository");
            return Err(Error::new(Kind::Io, what).at(self.name()));
        };
        self.push(manifest, name)
    }

    fn push(&self, manifest: &Manifest, name: &str) -> Result<()> {
        let Manifest { digest, media_type, bytes } = manifest;
        let url = self.client.url(&format!("manifests/{name}"))?;
        let what = format!("cannot publish {digest} as `{name}`");
        let call = Call::new(Method::PUT, url).header(CONTENT_TYPE, media_type).body(bytes.clone());
        let response = self.client.send(&call)?;
        if !response.status().is_success() {
            return Err(self.client.refusal(&what, response));
        }
        self.confirm(manifest, name, &what, response)?;
        self.written.add(bytes.len());
        Ok(())
    }

    /// Whether a manifest is published: who believes that wrongly loses results. A registry says so by 201 (distribution
    /// specification, pushing manifests) and the digest; after any other success it is looked what is there.
    fn confirm(&self, manifest: &Manifest, name: &str, what: &str, response: Response) -> Result<()> {
        let stated = response.header(DIGEST).map(|stated| stated == manifest.digest.as_ref());
        let says_so = response.status() == StatusCode::CREATED && !is_page(&response);
        if says_so && stated == Some(true) {
            return Ok(());
        }
        let answered = self.client.refusal(what, response);
        let mut found = self.client.send(&self.look_up(manifest, name)?)?;
        match found.status() {
            StatusCode::OK => {
                let bytes = document(&mut found, MAX_DOCUMENT).at(self.client.repository())?;
                let mut hasher = Digester::of(&manifest.digest)?;
                hasher.update(&bytes);
                if hasher.matches(&manifest.digest) { Ok(()) } else { Err(answered) }
            }
            // Who may write need not be allowed to read.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED
                if says_so && stated.is_none() =>
            {
                tracing::info!("the registry says that `{name}` is published, and does not let it be looked at");
                Ok(())
            }
            _ => Err(answered),
        }
    }

    fn look_up(&self, manifest: &Manifest, name: &str) -> Result<Call> {
        let url = self.client.url(&format!("manifests/{name}"))?;
        Ok(Call::new(Method::GET, url).header(ACCEPT, &manifest.media_type))
    }
}

enum Mounted {
    Shared,
    Begun(Box<Response>),
    Refused,
}

impl Destination for RegistryWriter {
    fn name(&self) -> String {
        format!("docker://{}", self.client.repository())
    }

    fn bytes_written(&self) -> u64 {
        self.written.get()
    }

    /// Nothing: registries are asked by name.
    fn list(&self) -> Result<Vec<ImageEntry>> {
        Ok(Vec::new())
    }

    fn has_blob(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(presence(&self.client, descriptor.digest(), Some(descriptor.size()))?.is_there())
    }

    fn check_writable(&self) -> Result<()> {
        Upload::new(&self.client, &self.written).give_up()
    }

    fn create(&mut self) -> Result<Box<dyn BlobSink>> {
        Ok(Box::new(Upload::new(&self.client, &self.written)))
    }

    /// Keeps it until everything that it names is there.
    fn put_manifest(&mut self, media_type: &str, bytes: &[u8]) -> Result<Written> {
        let digest = digest_of(bytes);
        self.keep(&digest, media_type, bytes.to_vec());
        Ok(Written { digest, size: bytes.len() as u64 })
    }

    fn copy_blobs(&mut self, source: &dyn Source, descriptors: &[Descriptor]) -> Result<Vec<Transfer>> {
        // Manifests are kept, as those that are put.
        for descriptor in descriptors.iter().filter(|descriptor| is_manifest(descriptor)) {
            let bytes = read_document(source, descriptor)?;
            self.keep(descriptor.digest(), descriptor.media_type().as_ref(), bytes);
        }
        copy_each(descriptors, |descriptor, shared| {
            if is_manifest(descriptor) {
                return Ok(Transfer::Copied(descriptor.size()));
            }
            self.take_blob(source, descriptor, shared)
        })
    }

    /// Pushes the manifests: those that get no name, as an index's are, by their digest. A registry removes blobs
    /// itself, and names not at all.
    fn publish(&mut self, changes: &[TagChange], _unreached: Unreached) -> Result<GcStats> {
        let gets_name = |manifest: &&Manifest| {
            let names_it = |change: &TagChange| match change {
                TagChange::Set { descriptor, .. } => *descriptor.digest() == manifest.digest,
                TagChange::Drop { .. } | TagChange::Forget { .. } | TagChange::Strip { .. } => false,
            };
            changes.iter().any(names_it)
        };
        for manifest in self.manifests.iter().filter(|manifest| !gets_name(manifest)) {
            self.push(manifest, manifest.digest.as_ref())?;
        }
        for change in changes.iter().rev() {
            match change {
                TagChange::Set { tag, descriptor, .. } => self.tag(tag, descriptor.digest())?,
                TagChange::Strip { .. } | TagChange::Forget { .. } => {}
                TagChange::Drop { tag } => tracing::debug!("registries keep tags: `{tag}` stays if it exists"),
            }
        }
        Ok(GcStats::default())
    }
}
