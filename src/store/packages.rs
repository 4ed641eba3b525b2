//! Packages that were pushed: a row for each id and version; the bytes are blobs, named by their SHA-256.

use super::{
    Store, StoreError, blobs,
    database::{Write, now},
    spaces,
};
use crate::{package::FileName, version::SemanticVersion};

/// A package as stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
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

    /// The two columns that it is found by.
    pub(super) fn keys(&self) -> (String, String) {
        (self.package_id.to_lowercase(), version_key(&self.version))
    }
}

/// A package whose bytes are durable already, and were expected before ([`Store::expect_blob`]).
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

pub(super) const COLUMNS: &str = "select package_id, version, extension, file_name, sha256, size, published from packages \
                       where space_id = coalesce($1, space_id) order by package_key, id";

const ONE: &str = "select package_id, version, extension, file_name, sha256, size, published from packages \
                   where package_key = $1 and version_key = $2 and space_id = coalesce($3, space_id)";

pub(super) const OF_ONE: &str = "select package_id, version, extension, file_name, sha256, size, published \
                                 from packages where package_key = $1 and space_id = coalesce($2, space_id) order by id";

impl Store {
    /// What a push of this name would meet: a refusal, or the package that is kept, or nothing in its way. Asked
    /// before the bytes are made durable, so that those of a refused push are not kept.
    pub async fn before_push(
        &self,
        name: &FileName,
        overwrite: Overwrite,
    ) -> Result<Option<Pushed>, StoreError> {
        let (id_key, version_key) = keys(name.id(), name.version());
        let found = sqlx::query_as(ONE)
            .bind(id_key)
            .bind(version_key)
            .bind(self.space)
            .fetch_optional(&self.database.reader)
            .await?;
        kept(found, overwrite)
    }

    /// Records a package whose bytes are durable.
    pub async fn push_package(
        &self,
        new: &NewPackage<'_>,
        overwrite: Overwrite,
    ) -> Result<Pushed, StoreError> {
        let (id_key, version_key) = keys(new.name.id(), new.name.version());
        let mut write = self.write().await?;
        let home = spaces::home(&mut write).await?;
        let found = sqlx::query_as(ONE)
            .bind(&id_key)
            .bind(&version_key)
            .bind(home)
            .fetch_optional(&mut *write)
            .await?;
        if let Some(kept) = kept(found, overwrite)? {
            return Ok(kept);
        }
        blobs::name(&mut write, new.sha256).await?;
        let row: Option<PackageRow> = sqlx::query_as(concat!(
            "insert into packages (package_id, package_key, version, version_key, extension, file_name, sha256, size, \
             published, space_id) values ($1, $2, $3, $4, $5, $6, $7, $8, ",
            now!(),
            ", $10) on conflict (space_id, package_key, version_key) do update set version = excluded.version, \
             extension = excluded.extension, file_name = excluded.file_name, sha256 = excluded.sha256, \
             size = excluded.size, published = excluded.published where $9 = 1 \
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
        .bind(i64::from(overwrite == Overwrite::Replace))
        .bind(home)
        .fetch_optional(&mut *write)
        .await?;
        let Some(row) = row else {
            // Somebody else was faster by so little that the look above did not see it.
            let found = sqlx::query_as(ONE)
                .bind(id_key)
                .bind(version_key)
                .bind(home)
                .fetch_optional(&mut *write)
                .await?;
            return kept(found, overwrite)?.ok_or_else(|| {
                StoreError::Conflict(format!("package `{}` was pushed at the same moment", new.file_name))
            });
        };
        write.commit().await?;
        Ok(Pushed { row, stored: true })
    }

    /// All packages by id, the highest version of each first.
    pub async fn packages(&self) -> Result<Vec<PackageRow>, StoreError> {
        let rows: Vec<PackageRow> =
            sqlx::query_as(COLUMNS).bind(self.space).fetch_all(&self.database.reader).await?;
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

/// Refuses a push of what exists, or answers what stays in its place.
fn kept(found: Option<PackageRow>, overwrite: Overwrite) -> Result<Option<Pushed>, StoreError> {
    match (found, overwrite) {
        (Some(row), Overwrite::Fail) => Err(StoreError::Conflict(format!(
            "package `{}` version `{}` exists already; push with overwriteMode=OverwriteExisting to replace it or \
             IgnoreIfExists to keep it",
            row.package_id, row.version
        ))),
        (Some(row), Overwrite::Ignore) => Ok(Some(Pushed { row, stored: false })),
        (Some(_), Overwrite::Replace) | (None, _) => Ok(None),
    }
}

/// All versions of one package in a space, the highest first, inside a transaction.
pub(super) async fn versions(
    write: &mut Write,
    space: i64,
    package: &str,
) -> Result<Vec<PackageRow>, StoreError> {
    let rows: Vec<PackageRow> =
        sqlx::query_as(OF_ONE).bind(package.to_lowercase()).bind(space).fetch_all(&mut **write).await?;
    Ok(sorted(rows))
}

pub(super) fn sorted(mut rows: Vec<PackageRow>) -> Vec<PackageRow> {
    rows.sort_by_cached_key(|row| (row.package_id.to_lowercase(), std::cmp::Reverse(row.order())));
    rows
}

/// The form that versions of packages are compared by; one that cannot be read only equals itself.
pub(super) fn version_key(version: &str) -> String {
    let read = version.trim().parse::<SemanticVersion>();
    read.map_or_else(|_| super::key(version), |version| version.normalised().to_lowercase())
}

fn keys(id: &str, version: &SemanticVersion) -> (String, String) {
    (id.to_lowercase(), version.normalised().to_lowercase())
}
