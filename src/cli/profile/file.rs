//! The file of profiles: servers with the keys for them, for this user alone.

use std::{
    collections::BTreeMap,
    fs::DirBuilder,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use fs_err::File;
use serde::{Deserialize, Serialize};

use crate::{config::Environment, exit::Exit, model::Fingerprint};

/// One server and how to speak with it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Profile {
    pub(in crate::cli) server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) fingerprint: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) api_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) space: Option<String>,
}

/// All profiles of this user.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Profiles {
    /// The one that is taken where none is named.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) in_use: Option<String>,
    #[serde(default)]
    pub(in crate::cli) profiles: BTreeMap<String, Profile>,
}

/// Why the profiles cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// There is no home for them.
    #[error("no folder for profiles: neither XDG_CONFIG_HOME nor HOME says where")]
    NoFolder,
    /// The file cannot be read or written.
    #[error("{act} the profiles")]
    Io {
        /// `reading` or `keeping`.
        act: &'static str,
        /// Why; names the path.
        #[source]
        source: io::Error,
    },
    /// Others can read the keys in it.
    #[error("`{}` has the mode {mode:03o}: others may read the API keys in it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not a file of profiles.
    #[error("`{}` is not a file of profiles: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong, without what stands there.
        reason: String,
    },
    /// A name that cannot be one.
    #[error("`{0}` is not a name for a profile: expected letters, digits, `-`, `_` and `.`")]
    Name(String),
    /// A name that is taken.
    #[error("the profile `{0}` exists already")]
    Exists(String),
    /// A name that nothing has.
    #[error("there is no profile `{name}`, which {origin} names")]
    Unknown {
        /// The name.
        name: String,
        /// Where the name came from.
        origin: &'static str,
        /// Those there are.
        known: Vec<String>,
    },
}

impl ProfileError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Io { .. } => Exit::Io,
            Self::NoFolder | Self::Open { .. } | Self::Unreadable { .. } => Exit::Configuration,
            Self::Name(_) | Self::Exists(_) | Self::Unknown { .. } => Exit::Usage,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::Exists(_) => Some("say --replace to put this one in its place".to_owned()),
            Self::Unknown { known, .. } if known.is_empty() => {
                Some("make it: `octarm profile add NAME --server URL`".to_owned())
            }
            Self::Unknown { known, .. } => Some(format!("known are: {}", known.join(", "))),
            _ => None,
        }
    }
}

impl Profiles {
    /// Where they are kept.
    pub(in crate::cli) fn path(environment: &Environment) -> Result<PathBuf, ProfileError> {
        let absolute = |name| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder =
            absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
        Ok(folder.ok_or(ProfileError::NoFolder)?.join("octarm/profiles.toml"))
    }

    /// Makes the folder where it is missing, and keeps others from changing the profiles until the lock is dropped.
    pub(in crate::cli) fn lock(path: &Path) -> Result<File, ProfileError> {
        let failed = |source| ProfileError::Io { act: "keeping", source };
        let folder = path.parent().unwrap_or(path);
        fs_err::create_dir_all(folder.parent().unwrap_or(folder)).map_err(failed)?;
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(io::Error::new(error.kind(), format!("`{}`: {error}", folder.display()))));
            }
            _ => {}
        }
        let folder = File::open(folder).map_err(failed)?;
        folder.lock().map_err(failed)?;
        Ok(folder)
    }

    /// Those that are kept; none where there is no file.
    pub(in crate::cli) fn read(path: &Path) -> Result<Self, ProfileError> {
        let failed = |source| ProfileError::Io { act: "reading", source };
        let text = match fs_err::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.map_err(failed)?,
        };
        let mode = fs_err::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(ProfileError::Open { path: path.to_owned(), mode });
        }
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            // Its words may repeat what stands there, which may be a key: only the place is told.
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count()) + 1;
            ProfileError::Unreadable {
                path: path.to_owned(),
                reason: format!("line {line} is no part of a profile"),
            }
        })
    }

    /// Keeps them: a reader finds the old file or the new one, whole.
    pub(in crate::cli) fn keep(&self, path: &Path) -> Result<(), ProfileError> {
        let failed = |source| ProfileError::Io { act: "keeping", source };
        let text = toml::to_string(self)
            .map_err(|error| ProfileError::Io { act: "keeping", source: io::Error::other(error) })?;
        let folder = path.parent().unwrap_or(path);
        // A temporary file is for its owner alone from the start.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// One by its name.
    pub(in crate::cli) fn get(&self, name: &str, origin: &'static str) -> Result<&Profile, ProfileError> {
        self.profiles.get(name).ok_or_else(|| ProfileError::Unknown {
            name: name.to_owned(),
            origin,
            known: self.profiles.keys().cloned().collect(),
        })
    }
}
