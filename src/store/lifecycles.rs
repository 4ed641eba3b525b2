//! Lifecycles: in which phases a release goes from environment to environment.
//!
//! One without phases lets a release go to every environment in any order: so is the one that is there from the start,
//! and order comes with the first phase that somebody makes.

use std::str::FromStr as _;

use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::{
    EnvironmentRow, Store, StoreError,
    database::Write,
    environments::{self, checked_name},
    key, keys, spaces,
};
use crate::model::LifecycleId;

/// One stage of a lifecycle. Together its environments are one step on the way of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Its id within the lifecycle.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Environments that a release is deployed to as soon as it may.
    pub automatic: Vec<i64>,
    /// Environments that it is deployed to when somebody asks.
    pub optional: Vec<i64>,
    /// To how many of them it must have been deployed well before it may go on; 0 is all.
    pub minimum: u32,
    /// Whether a release may go on without it.
    pub is_optional: bool,
}

impl Phase {
    /// All its environments.
    pub fn environments(&self) -> impl Iterator<Item = i64> {
        self.automatic.iter().chain(&self.optional).copied()
    }

    /// How many successful deployments it needs.
    pub(super) fn needed(&self) -> usize {
        match usize::try_from(self.minimum) {
            Ok(0) | Err(_) => self.environments().count(),
            Ok(minimum) => minimum,
        }
    }
}

/// A lifecycle as stored.
#[derive(Debug, Clone)]
pub struct LifecycleRow {
    /// The number of its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// From the first to the last; none is every environment in any order.
    pub phases: Vec<Phase>,
}

/// A phase as somebody wants it.
#[derive(Debug, Default)]
pub struct NewPhase {
    /// The id it has; none for a new one.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Environments by id, name or slug.
    pub automatic: Vec<String>,
    /// Environments by id, name or slug.
    pub optional: Vec<String>,
    /// To how many of them before a release may go on; 0 is all.
    pub minimum: i64,
    /// Whether a release may go on without it.
    pub is_optional: bool,
}

/// A lifecycle as somebody wants it.
#[derive(Debug, Default)]
pub struct NewLifecycle {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// From the first to the last.
    pub phases: Vec<NewPhase>,
}

/// A row before its phases are read.
pub(super) type Raw = (i64, String, String, String);

impl Store {
    /// All lifecycles in the order in which they were made.
    pub async fn lifecycles(&self) -> Result<Vec<LifecycleRow>, StoreError> {
        all(&mut *self.database.reader.acquire().await?, self.space).await
    }

    /// The lifecycle with this id or name.
    pub async fn lifecycle(&self, named: &str) -> Result<LifecycleRow, StoreError> {
        find(self.lifecycles().await?, named)
    }

    /// Makes a lifecycle.
    pub async fn create_lifecycle(&self, new: &NewLifecycle) -> Result<LifecycleRow, StoreError> {
        let name = checked_name("lifecycle", &new.name, &["all"])?;
        let mut write = self.write().await?;
        let home = spaces::home(&mut write).await?;
        // No environment that a phase names goes away meanwhile.
        write.lock_table("lifecycles").await?;
        let phases = phases(&mut write, name, &new.phases).await?;
        let made: Option<Raw> = sqlx::query_as(
            "insert into lifecycles (name, name_key, description, phases, space_id) values ($1, $2, $3, $4, $5) \
             on conflict (space_id, name_key) do nothing returning id, name, description, phases",
        )
        .bind(name)
        .bind(key(name))
        .bind(&new.description)
        .bind(phases)
        .bind(home)
        .fetch_optional(&mut *write)
        .await?;
        let made = made.ok_or_else(|| taken(name))?;
        write.commit().await?;
        read(made)
    }

