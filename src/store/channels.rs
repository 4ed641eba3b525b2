//! Channels: lines of releases of a project, each with rules for the packages of its releases and, where it has one, a
//! lifecycle of its own.

use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::{
    Store, StoreError,
    database::Write,
    environments::checked_name,
    key, keys, lifecycles,
    process::{self, PackagedAction},
    projects::{self, ProjectRow},
    rules,
};
use crate::{
    model::{ChannelId, ProjectId},
    version::SemanticVersion,
};

/// Which versions of packages the releases of a channel may have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRule {
    /// Its id within the channel; empty for a new one.
    pub id: String,
    /// A range of versions; none is every version.
    pub range: Option<String>,
    /// A regular expression that the pre-release matches, which is empty for a release; none is every one.
    pub tag: Option<String>,
    /// The packages that it is for; none is all.
    pub packages: Vec<RulePackage>,
}

/// A package of the process, by the action that deploys it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulePackage {
    /// The action, or its step.
    pub action: String,
    /// The name of the package within the action; empty for its first one.
    pub reference: String,
}

/// A channel as stored.
#[derive(Debug, Clone)]
pub struct ChannelRow {
    /// The number of its id.
    pub id: i64,
    /// Whose channel it is.
    pub project_id: i64,
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// The number of its own lifecycle; none for the project's.
    pub lifecycle_id: Option<i64>,
    /// Whether releases get it that name none.
    pub is_default: bool,
    /// All must hold.
    pub rules: Vec<ChannelRule>,
}

/// A channel as somebody wants it.
#[derive(Debug, Default)]
pub struct NewChannel {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Its own lifecycle by id or name; none for the project's.
    pub lifecycle: Option<String>,
    /// Whether releases get it that name none; the one that they got before loses it.
    pub is_default: bool,
    /// All must hold.
    pub rules: Vec<ChannelRule>,
}

#[derive(sqlx::FromRow)]
struct Raw {
    id: i64,
    project_id: i64,
    name: String,
    description: String,
    lifecycle_id: Option<i64>,
    is_default: i64,
    rules: String,
}

impl Store {
    /// All channels in the order in which they were made.
    pub async fn channels(&self) -> Result<Vec<ChannelRow>, StoreError> {
        all(&mut *self.database.reader.acquire().await?, self.space).await
    }

    /// The channel of this id.
    pub async fn channel(&self, id: &str) -> Result<ChannelRow, StoreError> {
        find(self.channels().await?, id)
    }

    /// Makes a channel of a project.
    pub async fn create_channel(&self, project: &str, new: &NewChannel) -> Result<ChannelRow, StoreError> {
        let project = self.project(project).await?;
        let mut write = self.write().await?;
        // Of the project's channels one is the default one, and no two have one name.
        write.lock_row("projects", project.id).await?;
        let project = projects::by_id(&mut write, project.id).await?;
        let id = store_channel(&mut write, &project, None, new).await?;
        let made = by_id(&mut write, id).await?;
        write.commit().await?;
        Ok(made)
    }

    /// Replaces a channel. Releases that are in it stay in it.
    pub async fn put_channel(&self, id: &str, new: &NewChannel) -> Result<ChannelRow, StoreError> {
        let row = self.channel(id).await?;
        let mut write = self.write().await?;
        write.lock_row("projects", row.project_id).await?;
        let row = by_id(&mut write, row.id).await?;
        let project = projects::by_id(&mut write, row.project_id).await?;
        if row.is_default && !new.is_default {
            return Err(StoreError::Invalid(format!(
                "channel `{}` is the default one of project `{}`, which needs one: make another one the default",
                row.name, project.name
            )));
        }
        store_channel(&mut write, &project, Some(&row), new).await?;
        let changed = by_id(&mut write, row.id).await?;
        write.commit().await?;
        Ok(changed)
    }

