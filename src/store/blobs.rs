//! Which blobs there are and which nothing names any more: what decides that one may be deleted, and that none is that
//! somebody is about to name.
//!
//! A push says which bytes it is going to name before it looks whether they are there. From then on they are spared for
//! [`GRACE`]. A collector dooms what nothing named for that long, deletes it, and forgets it. What is doomed cannot be
//! named: a push of the same bytes waits until they are gone and stores them anew.

use std::{collections::HashSet, time::Duration};

use sqlx::AssertSqlSafe;

use super::{
    Judged, Store, StoreError,
    database::{Write, now},
    milliseconds, signed, unsigned,
};
use crate::blobs::Blob;

/// How long a blob that nothing names is spared: longer than any push or transaction may take.
pub const GRACE: Duration = Duration::from_hours(24);

/// That something names the blob of the row `b`.
macro_rules! named {
    () => {
        "(exists (select 1 from packages where sha256 = b.sha256) \
         or exists (select 1 from releases where package_sha256 = b.sha256) \
         or exists (select 1 from deployments where log_sha256 = b.sha256))"
    };
}

/// A blob, and for how long nothing has been known to name it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct UnnamedBlob {
    /// Its digest.
    pub sha256: String,
    size: i64,
    /// In milliseconds; none where something names it, or that nothing does is found out just now.
    unnamed_for: Option<i64>,
    /// Whether somebody is deleting it, as 0 or 1.
    doomed: i64,
}

impl UnnamedBlob {
    /// One that was found where blobs are, and of which nothing is known.
    pub fn found(blob: Blob) -> Self {
        Self { size: signed(blob.size), sha256: blob.sha256, unnamed_for: None, doomed: 0 }
    }

    /// Whether it goes, now that nothing names it.
    pub fn judge(&self, grace: Duration) -> Judged {
        let unnamed_for = Duration::from_millis(unsigned(self.unnamed_for.unwrap_or(0)));
        let (goes, why) = if self.doomed == 1 {
            (true, "somebody began to delete them".to_owned())
        } else if unnamed_for >= grace {
            (true, "nothing names them".to_owned())
        } else {
            let hours = grace.as_secs() / 3600;
            (false, format!("nothing has named them for less than {hours} hours: somebody may be about to"))
        };
        Judged::blob(&self.sha256, unsigned(self.size), goes, why)
    }
}

/// All that is named: packages, those that releases are made of, and finished logs.
pub(super) const NAMED: &str = "select sha256 from packages union select package_sha256 from releases \
                                union select log_sha256 from deployments where log_sha256 is not null";
/// The same of a database before the step that made blobs of logs, and the number of that step.
pub(super) const NAMED_BEFORE: &str = "select sha256 from packages union select package_sha256 from releases";
pub(super) const SINCE: i64 = 7;

