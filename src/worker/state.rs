//! The worker's folder: its registration, its work and its local log; locked by the one process that runs.

use std::{
    fs::TryLockError,
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::{
    fs::{FlockOperation, fcntl_lock},
    process::{Flock, FlockType, Pid, fcntl_getlk},
};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    client::{Credential, KeyError, KeyPair, Trust},
    model::{DeploymentId, MachineId},
    protocol::RegisterResponse,
};

const VERSION: u32 = 2;
/// The registration.
const IDENTITY: &str = "identity.json";
/// The file by whose lock one sees that a worker process runs.
const RUNNING: &str = "running";
/// Long after any deployment has ended, one way or the other.
const LEFTOVER_AGE: Duration = Duration::from_hours(7 * 24);

/// What a registered worker knows about itself. Holds its private key: the file is 0600.
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
    /// Which installation it is registered at.
    pub installation: Uuid,
    /// Its key pair.
    pub key: KeyPair,
}

/// What every registration begins with, of whatever version.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Identity {
    /// A new registration.
    pub fn new(server: String, trust: Trust, answer: &RegisterResponse, key: KeyPair) -> Self {
        Self {
            version: VERSION,
            server,
            trust,
            name: answer.name.clone(),
            environment: answer.environment.clone(),
            worker_id: answer.worker_id,
            installation: answer.installation,
            key,
        }
    }

    /// What it proves itself with.
    pub fn credential(&self) -> Credential {
        Credential { worker_id: self.worker_id, installation: self.installation, key: self.key.clone() }
    }
}

/// The worker's folder.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    locks: Option<[fs_err::File; 2]>,
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
    /// The folder holds other things, and is open to others.
    #[error("the folder `{}` holds other things and is open to others, expected one for the worker alone", .0.display())]
    Shared(PathBuf),
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
    /// The registration is of an octarm whose workers had no keys.
    #[error(
        "the registration `{}` is of an older octarm, whose workers had a token and no key", .0.display()
    )]
    Outdated(PathBuf),
    /// A key pair cannot be made or read.
    #[error("using the worker's key in the state folder `{}`", path.display())]
    Key {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
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
            Self::Shared(_) => Some("give the worker a folder of its own with `--state`".to_owned()),
            Self::NotRegistered(_) => Some("register it first: `octarm worker register`".to_owned()),
            Self::Taken { .. } => {
                Some("deregister that worker first, or give each worker its own `--state` folder".to_owned())
            }
            Self::Outdated(_) => Some(
                "register it again with `octarm worker register`, under the same name and from this folder: it stays the same worker"
                    .to_owned(),
            ),
            Self::Version { .. } => Some("use the octarm that registered it, or a newer one".to_owned()),
            Self::Unreadable { path, .. } => {
                Some(format!("remove `{}` and register the worker again", path.display()))
            }
            Self::Key { .. } | Self::Io(_) => None,
        }
    }
}

impl StateFolder {
    /// Opens the folder and makes it when it is not there: for its owner only.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let existed = path.exists();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| {
            std::io::Error::new(source.kind(), format!("failed to create `{}`: {source}", path.display()))
        })?;
        // One that was there before may be open to others, and logs and packages are nobody else's. One that holds
        // other things is somebody else's, and stays as it is.
        let is_own = !existed || path.join(IDENTITY).exists() || fs_err::read_dir(path)?.next().is_none();
        if !is_own && fs_err::metadata(path)?.permissions().mode() & 0o077 != 0 {
            return Err(StateError::Shared(path.to_owned()));
        }
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
        Ok(Self { path: path.to_owned(), locks: None })
    }

    /// The folder of a worker that should be there; nothing is made.
    pub fn existing(path: &Path) -> Self {
        Self { path: path.to_owned(), locks: None }
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
        // A second one, of the kind that others may ask about without trying to have it: who tries keeps out, for that
        // moment, a worker that starts.
        let running = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path.join(RUNNING))?;
        fcntl_lock(running.file(), FlockOperation::NonBlockingLockExclusive).map_err(std::io::Error::from)?;
        self.locks = Some([file, running]);
        Ok(self)
    }

    /// The worker process that runs here; 0 where it is in another container.
    pub(super) fn process(&self) -> Result<Option<u32>, StateError> {
        let file = match fs_err::File::open(self.path.join(RUNNING)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let held =
            fcntl_getlk(file.file(), &Flock::from(FlockType::WriteLock)).map_err(std::io::Error::from)?;
        let number = |pid: Pid| u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0);
        Ok(held.map(|lock| lock.pid.map_or(0, number)))
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
            // Cleared when it is dropped.
            Ok(bytes) => SecretSlice::from(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let unreadable = |source| StateError::Unreadable { path: path.clone(), source };
        let Versioned { version } = serde_json::from_slice(bytes.expose_secret()).map_err(unreadable)?;
        match version {
            VERSION => serde_json::from_slice(bytes.expose_secret()).map(Some).map_err(unreadable),
            found if found < VERSION => Err(StateError::Outdated(path)),
            found => Err(StateError::Version { path, found }),
        }
    }

    /// The registration; an error when there is none.
    pub fn registered(&self) -> Result<Identity, StateError> {
        self.identity()?.ok_or_else(|| StateError::NotRegistered(self.path.clone()))
    }

    /// Writes the registration so that a crash leaves the old one or the new one.
    pub fn save(&self, identity: &Identity) -> Result<(), StateError> {
        let bytes = serde_json::to_vec_pretty(identity)
            .map_err(|source| StateError::Unreadable { path: self.identity_path(), source })?;
        self.put(&SecretSlice::from(bytes), &self.identity_path())?;
        Ok(remove(&self.new_key_path())?)
    }

    /// Whole or not at all, and readable by its owner only.
    fn put(&self, bytes: &SecretSlice<u8>, path: &Path) -> Result<(), StateError> {
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        file.write_all(bytes.expose_secret())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        fs_err::File::open(&self.path)?.sync_all()?;
        Ok(())
    }

    /// The key of a worker that is to be registered: the one of a try before, else a new one.
    pub(super) fn new_key(&self) -> Result<KeyPair, StateError> {
        let wrong = |source| StateError::Key { path: self.path.clone(), source };
        let path = self.new_key_path();
        match fs_err::read_to_string(&path) {
            Ok(text) => KeyPair::read(text.into()).map_err(wrong),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(wrong)?;
                self.put(&SecretSlice::from(key.text().expose_secret().as_bytes().to_vec()), &path)?;
                Ok(key)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until nobody else registers a worker here, and keeps all others out for as long as this lives.
    pub(super) fn registering(&self) -> Result<fs_err::File, StateError> {
        let file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.path.join("registering"))?;
        file.file().lock()?;
        Ok(file)
    }

    /// Forgets the registration.
    pub fn forget(&self) -> Result<(), StateError> {
        remove(&self.identity_path())?;
        Ok(remove(&self.new_key_path())?)
    }

    fn new_key_path(&self) -> PathBuf {
        self.path.join("new-key")
    }

    fn identity_path(&self) -> PathBuf {
        self.path.join(IDENTITY)
    }
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