    /// Removes a channel without releases that is not the default one.
    pub async fn delete_channel(&self, id: &str) -> Result<ChannelRow, StoreError> {
        let row = self.channel(id).await?;
        let mut write = self.write().await?;
        write.lock_row("projects", row.project_id).await?;
        write.lock_to_delete("channels", row.id).await?;
        let row = by_id(&mut write, row.id).await?;
        let refused =
            |why: &str| StoreError::Conflict(format!("channel `{}` cannot be deleted: {why}", row.name));
        if row.is_default {
            return Err(refused("it is the default one of its project"));
        }
        let releases: Vec<String> =
            sqlx::query_scalar("select version from releases where channel_id = $1 order by id desc limit 4")
                .bind(row.id)
                .fetch_all(&mut *write)
                .await?;
        if !releases.is_empty() {
            let more = if releases.len() > 3 { " …" } else { "" };
            let some = &releases[..releases.len().min(3)];
            return Err(refused(&format!("these releases are in it: {}{more}", some.join(", "))));
        }
        sqlx::query("delete from channels where id = $1").bind(row.id).execute(&mut *write).await?;
        write.commit().await?;
        Ok(row)
    }
}

/// Stores a new channel, or the changes to one; answers its number. The project is locked.
async fn store_channel(
    write: &mut Write,
    project: &ProjectRow,
    before: Option<&ChannelRow>,
    new: &NewChannel,
) -> Result<i64, StoreError> {
    let name = checked_name("channel", &new.name, &["all", "rule-test"])?;
    let others = of_project(write, project.id).await?;
    let is_other = |row: &&ChannelRow| before.is_none_or(|before| before.id != row.id);
    if others.iter().filter(is_other).any(|row| key(&row.name) == key(name)) {
        return Err(StoreError::Conflict(format!(
            "project `{}` has a channel `{name}` already",
            project.name
        )));
    }
    let lifecycle = match &new.lifecycle {
        Some(named) => Some(lifecycles::named(write, named).await?.id),
        None => None,
    };
    let rules = stored_rules(project, name, &new.rules)?;
    if new.is_default {
        sqlx::query("update channels set is_default = 0 where project_id = $1")
            .bind(project.id)
            .execute(&mut **write)
            .await?;
    }
    let id = match before {
        Some(before) => before.id,
        None => {
            sqlx::query_scalar(
                "insert into channels (project_id, name, name_key, is_default) values ($1, $2, $3, 0) returning id",
            )
            .bind(project.id)
            .bind(name)
            .bind(key(name))
            .fetch_one(&mut **write)
            .await?
        }
    };
    sqlx::query(
        "update channels set name = $2, name_key = $3, description = $4, lifecycle_id = $5, is_default = $6, \
         rules = $7 where id = $1",
    )
    .bind(id)
    .bind(name)
    .bind(key(name))
    .bind(&new.description)
    .bind(lifecycle)
    .bind(i64::from(new.is_default))
    .bind(rules)
    .execute(&mut **write)
    .await?;
    Ok(id)
}
/// The rules as they are stored: readable, and naming actions that there are.
fn stored_rules(project: &ProjectRow, channel: &str, new: &[ChannelRule]) -> Result<String, StoreError> {
    let actions = process::actions(&project.name, &project.process)?;
    let mut stored = Vec::with_capacity(new.len());
    for (place, rule) in new.iter().enumerate() {
        let refused =
            |why: String| StoreError::Invalid(format!("rule {} of channel `{channel}`: {why}", place + 1));
        rules::read(rule.range.as_deref(), rule.tag.as_deref())
            .map_err(|errors| refused(errors.join("; ")))?;
        for package in &rule.packages {
            if !actions.iter().any(|action| action.is_named(&package.action)) {
                let known: Vec<String> = actions.iter().map(|action| format!("`{}`", action.name)).collect();
                return Err(refused(format!(
                    "project `{}` has no action `{}`; it has {}",
                    project.name,
                    package.action,
                    known.join(", ")
                )));
            }
        }
        let mut rule = rule.clone();
        if rule.id.trim().is_empty() {
            rule.id = keys::random_word(20)?.to_lowercase();
        }
        stored.push(rule);
    }
    serde_json::to_string(&stored).map_err(|error| StoreError::corrupt("the rules", error))
}

impl ChannelRow {
    /// Whether the rules let a release have this version of the package that `action` deploys; if not, why.
    pub(super) fn refuse(
        &self,
        project: &ProjectRow,
        action: &PackagedAction,
        version: &SemanticVersion,
    ) -> Result<(), StoreError> {
        for (place, rule) in self.rules.iter().enumerate() {
            let refused = |why: &str| {
                StoreError::Invalid(format!(
                    "package `{}` version {version} of step `{}` is against rule {} of channel `{}`: {why}",
                    action.package,
                    action.step,
                    place + 1,
                    self.name
                ))
            };
            if !self.is_for(project, place, rule, action)? {
                continue;
            }
            let read = rules::read(rule.range.as_deref(), rule.tag.as_deref())
                .map_err(|errors| refused(&errors.join("; ")))?;
            let verdict = read.test(version);
            if !verdict.range {
                let range = rule.range.as_deref().unwrap_or_default();
                return Err(refused(&format!("it does not lie in `{range}`")));
            }
            if !verdict.tag {
                let tag = rule.tag.as_deref().unwrap_or_default();
                return Err(refused(&format!(
                    "its pre-release `{}` does not match `{tag}`",
                    version.prerelease()
                )));
            }
        }
        Ok(())
    }

