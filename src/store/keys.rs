//! What credentials are made of and kept as, and the installation's own id.

use aws_lc_rs::{digest, rand};
use uuid::Uuid;

use super::{StoreError, database::Database};

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
