//! What credentials are made of and kept as, and the installation's own id.

use aws_lc_rs::{digest, hmac, rand};
use sqlx::AnyConnection;
use uuid::Uuid;

use super::{
    StoreError,
    database::{Database, Write},
    vault::Vault,
};

/// What the master key must open.
const CHECK: &str = "master-key-check";

/// Whether no server has used the database yet.
pub(super) async fn is_new(database: &Database) -> Result<bool, StoreError> {
    let found: Option<String> = sqlx::query_scalar("select value from settings where name = 'installation'")
        .fetch_optional(&database.reader)
        .await?;
    Ok(found.is_none())
}

/// The ids of the installation and of its copy, where a server has used the database; refuses a master key that is not its own, where one is given.
pub(super) async fn look(
    connection: &mut AnyConnection,
    vault: Option<&Vault>,
) -> Result<Option<(Uuid, Option<Uuid>)>, StoreError> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("select name, value from settings").fetch_all(connection).await?;
    let value = |name: &str| rows.iter().find(|(found, _)| found == name).map(|(_, value)| value);
    let installation = value("installation");
    if let (Some(vault), Some(check)) = (vault, value(CHECK))
        && vault.open(CHECK, check).ok().as_ref() != installation
    {
        return Err(StoreError::WrongKey);
    }
    let Some(installation) = installation else { return Ok(None) };
    let incarnation = value("incarnation").map(|text| read_id(text)).transpose()?;
    Ok(Some((read_id(installation)?, incarnation)))
}

/// Which database this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation {
    /// The id that it was given when it was new.
    pub id: Uuid,
    /// Which copy of it this is: a restored one has another than its original.
    pub incarnation: Uuid,
}

/// The sentence by which a copy becomes one of its own: its next start makes a new id.
pub(super) const ANOTHER_COPY: &str = "delete from settings where name = 'incarnation'";

/// Reads the installation's id, made once when the database was new, and refuses a master key that is not the one that
/// the database was first opened with.
pub(super) async fn installation(database: &Database, vault: &Vault) -> Result<Installation, StoreError> {
    let mut write = database.write().await?;
    let text = kept(&mut write, "installation", &random_id()?.to_string()).await?;
    let check = kept(&mut write, CHECK, &vault.seal(CHECK, &text)?).await?;
    if vault.open(CHECK, &check).ok().as_ref() != Some(&text) {
        return Err(StoreError::WrongKey);
    }
    let incarnation = kept(&mut write, "incarnation", &random_id()?.to_string()).await?;
    write.commit().await?;
    Ok(Installation { id: read_id(&text)?, incarnation: read_id(&incarnation)? })
}

/// The key that vouches for challenges, made once when the database was new: all nodes have the same one. Who reads it can
/// make a challenge, and still not sign it.
pub(super) async fn of_challenges(database: &Database) -> Result<hmac::Key, StoreError> {
    let mut bytes = [0; 32];
    fill(&mut bytes)?;
    let mut write = database.write().await?;
    let text = kept(&mut write, "challenge-key", &hex::encode(bytes)).await?;
    write.commit().await?;
    let bytes = hex::decode(text).map_err(|error| StoreError::corrupt("the key of challenges", error))?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn random_id() -> Result<Uuid, StoreError> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

fn read_id(text: &str) -> Result<Uuid, StoreError> {
    text.parse().map_err(|error: uuid::Error| StoreError::corrupt("the installation's id", error))
}

/// Refuses to go on under a key that is the database's no more: what it sealed nobody could open. Asked before anything
/// else is locked by whoever seals something, or copies what is sealed; the key then stays until the end.
pub(super) async fn refuse_replaced(write: &mut Write, vault: &Vault) -> Result<(), StoreError> {
    let select = write.sharing("select value from settings where name = 'master-key-check'");
    let check: Option<String> = sqlx::query_scalar(select).fetch_optional(&mut **write).await?;
    if check.is_some_and(|check| vault.open(CHECK, &check).is_err()) {
        return Err(StoreError::WrongKey);
    }
    Ok(())
}

/// Makes the new key the database's own in place of the old one.
pub(super) async fn replace(write: &mut Write, old: &Vault, new: &Vault) -> Result<(), StoreError> {
    let select = write.locking("select value from settings where name = 'master-key-check'");
    let check: String = sqlx::query_scalar(select).fetch_one(&mut **write).await?;
    let installation = old.open(CHECK, &check).map_err(|_| StoreError::WrongKey)?;
    sqlx::query("update settings set value = $2 where name = $1")
        .bind(CHECK)
        .bind(new.seal(CHECK, &installation)?)
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// The setting of this name: what is there, else `new`. One that others are making at the same moment is waited for.
async fn kept(write: &mut Write, name: &str, new: &str) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar(
        "insert into settings (name, value) values ($1, $2) \
         on conflict (name) do update set value = settings.value returning value",
    )
    .bind(name)
    .bind(new)
    .fetch_one(&mut **write)
    .await?)
}

/// SHA-256 in hex: credentials are long and random, so a plain digest gives nothing away.
pub(super) fn hash(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

pub(super) fn fill(bytes: &mut [u8]) -> Result<(), StoreError> {
    rand::fill(bytes).map_err(|_| StoreError::Corrupt {
        what: "the system's source of random numbers".into(),
        source: None,
    })
}

/// `length` characters of A-Z and 0-9, each equally likely.
pub(super) fn random_word(length: usize) -> Result<String, StoreError> {
    const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut word = String::with_capacity(length);
    while word.len() < length {
        let mut bytes = [0; 64];
        fill(&mut bytes)?;
        // 252 is the largest multiple of 36 in a byte: what lies above would favour the first letters.
        let letters =
            bytes.iter().filter(|byte| **byte < 252).map(|byte| char::from(LETTERS[usize::from(byte % 36)]));
        word.extend(letters.take(length - word.len()));
    }
    Ok(word)
}
