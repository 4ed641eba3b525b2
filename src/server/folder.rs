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

use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::ServerError;
use crate::{
    blobs::give_to_owner_of,
    store::{Database, Found, Place, StoreError, Vault},
};

/// The database's file, where it has no URL.
pub(super) const DATABASE: &str = "octarm.db";
/// The folder of the packages.
pub(super) const PACKAGES: &str = "packages";
/// The file that holds the master key.
pub(super) const MASTER_KEY: &str = "master-key";
/// The file that holds the API key that was made first.
pub(super) const FIRST_KEY: &str = "first-api-key";
/// The certificate of our own making, and its key.
pub(super) const CERTIFICATE: &str = "tls-certificate.pem";
/// See [`CERTIFICATE`].
pub(super) const CERTIFICATE_KEY: &str = "tls-key.pem";
/// The files that a backup leaves out unless it is to be kept as they are. The certificate goes with its key.
pub(super) const SECRETS: [&str; 4] = [MASTER_KEY, FIRST_KEY, CERTIFICATE, CERTIFICATE_KEY];
/// The folder that a restore unpacks into; while it is there, the data folder is not whole.
pub(super) const RESTORE: &str = "restore.part";
/// The file that its one server holds, where the database is in the folder.
pub(super) const LOCK: &str = "lock";

/// The opened folder.
pub(super) struct Folder {
    pub(super) database: Place,
    pub(super) packages: PathBuf,
    master_key: PathBuf,
    /// Held while one server alone may use it: that is, while the database is a file in it.
    pub(super) lock: Option<Lock>,
}

/// Opens or makes the folder. One that the database is in has one owner; with a database elsewhere several servers may
/// share it.
pub(super) fn open(data: &Path, database: Option<&SecretString>) -> Result<Folder, ServerError> {
    private_folder(data).map_err(ServerError::Folder)?;
    let lock = if database.is_none() { Some(lock(data)?) } else { None };
    let folder = Folder { lock, ..look(data, database) };
    refuse_half_restored(data)?;
    private_folder(&folder.packages).map_err(ServerError::Folder)?;
    match &folder.database {
        Place::Postgres(_) => {
            let file = data.join(DATABASE);
            if file.try_exists().map_err(ServerError::Folder)? {
                tracing::warn!(file = %file.display(), "not used: the database has a URL");
            }
        }
        Place::File(file) => {
            if !file.try_exists().map_err(ServerError::Folder)? {
                // SQLite gives its side files the mode of the main one, so that one must be private before it opens.
                create_secret(file, "").map_err(ServerError::Folder)?;
            }
        }
    }
    Ok(folder)
}

/// What would be where; takes and makes nothing.
pub(super) fn look(data: &Path, database: Option<&SecretString>) -> Folder {
    let database = match database {
        Some(url) => Place::Postgres(url.clone()),
        None => Place::File(data.join(DATABASE)),
    };
    Folder { database, packages: data.join(PACKAGES), master_key: data.join(MASTER_KEY), lock: None }
}

/// A folder that is there already, and the lock of one that the database is in: for whoever works beside no server.
pub(super) fn existing(data: &Path, database: Option<&SecretString>) -> Result<Folder, ServerError> {
    let lock = if database.is_none() && data.is_dir() { Some(lock(data)?) } else { None };
    Ok(Folder { lock, ..look(data, database) })
}

/// Refuses a folder that a restore was broken off in.
pub(super) fn refuse_half_restored(data: &Path) -> Result<(), ServerError> {
    if data.join(RESTORE).try_exists().map_err(ServerError::Folder)? {
        return Err(ServerError::HalfRestored { folder: data.to_owned() });
    }
    Ok(())
}

/// Refuses a folder that a server has just now.
pub(super) fn refuse_owned(data: &Path) -> Result<(), ServerError> {
    if data.join(LOCK).try_exists().map_err(ServerError::Folder)? { lock(data).map(drop) } else { Ok(()) }
}

