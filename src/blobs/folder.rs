//! Blobs as files of a folder, each with its digest as its name.

use std::{io, path::Path};

use fs_err as fs;
use futures_util::StreamExt as _;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::{Blob, BlobError, Reading, incoming::Unfinished, is_digest};

/// How much is read at once.
const BUFFER: usize = 64 * 1024;
/// The file that says whose blobs these are.
const OWNER: &str = "installation";

/// Gives the file at `path` its name, once it is durable. It replaces one that is there: that should be the same, and is
/// not when the disk has damaged it.
pub(super) async fn keep(
    folder: &Path,
    path: &Path,
    file: &fs::tokio::File,
    blob: &Blob,
) -> Result<(), BlobError> {
    let name = folder.join(&blob.sha256);
    file.sync_all().await?;
    fs::tokio::rename(path, name).await?;
    Ok(fs::tokio::File::open(folder).await?.sync_all().await?)
}

pub(super) async fn read(folder: &Path, blob: &Blob, from: u64) -> Result<Reading, BlobError> {
    let mut file = match fs::tokio::File::open(folder.join(&blob.sha256)).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let place = format!("{}/{}", name_of(folder), blob.sha256);
            return Err(BlobError::Missing { sha256: blob.sha256.clone(), place });
        }
        Err(error) => return Err(error.into()),
    };
    if from > 0 {
        file.seek(io::SeekFrom::Start(from)).await?;
    }
    Ok(ReaderStream::with_capacity(file, BUFFER).boxed())
}

/// The folder's own name: those above it are nobody's business.
fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub(super) async fn delete(folder: &Path, sha256: &str) -> Result<(), BlobError> {
    match fs::tokio::remove_file(folder.join(sha256)).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

pub(super) fn list(folder: &Path) -> Result<Vec<Blob>, BlobError> {
    let mut blobs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if is_digest(&name) {
            match entry.metadata() {
                Ok(found) => blobs.push(Blob { sha256: name, size: found.len() }),
                // Somebody else has just deleted it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(blobs)
}

pub(super) async fn owner(folder: &Path) -> Result<Option<String>, BlobError> {
    match fs::tokio::read_to_string(folder.join(OWNER)).await {
        Ok(found) => Ok(Some(found.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn claim(folder: &Path, owner: &str) -> Result<(), BlobError> {
    let unfinished = write_mark(folder, owner).await?;
    // Unlike a rename it takes nothing away from somebody who was faster.
    match fs::tokio::hard_link(unfinished.path(), folder.join(OWNER)).await {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(fs::tokio::File::open(folder).await?.sync_all().await?),
    }
}

pub(super) async fn take_over(folder: &Path, owner: &str) -> Result<(), BlobError> {
    let unfinished = write_mark(folder, owner).await?;
    fs::tokio::rename(unfinished.path(), folder.join(OWNER)).await?;
    Ok(fs::tokio::File::open(folder).await?.sync_all().await?)
}

async fn write_mark(folder: &Path, owner: &str) -> Result<Unfinished, BlobError> {
    let unfinished = Unfinished::at(folder, Uuid::now_v7());
    let mut file = fs::tokio::File::from_std(unfinished.create()?);
    file.write_all(format!("{owner}\n").as_bytes()).await?;
    file.sync_all().await?;
    Ok(unfinished)
}
