//! The data folder: one owner at a time, every file private from the moment it exists.

use std::{
    fs::{DirBuilder, File, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::rand;
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;

use super::ServerError;

/// The opened folder.
pub(super) struct Folder {
    pub(super) database: PathBuf,
    pub(super) packages: PathBuf,
    pub(super) master_key: [u8; 32],
    pub(super) lock: File,
}

/// Opens or makes the folder, takes its lock, and makes or reads its master key.
pub(super) fn open(data: &Path) -> Result<Folder, ServerError> {
    private_folder(data).map_err(ServerError::Folder)?;
    let lock = lock(data)?;
    let packages = data.join("packages");
    private_folder(&packages).map_err(ServerError::Folder)?;
    let database = data.join("octarm.db");
    let key = data.join("master-key");
    let master_key = master_key(&database, &key)?;
    if !database.try_exists().map_err(ServerError::Folder)? {
        // SQLite gives its side files the mode of the main one, so that one must be private before it opens.
        create_secret(&database, "").map_err(ServerError::Folder)?;
    }
    Ok(Folder { database, packages, master_key, lock })
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| io::Error::new(error.kind(), format!("making `{}`: {error}", path.display())))?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn lock(data: &Path) -> Result<File, ServerError> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(data.join("lock"))
        .map_err(ServerError::Folder)?
        .into_parts()
        .0;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServerError::Locked { folder: data.to_owned() }),
        Err(TryLockError::Error(error)) => Err(ServerError::Folder(error)),
    }
}

/// The key is made before the database is, so a database without a key is one whose key was lost.
fn master_key(database: &Path, path: &Path) -> Result<[u8; 32], ServerError> {
    let unreadable = || ServerError::KeyUnreadable { key: path.to_owned() };
    match fs::read_to_string(path) {
        Ok(text) => {
            let bytes = hex::decode(text.trim()).map_err(|_| unreadable())?;
            bytes.try_into().map_err(|_| unreadable())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if database.try_exists().map_err(ServerError::Folder)? {
                return Err(ServerError::KeyMissing { database: database.to_owned(), key: path.to_owned() });
            }
            let mut key = [0; 32];
            rand::fill(&mut key)
                .map_err(|_| ServerError::Folder(io::Error::other("the system gave no random numbers")))?;
            replace_secret(path, &hex::encode(key)).map_err(ServerError::Folder)?;
            Ok(key)
        }
        Err(error) => Err(ServerError::Folder(error)),
    }
}

/// Writes a private file whole or not at all, whatever was there before.
pub(super) fn replace_secret(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create_secret(&unfinished, text)?;
    fs::rename(&unfinished, path)?;
    sync_parent(path)
}

fn create_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if !text.is_empty() {
        writeln!(file, "{text}")?;
    }
    file.sync_all()?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
}