    /// Replaces a lifecycle. Releases that are on their way go on by the new one.
    pub async fn put_lifecycle(&self, named: &str, new: &NewLifecycle) -> Result<LifecycleRow, StoreError> {
        let name = checked_name("lifecycle", &new.name, &["all"])?;
        let mut write = self.write().await?;
        write.lock_table("lifecycles").await?;
        let rows = within(&mut write).await?;
        let row = find(rows.clone(), named)?;
        if rows.iter().any(|other| other.id != row.id && key(&other.name) == key(name)) {
            return Err(taken(name));
        }
        let phases = phases(&mut write, name, &new.phases).await?;
        let changed: Raw = sqlx::query_as(
            "update lifecycles set name = $2, name_key = $3, description = $4, phases = $5 where id = $1 \
             returning id, name, description, phases",
        )
        .bind(row.id)
        .bind(name)
        .bind(key(name))
        .bind(&new.description)
        .bind(phases)
        .fetch_one(&mut *write)
        .await?;
        write.commit().await?;
        read(changed)
    }

    /// Removes a lifecycle that nothing goes by.
    pub async fn delete_lifecycle(&self, named: &str) -> Result<LifecycleRow, StoreError> {
        let mut write = self.write().await?;
        let row = self::named(&mut write, named).await?;
        let refused =
            |why: &str| StoreError::Conflict(format!("lifecycle `{}` cannot be deleted: {why}", row.name));
        write.lock_to_delete("lifecycles", row.id).await?;
        if spaces::all(&mut write).await?.iter().any(|space| space.lifecycle_id == row.id) {
            return Err(refused("new projects get it"));
        }
        let projects: Vec<String> =
            sqlx::query_scalar("select name from projects where lifecycle_id = $1 order by name_key")
                .bind(row.id)
                .fetch_all(&mut *write)
                .await?;
        let channels: Vec<(String, String)> = sqlx::query_as(
            "select c.name, p.name from channels c join projects p on p.id = c.project_id where c.lifecycle_id = $1 \
             order by c.id",
        )
        .bind(row.id)
        .fetch_all(&mut *write)
        .await?;
        let users: Vec<String> = projects
            .iter()
            .map(|project| format!("project `{project}`"))
            .chain(
                channels
                    .iter()
                    .map(|(channel, project)| format!("channel `{channel}` of project `{project}`")),
            )
            .collect();
        if !users.is_empty() {
            return Err(refused(&format!("it is used by {}", users.join(", "))));
        }
        sqlx::query("delete from lifecycles where id = $1").bind(row.id).execute(&mut *write).await?;
        write.commit().await?;
        Ok(row)
    }
}

/// Refuses to let an environment go that a phase names.
pub(super) async fn refuse_named(write: &mut Write, environment: &EnvironmentRow) -> Result<(), StoreError> {
    let names: Vec<String> = all(write, None)
        .await?
        .into_iter()
        .flat_map(|row| {
            let phases =
                row.phases.into_iter().filter(|phase| phase.environments().any(|id| id == environment.id));
            phases
                .map(|phase| format!("phase `{}` of lifecycle `{}`", phase.name, row.name))
                .collect::<Vec<_>>()
        })
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "environment `{}` cannot be deleted: it is in {}",
        environment.name,
        names.join(", ")
    )))
}

fn taken(name: &str) -> StoreError {
    StoreError::Conflict(format!("a lifecycle `{name}` exists already"))
}

async fn all(connection: &mut AnyConnection, space: Option<i64>) -> Result<Vec<LifecycleRow>, StoreError> {
    let select = "select id, name, description, phases from lifecycles where space_id = coalesce($1, space_id) order by id";
    let rows: Vec<Raw> = sqlx::query_as(select).bind(space).fetch_all(connection).await?;
    rows.into_iter().map(read).collect()
}

/// All of the transaction's own space.
async fn within(write: &mut Write) -> Result<Vec<LifecycleRow>, StoreError> {
    let space = write.space;
    all(write, space).await
}

/// The lifecycle of this id or name, inside a transaction.
pub(super) async fn named(write: &mut Write, named: &str) -> Result<LifecycleRow, StoreError> {
    find(within(write).await?, named)
}

