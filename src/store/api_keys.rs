//! API keys: what people and pipelines show, what each allows, and until when.
//!
//! Stored hashed: the answer that makes a key is the only place that has it.

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Store, StoreError,
    database::{Write, now},
    environments::{self, checked_name},
    key,
    keys::{hash, random_word},
    spaces,
};
use crate::model::{ApiKeyId, EnvironmentId, Permission, SpaceId};

/// How many characters of a key tell it from others without giving it away: `API-` and four of 32.
const HINT: usize = 8;
/// The longest life of a key with an end, in days: ten years.
const LONGEST: u32 = 3650;

/// What a new key allows.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// What it is for.
    pub name: String,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// The only space it reaches; none means every one.
    pub space: Option<SpaceId>,
    /// Where it may deploy, by name or id; none means everywhere.
    pub environments: Vec<String>,
    /// After how many days it stops working.
    pub days: Option<u32>,
}

/// A key as stored: all but the key.
#[derive(Debug, Clone)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for.
    pub name: String,
    /// How the key begins.
    pub hint: String,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// The only space it reaches; none means every one.
    pub space: Option<SpaceId>,
    /// Where it may deploy; empty means everywhere.
    pub environments: Vec<EnvironmentId>,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// When it stops working.
    pub expires: Option<i64>,
}

impl ApiKeyRow {
    /// Whether it allows this somewhere.
    pub fn allows(&self, needed: Permission) -> bool {
        self.permissions.iter().any(|has| has.allows(needed))
    }

    /// Whether it may change whatever there is.
    pub fn administers_all(&self) -> bool {
        self.allows(Permission::Administer) && self.space.is_none()
    }

    /// Whether it may change this environment, where it allows to change any.
    pub fn reaches(&self, environment: EnvironmentId) -> bool {
        self.environments.is_empty() || self.environments.contains(&environment)
    }
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: i64,
    name: String,
    hint: String,
    permissions: String,
    space_id: Option<i64>,
    environments: String,
    created: i64,
    expires: Option<i64>,
}

impl Stored {
    fn read(self) -> Result<ApiKeyRow, StoreError> {
        let unreadable = |error| StoreError::corrupt(format!("the API key `{}`", self.name), error);
        Ok(ApiKeyRow {
            id: ApiKeyId(self.id),
            permissions: serde_json::from_str(&self.permissions).map_err(unreadable)?,
            space: self.space_id.map(SpaceId),
            environments: serde_json::from_str(&self.environments).map_err(unreadable)?,
            name: self.name,
            hint: self.hint,
            created: self.created,
            expires: self.expires,
        })
    }
}

const COLUMNS: &str = "id, name, hint, permissions, space_id, environments, created, expires";

impl Store {
    /// Makes the first API key if there is none; it may do everything. `keep` runs before the key counts, so that a
    /// key nobody could read never becomes the only one.
    pub async fn make_first_key<E>(
        &self,
        keep: impl FnOnce(&SecretString) -> Result<(), E>,
    ) -> Result<Option<Result<SecretString, E>>, StoreError> {
        let mut write = self.database.write().await?;
        // Of several servers that start together one makes it.
        write.lock_table("api_keys").await?;
        let keys: i64 = sqlx::query_scalar("select count(*) from api_keys").fetch_one(&mut *write).await?;
        if keys > 0 {
            return Ok(None);
        }
        let (made, _) = insert(&mut write, "first", &[Permission::Administer], None, &[], None).await?;
        if let Err(error) = keep(&made) {
            return Ok(Some(Err(error)));
        }
        write.commit().await?;
        Ok(Some(Ok(made)))
    }

