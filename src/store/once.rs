//! Requests that are done once, however often they arrive: the key of a request is taken before it is done, and what it
//! stores is stored together with a note that it is.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use tokio::task_local;
use uuid::Uuid;

use super::{
    Store, StoreError,
    database::{Write, now},
    milliseconds,
    vault::Vault,
};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_hours(24);
/// After how long a request that stored nothing is done by another one. It may go on all the same: what it then wants to
/// store is refused.
const ABANDONED: Duration = Duration::from_secs(30);

task_local! {
    /// The request that this task does, for whatever it stores.
    static DOING: Claim;
}

/// The key that a sender gave to a request. Nothing that is stored of it gives the key away, or opens its answer.
#[derive(Debug)]
pub struct OnceKey {
    hash: String,
    vault: Vault,
}

impl OnceKey {
    /// `key` means this request of whoever has the credential, on this route.
    pub fn new(credential: &str, route: &str, key: &str) -> Result<Self, StoreError> {
        let digest = |purpose: &str| {
            let mut context = Context::new(&SHA256);
            for part in [purpose, credential, route, key] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part.as_bytes());
            }
            let mut bytes = [0; 32];
            bytes.copy_from_slice(context.finish().as_ref());
            bytes
        };
        Ok(Self {
            hash: hex::encode(digest("idempotency key")),
            vault: Vault::new(&digest("idempotent answer"))?,
        })
    }
}

/// The right to do a request.
#[derive(Debug, Clone)]
pub struct Claim {
    hash: String,
    owner: String,
}

/// What a request with a key finds.
#[derive(Debug)]
pub enum Attempt {
    /// It is the one that is to be done.
    Do(Claim),
    /// It was done, and this was the answer.
    Done(String),
    /// Another one is being done.
    Busy,
    /// It was done, and its answer was lost.
    Lost,
    /// The key was given to a request that says something else.
    Other,
}

#[derive(sqlx::FromRow)]
struct Row {
    digest: String,
    age: i64,
    committed: i64,
    answer: Option<String>,
}

impl Store {
    /// Looks what became of the request with this key; `digest` is that of its body.
    pub async fn take_turn(&self, key: &OnceKey, digest: &str) -> Result<Attempt, StoreError> {
        let mut write = self.write().await?;
        let owner = Uuid::now_v7().to_string();
        let claim = Claim { hash: key.hash.clone(), owner };
        // Of two at the same moment the second waits here for the first.
        let new = sqlx::query(concat!(
            "insert into idempotency_keys (hash, digest, owner, created) values ($1, $2, $3, ",
            now!(),
            ") on conflict (hash) do nothing"
        ))
        .bind(&claim.hash)
        .bind(digest)
        .bind(&claim.owner)
        .execute(&mut *write)
        .await?
        .rows_affected();
        if new == 1 {
            write.commit().await?;
            return Ok(Attempt::Do(claim));
        }
        let select = concat!(
            "select digest, ",
            now!(),
            " - created as age, committed, answer from idempotency_keys where hash = $1"
        );
        let row: Option<Row> =
            sqlx::query_as(write.locking(select)).bind(&claim.hash).fetch_optional(&mut *write).await?;
        let turn = match row {
            // Forgotten just now.
            None => Attempt::Busy,
            Some(row) if row.digest != digest => Attempt::Other,
            Some(Row { answer: Some(answer), .. }) => Attempt::Done(key.vault.open(&key.hash, &answer)?),
            Some(row) if row.age < milliseconds(ABANDONED) => Attempt::Busy,
            Some(row) if row.committed == 1 => Attempt::Lost,
            Some(_) => {
                sqlx::query(concat!(
                    "update idempotency_keys set owner = $2, created = ",
                    now!(),
                    " where hash = $1"
                ))
                .bind(&claim.hash)
                .bind(&claim.owner)
                .execute(&mut *write)
                .await?;
                Attempt::Do(claim)
            }
        };
        write.commit().await?;
        Ok(turn)
    }

    /// Keeps the answer of a request for those that come with the same key.
    pub async fn keep_answer(&self, key: &OnceKey, claim: &Claim, answer: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("update idempotency_keys set answer = $3 where hash = $1 and owner = $2")
            .bind(&claim.hash)
            .bind(&claim.owner)
            .bind(key.vault.seal(&key.hash, answer)?)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Lets the next request with the same key be done, unless something of this one is stored.
    pub async fn give_turn_back(&self, claim: &Claim) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("delete from idempotency_keys where hash = $1 and owner = $2 and committed = 0")
            .bind(&claim.hash)
            .bind(&claim.owner)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }
}

/// Does the request: what it stores, it stores only while it is the one that is to be done.
pub async fn doing<T>(claim: Claim, request: impl Future<Output = T>) -> T {
    DOING.scope(claim, request).await
}

/// Notes in the transaction that is about to end that something of the request, if it is done for one, is stored.
pub(super) async fn note(write: &mut Write) -> Result<(), StoreError> {
    let Ok(claim) = DOING.try_with(Clone::clone) else { return Ok(()) };
    let noted = sqlx::query("update idempotency_keys set committed = 1 where hash = $1 and owner = $2")
        .bind(&claim.hash)
        .bind(&claim.owner)
        .execute(&mut **write)
        .await?
        .rows_affected();
    if noted == 1 {
        return Ok(());
    }
    Err(StoreError::Conflict(
        "the request took so long that another one with the same key is done instead".into(),
    ))
}

/// Forgets what nobody comes back for.
pub(super) async fn forget_old(write: &mut Write) -> Result<(), StoreError> {
    sqlx::query(concat!("delete from idempotency_keys where created < ", now!(), " - $1"))
        .bind(milliseconds(KEPT))
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// At the start of the one server of a database: what was being done before has ended, however it did.
pub(super) async fn abandon(write: &mut Write) -> Result<(), StoreError> {
    sqlx::query("update idempotency_keys set created = created - $1 where answer is null")
        .bind(milliseconds(ABANDONED))
        .execute(&mut **write)
        .await?;
    Ok(())
}