pub(super) fn read((id, name, description, phases): Raw) -> Result<LifecycleRow, StoreError> {
    let phases = serde_json::from_str(&phases)
        .map_err(|error| StoreError::corrupt(format!("the phases of lifecycle `{name}`"), error))?;
    Ok(LifecycleRow { id, name, description, phases })
}

fn find(rows: Vec<LifecycleRow>, named: &str) -> Result<LifecycleRow, StoreError> {
    let wanted = key(named);
    let id = LifecycleId::from_str(named.trim()).ok();
    let found = rows.into_iter().find(|row| id.map_or(key(&row.name) == wanted, |id| row.id == id.0));
    found.ok_or_else(|| StoreError::NotFound(format!("lifecycle `{named}` does not exist")))
}

/// The phases as they are stored.
async fn phases(write: &mut Write, lifecycle: &str, new: &[NewPhase]) -> Result<String, StoreError> {
    let environments = environments::all(write).await?;
    let mut phases: Vec<Phase> = Vec::with_capacity(new.len());
    for new in new {
        let phase = phase(&environments, new)?;
        for other in &phases {
            if key(&other.name) == key(&phase.name) || other.id == phase.id {
                return Err(StoreError::Invalid(format!(
                    "lifecycle `{lifecycle}` has phase `{}` twice: names and ids of phases differ",
                    phase.name
                )));
            }
            if let Some(both) = other.environments().find(|id| phase.environments().any(|other| other == *id))
            {
                return Err(StoreError::Invalid(format!(
                    "environment `{}` is in phase `{}` and in phase `{}`: it may be in one",
                    name_of(&environments, both),
                    other.name,
                    phase.name
                )));
            }
        }
        phases.push(phase);
    }
    serde_json::to_string(&phases).map_err(|error| StoreError::corrupt("the phases", error))
}

fn phase(environments: &[EnvironmentRow], new: &NewPhase) -> Result<Phase, StoreError> {
    let name = checked_name("phase", &new.name, &[])?.to_owned();
    let refused = |why: String| StoreError::Invalid(format!("phase `{name}`: {why}"));
    let mut seen = Vec::new();
    let mut ids = |named: &[String]| -> Result<Vec<i64>, StoreError> {
        let mut ids = Vec::with_capacity(named.len());
        for named in named {
            let row = environments::find(environments.to_vec(), named)
                .map_err(|error| refused(error.to_string()))?;
            if seen.contains(&row.id) {
                return Err(refused(format!("environment `{}` is given twice", row.name)));
            }
            seen.push(row.id);
            ids.push(row.id);
        }
        Ok(ids)
    };
    let (automatic, optional) = (ids(&new.automatic)?, ids(&new.optional)?);
    let count = automatic.len() + optional.len();
    if count == 0 {
        return Err(refused("it has no environment, and a release could never leave it".into()));
    }
    let minimum = u32::try_from(new.minimum)
        .ok()
        .filter(|minimum| usize::try_from(*minimum).is_ok_and(|minimum| minimum <= count))
        .ok_or_else(|| {
            refused(format!(
                "`MinimumEnvironmentsBeforePromotion` is {}: expected 0 (all) to {count}, for so many environments it has",
                new.minimum
            ))
        })?;
    let id = match new.id.as_deref().map(str::trim).filter(|id| !id.is_empty()) {
        Some(id) => id.to_owned(),
        None => keys::random_word(20)?.to_lowercase(),
    };
    Ok(Phase { id, name, automatic, optional, minimum, is_optional: new.is_optional })
}

/// The name of an environment; its number where it is gone.
pub(super) fn name_of(environments: &[EnvironmentRow], id: i64) -> String {
    let found = environments.iter().find(|row| row.id == id);
    found.map_or_else(|| format!("Environments-{id}"), |row| row.name.clone())
}
