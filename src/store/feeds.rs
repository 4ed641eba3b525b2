//! The built-in feed: the packages that were pushed, as a feed shows them.

use super::{PackageRow, Store, StoreError, packages, spaces};

impl Store {
    /// All versions of one package, the highest first.
    pub async fn package_versions(&self, package: &str) -> Result<Vec<PackageRow>, StoreError> {
        let rows = sqlx::query_as(packages::OF_ONE)
            .bind(package.trim().to_lowercase())
            .bind(self.space)
            .fetch_all(&self.database.reader)
            .await?;
        Ok(packages::sorted(rows))
    }

    /// Removes packages, all or none, named as [`Store::package`] takes them: none that a release is made of. The bytes
    /// stay where they are: a release made in the same moment still has them.
    pub async fn delete_packages(&self, named: &[&str]) -> Result<Vec<PackageRow>, StoreError> {
        let mut rows = Vec::new();
        for name in named {
            rows.push(self.package(name).await?);
        }
        let mut write = self.write().await?;
        let home = spaces::home(&mut write).await?;
        // A release that is being made counts, or is made after this.
        write.lock_table("releases").await?;
        for row in &rows {
            let (package, version) = row.keys();
            let pinned: Vec<(String, String, String)> = sqlx::query_as(
                "select p.name, r.version, r.package_version from releases r join projects p on p.id = r.project_id \
                 where lower(r.package_id) = $1 and p.space_id = $2 order by r.id desc",
            )
            .bind(&package)
            .bind(home)
            .fetch_all(&mut *write)
            .await?;
            let by = pinned.iter().find(|(_, _, pinned)| packages::version_key(pinned) == version);
            if let Some((project, release, _)) = by {
                return Err(StoreError::Conflict(format!(
                    "package `{}` version `{}` cannot be deleted: release {release} of project `{project}` is made of it",
                    row.package_id, row.version
                )));
            }
            sqlx::query("delete from packages where package_key = $1 and version_key = $2 and space_id = $3")
                .bind(package)
                .bind(version)
                .bind(home)
                .execute(&mut *write)
                .await?;
        }
        write.commit().await?;
        Ok(rows)
    }
}
