//! The master key is replaced: every sealed value is opened with the old key and sealed with the new one, all in one
//! transaction, so that at any moment exactly one of the two opens everything.

use std::{collections::HashMap, str::FromStr as _};

use secrecy::ExposeSecret as _;
use serde::Serialize;
use sqlx::{AnyConnection, Connection as _, any::AnyConnectOptions};

use super::{
    Database, Place, StoreError, Vault,
    database::Write,
    keys,
    prompts::Prompted,
    values::{self, Stored, Values, seal_owner},
};
use crate::model::{DeploymentId, LibraryVariableSetId, ProjectId, SetOwner};

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
        for table in ["library_variable_sets", "projects", "deployments", "releases", "release_snapshots"] {
            write.lock_table(table).await?;
        }
        let mut rotation = Rotation { old, new, values: 0, resealed: HashMap::new() };
        rotation
            .sets(&mut write, "library_variable_sets", |id| SetOwner::Library(LibraryVariableSetId(id)))
            .await?;
        rotation.sets(&mut write, "projects", |id| SetOwner::Project(ProjectId(id))).await?;
        for (select, update) in COPIES {
            rotation.copies(&mut write, select, update).await?;
        }
        rotation.prompts(&mut write).await?;
        write.commit().await?;
        Ok(rotation.values)
    }
}

/// What releases copied of variables, last and before: how the next rows are read, and how one is written.
const COPIES: [(&str, &str); 2] = [
    (
        "select id as release, snapshot as number, project_id, variables, libraries from releases \
         where (id, snapshot) > ($1, $2) order by id, snapshot limit $3",
        "update releases set variables = $3, libraries = $4 where id = $1 and snapshot = $2",
    ),
    (
        "select s.release_id as release, s.number, r.project_id, s.variables, s.libraries from release_snapshots s \
         join releases r on r.id = s.release_id \
         where (s.release_id, s.number) > ($1, $2) order by s.release_id, s.number limit $3",
        "update release_snapshots set variables = $3, libraries = $4 where release_id = $1 and number = $2",
    ),
];

/// What a release copied.
#[derive(sqlx::FromRow)]
struct Copy {
    release: i64,
    number: i64,
    project_id: i64,
    variables: String,
    libraries: String,
}

struct Rotation<'v> {
    old: &'v Vault,
    new: &'v Vault,
    values: u64,
    /// Of every value, with what it belongs to, what it was sealed as again. A release has copied new variables if their
    /// texts differ, so copies of one text stay copies of one text.
    resealed: HashMap<(String, String), String>,
}

impl Rotation<'_> {
    fn again(&mut self, owner: String, sealed: &str) -> Result<String, StoreError> {
        self.values += 1;
        let place = (owner, sealed.to_owned());
        if let Some(resealed) = self.resealed.get(&place) {
            return Ok(resealed.clone());
        }
        let resealed = self.new.seal(&place.0, &self.old.open(&place.0, sealed)?)?;
        self.resealed.insert(place, resealed.clone());
        Ok(resealed)
    }

    fn set(&mut self, owner: SetOwner, variables: &mut [Stored]) -> Result<(), StoreError> {
        for Stored { id, sealed, .. } in variables {
            if let Some(sealed) = sealed {
                *sealed = self.again(seal_owner(owner, id), sealed)?;
            }
        }
        Ok(())
    }

    /// The sets of all rows of the table.
    async fn sets(
        &mut self,
        write: &mut Write,
        table: &'static str,
        owner: fn(i64) -> SetOwner,
    ) -> Result<(), StoreError> {
        let mut last = 0;
        loop {
            let rows: Vec<(i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "select id, variables from {table} where id > $1 and variables <> '[]' order by id limit $2"
            )))
            .bind(last)
            .bind(BATCH)
            .fetch_all(&mut **write)
            .await?;
            let Some((end, _)) = rows.last() else { return Ok(()) };
            last = *end;
            for (id, text) in rows {
                let mut stored = values::parse(&text, owner(id))?;
                let before = self.values;
                self.set(owner(id), &mut stored)?;
                if self.values > before {
                    let update = format!("update {table} set variables = $2 where id = $1");
                    let update = sqlx::query(sqlx::AssertSqlSafe(update));
                    update.bind(id).bind(written(&stored)?).execute(&mut **write).await?;
                }
            }
        }
    }

    /// What releases copied.
    async fn copies(
        &mut self,
        write: &mut Write,
        select: &'static str,
        update: &'static str,
    ) -> Result<(), StoreError> {
        let mut last = (0, 0);
        loop {
            let rows: Vec<Copy> =
                sqlx::query_as(select).bind(last.0).bind(last.1).bind(BATCH).fetch_all(&mut **write).await?;
            let Some(end) = rows.last() else { return Ok(()) };
            last = (end.release, end.number);
            for row in rows {
                let project = ProjectId(row.project_id);
                let mut copy = Values::read(project, &row.variables, &row.libraries)?;
                let before = self.values;
                self.set(SetOwner::Project(project), &mut copy.own)?;
                for library in &mut copy.libraries {
                    self.set(library.owner(), &mut library.variables)?;
                }
                if self.values > before {
                    sqlx::query(update)
                        .bind(row.release)
                        .bind(row.number)
                        .bind(written(&copy.own)?)
                        .bind(written(&copy.libraries)?)
                        .execute(&mut **write)
                        .await?;
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
                let mut prompted: Vec<Prompted> = serde_json::from_str(&text).map_err(|error| {
                    StoreError::corrupt(format!("the prompted values of {}", DeploymentId(id)), error)
                })?;
                for value in &mut prompted {
                    value.reseal(ProjectId(project), |owner, sealed| self.again(owner, sealed))?;
                }
                sqlx::query("update deployments set prompted = $2 where id = $1")
                    .bind(id)
                    .bind(written(&prompted)?)
                    .execute(&mut **write)
                    .await?;
            }
        }
    }
}

/// The values as they are stored.
fn written<T: Serialize>(values: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(values).map_err(|error| StoreError::corrupt("the variables", error))
}