/// A master key and the file that holds it, where it is one of the folder.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) bytes: [u8; 32],
    pub(super) file: Option<PathBuf>,
}

impl Folder {
    /// The keys that may be the database's: the one that was given, else the one in the folder and, where a rotation
    /// was broken off, the one that was to come after it.
    pub(super) fn keys(&self, given: Option<&SecretString>) -> Result<Vec<Key>, ServerError> {
        if let Some(given) = given {
            let bytes = read_key(given.expose_secret(), Path::new("OCTARM_SERVER_MASTER_KEY"))?;
            return Ok(vec![Key { bytes, file: None }]);
        }
        let files = [self.master_key.clone(), self.next_key()];
        files.into_iter().filter_map(|file| read_key_file(&file).transpose()).collect()
    }

    /// Where the key is written that is to come after the one in the folder.
    pub(super) fn next_key(&self) -> PathBuf {
        self.master_key.with_extension("next")
    }

    /// The database is a used one, and there is no key.
    pub(super) fn key_missing(&self) -> ServerError {
        ServerError::KeyMissing { database: self.database.to_string(), key: self.master_key.clone() }
    }

    /// The key that was given, else the one in the folder, which is made with a new database: a used database without
    /// a key is one whose key was lost, or that another server has.
    pub(super) async fn master_key(
        &self,
        given: Option<&SecretString>,
        database: &Database,
    ) -> Result<[u8; 32], ServerError> {
        // Before the key is looked for: who made the database had a key in the folder already.
        let is_new = database.is_new().await?;
        let keys = self.keys(given)?;
        if let Some(key) = own(&keys, &self.database).await? {
            if self.lock.is_some() {
                self.settle(key)?;
            } else if key.file.as_ref() == Some(&self.next_key()) {
                tracing::warn!(
                    "the rotation of the master key was broken off: repeat `server rotate-master-key`"
                );
            }
            return Ok(key.bytes);
        }
        if let Some(other) = keys.first() {
            // Which the store refuses.
            return Ok(other.bytes);
        }
        if !is_new {
            return Err(self.key_missing());
        }
        // Of several servers that start together on one folder all use the key of the one that was first.
        let text =
            first_secret(&self.master_key, &hex::encode(random_key()?)).map_err(ServerError::Folder)?;
        read_key(&text, &self.master_key)
    }

    /// Makes this key, which is the database's own, the one in the folder, and ends a rotation that was broken off.
    /// Only for whoever is alone with folder and database.
    pub(super) fn settle(&self, key: &Key) -> Result<(), ServerError> {
        let Some(file) = &key.file else { return Ok(()) };
        if *file != self.master_key {
            replace_secret(&self.master_key, &hex::encode(key.bytes)).map_err(ServerError::Folder)?;
        }
        remove(&self.next_key()).map_err(ServerError::Folder)
    }

    /// Keeps a key that is about to be replaced under a name that says until when it was the database's.
    pub(super) fn keep_old(&self, key: &Key) -> Result<PathBuf, ServerError> {
        let until = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.6fZ");
        let file = self.master_key.with_extension(format!("until-{until}"));
        replace_secret(&file, &hex::encode(key.bytes)).map_err(ServerError::Folder)?;
        Ok(file)
    }
}

/// The one of the keys that is the database's own.
pub(super) async fn own<'k>(keys: &'k [Key], database: &Place) -> Result<Option<&'k Key>, ServerError> {
    for key in keys {
        match Found::at(database, Some(&Vault::new(&key.bytes)?)).await {
            Ok(_) => return Ok(Some(key)),
            Err(StoreError::WrongKey) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// The key in a file, where it exists.
pub(super) fn read_key_file(file: &Path) -> Result<Option<Key>, ServerError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(Key { bytes: read_key(&text, file)?, file: Some(file.to_owned()) })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ServerError::Folder(error)),
    }
}

/// Removes a file that need not be there.
fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => Ok(()),
        Ok(()) => sync_parent(file),
    }
}

