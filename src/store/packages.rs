//! Packages that were pushed: a row for each id and version; the bytes are blobs, named by their SHA-256.

use super::{
    Store, StoreError,
    database::{Write, now},
};
use crate::{package::FileName, version::SemanticVersion};

/// A package as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PackageRow {
    /// The id as first pushed.
    pub package_id: String,
    /// The version as pushed.
    pub version: String,
    /// `.nupkg`, `.zip` …
    pub extension: String,
    /// The file name as pushed.
    pub file_name: String,
    /// SHA-256 of the bytes, lower-case hex.
    pub sha256: String,
    /// How many bytes.
    pub size: i64,
    /// When, in milliseconds since 1970.
    pub published: i64,
}

impl PackageRow {
    /// The version, to be compared; one that cannot be read sorts first.
    pub fn order(&self) -> Option<SemanticVersion> {
        self.version.parse().ok()
    }
}

/// A package whose bytes are durable already.
#[derive(Debug)]
pub struct NewPackage<'a> {
    /// Its name.
    pub name: &'a FileName,
    /// The file name as sent.
    pub file_name: &'a str,
    /// SHA-256 of the bytes.
    pub sha256: &'a str,
    /// How many bytes.
    pub size: u64,
}

/// What to do when the id and version exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Refuse.
    Fail,
    /// Take the new bytes for later releases; releases that exist keep theirs.
    Replace,
    /// Keep what is there and say so.
    Ignore,
}

/// What became of a push.
#[derive(Debug)]
pub struct Pushed {
    /// The row as it is now.
    pub row: PackageRow,
    /// Whether it is new or changed.
    pub stored: bool,
}

const COLUMNS: &str = "select package_id, version, extension, file_name, sha256, size, published from packages \
                       order by package_key, id";

impl Store {
    /// Records a package whose bytes are durable.
    pub async fn push_package(
        &self,
        new: &NewPackage<'_>,
        overwrite: Overwrite,
    ) -> Result<Pushed, StoreError> {
        let (id_key, version_key) = keys(new.name.id(), new.name.version());
        let mut write = self.database.write().await?;
        let found: Option<PackageRow> = sqlx::query_as(
            "select package_id, version, extension, file_name, sha256, size, published from packages \
             where package_key = $1 and version_key = $2",
        )
        .bind(&id_key)
        .bind(&version_key)
        .fetch_optional(&mut *write)
        .await?;
        if let Some(row) = found {
            match overwrite {
                Overwrite::Fail => {
                    return Err(StoreError::Conflict(format!(
                        "package `{}` version `{}` exists already; push with overwriteMode=OverwriteExisting to \
                         replace it or IgnoreIfExists to keep it",
                        row.package_id, row.version
                    )));
                }
                Overwrite::Ignore => return Ok(Pushed { row, stored: false }),
                Overwrite::Replace => {}
            }
        }
        let row = sqlx::query_as(concat!(
            "insert into packages (package_id, package_key, version, version_key, extension, file_name, sha256, size, \
             published) values ($1, $2, $3, $4, $5, $6, $7, $8, ",
            now!(),
            ") on conflict (package_key, version_key) do update set version = excluded.version, \
             extension = excluded.extension, file_name = excluded.file_name, sha256 = excluded.sha256, \
             size = excluded.size, published = excluded.published \
             returning package_id, version, extension, file_name, sha256, size, published"
        ))
        .bind(new.name.id())
        .bind(&id_key)
        .bind(new.name.version().as_str())
        .bind(&version_key)
        .bind(new.name.extension().as_str())
        .bind(new.file_name)
        .bind(new.sha256)
        .bind(super::signed(new.size))
        .fetch_one(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Pushed { row, stored: true })
    }

    /// All packages by id, the highest version of each first.
    pub async fn packages(&self) -> Result<Vec<PackageRow>, StoreError> {
        let rows: Vec<PackageRow> = sqlx::query_as(COLUMNS).fetch_all(&self.database.reader).await?;
        Ok(sorted(rows))
    }

    /// The package `packages-Id.Version` or `Id.Version`.
    pub async fn package(&self, named: &str) -> Result<PackageRow, StoreError> {
        let wanted = named.to_lowercase();
        let wanted = wanted.strip_prefix("packages-").unwrap_or(&wanted);
        self.packages()
            .await?
            .into_iter()
            .find(|row| format!("{}.{}", row.package_id, row.version).to_lowercase() == wanted)
            .ok_or_else(|| StoreError::NotFound(format!("package `{named}` does not exist")))
    }
}

/// All versions of one package, the highest first, inside a transaction.
pub(super) async fn versions(write: &mut Write, package: &str) -> Result<Vec<PackageRow>, StoreError> {
    let rows: Vec<PackageRow> = sqlx::query_as(
        "select package_id, version, extension, file_name, sha256, size, published from packages \
         where package_key = $1 order by id",
    )
    .bind(package.to_lowercase())
    .fetch_all(&mut **write)
    .await?;
    Ok(sorted(rows))
}

fn sorted(mut rows: Vec<PackageRow>) -> Vec<PackageRow> {
    rows.sort_by_cached_key(|row| (row.package_id.to_lowercase(), std::cmp::Reverse(row.order())));
    rows
}

fn keys(id: &str, version: &SemanticVersion) -> (String, String) {
    (id.to_lowercase(), version.normalised().to_lowercase())
}
