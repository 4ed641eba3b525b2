//! The worker's folder: its registration, its work and its local log; locked by the one process that runs.

use std::{
    fs::TryLockError,
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    client::Trust,
    model::{DeploymentId, MachineId},
    protocol::Token,
};

const VERSION: u32 = 1;
/// Long after any deployment has ended, one way or the other.
const LEFTOVER_AGE: Duration = Duration::from_hours(7 * 24);

/// What a registered worker knows about itself. Holds its token: the file is 0600.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    version: u32,
    /// The server's address.
    pub server: String,
    /// Whom to take for it.
    #[serde(default, flatten)]
    pub trust: Trust,
    /// The worker's name.
    pub name: String,
    /// The environment it is bound to.
    pub environment: String,
    /// Its id on the server.
    pub worker_id: MachineId,
    /// Its own credential.
    pub token: Token,
}

impl Identity {
    /// A new registration.
    pub fn new(
        server: String,
        trust: Trust,
        name: String,
        environment: String,
        worker_id: MachineId,
        token: Token,
    ) -> Self {
        Self { version: VERSION, server, trust, name, environment, worker_id, token }
    }
}

/// The worker's folder.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    lock: Option<fs_err::File>,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file cannot be read or written.
    #[error("using the worker's state folder")]
    Io(#[from] std::io::Error),
    /// Another process runs there.
    #[error("another worker process runs in the state folder `{}`", .0.display())]
    Locked(PathBuf),
    /// There is no registration.
    #[error("no worker is registered in the state folder `{}`", .0.display())]
    NotRegistered(PathBuf),
    /// The registration cannot be understood.
    #[error("reading the registration `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The registration is of a newer octarm.
    #[error("the registration `{}` is of version {found}, expected {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
    /// The folder belongs to another registration.
    #[error(
        "the state folder `{}` holds worker `{name}` of `{environment}` at {server}", path.display()
    )]
    Taken {
        /// The folder.
        path: PathBuf,
        /// Its worker.
        name: String,
        /// Its environment.
        environment: String,
        /// Its server.
        server: String,
    },
}

impl StateError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked(_) => {
                Some("stop the other process, or give each worker its own `--state` folder".to_owned())
            }
            Self::NotRegistered(_) => Some("register it first: `octarm worker register`".to_owned()),
            Self::Taken { .. } => {
                Some("deregister that worker first, or give each worker its own `--state` folder".to_owned())
            }
            Self::Version { .. } => Some("use the octarm that registered it, or a newer one".to_owned()),
            Self::Unreadable { path, .. } => {
                Some(format!("remove `{}` and register the worker again", path.display()))
            }
            Self::Io(_) => None,
        }
    }
}

impl StateFolder {
    /// Opens the folder and makes it when it is not there: for its owner only.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| {
            std::io::Error::new(source.kind(), format!("failed to create `{}`: {source}", path.display()))
        })?;
        // One that was there before may be open to others, and logs and packages are nobody else's.
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
        Ok(Self { path: path.to_owned(), lock: None })
    }

    /// The folder of a worker that should be there; nothing is made.
    pub fn existing(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: None }
    }

    /// Keeps every other worker process out for as long as this value lives.
    pub fn lock(mut self) -> Result<Self, StateError> {
        let file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path.join("lock"))?;
        match file.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::Locked(self.path)),
            Err(TryLockError::Error(source)) => return Err(source.into()),
        }
        self.lock = Some(file);
        Ok(self)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder for one deployment's spool and temporary files.
    pub fn deployment(&self, id: DeploymentId) -> PathBuf {
        self.path.join("deployments").join(id.to_string())
    }

    /// Removes what is left of deployments that nobody came back to for long.
    pub(super) fn prune(&self) {
        let Ok(folders) = fs_err::read_dir(self.path.join("deployments")) else { return };
        for folder in folders.flatten() {
            let is_old = folder
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > LEFTOVER_AGE));
            if is_old && let Err(error) = fs_err::remove_dir_all(folder.path()) {
                tracing::warn!(error = %error, "the leftovers of an old deployment could not be removed");
            }
        }
    }

    /// Removes the packages that an earlier process left behind; what else it left may be needed.
    pub(super) fn remove_packages(&self) {
        let Ok(folders) = fs_err::read_dir(self.path.join("deployments")) else { return };
        for package in folders.flatten().map(|folder| folder.path().join("package")) {
            if let Err(error) = fs_err::remove_file(package)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(error = %error, "a package that was left behind could not be removed");
            }
        }
    }

    /// The registration, if there is one.
    pub fn identity(&self) -> Result<Option<Identity>, StateError> {
        let path = self.identity_path();
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let identity: Identity = serde_json::from_slice(&bytes)
            .map_err(|source| StateError::Unreadable { path: path.clone(), source })?;
        if identity.version != VERSION {
            return Err(StateError::Version { path, found: identity.version });
        }
        Ok(Some(identity))
    }

    /// The registration; an error when there is none.
    pub fn registered(&self) -> Result<Identity, StateError> {
        self.identity()?.ok_or_else(|| StateError::NotRegistered(self.path.clone()))
    }

    /// Writes the registration so that a crash leaves the old one or the new one.
    pub fn save(&self, identity: &Identity) -> Result<(), StateError> {
        let bytes = serde_json::to_vec_pretty(identity)
            .map_err(|source| StateError::Unreadable { path: self.identity_path(), source })?;
        // A name of its own, readable by its owner only: two registrations at once leave one of the two, whole.
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.identity_path()).map_err(|error| error.error)?;
        fs_err::File::open(&self.path)?.sync_all()?;
        Ok(())
    }

    /// Forgets the registration.
    pub fn forget(&self) -> Result<(), StateError> {
        match fs_err::remove_file(self.identity_path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn identity_path(&self) -> PathBuf {
        self.path.join("identity.json")
    }
}
