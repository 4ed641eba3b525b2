//! Environments: the stages that releases are deployed to.

use super::{
    Store, StoreError, database::Write, free_slug, is_deceptive, key, lifecycles, meant, slug, spaces,
};
use crate::model::{DeploymentId, EnvironmentId};

/// An environment as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct EnvironmentRow {
    /// The number of its id.
    pub id: i64,
    /// Its name as given.
    pub name: String,
    /// Its name in URLs.
    pub slug: String,
    /// For people.
    pub description: String,
    /// Its place among the environments.
    pub sort_order: i64,
    /// The number of its space.
    pub space_id: i64,
}

const COLUMNS: &str = "select id, name, slug, description, sort_order, space_id from environments \
                       where space_id = coalesce($1, space_id) order by sort_order, id";

impl Store {
    /// All environments in their order.
    pub async fn environments(&self) -> Result<Vec<EnvironmentRow>, StoreError> {
        Ok(sqlx::query_as(COLUMNS).bind(self.space).fetch_all(&self.database.reader).await?)
    }

    /// The environment with this id, name or slug.
    pub async fn environment(&self, named: &str) -> Result<EnvironmentRow, StoreError> {
        find(self.environments().await?, named)
    }

    /// Makes an environment, after all others.
    pub async fn create_environment(
        &self,
        name: &str,
        description: &str,
    ) -> Result<EnvironmentRow, StoreError> {
        let name = checked_name("environment", name, &["all", "v2"])?;
        let mut write = self.write().await?;
        let home = spaces::home(&mut write).await?;
        // The slug and the place in the order depend on all others.
        write.lock_table("environments").await?;
        let taken: Vec<String> = sqlx::query_scalar("select slug from environments where space_id = $1")
            .bind(home)
            .fetch_all(&mut *write)
            .await?;
        let made: Option<EnvironmentRow> = sqlx::query_as(
            "insert into environments (space_id, name, name_key, slug, description, sort_order) \
             select $5, $1, $2, $3, $4, coalesce(max(sort_order) + 1, 0) from environments where space_id = $5 \
             on conflict (space_id, name_key) do nothing returning id, name, slug, description, sort_order, space_id",
        )
        .bind(name)
        .bind(key(name))
        .bind(free_slug(name, &taken))
        .bind(description)
        .bind(home)
        .fetch_optional(&mut *write)
        .await?;
        let made =
            made.ok_or_else(|| StoreError::Conflict(format!("an environment `{name}` exists already")))?;
        write.commit().await?;
        Ok(made)
    }

    /// Changes what people read of an environment; its slug stays, for links hold it. What is absent stays too.
    pub async fn change_environment(
        &self,
        named: &str,
        name: &str,
        description: Option<&str>,
        sort_order: Option<i64>,
    ) -> Result<EnvironmentRow, StoreError> {
        let name = checked_name("environment", name, &["all", "v2"])?;
        let mut write = self.write().await?;
        write.lock_table("environments").await?;
        let rows = all(&mut write).await?;
        let row = find(rows.clone(), named)?;
        if rows.iter().any(|other| other.id != row.id && key(&other.name) == key(name)) {
            return Err(StoreError::Conflict(format!("an environment `{name}` exists already")));
        }
        let changed = sqlx::query_as(
            "update environments set name = $2, name_key = $3, description = coalesce($4, description), \
             sort_order = coalesce($5, sort_order) where id = $1 \
             returning id, name, slug, description, sort_order, space_id",
        )
        .bind(row.id)
        .bind(name)
        .bind(key(name))
        .bind(description)
        .bind(sort_order)
        .fetch_one(&mut *write)
        .await?;
        write.commit().await?;
        Ok(changed)
    }

