//! Looks whether a server could start with its settings, and changes nothing.

use std::{io, path::Path};

use rustix::fs::Access;
use tokio::net::TcpListener;

use super::{ServerError, Settings, TlsError, bucket, folder, owner, tls};
use crate::{
    blobs::Blobs,
    store::{Found, Installation, StoreError},
};

/// Finds out what would keep a server with these settings from starting; answers a sentence for each thing that is
/// right.
pub async fn check(settings: &Settings) -> Result<Vec<String>, ServerError> {
    let data = settings.data.display();
    let is_there = settings.data.exists();
    usable(&settings.data).map_err(ServerError::Folder)?;
    folder::refuse_half_restored(&settings.data)?;
    if settings.database.is_none() {
        folder::refuse_owned(&settings.data)?;
    }
    let folder = folder::look(&settings.data, settings.database.as_ref());
    let keys = folder.keys(settings.master_key.as_ref())?;
    let found = Found::at(&folder.database, None).await?;
    if let Found::Used { .. } = found {
        if keys.is_empty() {
            return Err(folder.key_missing());
        }
        folder::own(&keys, &folder.database).await?.ok_or(StoreError::WrongKey)?;
    }
    let bucket = bucket(settings).await?;
    if let Some(bucket) = &bucket {
        bucket.check().await?;
    }
    if let Found::Used { id, incarnation } = found {
        // One that has no id of its own yet is another one than all that have.
        let own = Installation { id, incarnation: incarnation.unwrap_or_default() };
        owner::refuse_others(own, &Blobs::look(&folder.packages, bucket.clone())).await?;
    }
    let address = settings.listen;
    let protected = protection(settings)?;
    TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })?;
    let mut found_right = vec![
        format!("the data folder `{data}` {}", if is_there { "can be used" } else { "can be made" }),
        match found {
            Found::New => format!("the database `{}` is new: its tables will be made", folder.database),
            Found::Used { .. } => format!("the database `{}` can be used", folder.database),
        },
        match (found, keys.is_empty()) {
            (Found::Used { .. }, _) => "the master key opens it".to_owned(),
            (Found::New, false) => "there is a master key for it".to_owned(),
            (Found::New, true) => "a master key will be made in the data folder".to_owned(),
        },
        protected,
        format!("the address {address} is free"),
    ];
    found_right.extend(bucket.map(|bucket| format!("the bucket of packages, `{bucket}`, can be listed")));
    Ok(found_right)
}

/// How connections would be protected.
fn protection(settings: &Settings) -> Result<String, TlsError> {
    let Settings { tls, data, listen, .. } = settings;
    if tls::is_to_be_made(tls, data, *listen)? {
        return Ok("connections have TLS: a certificate will be made in the data folder".to_owned());
    }
    Ok(match tls::prepare(tls, data, *listen)? {
        Some(protection) => format!("connections have TLS: the certificate is {}", protection.fingerprint),
        None => "connections are plain HTTP".to_owned(),
    })
}

/// Whether the folder can be written to, or one that is to hold it.
fn usable(folder: &Path) -> io::Result<()> {
    // A relative path ends in the empty one, which is where we are.
    let here = |folder: &Path| {
        if folder.as_os_str().is_empty() { Path::new(".").to_owned() } else { folder.to_owned() }
    };
    let nearest = folder.ancestors().map(here).find(|folder| folder.exists());
    let nearest = nearest.unwrap_or_else(|| Path::new("/").to_owned());
    let told = |kind| io::Error::new(kind, format!("`{}` cannot be written to", nearest.display()));
    if !nearest.is_dir() {
        return Err(told(io::ErrorKind::NotADirectory));
    }
    rustix::fs::access(&nearest, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| told(error.kind()))
}
