//! Package bytes and finished logs: blobs named by the SHA-256 of what they hold, complete and durable before they have
//! that name; in a folder, or in a bucket of what speaks like S3.

mod bucket;
mod error;
mod folder;
mod incoming;
mod ownership;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use bucket::BucketBlobs;
pub use error::BlobError;
pub use incoming::{Incoming, Sealed};
pub use ownership::give_to_owner_of;

/// Bytes that have a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// How many bytes.
    pub size: u64,
}

/// The bytes of a blob, as they are read.
pub type Reading = BoxStream<'static, io::Result<Bytes>>;

/// Where blobs are.
#[derive(Debug, Clone)]
enum Engine {
    /// In the folder in which they are taken in.
    Folder,
    /// In a bucket, after they were taken in.
    Bucket(BucketBlobs),
}

/// A store of blobs, and the folder in which bytes are taken in whose digest is not known yet.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
    limit: u64,
    engine: Engine,
}

impl Blobs {
    /// The blobs in `folder`, which exists; or those in `bucket`, with `folder` for what is on its way there. What a
    /// crashed process left unfinished in the folder is removed, which is all that nobody wrote to for the time
    /// `abandoned`: none where no other process uses the folder. No blob may be larger than `limit` bytes.
    pub fn open(
        folder: &Path,
        bucket: Option<BucketBlobs>,
        limit: u64,
        abandoned: Duration,
    ) -> Result<Self, BlobError> {
        incoming::clear(folder, abandoned)?;
        let engine = bucket.map_or(Engine::Folder, Engine::Bucket);
        Ok(Self { folder: folder.to_owned(), limit, engine })
    }

    /// The same, to look at only: nothing is removed, and the folder need not exist.
    pub fn look(folder: &Path, bucket: Option<BucketBlobs>) -> Self {
        let engine = bucket.map_or(Engine::Folder, Engine::Bucket);
        Self { folder: folder.to_owned(), limit: 0, engine }
    }

    /// Begins to take in bytes whose digest is not known yet.
    pub fn receive(&self) -> Result<Incoming, BlobError> {
        Incoming::begin(self.clone())
    }

    /// The bytes of a blob, from byte `from` on.
    pub async fn read(&self, blob: &Blob, from: u64) -> Result<Reading, BlobError> {
        match &self.engine {
            Engine::Folder => folder::read(&self.folder, blob, from).await,
            Engine::Bucket(bucket) => bucket.read(blob, from).await,
        }
    }

    /// Deletes the blob with this digest; success also where there is none.
    pub async fn delete(&self, sha256: &str) -> Result<(), BlobError> {
        match &self.engine {
            Engine::Folder => folder::delete(&self.folder, sha256).await,
            Engine::Bucket(bucket) => bucket.delete(sha256).await,
        }
    }

    /// All blobs that are there.
    pub async fn list(&self) -> Result<Vec<Blob>, BlobError> {
        match &self.engine {
            Engine::Folder => folder::list(&self.folder),
            Engine::Bucket(bucket) => bucket.list().await,
        }
    }

    /// Whose blobs these are: what is written beside them, if anything is.
    pub async fn owner(&self) -> Result<Option<String>, BlobError> {
        match &self.engine {
            Engine::Folder => folder::owner(&self.folder).await,
            Engine::Bucket(bucket) => bucket.owner().await,
        }
    }

    /// Writes beside them whose they are, unless somebody was faster.
    pub async fn claim(&self, owner: &str) -> Result<(), BlobError> {
        match &self.engine {
            Engine::Folder => folder::claim(&self.folder, owner).await,
            Engine::Bucket(bucket) => bucket.claim(owner, self).await,
        }
    }

    /// Writes beside them whose they are, in place of what stands there.
    pub async fn take_over(&self, owner: &str) -> Result<(), BlobError> {
        match &self.engine {
            Engine::Folder => folder::take_over(&self.folder, owner).await,
            Engine::Bucket(bucket) => bucket.claim(owner, self).await,
        }
    }

    /// Whether they can be reached, found out by reading only.
    pub async fn check(&self) -> Result<(), BlobError> {
        match &self.engine {
            Engine::Folder => Ok(()),
            Engine::Bucket(bucket) => bucket.check().await,
        }
    }
}

impl std::fmt::Display for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.engine {
            Engine::Folder => self.folder.display().fmt(f),
            Engine::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

/// Whether this is the name of a blob.
fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}