    /// Removes an environment that nothing depends on.
    pub async fn delete_environment(&self, named: &str) -> Result<EnvironmentRow, StoreError> {
        let mut write = self.write().await?;
        // Nobody names it in a phase meanwhile.
        write.lock_table("lifecycles").await?;
        let row = find(all(&mut write).await?, named)?;
        lifecycles::refuse_named(&mut write, &row).await?;
        // And nobody makes a worker, a token or a deployment of it.
        write.lock_to_delete("environments", row.id).await?;
        let row = find(all(&mut write).await?, named)?;
        let machines: Vec<String> =
            sqlx::query_scalar("select name from machines where environment_id = $1 order by id")
                .bind(row.id)
                .fetch_all(&mut *write)
                .await?;
        if !machines.is_empty() {
            return Err(StoreError::Invalid(format!(
                "environment `{}` cannot be deleted: these machines are in it: {}",
                row.name,
                machines.join(", ")
            )));
        }
        let active: Vec<i64> = sqlx::query_scalar(
            "select id from deployments where environment_id = $1 and (blocked = 1 \
             or state in ('queued', 'leased', 'cancelling', 'lost')) order by id",
        )
        .bind(row.id)
        .fetch_all(&mut *write)
        .await?;
        if !active.is_empty() {
            let active: Vec<String> = active.into_iter().map(|id| DeploymentId(id).to_string()).collect();
            return Err(StoreError::Invalid(format!(
                "environment `{}` cannot be deleted: these deployments to it have not ended: {}",
                row.name,
                active.join(", ")
            )));
        }
        let deployments: i64 =
            sqlx::query_scalar("select count(*) from deployments where environment_id = $1")
                .bind(row.id)
                .fetch_one(&mut *write)
                .await?;
        if deployments > 0 {
            return Err(StoreError::Invalid(format!(
                "environment `{}` cannot be deleted: {deployments} deployments to it are on record",
                row.name
            )));
        }
        sqlx::query("delete from registration_tokens where environment_id = $1")
            .bind(row.id)
            .execute(&mut *write)
            .await?;
        sqlx::query("delete from environments where id = $1").bind(row.id).execute(&mut *write).await?;
        write.commit().await?;
        Ok(row)
    }
}

/// All environments of its space, inside a transaction.
pub(super) async fn all(write: &mut Write) -> Result<Vec<EnvironmentRow>, StoreError> {
    Ok(sqlx::query_as(COLUMNS).bind(write.space).fetch_all(&mut **write).await?)
}

/// The one that is meant by an id, a name or a slug.
pub(super) fn find(rows: Vec<EnvironmentRow>, named: &str) -> Result<EnvironmentRow, StoreError> {
    let id = named.trim().parse::<EnvironmentId>().ok().map(|id| id.0);
    let known: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let known = if known.is_empty() {
        "there are none".to_owned()
    } else {
        format!("known are: {}", known.join(", "))
    };
    let missing = StoreError::NotFound(format!("environment `{named}` does not exist; {known}"));
    meant(rows, named, id, |row| (row.id, &row.name, &row.slug)).ok_or(missing)
}

/// The kinds that ids begin with.
const KINDS: [&str; 16] = [
    "apikeys",
    "spaces",
    "environments",
    "projects",
    "projectgroups",
    "lifecycles",
    "channels",
    "releases",
    "deployments",
    "servertasks",
    "machines",
    "workers",
    "workerpools",
    "workerregistrationtokens",
    "buildinformation",
    "libraryvariablesets",
];

/// A name that a person can tell from nothing, and that means nothing else where an id or a name may stand:
/// `reserved` is what stands there for other things.
pub(super) fn checked_name<'a>(kind: &str, name: &'a str, reserved: &[&str]) -> Result<&'a str, StoreError> {
    let trimmed = name.trim();
    if trimmed.is_empty() {
        return Err(StoreError::Invalid(format!("the {kind} needs a name: `Name` is empty")));
    }
    if trimmed.chars().count() > 200 || trimmed.chars().any(is_deceptive) {
        return Err(StoreError::Invalid(format!(
            "the name of the {kind} may have at most 200 characters, none of them a control character"
        )));
    }
    if matches!(trimmed, "." | "..") {
        return Err(StoreError::Invalid(format!(
            "`{trimmed}` cannot be the name of the {kind}: addresses leave it out, and would mean another thing"
        )));
    }
    let slug = slug(trimmed);
    let is_id = slug.rsplit_once('-').is_some_and(|(kind, number)| {
        KINDS.contains(&kind) && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    if is_id || reserved.contains(&slug.as_str()) {
        let means = if is_id { "the id of something" } else { "a word of the API" };
        return Err(StoreError::Invalid(format!(
            "`{trimmed}` cannot be the name of the {kind}: it reads as {means}, and commands could mean another one"
        )));
    }
    Ok(trimmed)
}
