//! Releases: a version of a project with its package pinned by digest and its process and variables copied.

use super::{
    ChannelRow, Store, StoreError, channels,
    database::{Write, now},
    deployments, key, keys, packages,
    process::{self, FEED, PackagedAction, Process},
    progress,
    projects::{self, ProjectRow},
    rules, snapshots,
};
use crate::{
    blobs::Blob,
    model::ReleaseId,
    version::{OctopusVersion, SemanticVersion},
};

/// A release as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ReleaseRow {
    /// The number of its id.
    pub id: i64,
    /// Whose release it is.
    pub project_id: i64,
    /// The channel's number.
    pub channel_id: i64,
    /// Its version as given.
    pub version: String,
    /// What is new in it.
    pub notes: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub assembled: i64,
    /// The version that the process had.
    pub process_version: i64,
    /// The version that the variables had.
    pub variables_version: i64,
    /// The action that deploys the package.
    pub action_name: String,
    /// The pinned package's id.
    pub package_id: String,
    /// The pinned package's version.
    pub package_version: String,
    /// The pinned package's file name.
    pub package_file: String,
    /// SHA-256 of the pinned bytes: what is pushed later under the same version does not change the release.
    pub package_sha256: String,
    /// How many bytes.
    pub package_size: i64,
    /// Whether its package was not held against the rules of its channel, as 0 or 1.
    pub ignore_channel_rules: i64,
    /// The process as it was.
    pub process: String,
    pub(super) variables: String,
    pub(super) libraries: String,
    /// How often its variables were copied again.
    pub(super) snapshot: i64,
}

impl ReleaseRow {
    /// The pinned bytes.
    pub fn blob(&self) -> Blob {
        Blob { sha256: self.package_sha256.clone(), size: super::unsigned(self.package_size) }
    }
}

/// A package version that somebody chose for a step.
#[derive(Debug, Clone)]
pub struct PinnedPackage {
    /// A package, a step or an action; `*` is all.
    pub name: String,
    /// The version, if one was given.
    pub version: Option<String>,
    /// Whether a step without a package may be named: some clients list every step.
    pub any_step: bool,
}

/// A release as somebody wants it.
#[derive(Debug, Default)]
pub struct NewRelease {
    /// The project by id, slug or name.
    pub project: String,
    /// The release's version; the package's when absent.
    pub version: Option<String>,
    /// The version of every package without one of its own.
    pub package_version: Option<String>,
    /// An expression that the whole pre-release matches of what is chosen where no version is given.
    pub prerelease: Option<String>,
    /// Versions of single packages.
    pub packages: Vec<PinnedPackage>,
    /// What is new in it.
    pub notes: Option<String>,
    /// The channel by name or id; the default one when absent.
    pub channel: Option<String>,
    /// Take a package that the channel's rules do not let in.
    pub ignore_channel_rules: bool,
    /// Answer the release that is there instead of refusing.
    pub ignore_existing: bool,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, project_id, channel_id, version, notes, assembled, process_version, variables_version, ",
            "action_name, package_id, package_version, package_file, package_sha256, package_size, ",
            "ignore_channel_rules, process, variables, libraries, snapshot from releases ",
            $rest
        )
    };
}

