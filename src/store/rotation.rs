//! The master key is replaced: every sealed value is opened with the old key and sealed with the new one, all in one
//! transaction, so that at any moment exactly one of the two opens everything.

use std::str::FromStr as _;

use secrecy::ExposeSecret as _;
use sqlx::{AnyConnection, Connection as _, any::AnyConnectOptions};

use super::{
    Database, Place, StoreError, Vault,
    database::Write,
    deployments::{Prompted, prompt_owner},
    keys, variables,
};
use crate::model::{DeploymentId, ProjectId};

/// How many rows are held in memory at a time.
const BATCH: i64 = 200;
/// What every node of a database holds together, and whoever must be alone holds by itself: `octarm` in ASCII.
pub(super) const PRESENCE: i64 = 0x6f63_7461_726d;

/// The promise that no server uses the database, kept until it is dropped.
#[derive(Debug)]
pub struct Alone {
    /// On SQLite the data folder's lock promises it.
    _connection: Option<AnyConnection>,
}

impl Alone {
    /// Refuses a database that servers are using. One that starts meanwhile waits before it hears of changes, and is
    /// refused whatever needs the old key.
    pub async fn at(place: &Place) -> Result<Self, StoreError> {
        let Place::Postgres(url) = place else { return Ok(Self { _connection: None }) };
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_str(url.expose_secret())?;
        let mut connection = AnyConnection::connect_with(&options).await?;
        let alone: i64 =
            sqlx::query_scalar("select cast(case when pg_try_advisory_lock($1) then 1 else 0 end as bigint)")
                .bind(PRESENCE)
                .fetch_one(&mut connection)
                .await?;
        if alone == 1 {
            return Ok(Self { _connection: Some(connection) });
        }
        connection.close().await?;
        Err(StoreError::Conflict("servers are using the database, which must rest meanwhile".into()))
    }
}

impl Database {
    /// Seals everything with the new key that the old one opens; answers how many values there were.
    pub async fn rotate(&self, old: &Vault, new: &Vault) -> Result<u64, StoreError> {
        // Which is there from a server's first start on.
        keys::installation(self, old).await?;
        let mut write = self.write().await?;
        // First, as everybody does who seals something.
        keys::replace(&mut write, old, new).await?;
        for table in ["projects", "deployments", "releases"] {
            write.lock_table(table).await?;
        }
        let mut rotation = Rotation { old, new, values: 0 };
        rotation.sets(&mut write, "projects", "id").await?;
        rotation.sets(&mut write, "releases", "project_id").await?;
        rotation.prompts(&mut write).await?;
        write.commit().await?;
        Ok(rotation.values)
    }
}

struct Rotation<'v> {
    old: &'v Vault,
    new: &'v Vault,
    values: u64,
}

impl Rotation<'_> {
    fn again(&mut self, owner: &str, sealed: &str) -> Result<String, StoreError> {
        self.values += 1;
        self.new.seal(owner, &self.old.open(owner, sealed)?)
    }

    /// The variables of all rows of the table; `project` is the column that says whose they are.
    async fn sets(
        &mut self,
        write: &mut Write,
        table: &'static str,
        project: &'static str,
    ) -> Result<(), StoreError> {
        let mut last = 0;
        loop {
            let rows: Vec<(i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "select id, {project}, variables from {table} where id > $1 and variables <> '[]' order by id limit $2"
            )))
            .bind(last)
            .bind(BATCH)
            .fetch_all(&mut **write)
            .await?;
            let Some((end, ..)) = rows.last() else { return Ok(()) };
            last = *end;
            for (id, project, text) in rows {
                let project = ProjectId(project);
                let mut stored = variables::parse(&text, project)?;
                let before = self.values;
                for variable in &mut stored {
                    if let Some(sealed) = &mut variable.sealed {
                        *sealed = self.again(&variables::owner(project, &variable.id), sealed)?;
                    }
                }
                if self.values > before {
                    let text = serde_json::to_string(&stored)
                        .map_err(|error| StoreError::corrupt("the variables", error))?;
                    let update = format!("update {table} set variables = $2 where id = $1");
                    let update = sqlx::query(sqlx::AssertSqlSafe(update));
                    update.bind(id).bind(text).execute(&mut **write).await?;
                }
            }
        }
    }

    /// The values that were given with deployments.
    async fn prompts(&mut self, write: &mut Write) -> Result<(), StoreError> {
        let mut last = 0;
        loop {
            let rows: Vec<(i64, i64, String)> = sqlx::query_as(
                "select id, project_id, prompted from deployments where id > $1 and prompted <> '[]' order by id limit $2",
            )
            .bind(last)
            .bind(BATCH)
            .fetch_all(&mut **write)
            .await?;
            let Some((end, ..)) = rows.last() else { return Ok(()) };
            last = *end;
            for (id, project, text) in rows {
                let unreadable = |error| {
                    StoreError::corrupt(format!("the prompted values of {}", DeploymentId(id)), error)
                };
                let mut prompted: Vec<Prompted> = serde_json::from_str(&text).map_err(unreadable)?;
                for Prompted { name, sealed, .. } in &mut prompted {
                    *sealed = self.again(&prompt_owner(ProjectId(project), name), sealed)?;
                }
                let text = serde_json::to_string(&prompted).map_err(unreadable)?;
                sqlx::query("update deployments set prompted = $2 where id = $1")
                    .bind(id)
                    .bind(text)
                    .execute(&mut **write)
                    .await?;
            }
        }
    }
}