/// A new master key.
pub(super) fn random_key() -> Result<[u8; 32], ServerError> {
    let mut key = [0; 32];
    rand::fill(&mut key)
        .map_err(|_| ServerError::Folder(io::Error::other("the system gave no random numbers")))?;
    Ok(key)
}

fn read_key(text: &str, key: &Path) -> Result<[u8; 32], ServerError> {
    let unreadable = || ServerError::KeyUnreadable { key: key.to_owned() };
    let bytes = hex::decode(text.trim()).map_err(|_| unreadable())?;
    bytes.try_into().map_err(|_| unreadable())
}

pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    let new: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| io::Error::new(error.kind(), format!("making `{}`: {error}", path.display())))?;
    for folder in new.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        own_as_its_folder(folder, fs::File::open(folder)?.file())?;
    }
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The lock of a data folder, held until this is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that another thread is starting just now has it too, until it becomes
        // another program.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the data folder could not be unlocked; the end of this process does it");
        }
    }
}

pub(super) fn lock(data: &Path) -> Result<Lock, ServerError> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(data.join(LOCK))
        .map_err(ServerError::Folder)?
        .into_parts()
        .0;
    own_as_its_folder(&data.join(LOCK), &file).map_err(ServerError::Folder)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(ServerError::Locked { folder: data.to_owned() }),
        Err(TryLockError::Error(error)) => Err(ServerError::Folder(error)),
    }
}

/// Gives what was just made at this path to whom the folder belongs that it is in.
pub(super) fn own_as_its_folder(path: &Path, file: &File) -> io::Result<()> {
    give_to_owner_of(path.parent().unwrap_or(Path::new("")), file)
}

/// Room on the disk that is kept for pruning, which must work when there is no other.
pub(super) struct Spare<'a>(&'a Path);

impl<'a> Spare<'a> {
    const FILE: &'static str = "spare";
    const BYTES: u64 = 1024 * 1024;

    /// Keeps the room, where there is some.
    pub(super) fn keep(data: &Path) {
        let path = data.join(Self::FILE);
        let is_kept = fs::metadata(&path).is_ok_and(|found| found.len() == Self::BYTES);
        if is_kept {
            return;
        }
        let kept =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).and_then(
                |file| {
                    own_as_its_folder(&path, file.file())?;
                    Ok(rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, Self::BYTES)?)
                },
            );
        if let Err(error) = kept {
            tracing::warn!(%error, "no room could be kept for pruning on a full disk");
        }
    }

    /// Gives the room up until this is dropped.
    pub(super) fn take(data: &'a Path) -> Self {
        // Where there is none, there is none to give up.
        let _ = fs::remove_file(data.join(Self::FILE));
        Self(data)
    }
}

impl Drop for Spare<'_> {
    fn drop(&mut self) {
        Self::keep(self.0);
    }
}

/// Writes a private file whole or not at all, whatever was there before.
pub(super) fn replace_secret(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    remove(&unfinished)?;
    create_secret(&unfinished, text)?;
    fs::rename(&unfinished, path)?;
    sync_parent(path)
}

/// Makes a private file, unless there is one; answers what it holds. Of those who make it at the same moment the first
/// wins, and nobody sees a part of it.
pub(super) fn first_secret(path: &Path, text: &str) -> io::Result<String> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}.new", Uuid::now_v7()));
    let unfinished = PathBuf::from(unfinished);
    create_secret(&unfinished, text)?;
    // Unlike a rename it does not replace what is there.
    let made = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => sync_parent(path)?,
    }
    fs::read_to_string(path)
}

pub(super) fn create_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    own_as_its_folder(path, file.file())?;
    if !text.is_empty() {
        writeln!(file, "{text}")?;
    }
    file.sync_all()?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_holder_also_where_a_child_has_its_file_still() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        // What a child has between its beginning and the program that it becomes.
        let inherited = held.0.try_clone().unwrap();
        assert!(matches!(lock(folder.path()), Err(ServerError::Locked { .. })));
        drop(held);
        drop(lock(folder.path()).unwrap());
        drop(inherited);
    }
}
