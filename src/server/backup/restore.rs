//! Restoring a backup into an empty data folder: everything is checked before anything is in its place.

use std::{
    io,
    path::{Path, PathBuf},
};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;

use super::{BackupError, Engine, Head, OWNER, read};
use crate::{
    server::{ServerError, Settings, folder},
    store::{DatabaseCopy, Place},
};

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// How many files.
    pub files: usize,
    /// When the backup was made.
    pub made: jiff::Timestamp,
    /// Whether the database was in it.
    pub has_database: bool,
    /// Whether packages and finished logs were in it; else they are in a bucket.
    pub has_blobs: bool,
    /// Whether a master key was in it.
    pub has_key: bool,
    /// What was left out when it was made, since it is secret.
    pub left_out: Vec<String>,
}

/// Puts what the backup holds into the data folder, which is empty or does not exist.
pub async fn restore(settings: &Settings, file: &Path) -> Result<Restored, ServerError> {
    let data = settings.data.clone();
    let was_there = data.is_dir();
    if let Some(found) = occupied(&data).map_err(ServerError::Folder)? {
        return Err(BackupError::FolderOccupied { folder: data, found }.into());
    }
    folder::private_folder(&data).map_err(ServerError::Folder)?;
    // No server starts on it meanwhile, and no other restore.
    let lock = folder::lock(&data)?;
    let staged = stage(settings, file).await;
    if staged.is_err() {
        // Nothing is left of what was not taken.
        let _ = fs::remove_dir_all(data.join(folder::RESTORE));
        let _ = fs::remove_file(data.join(folder::LOCK));
        if !was_there {
            let _ = fs::remove_dir(&data);
        }
    }
    let (head, paths) = staged?;
    put_in_place(&data, &paths).map_err(BackupError::io("putting the files in their place"))?;
    drop(lock);
    Ok(Restored {
        files: paths.len(),
        made: head.made,
        has_database: head.database == Engine::Sqlite,
        has_blobs: !head.in_bucket,
        has_key: paths.iter().any(|path| path == folder::MASTER_KEY),
        left_out: head.left_out,
    })
}

/// What is in the folder besides what an empty one may hold: the lock, and what a restore left that was broken off.
fn occupied(data: &Path) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != folder::LOCK && name != folder::RESTORE {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Unpacks the backup beside the places of its files; answers what it says of itself, and the files.
async fn stage(settings: &Settings, file: &Path) -> Result<(Head, Vec<String>), ServerError> {
    let stage = settings.data.join(folder::RESTORE);
    match fs::remove_dir_all(&stage) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(ServerError::Folder(error)),
        _ => folder::private_folder(&stage).map_err(ServerError::Folder)?,
    }
    let (backup, to) = (file.to_owned(), stage.clone());
    let unpacked = tokio::task::spawn_blocking(move || unpack(&backup, &to));
    let (head, paths) = unpacked.await.map_err(|error| ServerError::Folder(io::Error::other(error)))??;
    if head.database == Engine::Sqlite {
        if settings.database.is_some() {
            return Err(BackupError::OtherEngine(file.to_owned()).into());
        }
        let damaged = |reason: String| BackupError::Damaged { file: file.to_owned(), reason };
        if !paths.iter().any(|path| path == folder::DATABASE) {
            return Err(damaged(format!("it has no `{}`", folder::DATABASE)).into());
        }
        let copy = DatabaseCopy::at(&Place::File(stage.join(folder::DATABASE))).await?;
        if Some(copy.schema) != head.schema {
            return Err(damaged("it is of another form than it says".to_owned()).into());
        }
        DatabaseCopy::make_restored(&stage.join(folder::DATABASE)).await?;
    }
    Ok((head, paths))
}

fn unpack(backup: &Path, stage: &Path) -> Result<(Head, Vec<String>), BackupError> {
    let mut paths = Vec::new();
    let head = read::read(backup, |path, content| {
        // In backups of earlier versions it is: the original's.
        if path == OWNER {
            return Ok(());
        }
        let failed = || BackupError::io(format!("writing `{path}` into `{}`", stage.display()));
        let to = stage.join(path);
        if let Some(parent) = to.parent() {
            folder::private_folder(parent).map_err(failed())?;
        }
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to);
        let mut file = file.map_err(failed())?;
        folder::own_as_its_folder(&to, file.file()).map_err(failed())?;
        io::copy(content, &mut file).map_err(failed())?;
        file.sync_all().map_err(failed())?;
        paths.push(path.to_owned());
        Ok(())
    })?;
    Ok((head, paths))
}

/// The database comes last, and then the folder that says that a restore has not ended goes.
fn put_in_place(data: &Path, paths: &[String]) -> io::Result<()> {
    let stage = data.join(folder::RESTORE);
    let mut tops: Vec<&str> =
        paths.iter().map(|path| path.split_once('/').map_or(path.as_str(), |(top, _)| top)).collect();
    tops.sort_by_key(|top| (*top == folder::DATABASE, *top));
    tops.dedup();
    let sync = |folder: PathBuf| fs::File::open(folder)?.sync_all();
    for top in tops {
        if stage.join(top).is_dir() {
            sync(stage.join(top))?;
        }
        fs::rename(stage.join(top), data.join(top))?;
    }
    sync(data.to_owned())?;
    fs::remove_dir(stage)?;
    sync(data.to_owned())
}
