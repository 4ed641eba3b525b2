//! What builds say of the packages that they made: a document for each package version.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::{Overwrite, Store, StoreError, database::now, packages::version_key, spaces};
use crate::model::BuildInformationId;

/// How many package versions are asked for at once.
const AT_ONCE: usize = 500;

/// Build information as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct BuildInformationRow {
    /// The number of its id.
    pub id: i64,
    /// The package's id as given.
    pub package_id: String,
    /// The package's version as given.
    pub version: String,
    /// What the build said, a JSON object in Octopus's spelling.
    pub document: String,
    /// When, in milliseconds since 1970.
    pub created: i64,
}

/// Build information as somebody sends it.
#[derive(Debug)]
pub struct NewBuildInformation {
    /// The package's id.
    pub package_id: String,
    /// The package's version.
    pub version: String,
    /// What the build says, a JSON object in Octopus's spelling.
    pub document: String,
}

impl Store {
    /// Keeps what a build says. The package need not be there yet: builds push in any order.
    pub async fn push_build_information(
        &self,
        new: &NewBuildInformation,
        overwrite: Overwrite,
    ) -> Result<BuildInformationRow, StoreError> {
        let (package, version) = (new.package_id.trim(), new.version.trim());
        let (package_key, version_key) = (package.to_lowercase(), version_key(version));
        let mut write = self.write().await?;
        let home = spaces::home(&mut write).await?;
        let stored: Option<BuildInformationRow> = sqlx::query_as(concat!(
            "insert into build_information (package_id, package_key, version, version_key, document, created, space_id) \
             values ($1, $2, $3, $4, $5, ",
            now!(),
            ", $7) on conflict (space_id, package_key, version_key) do update set version = excluded.version, \
             document = excluded.document, created = excluded.created where $6 = 1 \
             returning id, package_id, version, document, created"
        ))
        .bind(package)
        .bind(&package_key)
        .bind(version)
        .bind(&version_key)
        .bind(&new.document)
        .bind(i64::from(overwrite == Overwrite::Replace))
        .bind(home)
        .fetch_optional(&mut *write)
        .await?;
        if let Some(stored) = stored {
            write.commit().await?;
            return Ok(stored);
        }
        if overwrite == Overwrite::Fail {
            return Err(StoreError::Conflict(format!(
                "build information for package `{package}` version `{version}` exists already; send it with \
                 overwriteMode=OverwriteExisting to replace it or IgnoreIfExists to keep it"
            )));
        }
        Ok(sqlx::query_as(
            "select id, package_id, version, document, created from build_information \
             where package_key = $1 and version_key = $2 and space_id = $3",
        )
        .bind(package_key)
        .bind(version_key)
        .bind(home)
        .fetch_one(&mut *write)
        .await?)
    }

    /// All build information, the newest first; of one package when it is given.
    pub async fn build_information(
        &self,
        package: Option<&str>,
    ) -> Result<Vec<BuildInformationRow>, StoreError> {
        Ok(sqlx::query_as(
            "select id, package_id, version, document, created from build_information \
             where ($1 is null or package_key = $1) and space_id = coalesce($2, space_id) order by id desc",
        )
        .bind(package.map(str::to_lowercase))
        .bind(self.space)
        .fetch_all(&self.database.reader)
        .await?)
    }

    /// What was said of each of these package versions, given by id and version.
    pub async fn build_information_for(
        &self,
        packages: &[(String, String)],
    ) -> Result<Vec<Option<BuildInformationRow>>, StoreError> {
        let wanted: Vec<(String, String)> = packages.iter().map(|(id, version)| keys(id, version)).collect();
        let mut found = HashMap::new();
        for keys in wanted.chunks(AT_ONCE) {
            let places = (0..keys.len()).map(|number| format!("(${}, ${})", 2 * number + 2, 2 * number + 3));
            let select = AssertSqlSafe(format!(
                "select id, package_id, version, document, created from build_information \
                 where space_id = coalesce($1, space_id) and (package_key, version_key) in (values {})",
                places.collect::<Vec<_>>().join(", ")
            ));
            let mut select = sqlx::query_as(select).bind(self.space).persistent(false);
            for (package, version) in keys {
                select = select.bind(package).bind(version);
            }
            let rows: Vec<BuildInformationRow> = select.fetch_all(&self.database.reader).await?;
            found.extend(rows.into_iter().map(|row| (self::keys(&row.package_id, &row.version), row)));
        }
        Ok(wanted.iter().map(|keys| found.get(keys).cloned()).collect())
    }

    /// The build information of this id.
    pub async fn build_information_by_id(&self, named: &str) -> Result<BuildInformationRow, StoreError> {
        let id = parse(named)?;
        sqlx::query_as(
            "select id, package_id, version, document, created from build_information \
             where id = $1 and space_id = coalesce($2, space_id)",
        )
        .bind(id.0)
        .bind(self.space)
        .fetch_optional(&self.database.reader)
        .await?
        .ok_or_else(|| missing(named))
    }

    /// Removes build information, all or none.
    pub async fn delete_build_information(&self, named: &[&str]) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        for name in named {
            let gone = sqlx::query(
                "delete from build_information where id = $1 and space_id = coalesce($2, space_id)",
            )
            .bind(parse(name)?.0)
            .bind(self.space)
            .execute(&mut *write)
            .await?;
            if gone.rows_affected() == 0 {
                return Err(missing(name));
            }
        }
        write.commit().await
    }
}

/// What package versions are compared by, however they are spelt.
fn keys(package: &str, version: &str) -> (String, String) {
    (package.to_lowercase(), version_key(version))
}

fn parse(named: &str) -> Result<BuildInformationId, StoreError> {
    named.parse().map_err(|_| missing(named))
}

fn missing(named: &str) -> StoreError {
    StoreError::NotFound(format!("build information `{named}` does not exist"))
}
