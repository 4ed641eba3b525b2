//! The master key is replaced, while no server runs.
//!
//! The new key lies durable beside the old one before the database changes in one transaction, and becomes the one in
//! the folder afterwards: whenever this is broken off, a start finds the one of the two that opens everything.

use std::path::{Path, PathBuf};

use super::{
    ServerError, Settings,
    folder::{self, Key},
};
use crate::store::{Alone, Database, Found, StoreError, Vault};

/// What became of the key.
#[derive(Debug)]
pub struct Rotated {
    /// How many sealed values the new key opens now; none where it was the database's already.
    pub values: Option<u64>,
    /// Where the old key is kept; none where it never was in the folder.
    pub old: Option<PathBuf>,
    /// Whether the key comes from outside of the folder, so that whoever gives it must give another one.
    pub given: bool,
    /// Whether other servers of the database may have the old key in folders of their own.
    pub shared: bool,
}

/// Seals every sensitive value with a new key: the one in `new`, or one that is made.
pub async fn rotate_master_key(settings: &Settings, new: Option<&Path>) -> Result<Rotated, ServerError> {
    let given = settings.master_key.as_ref();
    if given.is_some() && new.is_none() {
        return Err(ServerError::NewKeyMissing);
    }
    let new = match new {
        Some(file) => {
            folder::read_key_file(file)?
                .ok_or_else(|| ServerError::KeyUnreadable { key: file.to_owned() })?
                .bytes
        }
        None => folder::random_key()?,
    };
    let folder = folder::existing(&settings.data, settings.database.as_ref())?;
    if Found::at(&folder.database, None).await? == Found::New {
        return Err(ServerError::NothingThere(folder.database.to_string()));
    }
    let _alone = Alone::at(&folder.database).await?;
    let database = Database::open(&folder.database).await?;
    let mut keys = folder.keys(given)?;
    if keys.is_empty() {
        return Err(folder.key_missing());
    }
    if given.is_some() {
        // Given again after it was broken off, the new key may be the database's own already.
        keys.push(Key { bytes: new, file: None });
    }
    let own = folder::own(&keys, &folder.database).await?.ok_or(StoreError::WrongKey)?;
    folder.settle(own)?;
    let done =
        |values, old| Rotated { values, old, given: given.is_some(), shared: settings.database.is_some() };
    if own.bytes == new {
        database.close().await;
        return Ok(done(None, None));
    }
    let old = match &own.file {
        Some(_) => {
            folder::replace_secret(&folder.next_key(), &hex::encode(new)).map_err(ServerError::Folder)?;
            Some(folder.keep_old(own)?)
        }
        None => None,
    };
    let values = database.rotate(&Vault::new(&own.bytes)?, &Vault::new(&new)?).await?;
    if own.file.is_some() {
        folder.settle(&Key { bytes: new, file: Some(folder.next_key()) })?;
    }
    database.close().await;
    Ok(done(Some(values), old))
}
