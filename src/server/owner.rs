//! Whose the bytes are: the installation that names them, and which copy of its database. Two that delete what they do not
//! name must not share them.

use super::{ABANDONED, PACKAGE_LIMIT, ServerError, Settings, bucket, folder};
use crate::{
    blobs::Blobs,
    store::{Database, Found, Installation, Store, StoreError, Vault},
};

/// What stands beside bytes of the copy.
fn mark(installation: Installation) -> String {
    format!("{} {}", installation.id, installation.incarnation)
}

/// Says beside the bytes whose they are, and refuses those of others.
pub(super) async fn claim(store: &Store, blobs: &Blobs) -> Result<(), ServerError> {
    let own = store.installation();
    match refuse_others(own, blobs).await? {
        Some(found) if found == mark(own) => return Ok(()),
        // Written when there were no copies yet.
        Some(_) => blobs.take_over(&mark(own)).await?,
        None => blobs.claim(&mark(own)).await?,
    }
    refuse_others(own, blobs).await?;
    Ok(())
}

/// Refuses a place that cannot be the one: it belongs to others, or nobody, and has nothing of what the database names.
pub(super) async fn refuse_elsewhere(store: &Store, blobs: &Blobs) -> Result<(), ServerError> {
    if refuse_others(store.installation(), blobs).await?.is_some() {
        return Ok(());
    }
    let named = store.named_blobs().await?;
    if named.is_empty() || blobs.list().await?.iter().any(|blob| named.contains(&blob.sha256)) {
        return Ok(());
    }
    Err(ServerError::BlobsElsewhere { place: blobs.to_string(), named: named.len() })
}

/// Refuses bytes that belong to another database, which may name them. Answers whose they are, if anybody said so.
pub(super) async fn refuse_others(own: Installation, blobs: &Blobs) -> Result<Option<String>, ServerError> {
    let found = blobs.owner().await?;
    if let Some(found) = &found {
        let (id, copy) = found.split_once(' ').map_or((found.as_str(), None), |(id, copy)| (id, Some(copy)));
        if id != own.id.to_string() {
            return Err(ServerError::ForeignBlobs {
                place: blobs.to_string(),
                owner: id.to_owned(),
                installation: own.id.to_string(),
            });
        }
        if copy.is_some_and(|copy| copy != own.incarnation.to_string()) {
            return Err(ServerError::CopiedBlobs { place: blobs.to_string() });
        }
    }
    Ok(found)
}

/// Makes the bytes those of the database that the settings name, where they were another copy's that is gone. Answers
/// where they are.
pub async fn take_over(settings: &Settings) -> Result<String, ServerError> {
    let folder = folder::existing(&settings.data, settings.database.as_ref())?;
    if Found::at(&folder.database, None).await? == Found::New {
        return Err(ServerError::NothingThere(folder.database.to_string()));
    }
    folder::refuse_half_restored(&settings.data)?;
    let keys = folder.keys(settings.master_key.as_ref())?;
    if keys.is_empty() {
        return Err(folder.key_missing());
    }
    let key = folder::own(&keys, &folder.database).await?.ok_or(StoreError::WrongKey)?;
    folder::private_folder(&folder.packages).map_err(ServerError::Folder)?;
    let blobs = Blobs::open(&folder.packages, bucket(settings).await?, PACKAGE_LIMIT, ABANDONED)?;
    let store =
        Store::open(Database::open(&folder.database).await?, Vault::new(&key.bytes)?, settings.lease).await?;
    let own = store.installation();
    let taken = match refuse_others(own, &blobs).await {
        Ok(_) | Err(ServerError::CopiedBlobs { .. }) => Ok(blobs.take_over(&mark(own)).await?),
        Err(error) => Err(error),
    };
    store.close().await;
    taken.map(|()| blobs.to_string())
}
