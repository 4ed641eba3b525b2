//! Worker pools: names for workers that belong together.

use super::{Store, StoreError, database::Write, environments::checked_name, free_slug, key, meant, spaces};
use crate::model::WorkerPoolId;

/// A worker pool as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct WorkerPoolRow {
    /// The number of its id.
    pub id: i64,
    /// Its name as given.
    pub name: String,
    /// Its name in URLs.
    pub slug: String,
    /// For people.
    pub description: String,
    /// Whether workers that nobody moved are in it, as 0 or 1.
    pub is_default: i64,
}

const COLUMNS: &str = "select w.id, w.name, w.slug, w.description, case when s.worker_pool_id = w.id then 1 else 0 end \
                       as is_default from worker_pools w join spaces s on s.id = w.space_id \
                       where w.space_id = coalesce($1, w.space_id) order by w.id";

impl Store {
    /// All pools, the default one first.
    pub async fn worker_pools(&self) -> Result<Vec<WorkerPoolRow>, StoreError> {
        Ok(sqlx::query_as(COLUMNS).bind(self.space).fetch_all(&self.database.reader).await?)
    }

    /// The pool with this id, name or slug.
    pub async fn worker_pool(&self, named: &str) -> Result<WorkerPoolRow, StoreError> {
        find(self.worker_pools().await?, named)
    }

    /// Makes a pool.
    pub async fn create_worker_pool(
        &self,
        name: &str,
        description: &str,
    ) -> Result<WorkerPoolRow, StoreError> {
        let name = checked_name("worker pool", name, &["all"])?;
        let mut write = self.write().await?;
        let home = spaces::home(&mut write).await?;
        // The slug depends on all others.
        write.lock_table("worker_pools").await?;
        let taken: Vec<String> = sqlx::query_scalar("select slug from worker_pools where space_id = $1")
            .bind(home)
            .fetch_all(&mut *write)
            .await?;
        let made: Option<WorkerPoolRow> = sqlx::query_as(
            "insert into worker_pools (name, name_key, slug, description, space_id) values ($1, $2, $3, $4, $5) \
             on conflict (space_id, name_key) do nothing returning id, name, slug, description, 0 as is_default",
        )
        .bind(name)
        .bind(key(name))
        .bind(free_slug(name, &taken))
        .bind(description)
        .bind(home)
        .fetch_optional(&mut *write)
        .await?;
        let made = made.ok_or_else(|| exists(name))?;
        write.commit().await?;
        Ok(made)
    }

    /// Gives a pool another name or description; its slug stays, for links hold it.
    pub async fn change_worker_pool(
        &self,
        named: &str,
        name: &str,
        description: &str,
    ) -> Result<WorkerPoolRow, StoreError> {
        let name = checked_name("worker pool", name, &["all"])?;
        let mut write = self.write().await?;
        write.lock_table("worker_pools").await?;
        let rows = all(&mut write).await?;
        let row = find(rows.clone(), named)?;
        if rows.iter().any(|other| other.id != row.id && key(&other.name) == key(name)) {
            return Err(exists(name));
        }
        sqlx::query("update worker_pools set name = $2, name_key = $3, description = $4 where id = $1")
            .bind(row.id)
            .bind(name)
            .bind(key(name))
            .bind(description)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(WorkerPoolRow { name: name.to_owned(), description: description.to_owned(), ..row })
    }

    /// Removes a pool that no worker is in.
    pub async fn delete_worker_pool(&self, named: &str) -> Result<WorkerPoolRow, StoreError> {
        let mut write = self.write().await?;
        let row = find(all(&mut write).await?, named)?;
        // Nobody moves a worker into it meanwhile.
        lock(&mut write, row.id).await?;
        let refused = |why: String| {
            Err(StoreError::Invalid(format!("worker pool `{}` cannot be deleted: {why}", row.name)))
        };
        if row.is_default == 1 {
            return refused("it is the pool of all workers that are in no other".into());
        }
        let workers: Vec<String> =
            sqlx::query_scalar("select name from machines where worker_pool_id = $1 order by id")
                .bind(row.id)
                .fetch_all(&mut *write)
                .await?;
        if !workers.is_empty() {
            return refused(format!("these workers are in it: {}", workers.join(", ")));
        }
        sqlx::query("delete from worker_pools where id = $1").bind(row.id).execute(&mut *write).await?;
        write.commit().await?;
        Ok(row)
    }
}

/// Keeps the pool from being deleted while a worker is moved into it.
pub(super) async fn lock(write: &mut Write, id: i64) -> Result<(), StoreError> {
    write.lock_row("worker_pools", id).await?;
    let rows = all(write).await?;
    find(rows, &WorkerPoolId(id).to_string()).map(drop)
}

async fn all(write: &mut Write) -> Result<Vec<WorkerPoolRow>, StoreError> {
    Ok(sqlx::query_as(COLUMNS).bind(write.space).fetch_all(&mut **write).await?)
}

fn exists(name: &str) -> StoreError {
    StoreError::Conflict(format!("a worker pool `{name}` exists already"))
}

/// The one that is meant by an id, a name or a slug.
fn find(rows: Vec<WorkerPoolRow>, named: &str) -> Result<WorkerPoolRow, StoreError> {
    let id = named.trim().parse::<WorkerPoolId>().ok().map(|id| id.0);
    meant(rows, named, id, |row| (row.id, &row.name, &row.slug))
        .ok_or_else(|| StoreError::NotFound(format!("worker pool `{named}` does not exist")))
}
