//! A backup: one file that holds what the server keeps, checked when it is written and again before it is restored.
//!
//! It is a tar. First comes `backup.json`, which says what it is, then the files as they lie in the data folder, and
//! last `digests.json` with the SHA-256 of each: a file without it was not written to its end.

mod read;
mod restore;
mod work;
mod write;

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use restore::{Restored, restore};
pub use write::{BackedUp, backup};

use super::folder;

/// The version of the form.
const FORMAT: u32 = 1;
/// What comes first.
const HEAD: &str = "backup.json";
/// What comes last.
const DIGESTS: &str = "digests.json";
/// The folders in the data folder whose files are taken.
const FOLDERS: [&str; 2] = [folder::PACKAGES, "logs"];

/// The file that says whose the packages are.
const OWNER: &str = "packages/installation";

/// Why there is no backup, or none that can be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file of that name.
    #[error("the backup `{}` exists already", .0.display())]
    Occupied(PathBuf),
    /// A file cannot be read or written.
    #[error("{act}")]
    Io {
        /// What was being done.
        act: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The backup that is to be restored cannot be read.
    #[error("reading the backup")]
    Reading(#[source] io::Error),
    /// The backup was written, and something was missing already.
    #[error("the backup `{}` is written, and not all that the database names is in it: {}", file.display(), troubles.join("; "))]
    Incomplete {
        /// The backup.
        file: PathBuf,
        /// What is wrong with what the server keeps.
        troubles: Vec<String>,
    },
    /// The file is not what was once written.
    #[error("`{}` is not a whole backup: {reason}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer octarm made it.
    #[error("the backup `{}` is of octarm {octarm}, whose {what} is {found}: this one knows those up to {known}", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// The version that made it.
        octarm: String,
        /// Which number is too high.
        what: &'static str,
        /// What it is.
        found: i64,
        /// The highest that is known.
        known: i64,
    },
    /// The backup is of a server with another kind of database.
    #[error("the backup `{}` holds a database in a file, and the settings name a PostgreSQL", .0.display())]
    OtherEngine(PathBuf),
    /// The data folder is in use.
    #[error("the data folder `{}` holds `{found}` already, expected an empty one", folder.display())]
    FolderOccupied {
        /// The folder.
        folder: PathBuf,
        /// What is in it.
        found: String,
    },
}

impl BackupError {
    /// What to do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Occupied(_) => "give each backup a name of its own, such as one with the date",
            Self::Incomplete { .. } => {
                "push the packages named again with `--overwrite replace`, say `blobs` where they are in a bucket, or restore their files into `packages` from an older backup; then make another one"
            }
            Self::Damaged { .. } => "take another backup; nothing was changed",
            Self::Newer { .. } => "restore it with the octarm that made it, or a newer one",
            Self::OtherEngine(_) => "restore it without the database's URL, into a server of its own",
            Self::FolderOccupied { .. } => {
                "restore into a new folder, or move away what is in this one: nothing is replaced"
            }
            Self::Reading(_) | Self::Io { .. } => return None,
        };
        Some(hint.to_owned())
    }

    fn io(act: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let act = act.into();
        move |source| Self::Io { act, source }
    }
}

/// Where the database is that belongs to a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Engine {
    /// In it.
    Sqlite,
    /// In a dump that somebody made beside it.
    Postgresql,
}

/// What a backup says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    format: u32,
    octarm: String,
    made: jiff::Timestamp,
    database: Engine,
    /// The last step of the tables, where they are in it.
    schema: Option<i64>,
    /// The files of the folder that are secret and were left out.
    left_out: Vec<String>,
    /// Whether packages and finished logs are in a bucket.
    #[serde(default)]
    in_bucket: bool,
}

/// One file of a backup.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Entry {
    path: String,
    size: u64,
    sha256: String,
}