impl Store {
    /// Says that this blob is about to be stored and named: nobody deletes it from now on, for [`GRACE`]. Refused while
    /// somebody is deleting the same bytes.
    pub async fn expect_blob(&self, blob: &Blob) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let spared = sqlx::query(concat!(
            "insert into blobs as b (sha256, size, unnamed_since) values ($1, $2, ",
            now!(),
            ") on conflict (sha256) do update set size = excluded.size, unnamed_since = case when ",
            named!(),
            " then null else excluded.unnamed_since end where b.doomed is null"
        ))
        .bind(&blob.sha256)
        .bind(signed(blob.size))
        .execute(&mut *write)
        .await?;
        if spared.rows_affected() == 0 {
            return Err(StoreError::BlobGoing { sha256: blob.sha256.clone() });
        }
        write.commit().await
    }

    /// Takes note of stored blobs that have no row: what was left behind by something that broke off. They are young
    /// from now on, however old their bytes are.
    pub async fn adopt_blobs(&self, stored: &[Blob]) -> Result<u64, StoreError> {
        let known: Vec<String> =
            sqlx::query_scalar("select sha256 from blobs").fetch_all(&self.database.reader).await?;
        let known: HashSet<String> = known.into_iter().collect();
        let mut adopted = 0;
        for blob in stored.iter().filter(|blob| !known.contains(&blob.sha256)) {
            let mut write = self.write().await?;
            adopted += sqlx::query(concat!(
                "insert into blobs (sha256, size, unnamed_since) values ($1, $2, ",
                now!(),
                ") on conflict (sha256) do nothing"
            ))
            .bind(&blob.sha256)
            .bind(signed(blob.size))
            .execute(&mut *write)
            .await?
            .rows_affected();
            write.commit().await?;
        }
        Ok(adopted)
    }

    /// The digests of all blobs that are named.
    pub async fn named_blobs(&self) -> Result<HashSet<String>, StoreError> {
        let named: Vec<String> = sqlx::query_scalar(NAMED).fetch_all(&self.database.reader).await?;
        Ok(named.into_iter().collect())
    }

    /// All blobs that are known, by digest.
    pub async fn known_blobs(&self) -> Result<Vec<UnnamedBlob>, StoreError> {
        Ok(sqlx::query_as(concat!(
            "select sha256, size, ",
            now!(),
            " - unnamed_since as unnamed_for, case when doomed is null then 0 else 1 end as doomed from blobs \
             order by sha256"
        ))
        .fetch_all(&self.database.reader)
        .await?)
    }

    /// Takes note of what nothing names any more: since now, which is later than it was so. A release that is being made of
    /// a package while that is deleted still finds its bytes: it has all of [`GRACE`] to get them named.
    pub async fn mark_unnamed_blobs(&self) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        for text in [
            concat!(
                "update blobs set unnamed_since = null where sha256 in (select sha256 from blobs b where \
                 unnamed_since is not null and doomed is null and ",
                named!(),
                ")"
            ),
            concat!(
                "update blobs set unnamed_since = ",
                now!(),
                " where unnamed_since is null and sha256 in (select sha256 from blobs b where unnamed_since is null \
                 and not ",
                named!(),
                ")"
            ),
        ] {
            sqlx::query(text).execute(&mut *write).await?;
        }
        write.commit().await
    }

    /// Dooms at most `most` blobs that nothing has named for `grace`, and those that somebody doomed longer than
    /// `abandoned` ago and never deleted. Whoever calls this deletes them and then calls [`Self::forget_blob`].
    pub async fn doom_blobs(
        &self,
        grace: Duration,
        abandoned: Duration,
        most: u32,
    ) -> Result<Vec<Blob>, StoreError> {
        let mut write = self.write().await?;
        // The rows are looked at once more after they were locked: a push that spared one in between has the last word.
        let doomed: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(format!(
            "update blobs set doomed = {now} where sha256 in (select sha256 from blobs b where \
             ((doomed is null and unnamed_since <= {now} - $1) or doomed <= {now} - $2) and not {named} \
             order by sha256 limit $3{skip_locked}) returning sha256, size",
            now = now!(),
            named = named!(),
            skip_locked = write.skip_locked(),
        )))
        .bind(milliseconds(grace))
        .bind(milliseconds(abandoned))
        .bind(i64::from(most))
        .fetch_all(&mut *write)
        .await?;
        write.commit().await?;
        Ok(doomed.into_iter().map(|(sha256, size)| Blob { sha256, size: unsigned(size) }).collect())
    }

    /// A doomed blob is gone: it may be stored anew.
    pub async fn forget_blob(&self, sha256: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("delete from blobs where sha256 = $1 and doomed is not null")
            .bind(sha256)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }
}

/// What is durable gets a name in this transaction. Refused where the blob was deleted, or is being, since it was expected.
pub(super) async fn name(write: &mut Write, sha256: &str) -> Result<(), StoreError> {
    let found = sqlx::query("update blobs set unnamed_since = null where sha256 = $1 and doomed is null")
        .bind(sha256)
        .execute(&mut **write)
        .await?;
    if found.rows_affected() == 0 {
        return Err(StoreError::BlobGoing { sha256: sha256.to_owned() });
    }
    Ok(())
}