impl Store {
    /// Makes a release, or finds the one that is there; answers whether it was there. All resolving is done here: package,
    /// version, channel.
    pub async fn create_release(&self, new: &NewRelease) -> Result<(ReleaseRow, bool), StoreError> {
        let project = self.project(&new.project).await?;
        let mut write = self.write().await?;
        // It copies what is sealed.
        keys::refuse_replaced(&mut write, &self.vault).await?;
        write.lock_row("projects", project.id).await?;
        let project = projects::by_id(&mut write, project.id).await?;
        let process = process::read(&project.name, &project.process)?;
        projects::refuse_disabled(&project, "release")?;
        let channel = channels::choose(&mut write, &project, new.channel.as_deref()).await?;
        let rules = if new.ignore_channel_rules { None } else { Some(&channel) };
        let pinned = pin(&mut write, new, &project, &process, rules).await?;
        let version = release_version(new, &pinned)?;
        let snapshot = snapshots::take(&mut write, &project, &project.process).await?;
        let made: Option<ReleaseRow> = sqlx::query_as(concat!(
            "insert into releases (project_id, channel_id, version, version_key, notes, assembled, process, \
             process_version, variables, variables_version, action_name, package_id, package_version, package_file, \
             package_sha256, package_size, ignore_channel_rules, libraries) values ($1, $2, $3, $4, $5, ",
            now!(),
            ", $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) on conflict (project_id, version_key) do nothing \
             returning id, project_id, channel_id, version, notes, assembled, process_version, variables_version, \
             action_name, package_id, package_version, package_file, package_sha256, package_size, \
             ignore_channel_rules, process, variables, libraries, snapshot"
        ))
        .bind(project.id)
        .bind(channel.id)
        .bind(&version)
        .bind(version_key(&version))
        .bind(&new.notes)
        .bind(&project.process)
        .bind(project.process_version)
        .bind(snapshot.variables)
        .bind(snapshot.variables_version)
        .bind(&process.packaged.action)
        .bind(&pinned.package_id)
        .bind(&pinned.version)
        .bind(&pinned.file_name)
        .bind(&pinned.sha256)
        .bind(pinned.size)
        .bind(i64::from(new.ignore_channel_rules))
        .bind(snapshot.libraries)
        .fetch_optional(&mut *write)
        .await?;
        if let Some(made) = made {
            progress::begin(&mut write, &made).await?;
            write.commit().await?;
            return Ok((made, false));
        }
        if new.ignore_existing {
            let there = sqlx::query_as(select!("where project_id = $1 and version_key = $2"))
                .bind(project.id)
                .bind(version_key(&version))
                .fetch_one(&mut *write)
                .await?;
            return Ok((there, true));
        }
        Err(StoreError::Conflict(format!("release {version} of project `{}` exists already", project.name)))
    }

    /// All releases, the newest first; of one project when it is given.
    pub async fn releases(&self, project: Option<i64>) -> Result<Vec<ReleaseRow>, StoreError> {
        Ok(sqlx::query_as(select!(
            "where ($1 is null or project_id = $1) \
             and project_id in (select id from projects where space_id = coalesce($2, space_id)) order by id desc"
        ))
            .bind(project)
            .bind(self.space)
            .fetch_all(&self.database.reader)
            .await?)
    }

    /// The release of this id.
    pub async fn release(&self, named: &str) -> Result<ReleaseRow, StoreError> {
        let missing = |named: &str| StoreError::NotFound(format!("release `{named}` does not exist"));
        let id = named.parse::<ReleaseId>().map_err(|_| missing(named))?;
        let found = sqlx::query_as(select!(
            "where id = $1 and project_id in (select id from projects where space_id = coalesce($2, space_id))"
        ));
        let found = found.bind(id.0).bind(self.space);
        found.fetch_optional(&self.database.reader).await?.ok_or_else(|| missing(&id.to_string()))
    }

    /// The release of this version of a project.
    pub async fn release_of(&self, project: &str, version: &str) -> Result<ReleaseRow, StoreError> {
        let project = self.project(project).await?;
        sqlx::query_as(select!("where project_id = $1 and version_key = $2"))
            .bind(project.id)
            .bind(version_key(version))
            .fetch_optional(&self.database.reader)
            .await?
            .ok_or_else(|| {
                StoreError::NotFound(format!(
                    "release `{version}` of project `{}` does not exist",
                    project.name
                ))
            })
    }

    /// Removes a release and all that is on record of its deployments.
    pub async fn delete_release(&self, named: &str) -> Result<ReleaseRow, StoreError> {
        let row = self.release(named).await?;
        let mut write = self.write().await?;
        write.lock_to_delete("releases", row.id).await?;
        let row = by_id(&mut write, row.id).await?;
        let project = projects::by_id(&mut write, row.project_id).await?;
        let what = format!("release {} of project `{}`", row.version, project.name);
        deployments::refuse_open(&mut write, "release_id", row.id, &what).await?;
        remove(&mut write, row.id).await?;
        write.commit().await?;
        Ok(row)
    }
}

/// Removes a release, what was copied for it and what is on record of its deployments.
pub(super) async fn remove(write: &mut Write, release: i64) -> Result<(), StoreError> {
    deployments::delete(write, "release_id", release).await?;
    for statement in
        ["delete from release_snapshots where release_id = $1", "delete from releases where id = $1"]
    {
        sqlx::query(statement).bind(release).execute(&mut **write).await?;
    }
    Ok(())
}

/// The release of this number, inside a transaction.
pub(super) async fn by_id(write: &mut Write, id: i64) -> Result<ReleaseRow, StoreError> {
    let found = sqlx::query_as(select!("where id = $1")).bind(id).fetch_optional(&mut **write).await?;
    found.ok_or_else(|| StoreError::NotFound(format!("release `{}` does not exist", ReleaseId(id))))
}

