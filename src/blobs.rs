//! Package bytes: files named by the SHA-256 of what they hold, complete and durable before they have that name.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::digest;
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

/// What the name of a file that is still being written ends with.
const UNFINISHED: &str = ".part";

/// Why bytes were not stored or not found.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no space left.
    #[error("the disk that holds the server's packages is full")]
    DiskFull(#[source] io::Error),
    /// It is larger than allowed.
    #[error("the package is larger than {limit} bytes, the most that is taken")]
    TooLarge {
        /// The most that is taken.
        limit: u64,
    },
    /// A file could not be read or written.
    #[error("a file of the package store could not be used")]
    Io(#[source] io::Error),
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(error),
            _ => Self::Io(error),
        }
    }
}

/// Bytes that are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// How many bytes.
    pub size: u64,
}

/// A folder of blobs.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
    limit: u64,
}

impl Blobs {
    /// The blobs in `folder`, which exists. What a crashed process left unfinished is removed, which is all that nobody
    /// wrote to for the time `abandoned`: none where no other process uses the folder. No blob may be larger than
    /// `limit` bytes.
    pub fn open(folder: &Path, limit: u64, abandoned: Duration) -> Result<Self, BlobError> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(UNFINISHED) {
                // A file of the future is as young as one of now.
                let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
                if age >= abandoned {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(Self { folder: folder.to_owned(), limit })
    }

    /// Begins to take in bytes whose digest is not known yet.
    pub fn receive(&self) -> Result<Incoming, BlobError> {
        let path = self.folder.join(format!("{}{UNFINISHED}", Uuid::now_v7()));
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Incoming {
            unfinished: Unfinished(path),
            file: fs::tokio::File::from_std(file),
            context: digest::Context::new(&digest::SHA256),
            size: 0,
            blobs: self.clone(),
        })
    }

    /// Opens the blob with this digest.
    pub async fn read(&self, sha256: &str) -> Result<tokio::fs::File, BlobError> {
        let file = fs::tokio::File::open(self.folder.join(sha256)).await?;
        Ok(file.into_parts().0)
    }
}

/// A file that is removed unless it was renamed: a cut upload leaves nothing behind.
#[derive(Debug)]
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // The next start removes it.
            Err(error) => tracing::warn!(%error, "an unfinished upload could not be removed"),
        }
    }
}

/// A blob that is being taken in.
pub struct Incoming {
    unfinished: Unfinished,
    file: fs::tokio::File,
    context: digest::Context,
    size: u64,
    blobs: Blobs,
}

impl Incoming {
    /// Appends bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.size += bytes.len() as u64;
        if self.size > self.blobs.limit {
            return Err(BlobError::TooLarge { limit: self.blobs.limit });
        }
        self.context.update(bytes);
        Ok(self.file.write_all(bytes).await?)
    }

    /// The file that holds all that was written so far.
    pub async fn written(&mut self) -> Result<&Path, BlobError> {
        self.file.flush().await?;
        Ok(&self.unfinished.0)
    }

    /// Makes the bytes durable under their digest: file, name, and the folder that holds the name.
    pub async fn finish(mut self) -> Result<Blob, BlobError> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        let sha256 = hex::encode(self.context.finish());
        fs::tokio::rename(&self.unfinished.0, self.blobs.folder.join(&sha256)).await?;
        fs::tokio::File::open(&self.blobs.folder).await?.sync_all().await?;
        Ok(Blob { sha256, size: self.size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn finished_bytes_have_their_digest_as_name_and_unfinished_ones_vanish() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), 10, Duration::ZERO).unwrap();
        let mut cut = blobs.receive().unwrap();
        cut.write(b"half").await.unwrap();
        assert_eq!(names(folder.path()).len(), 1);
        drop(cut);
        assert!(names(folder.path()).is_empty());

        let mut whole = blobs.receive().unwrap();
        whole.write(b"ab").await.unwrap();
        whole.write(b"c").await.unwrap();
        let blob = whole.finish().await.unwrap();
        assert_eq!(blob.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(names(folder.path()), [blob.sha256]);

        let mut large = blobs.receive().unwrap();
        assert!(matches!(large.write(&[0; 11]).await, Err(BlobError::TooLarge { limit: 10 })));
    }

    #[test]
    fn what_a_crash_left_is_cleared_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.part"), b"x").unwrap();
        fs::write(folder.path().join("abc"), b"x").unwrap();
        Blobs::open(folder.path(), 10, Duration::ZERO).unwrap();
        assert_eq!(names(folder.path()), ["abc"]);
    }

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        assert!(matches!(
            BlobError::from(io::Error::from(io::ErrorKind::StorageFull)),
            BlobError::DiskFull(_)
        ));
        assert!(matches!(BlobError::from(io::Error::from(io::ErrorKind::NotFound)), BlobError::Io(_)));
    }
}
