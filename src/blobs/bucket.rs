//! Blobs as objects of a bucket: `prefix/sha256/ab/abcdef…`.

use std::{io, path::Path};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use fs_err as fs;
use futures_util::{StreamExt as _, stream};

use super::{Blob, BlobError, Blobs, Reading, is_digest};
use crate::aws::{Arriving, Bucket, BucketPlace, ObjectKey};

/// How often in a row reading goes on where it broke off, without having got a byte further.
const TRIES: u32 = 3;
/// How many objects are listed at once: the most that S3 lists.
const PAGE: i32 = 1000;

/// A bucket, and what the keys in it begin with.
#[derive(Debug, Clone)]
pub struct BucketBlobs {
    bucket: Bucket,
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl BucketBlobs {
    /// The blobs in this bucket, below `prefix`, which may be empty. Nothing is called yet.
    pub async fn connect(
        bucket: &str,
        prefix: &str,
        endpoint: Option<String>,
        region: Option<String>,
    ) -> Result<Self, BlobError> {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("{}/", prefix.parse::<ObjectKey>()?.as_str())
        };
        let place = BucketPlace { name: bucket.parse()?, endpoint, region };
        Ok(Self { bucket: Bucket::connect(place).await?, prefix })
    }

    fn key(&self, sha256: &str) -> Result<ObjectKey, BlobError> {
        Ok(format!("{}sha256/{}/{sha256}", self.prefix, sha256.get(..2).unwrap_or_default()).parse()?)
    }

    /// Whether it can be used, found out by a list: that needs the bucket, its region, credentials, and the right to look.
    pub async fn check(&self) -> Result<(), BlobError> {
        self.bucket.list(&self.prefix, None, 1).await?;
        Ok(())
    }

    /// Sends the file at `path`, unless the bucket has the same bytes.
    pub(super) async fn keep(&self, path: &Path, blob: &Blob, digest: [u8; 32]) -> Result<(), BlobError> {
        let key = self.key(&blob.sha256)?;
        if self.bucket.holds(&key, blob.size, digest).await? {
            return Ok(());
        }
        let file = fs::tokio::File::open(path).await?.into_parts().0.into_std().await;
        Ok(self.bucket.put(&key, file, blob.size, digest).await?)
    }

    /// Reads on where the line was cut, as long as it gets further.
    pub(super) async fn read(&self, blob: &Blob, from: u64) -> Result<Reading, BlobError> {
        let key = self.key(&blob.sha256)?;
        if from >= blob.size {
            return Ok(stream::empty().boxed());
        }
        let arriving = self.bucket.read(&key, from).await?.ok_or_else(|| BlobError::Missing {
            sha256: blob.sha256.clone(),
            place: format!("{}/{key}", self.bucket),
        })?;
        let rest = Rest {
            bucket: self.bucket.clone(),
            key,
            at: from,
            end: blob.size,
            arriving: Some(arriving),
            cuts: 0,
        };
        Ok(stream::unfold(Some(rest), |rest| async {
            let mut rest = rest?;
            match rest.next().await {
                Ok(None) => None,
                Ok(Some(bytes)) => Some((Ok(bytes), Some(rest))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed())
    }

    pub(super) async fn delete(&self, sha256: &str) -> Result<(), BlobError> {
        Ok(self.bucket.delete(&self.key(sha256)?).await?)
    }

    pub(super) async fn list(&self) -> Result<Vec<Blob>, BlobError> {
        let prefix = format!("{}sha256/", self.prefix);
        let mut blobs = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.bucket.list(&prefix, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(blobs) };
            after = Some(last.key.clone());
            blobs.extend(page.into_iter().filter_map(|object| {
                let name = object.key.rsplit('/').next().filter(|name| is_digest(name))?;
                Some(Blob { sha256: name.to_owned(), size: object.size })
            }));
        }
    }

    fn owner_key(&self) -> Result<ObjectKey, BlobError> {
        Ok(format!("{}installation", self.prefix).parse()?)
    }

    pub(super) async fn owner(&self) -> Result<Option<String>, BlobError> {
        let Some(mut arriving) = self.bucket.read(&self.owner_key()?, 0).await? else { return Ok(None) };
        let mut text = Vec::new();
        while let Some(bytes) = arriving.next().await {
            text.extend_from_slice(&bytes?);
        }
        Ok(Some(String::from_utf8_lossy(&text).trim().to_owned()))
    }

    /// Of two that write it at the same moment one finds the other's afterwards.
    pub(super) async fn claim(&self, owner: &str, blobs: &Blobs) -> Result<(), BlobError> {
        let mut written = blobs.receive()?;
        written.write(owner.as_bytes()).await?;
        let file = fs::File::open(written.written().await?)?.into_parts().0;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, owner.as_bytes()).as_ref());
        Ok(self.bucket.put(&self.owner_key()?, file, owner.len() as u64, sha256).await?)
    }
}

impl std::fmt::Display for BucketBlobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.bucket, self.prefix)
    }
}

/// What is still to be read of an object.
struct Rest {
    bucket: Bucket,
    key: ObjectKey,
    at: u64,
    end: u64,
    arriving: Option<Arriving>,
    /// How often it was cut since it last got further.
    cuts: u32,
}

impl Rest {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.at < self.end {
            let arriving = match &mut self.arriving {
                Some(arriving) => arriving,
                None => match self.bucket.read(&self.key, self.at).await {
                    Ok(Some(again)) => self.arriving.insert(again),
                    Ok(None) => return Err(io::Error::from(io::ErrorKind::NotFound)),
                    Err(error) => {
                        self.cut(io::Error::other(error))?;
                        continue;
                    }
                },
            };
            match arriving.next().await {
                Some(Ok(bytes)) => {
                    self.at += bytes.len() as u64;
                    self.cuts = 0;
                    return Ok(Some(bytes));
                }
                Some(Err(error)) => self.cut(error)?,
                None => self.cut(io::Error::from(io::ErrorKind::UnexpectedEof))?,
            }
        }
        Ok(None)
    }

    fn cut(&mut self, error: io::Error) -> io::Result<()> {
        self.arriving = None;
        self.cuts += 1;
        if self.cuts > TRIES { Err(error) } else { Ok(()) }
    }
}
