//! Credentials of people and pipelines, and the installation's own id.

use aws_lc_rs::{digest, rand};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::{
    Store, StoreError,
    database::{Database, now},
};

impl Store {
    /// Makes the first API key if there is none. It is stored hashed; this answer is the only place that has it.
    /// `keep` runs before the key counts, so that a key nobody could read never becomes the only one.
    pub async fn make_first_key<E>(
        &self,
        keep: impl FnOnce(&SecretString) -> Result<(), E>,
    ) -> Result<Option<Result<SecretString, E>>, StoreError> {
        let mut write = self.database.write().await?;
        let keys: i64 = sqlx::query_scalar("select count(*) from api_keys").fetch_one(&mut *write).await?;
        if keys > 0 {
            return Ok(None);
        }
        let made = SecretString::from(format!("API-{}", random_word(32)?));
        sqlx::query(concat!("insert into api_keys (hash, created) values ($1, ", now!(), ")"))
            .bind(hash(made.expose_secret()))
            .execute(&mut *write)
            .await?;
        if let Err(error) = keep(&made) {
            return Ok(Some(Err(error)));
        }
        write.commit().await?;
        Ok(Some(Ok(made)))
    }

    /// Whether this is an API key of the server. Looked up by hash, so timing tells nothing about stored keys.
    pub async fn is_api_key(&self, text: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("select 1 from api_keys where hash = $1")
            .bind(hash(text))
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found.is_some())
    }
}

/// Reads the installation's id, made once when the database was new.
pub(super) async fn installation(database: &Database) -> Result<Uuid, StoreError> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    let made = uuid::Builder::from_random_bytes(bytes).into_uuid();
    let mut write = database.write().await?;
    let text: String = sqlx::query_scalar(
        "insert into settings (name, value) values ('installation', $1) \
         on conflict (name) do update set value = settings.value returning value",
    )
    .bind(made.to_string())
    .fetch_one(&mut *write)
    .await?;
    write.commit().await?;
    text.parse().map_err(|error: uuid::Error| StoreError::corrupt("the installation's id", error))
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