    /// Whether the rule is for the package of the action. One whose actions were all renamed or removed would hold for
    /// nothing, and nobody would be told: such a one is refused.
    fn is_for(
        &self,
        project: &ProjectRow,
        place: usize,
        rule: &ChannelRule,
        packaged: &PackagedAction,
    ) -> Result<bool, StoreError> {
        let mut named = rule.packages.iter().map(|package| key(&package.action));
        if rule.packages.is_empty()
            || named.any(|name| name == key(&packaged.action) || name == key(&packaged.step))
        {
            return Ok(true);
        }
        let actions = process::actions(&project.name, &project.process)?;
        let is_gone = |package: &&RulePackage| !actions.iter().any(|action| action.is_named(&package.action));
        match rule.packages.iter().find(is_gone) {
            None => Ok(false),
            Some(gone) => Err(StoreError::Invalid(format!(
                "rule {} of channel `{}` names action `{}`, which project `{}` no longer has: change the rule",
                place + 1,
                self.name,
                gone.action,
                project.name
            ))),
        }
    }
}

const SELECT: &str = "select c.id, c.project_id, c.name, c.description, c.lifecycle_id, c.is_default, c.rules \
                      from channels c join projects p on p.id = c.project_id \
                      where p.space_id = coalesce($1, p.space_id) order by c.id";

async fn all(connection: &mut AnyConnection, space: Option<i64>) -> Result<Vec<ChannelRow>, StoreError> {
    let rows: Vec<Raw> = sqlx::query_as(SELECT).bind(space).fetch_all(connection).await?;
    let read = |raw: Raw| {
        let rules = serde_json::from_str(&raw.rules)
            .map_err(|error| StoreError::corrupt(format!("the rules of channel `{}`", raw.name), error))?;
        Ok(ChannelRow {
            id: raw.id,
            project_id: raw.project_id,
            name: raw.name,
            description: raw.description,
            lifecycle_id: raw.lifecycle_id,
            is_default: raw.is_default == 1,
            rules,
        })
    };
    rows.into_iter().map(read).collect()
}

async fn of_project(write: &mut Write, project: i64) -> Result<Vec<ChannelRow>, StoreError> {
    Ok(all(write, None).await?.into_iter().filter(|row| row.project_id == project).collect())
}

async fn by_id(write: &mut Write, id: i64) -> Result<ChannelRow, StoreError> {
    find(all(write, None).await?, &ChannelId(id).to_string())
}

fn find(rows: Vec<ChannelRow>, named: &str) -> Result<ChannelRow, StoreError> {
    let id = named.trim().parse::<ChannelId>().ok();
    rows.into_iter()
        .find(|row| id.is_some_and(|id| row.id == id.0))
        .ok_or_else(|| StoreError::NotFound(format!("channel `{named}` does not exist")))
}

/// The channel of the project that is meant by a name or an id; the default one where none is given.
pub(super) async fn choose(
    write: &mut Write,
    project: &ProjectRow,
    wanted: Option<&str>,
) -> Result<ChannelRow, StoreError> {
    let rows = of_project(write, project.id).await?;
    let known: Vec<String> = rows.iter().map(|row| format!("`{}`", row.name)).collect();
    let wanted = wanted.map(str::trim).filter(|name| !name.is_empty());
    let found = rows.into_iter().find(|row| match wanted {
        Some(wanted) => {
            key(&row.name) == key(wanted) || wanted.parse::<ChannelId>().is_ok_and(|id| id.0 == row.id)
        }
        None => row.is_default,
    });
    found.ok_or_else(|| {
        StoreError::NotFound(format!(
            "project `{}` ({}) has no channel `{}`; it has {}",
            project.name,
            ProjectId(project.id),
            wanted.unwrap_or("Default"),
            known.join(", ")
        ))
    })
}