/// The form that release versions are compared by: `1.0` is `1.0.0`.
fn version_key(version: &str) -> String {
    version
        .trim()
        .parse::<OctopusVersion>()
        .map_or_else(|_| key(version), |version| key(&version.normalised()))
}

fn release_version(new: &NewRelease, pinned: &packages::PackageRow) -> Result<String, StoreError> {
    let Some(version) = new.version.as_deref().map(str::trim).filter(|version| !version.is_empty()) else {
        return Ok(pinned.version.clone());
    };
    match version.parse::<OctopusVersion>() {
        Ok(_) => Ok(version.to_owned()),
        Err(error) => Err(StoreError::Invalid(format!("the release's version cannot be read: {error}"))),
    }
}

/// Chooses the package's version: an override for it, else the one for all, else the highest that was pushed and that
/// the channel lets in. The rules of a channel, where one is given, hold for all of them.
async fn pin(
    write: &mut Write,
    new: &NewRelease,
    project: &ProjectRow,
    process: &Process,
    rules: Option<&ChannelRow>,
) -> Result<packages::PackageRow, StoreError> {
    let PackagedAction { step, package, .. } = &process.packaged;
    let mut chosen: Option<String> = None;
    let mut for_all: Option<String> =
        new.package_version.clone().filter(|version| !version.trim().is_empty());
    for pinned in &new.packages {
        let known_other = pinned.any_step && process.others.iter().any(|name| key(name) == key(&pinned.name));
        if known_other {
            continue;
        }
        let version = pinned.version.as_deref().map(str::trim).filter(|version| !version.is_empty());
        let version = version.ok_or_else(|| {
            StoreError::Invalid(format!(
                "no version is given for package `{package}` of step `{}`",
                pinned.name
            ))
        })?;
        if pinned.name.trim() == "*" {
            for_all = Some(version.to_owned());
        } else if process.packaged.is_named(&pinned.name) {
            chosen = Some(version.to_owned());
        } else {
            return Err(StoreError::Invalid(format!(
                "the package override `{}:{version}` matches nothing: the project deploys package `{package}` in step \
                 `{step}`",
                pinned.name
            )));
        }
    }
    let wanted = chosen.or(for_all);
    let versions = packages::versions(write, project.space_id, package).await?;
    let refuse = |row: &packages::PackageRow| match (rules, row.order()) {
        (Some(channel), Some(version)) => channel.refuse(project, &process.packaged, &version),
        _ => Ok(()),
    };
    let Some(wanted) = wanted else {
        let wanted = new.prerelease.as_deref().map(str::trim).filter(|tag| !tag.is_empty());
        let labelled = rules::read(None, wanted.map(|tag| format!("^(?:{tag})$")).as_deref())
            .map_err(|errors| StoreError::Invalid(errors.join("; ")))?;
        let (any, mut highest) = (versions.len(), None);
        let versions: Vec<_> = versions
            .into_iter()
            .filter(|row| wanted.is_none() || row.order().is_some_and(|version| labelled.test(&version).tag))
            .collect();
        if let (Some(tag), true, true) = (wanted, versions.is_empty(), any > 0) {
            return Err(StoreError::Invalid(format!(
                "step `{step}` needs package `{package}`, of which no version has the pre-release `{tag}`"
            )));
        }
        for row in versions {
            match refuse(&row) {
                Ok(()) => return Ok(row),
                Err(refusal) => highest = highest.or(Some(refusal)),
            }
        }
        return Err(StoreError::Invalid(match highest {
            None => {
                format!(
                    "step `{step}` needs package `{package}`, of which no version was pushed to feed `{FEED}`"
                )
            }
            Some(refusal) => format!(
                "no version of package `{package}` may be in this channel; of the highest one this holds: {refusal}"
            ),
        }));
    };
    let order: SemanticVersion = wanted.parse().map_err(|error| {
        StoreError::Invalid(format!(
            "the version of package `{package}` for step `{step}` cannot be read: {error}"
        ))
    })?;
    let known: Vec<String> = versions.iter().take(5).map(|row| row.version.clone()).collect();
    let found = versions.into_iter().find(|row| row.order().as_ref() == Some(&order)).ok_or_else(|| {
        let known = if known.is_empty() {
            "no version of it was pushed".to_owned()
        } else {
            format!("the highest there are: {}", known.join(", "))
        };
        StoreError::Invalid(format!(
            "step `{step}` needs package `{package}` version `{wanted}`, which is not in feed `{FEED}`; {known}"
        ))
    })?;
    refuse(&found)?;
    Ok(found)
}
