//! Removing what is old: every removal looks once more, under lock, whether it is still right.

use sqlx::{AnyConnection, AssertSqlSafe};

use super::{
    Store, StoreError,
    database::now,
    packages::{self, PackageRow},
    releases,
    retention::{Facts, Judged, Kind},
    spaces,
};
use crate::config::{Keep, Retention};

/// How many releases go in one transaction, which keeps others from their rows.
const BATCH: usize = 20;

impl Store {
    /// What is on record, to be judged.
    pub async fn facts(&self) -> Result<Facts, StoreError> {
        let mut reader = self.database.reader.acquire().await?;
        let mut facts = of_project(&mut reader, self.space, None).await?;
        let rows = sqlx::query_as(packages::COLUMNS).bind(self.space).fetch_all(&mut *reader).await?;
        facts.packages = packages::sorted(rows);
        Ok(facts)
    }

    /// Removes what goes by this judgement and, by what is on record now, still goes; answers what was removed.
    pub async fn remove(&self, judged: &[Judged], retention: &Retention) -> Result<Vec<Judged>, StoreError> {
        let going = |kind: Kind| judged.iter().filter(move |thing| thing.goes && thing.kind == kind);
        let mut removed = Vec::new();
        let mut releases: Vec<&Judged> = going(Kind::Release).collect();
        releases.sort_by_key(|thing| (thing.project, thing.id));
        for of_project in releases.chunk_by(|one, other| one.project == other.project) {
            for batch in of_project.chunks(BATCH) {
                removed.extend(self.remove_releases(batch, retention).await?);
            }
        }
        for thing in going(Kind::Package) {
            if let Some(row) = &thing.package {
                removed.extend(self.remove_package(row, retention).await?);
            }
        }
        for thing in going(Kind::Log) {
            removed.extend(self.remove_log(thing, retention).await?);
        }
        Ok(removed)
    }

    async fn remove_releases(
        &self,
        releases: &[&Judged],
        retention: &Retention,
    ) -> Result<Vec<Judged>, StoreError> {
        let Some(project) = releases.first().map(|thing| thing.project) else { return Ok(Vec::new()) };
        let mut write = self.write().await?;
        // From here on nobody deploys them.
        for release in releases {
            write.lock_to_delete("releases", release.id).await?;
        }
        let facts = of_project(&mut write, self.space, Some(project)).await?;
        let mut gone = facts.judge(retention);
        gone.retain(|thing| {
            thing.goes && thing.kind == Kind::Release && releases.iter().any(|asked| asked.id == thing.id)
        });
        for release in &gone {
            releases::remove(&mut write, release.id).await?;
        }
        write.commit().await?;
        Ok(gone)
    }

    async fn remove_package(
        &self,
        package: &PackageRow,
        retention: &Retention,
    ) -> Result<Option<Judged>, StoreError> {
        let (key, version) = package.keys();
        let mut write = self.write().await?;
        let home = spaces::home(&mut write).await?;
        // A release that is being made counts, or is made after this.
        write.lock_table("releases").await?;
        let mut facts = of_package(&mut write, home, &key).await?;
        let rows: Vec<PackageRow> =
            sqlx::query_as(packages::OF_ONE).bind(&key).bind(home).fetch_all(&mut *write).await?;
        facts.packages = packages::sorted(rows);
        let same = |thing: &Judged| thing.package.as_ref().is_some_and(|row| row.keys().1 == version);
        let Some(gone) =
            facts.judge(&keep_releases(retention)).into_iter().find(|thing| thing.goes && same(thing))
        else {
            return Ok(None);
        };
        sqlx::query("delete from packages where package_key = $1 and version_key = $2 and space_id = $3")
            .bind(key)
            .bind(version)
            .bind(home)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(Some(gone))
    }

    async fn remove_log(&self, log: &Judged, retention: &Retention) -> Result<Option<Judged>, StoreError> {
        let Some(days) = retention.logs_days else { return Ok(None) };
        let mut write = self.write().await?;
        let changed = sqlx::query(concat!(
            "update deployments set log_sha256 = null, log_index = null, log_length = 0, log_removed = ",
            now!(),
            " where id = $1 and state in ('success', 'failed', 'canceled') and blocked = 0 and log_length > 0 \
             and completed <= ",
            now!(),
            " - $2"
        ))
        .bind(log.id)
        .bind(i64::from(days) * 24 * 60 * 60 * 1000)
        .execute(&mut *write)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query("delete from log_chunks where deployment_id = $1")
            .bind(log.id)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(Some(log.clone()))
    }
}

/// For what was judged after its releases went: those that are there now stay.
fn keep_releases(retention: &Retention) -> Retention {
    Retention { releases: Keep::default(), ..*retention }
}

const RELEASES: &str = "select r.id, r.project_id, p.name as project_name, r.version, r.assembled, r.package_id, \
                        r.package_version, r.package_sha256 from releases r join projects p on p.id = r.project_id ";

/// Releases and deployments of one project of a space, or of all.
async fn of_project(
    connection: &mut AnyConnection,
    space: Option<i64>,
    project: Option<i64>,
) -> Result<Facts, StoreError> {
    let now = sqlx::query_scalar(concat!("select ", now!())).fetch_one(&mut *connection).await?;
    let releases = AssertSqlSafe(format!(
        "{RELEASES} where ($1 is null or r.project_id = $1) and p.space_id = coalesce($2, p.space_id) order by r.id"
    ));
    let releases = sqlx::query_as(releases).bind(project).bind(space).fetch_all(&mut *connection).await?;
    let deployments = sqlx::query_as(
        "select d.id, d.release_id, d.project_id, d.environment_id, e.name as environment_name, \
         case when d.state in ('success', 'failed', 'canceled') then 1 else 0 end as ended, \
         case when d.state = 'success' or d.resolved = 'success' then 1 else 0 end as good, \
         d.blocked, d.created, d.completed, d.log_length, d.log_sha256 from deployments d \
         join environments e on e.id = d.environment_id where ($1 is null or d.project_id = $1) \
         and e.space_id = coalesce($2, e.space_id) order by d.id",
    )
    .bind(project)
    .bind(space)
    .fetch_all(&mut *connection)
    .await?;
    Ok(Facts { now, releases, deployments, packages: Vec::new() })
}

/// The releases that are made of one package.
async fn of_package(connection: &mut AnyConnection, space: i64, key: &str) -> Result<Facts, StoreError> {
    let now = sqlx::query_scalar(concat!("select ", now!())).fetch_one(&mut *connection).await?;
    let releases = AssertSqlSafe(format!("{RELEASES} where lower(r.package_id) = $1 and p.space_id = $2"));
    let releases = sqlx::query_as(releases).bind(key).bind(space).fetch_all(&mut *connection).await?;
    Ok(Facts { now, releases, ..Facts::default() })
}