    /// Makes a key.
    pub async fn create_api_key(&self, new: &NewApiKey) -> Result<(SecretString, ApiKeyRow), StoreError> {
        let name = checked_name("API key", &new.name, &[])?;
        let mut permissions = new.permissions.clone();
        permissions.sort_unstable();
        permissions.dedup();
        if permissions.is_empty() {
            return Err(StoreError::Invalid(format!(
                "the API key `{name}` allows nothing: give it read, publish, deploy or administer"
            )));
        }
        if new.days.is_some_and(|days| days == 0 || days > LONGEST) {
            return Err(StoreError::Invalid(format!(
                "an API key lives for 1 to {LONGEST} days, or without an end"
            )));
        }
        if !new.environments.is_empty() && permissions.contains(&Permission::Administer) {
            return Err(StoreError::Invalid(
                "`administer` reaches every environment: leave it out, or leave the environments out".into(),
            ));
        }
        let mut write = self.write().await?;
        // The environments of a key are in its space, if it has one.
        write.space = new.space.map(|space| space.0).or(self.space);
        if new.space.is_some() {
            spaces::home(&mut write).await?;
        }
        write.lock_table("api_keys").await?;
        let known = environments::all(&mut write).await?;
        let mut reached = Vec::new();
        for named in &new.environments {
            reached.push(EnvironmentId(environments::find(known.clone(), named)?.id));
        }
        reached.sort_unstable();
        reached.dedup();
        let taken: Option<i64> = sqlx::query_scalar("select id from api_keys where name_key = $1")
            .bind(key(name))
            .fetch_optional(&mut *write)
            .await?;
        if let Some(id) = taken {
            return Err(StoreError::Conflict(format!(
                "an API key `{name}` exists already ({}): delete it first, or name this one otherwise",
                ApiKeyId(id)
            )));
        }
        let made = insert(&mut write, name, &permissions, new.space, &reached, new.days).await?;
        write.commit().await?;
        Ok(made)
    }

    /// All keys, the oldest first.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        let rows: Vec<Stored> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("select {COLUMNS} from api_keys order by id")))
                .fetch_all(&self.database.reader)
                .await?;
        rows.into_iter().map(Stored::read).collect()
    }

    /// Deletes a key, by id or name: it stops working at once. Never the last that may administer, for nobody could
    /// make another one.
    pub async fn delete_api_key(&self, named: &str) -> Result<ApiKeyRow, StoreError> {
        let mut write = self.database.write().await?;
        // Two keys that are deleted at once may be the last two that may administer.
        write.lock_table("api_keys").await?;
        let rows: Vec<Stored> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from api_keys where expires is null or expires > {} or name_key = $1 or id = $2 order by id",
            now!()
        )))
        .bind(key(named))
        .bind(named.trim().parse::<ApiKeyId>().map_or(0, |id| id.0))
        .fetch_all(&mut *write)
        .await?;
        let mut rows = rows.into_iter().map(Stored::read).collect::<Result<Vec<_>, _>>()?;
        let id = named.trim().parse::<ApiKeyId>().ok();
        let place = rows
            .iter()
            .position(|row| id == Some(row.id))
            .or_else(|| rows.iter().position(|row| key(&row.name) == key(named)))
            .ok_or_else(|| StoreError::NotFound(format!("API key `{named}` does not exist")))?;
        let row = rows.remove(place);
        let lasting = |row: &ApiKeyRow| row.administers_all() && row.expires.is_none();
        if row.administers_all() && !rows.iter().any(lasting) {
            return Err(StoreError::Conflict(format!(
                "`{}` is the last API key without an end that may administer every space: make another one first",
                row.name
            )));
        }
        sqlx::query("delete from api_keys where id = $1").bind(row.id.0).execute(&mut *write).await?;
        write.commit().await?;
        Ok(row)
    }

    /// What this key allows, if it is one and not over. Looked up by hash, so timing tells nothing about stored keys.
    pub async fn api_key(&self, text: &str) -> Result<Option<ApiKeyRow>, StoreError> {
        let row: Option<Stored> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from api_keys where hash = $1 and (expires is null or expires > {})",
            now!()
        )))
        .bind(hash(text))
        .fetch_optional(&self.database.reader)
        .await?;
        row.map(Stored::read).transpose()
    }
}

async fn insert(
    write: &mut Write,
    name: &str,
    permissions: &[Permission],
    space: Option<SpaceId>,
    environments: &[EnvironmentId],
    days: Option<u32>,
) -> Result<(SecretString, ApiKeyRow), StoreError> {
    let made = SecretString::from(format!("API-{}", random_word(32)?));
    let stored = |error| StoreError::corrupt("a new API key", error);
    let row: Stored = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "insert into api_keys (name, name_key, hash, hint, permissions, environments, created, expires, space_id) \
         values ($1, $2, $3, $4, $5, $6, {0}, {0} + $7 * 86400000, $8) returning {COLUMNS}",
        now!()
    )))
    .bind(name)
    .bind(key(name))
    .bind(hash(made.expose_secret()))
    .bind(&made.expose_secret()[..HINT])
    .bind(serde_json::to_string(permissions).map_err(stored)?)
    .bind(serde_json::to_string(environments).map_err(stored)?)
    .bind(days.map(i64::from))
    .bind(space.map(|space| space.0))
    .fetch_one(&mut **write)
    .await?;
    Ok((made, row.read()?))
}
