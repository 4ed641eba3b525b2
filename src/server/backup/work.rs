//! The folder in which a backup is made: private, on the disk of the backup, and gone with whatever happens, at the latest
//! when the next backup is made beside it.

use std::{
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use fs_err as fs;
use rustix::process::geteuid;
use tempfile::TempDir;

/// What its name begins with.
const PREFIX: &str = ".octarm-backup-";

/// The folder, locked while it is in use.
pub(super) struct Work {
    folder: TempDir,
    /// What lies there unlocked was left by a process that was killed.
    _lock: fs::File,
}

impl Work {
    /// Makes one, and removes what others left that were killed.
    pub(super) fn new_in(parent: &Path) -> io::Result<Self> {
        clear(parent)?;
        loop {
            let folder = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(std::fs::Permissions::from_mode(0o700))
                .tempdir_in(parent)?;
            let lock = fs::File::open(folder.path())?;
            // Another backup that began meanwhile may have found it before it was locked.
            if lock.file().try_lock().is_ok() && is_at(&lock, folder.path()) {
                return Ok(Self { folder, _lock: lock });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn is_at(file: &fs::File, path: &Path) -> bool {
    let id = |found: std::fs::Metadata| (found.dev(), found.ino());
    file.metadata().map(id).ok() == fs::symlink_metadata(path).map(id).ok()
}

/// Removes the folders of backups whose processes are gone. What cannot be removed is in nobody's way.
fn clear(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let is_ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
            && fs::symlink_metadata(&path)
                .is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw());
        if is_ours
            && let Ok(lock) = fs::File::open(&path)
            && lock.file().try_lock().is_ok()
        {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, "what a killed backup left could not be removed");
                }
                _ => tracing::info!(folder = %path.display(), "removed what a killed backup left"),
            }
        }
    }
    Ok(())
}
