//! Bytes on their way into the store: a file that vanishes unless all of it was wanted.

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

use super::{Blob, BlobError, Blobs, Engine, folder, give_to_owner_of};

/// What the name of a file that is still being written ends with.
const UNFINISHED: &str = ".part";

/// Removes what nobody has written to for the time `abandoned`.
pub(super) fn clear(folder: &Path, abandoned: Duration) -> Result<(), BlobError> {
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
    Ok(())
}

/// A file that is removed unless it was renamed: a cut upload leaves nothing behind.
#[derive(Debug)]
pub(super) struct Unfinished(PathBuf);

impl Unfinished {
    pub(super) fn at(folder: &Path, id: Uuid) -> Self {
        Self(folder.join(format!("{id}{UNFINISHED}")))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn create(&self) -> io::Result<fs::File> {
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.0)?;
        give_to_owner_of(self.0.parent().unwrap_or(Path::new("")), file.file())?;
        Ok(file)
    }
}

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
    pub(super) fn begin(blobs: Blobs) -> Result<Self, BlobError> {
        let unfinished = Unfinished::at(&blobs.folder, Uuid::now_v7());
        let file = fs::tokio::File::from_std(unfinished.create()?);
        Ok(Self { unfinished, file, context: digest::Context::new(&digest::SHA256), size: 0, blobs })
    }

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
        Ok(self.unfinished.path())
    }

    /// All was written: from now on the digest is known.
    pub async fn seal(mut self) -> Result<Sealed, BlobError> {
        self.file.flush().await?;
        let Self { unfinished, file, context, size, blobs } = self;
        let digest = context.finish();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest.as_ref());
        Ok(Sealed {
            unfinished,
            file,
            digest: sha256,
            blob: Blob { sha256: hex::encode(digest), size },
            blobs,
        })
    }
}

/// Bytes that are whole, and not in the store yet.
pub struct Sealed {
    unfinished: Unfinished,
    file: fs::tokio::File,
    digest: [u8; 32],
    blob: Blob,
    blobs: Blobs,
}

impl Sealed {
    /// What they are.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// Makes them durable under their digest. What is there already is not written again.
    pub async fn keep(self) -> Result<Blob, BlobError> {
        let Self { unfinished, file, digest, blob, blobs } = self;
        match &blobs.engine {
            Engine::Folder => folder::keep(&blobs.folder, unfinished.path(), &file, &blob).await?,
            Engine::Bucket(bucket) => bucket.keep(unfinished.path(), &blob, digest).await?,
        }
        Ok(blob)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    fn open(folder: &Path) -> Blobs {
        Blobs::open(folder, None, 10, Duration::ZERO).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn kept(blobs: &Blobs, parts: &[&[u8]]) -> Blob {
        let mut incoming = blobs.receive().unwrap();
        for part in parts {
            incoming.write(part).await.unwrap();
        }
        incoming.seal().await.unwrap().keep().await.unwrap()
    }

    #[tokio::test]
    async fn finished_bytes_have_their_digest_as_name_and_unfinished_ones_vanish() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = open(folder.path());
        let mut cut = blobs.receive().unwrap();
        cut.write(b"half").await.unwrap();
        assert_eq!(names(folder.path()).len(), 1);
        drop(cut);
        assert!(names(folder.path()).is_empty());

        let mut sealed = blobs.receive().unwrap();
        sealed.write(b"half").await.unwrap();
        drop(sealed.seal().await.unwrap());
        assert!(names(folder.path()).is_empty());

        let blob = kept(&blobs, &[b"ab", b"c"]).await;
        assert_eq!(blob.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(names(folder.path()), std::slice::from_ref(&blob.sha256));
        // The same again is one blob, and nothing is left over.
        assert_eq!(kept(&blobs, &[b"abc"]).await, blob);
        assert_eq!(names(folder.path()), [blob.sha256]);

        let mut large = blobs.receive().unwrap();
        assert!(matches!(large.write(&[0; 11]).await, Err(BlobError::TooLarge { limit: 10 })));
    }

    #[tokio::test]
    async fn a_blob_is_read_from_any_byte_listed_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = open(folder.path());
        let blob = kept(&blobs, &[b"0123456789"]).await;
        for (from, rest) in [(0, "0123456789"), (4, "456789"), (10, "")] {
            let parts: Vec<_> = blobs.read(&blob, from).await.unwrap().try_collect().await.unwrap();
            assert_eq!(parts.concat(), rest.as_bytes());
        }
        assert_eq!(blobs.owner().await.unwrap(), None);
        for owner in ["one", "two"] {
            blobs.claim(owner).await.unwrap();
            assert_eq!(blobs.owner().await.unwrap().as_deref(), Some("one"));
        }
        assert_eq!(blobs.list().await.unwrap(), std::slice::from_ref(&blob));
        for _ in 0..2 {
            blobs.delete(&blob.sha256).await.unwrap();
        }
        let missing = blobs.read(&blob, 0).await.err().unwrap();
        let place = format!("{}/{}", folder.path().file_name().unwrap().to_str().unwrap(), blob.sha256);
        assert!(missing.to_string().ends_with(&format!("are missing: there is no `{place}`")), "{missing}");
        assert!(blobs.list().await.unwrap().is_empty());
        assert_eq!(names(folder.path()), ["installation"]);
    }

    #[test]
    fn what_a_crash_left_is_cleared_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.part"), b"x").unwrap();
        fs::write(folder.path().join("abc"), b"x").unwrap();
        open(folder.path());
        assert_eq!(names(folder.path()), ["abc"]);
    }
}
