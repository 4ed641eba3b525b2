//! The deployment server: a data folder, a subset of the Octopus REST API, and the worker API.

mod absent;
mod api_keys;
mod auth;
mod backup;
mod body;
mod build_information;
mod channels;
mod check;
mod connections;
mod deployments;
mod edge;
mod environments;
mod feeds;
mod folder;
mod json;
mod kept_logs;
mod libraries;
mod lifecycles;
mod listener;
mod machines;
mod once;
mod openapi;
mod owner;
mod packages;
mod paging;
mod pools;
mod problem;
mod progression;
mod projects;
mod prune;
mod pulse;
mod registration;
mod registration_tokens;
mod releases;
mod rewrite;
mod root;
mod rotation;
mod router;
mod spaces;
mod sweeper;
mod tasks;
mod tidy;
mod tls;
mod unread;
mod variables;
mod workers;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use tls::{CertificateRenewal, TlsError};

use pulse::Pulse;
use secrecy::{ExposeSecret as _, SecretString};
use tls::Protection;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

pub use backup::{BackedUp, BackupError, Restored, backup, restore};
pub use check::check;
pub use owner::take_over;
pub use prune::prune;
pub use rotation::{Rotated, rotate_master_key};

use crate::{
    blobs::{BlobError, Blobs, BucketBlobs},
    config::{BlobBucket, Retention, Tls},
    conventions::{Conventions, ConventionsError},
    health::Door,
    model::Fingerprint,
    store::{Database, Store, StoreError, Vault},
    systemd::Unit,
};

/// The largest package that is taken.
const PACKAGE_LIMIT: u64 = 1024 * 1024 * 1024;
/// After how long nobody can still be writing an unfinished package, where other servers use the folder too.
const ABANDONED: Duration = Duration::from_hours(24);
/// How long open requests may take to end once the server is asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How a server is to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where packages and keys are kept, and the database where it has no URL; then one server at a time.
    pub data: PathBuf,
    /// The URL of a PostgreSQL, which several servers may share.
    pub database: Option<SecretString>,
    /// The master key; the one in the data folder where none is given.
    pub master_key: Option<SecretString>,
    /// The bucket of packages and finished logs; they are in the data folder where there is none.
    pub blobs: Option<BlobBucket>,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address that people reach it at, where that is another one.
    pub public_url: Option<String>,
    /// How long a hand-out lasts without a renewal.
    pub lease: Duration,
    /// How long a deployment may stay lost before its end is given as unknown.
    pub unknown_after: Duration,
    /// How connections are protected.
    pub tls: Tls,
    /// What is kept, and for how long.
    pub retention: Retention,
    /// How long the token of a worker's session is good; the worker renews it before.
    pub worker_session: Duration,
    /// How long a worker's claim waits for work.
    pub poll_wait: Duration,
    /// How long the head of a request may take to arrive, and then its body, where that is a document.
    pub request_within: Duration,
    /// How long the sender of a package may send nothing.
    pub upload_silence: Duration,
    /// How often finished logs are looked for, and whether it is time to remove what is old.
    pub tidy_pause: Duration,
    /// Who is told how it is, where this process is a unit.
    pub unit: Unit,
}

impl Settings {
    /// The usual times for this folder and address.
    pub fn new(data: PathBuf, listen: SocketAddr) -> Self {
        Self {
            data,
            database: None,
            master_key: None,
            blobs: None,
            listen,
            public_url: None,
            lease: Duration::from_mins(1),
            unknown_after: Duration::from_mins(15),
            tls: Tls::default(),
            retention: Retention::default(),
            worker_session: Duration::from_hours(1),
            poll_wait: Duration::from_secs(25),
            request_within: Duration::from_secs(30),
            upload_silence: Duration::from_mins(1),
            tidy_pause: Duration::from_mins(1),
            unit: Unit::default(),
        }
    }
}

/// Why a server did not start or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data folder or a file in it cannot be used.
    #[error("the data folder cannot be used")]
    Folder(#[source] io::Error),
    /// Another server has the folder.
    #[error("another server process is using the data folder `{}`", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The database is there and its key is not.
    #[error("the database `{database}` exists, its master key `{}` does not", key.display())]
    KeyMissing {
        /// The database.
        database: String,
        /// Where its key should be.
        key: PathBuf,
    },
    /// The master key is not one.
    #[error("the master key `{}` is not 64 hexadecimal digits", key.display())]
    KeyUnreadable {
        /// Where it is.
        key: PathBuf,
    },
    /// There is no database of a server.
    #[error("the database `{0}` is not a server's")]
    NothingThere(String),
    /// A restore was broken off.
    #[error("a restore into the data folder `{}` has not ended", folder.display())]
    HalfRestored {
        /// The folder.
        folder: PathBuf,
    },
    /// A backup was not made or not restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The new master key is to be kept by whoever gives the old one.
    #[error("the master key comes from OCTARM_SERVER_MASTER_KEY, and no file gives the new one")]
    NewKeyMissing,
    /// The conventions could not be read.
    #[error("the built-in conventions cannot be read")]
    Conventions(#[from] ConventionsError),
    /// What the database names is somewhere else.
    #[error("the database names {named} packages and logs, and `{place}` holds none of them")]
    BlobsElsewhere {
        /// Where they were looked for.
        place: String,
        /// How many there are.
        named: usize,
    },
    /// The bytes belong to another installation.
    #[error(
        "the packages in `{place}` belong to installation {owner}, and the database to installation {installation}: nothing \
         is removed"
    )]
    ForeignBlobs {
        /// Where they are.
        place: String,
        /// What stands beside them.
        owner: String,
        /// What the database says.
        installation: String,
    },
    /// The bytes belong to another copy of the database.
    #[error(
        "the packages in `{place}` belong to another copy of this database, of which one was restored from a backup: \
         nothing is removed"
    )]
    CopiedBlobs {
        /// Where they are.
        place: String,
    },
    /// The database could not be opened.
    #[error("the server's database cannot be opened")]
    Store(#[from] StoreError),
    /// The packages could not be opened.
    #[error("the server's packages cannot be opened")]
    Blobs(#[from] BlobError),
    /// The certificate cannot be used.
    #[error("connections cannot be protected")]
    Tls(#[from] TlsError),
    /// The address could not be taken.
    #[error("listening on {address} failed")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ServerError {
    /// What to do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked { .. } => Some(
                "stop the server that runs there first, or name another folder with `--data`".into(),
            ),
            Self::ForeignBlobs { .. } => Some(
                "give each installation a bucket, a prefix or a folder of its own; where the database was made anew and \
                 these packages are to be its own, delete `installation` beside them"
                    .into(),
            ),
            Self::CopiedBlobs { .. } => Some(
                "where the other copy is gone for good, run `octarm server take-over` with these settings: the packages are \
                 then this one's; where it lives on, give this one a bucket, a prefix or a folder of its own with copies of \
                 the packages, and take that over, or each of the two deletes what the other has"
                    .into(),
            ),
            Self::KeyMissing { .. } => Some(
                "restore the key from the backup that the database came from, or copy it from another server of this \
                 database: without it no sensitive value can be read"
                    .into(),
            ),
            Self::NothingThere(_) => {
                Some("name the data folder or the database URL that the server is started with".into())
            }
            Self::HalfRestored { .. } => Some("empty the folder and repeat the restore".into()),
            Self::Backup(error) => error.hint(),
            Self::NewKeyMissing => Some(
                "write 64 random hexadecimal digits into a file that only you can read, and name it: `--new-key FILE`; \
                 `openssl rand -hex 32` makes some"
                    .into(),
            ),
            Self::BlobsElsewhere { .. } => Some(
                "set `blobs` as it was when they were pushed, or mount the folder; where they are lost, restore a backup"
                    .into(),
            ),
            Self::Store(error) => error.hint(),
            Self::Blobs(error) => error.hint(),
            Self::Tls(_) => Some("check `tls_cert` and `tls_key`, or leave both out: the server then makes a certificate itself".into()),
            _ => None,
        }
    }
}

/// The API key that was made because there was none. It is in the file and nowhere else.
#[derive(Debug)]
pub struct FirstKey {
    /// The file that holds it, readable by its owner only.
    pub path: PathBuf,
    /// The key.
    pub key: SecretString,
}

/// What all requests share.
#[derive(Debug, Clone)]
struct Shared {
    /// What the server has in all its spaces: [`Shared::store`] is for requests.
    everything: Store,
    blobs: Blobs,
    settings: Arc<Settings>,
    conventions: Arc<Conventions>,
    /// The address in links, where there is one that others can follow.
    public_url: Option<Arc<str>>,
    /// A log grew or a state changed.
    news: Arc<Notify>,
    /// The server stops: long polls answer at once.
    closing: CancellationToken,
    /// Whether the loops come round.
    pulse: Pulse,
}

impl Shared {
    /// The store with what is in the space of the request that is answered; with everything where it is none of the
    /// Octopus side.
    fn store(&self) -> Store {
        match spaces::of_request() {
            Some(space) => self.everything.in_space(space),
            None => self.everything.clone(),
        }
    }

    /// A deployment changed: whoever watches one looks again.
    fn deployment_changed(&self) {
        self.news.notify_waiters();
    }
}

/// A server that has its folder and its address and does not serve yet.
#[derive(Debug)]
pub struct Server {
    shared: Shared,
    listener: TcpListener,
    address: SocketAddr,
    protection: Option<Protection>,
    first_key: Option<FirstKey>,
    door: Option<Door>,
    /// Held until the server is gone.
    _lock: Option<folder::Lock>,
}

/// Takes the data folder, makes what is missing in it, and binds the address.
pub async fn start(settings: Settings) -> Result<Server, ServerError> {
    let folder = folder::open(&settings.data, settings.database.as_ref())?;
    if folder.lock.is_some() {
        folder::Spare::keep(&settings.data);
    }
    let protection = tls::prepare(&settings.tls, &settings.data, settings.listen)?;
    let database = Database::open(&folder.database).await?;
    let vault = Vault::new(&folder.master_key(settings.master_key.as_ref(), &database).await?)?;
    let abandoned = if folder.lock.is_some() { Duration::ZERO } else { ABANDONED };
    let blobs = Blobs::open(&folder.packages, bucket(&settings).await?, PACKAGE_LIMIT, abandoned)?;
    blobs.check().await?;
    let store = Store::open(database, vault, settings.lease).await?;
    owner::refuse_elsewhere(&store, &blobs).await?;
    if settings.blobs.is_some() {
        // Two installations that begin to share a bucket are told now, and not when one deletes what the other has.
        owner::claim(&store, &blobs).await?;
    }
    let path = settings.data.join(folder::FIRST_KEY);
    let made =
        store.make_first_key(|key| folder::replace_secret(&path, key.expose_secret())).await?.transpose();
    let first_key = made.map_err(ServerError::Folder)?.map(|key| FirstKey { path, key });
    if let Some(first) = &first_key {
        tracing::info!(path = %first.path.display(), "made the first API key");
    }
    let address = settings.listen;
    let listen = |source| ServerError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let usable = Some(address).filter(|address| !address.ip().is_unspecified());
    let own = usable.map(|address| url(address, protection.is_some()));
    let shared = Shared {
        public_url: settings.public_url.clone().or(own).map(Into::into),
        everything: store,
        blobs,
        pulse: Pulse::new(settings.unit.clone()),
        settings: Arc::new(settings),
        conventions: Arc::new(Conventions::load(None)?),
        news: Arc::new(Notify::new()),
        closing: CancellationToken::new(),
    };
    Ok(Server { shared, listener, address, protection, first_key, door: None, _lock: folder.lock })
}

fn url(address: SocketAddr, is_protected: bool) -> String {
    let scheme = if is_protected { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// The bucket that the settings name.
async fn bucket(settings: &Settings) -> Result<Option<BucketBlobs>, BlobError> {
    let Some(BlobBucket { bucket, prefix, endpoint, region }) = settings.blobs.clone() else {
        return Ok(None);
    };
    BucketBlobs::connect(&bucket, &prefix, endpoint, region).await.map(Some)
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as clients are given it.
    pub fn url(&self) -> String {
        url(self.address, self.protection.is_some())
    }

    /// What clients know the server's certificate by, where it has one.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.protection.as_ref().map(|protection| protection.fingerprint)
    }

    /// Renews the certificate while the server runs, where it has one.
    pub fn certificate_renewal(&self) -> Option<CertificateRenewal> {
        let Settings { data, listen, .. } = &*self.shared.settings;
        self.protection.as_ref().map(|protection| protection.renewal(data, *listen))
    }

    /// The API key that was made at this start, if one was.
    pub fn first_key(&self) -> Option<&FirstKey> {
        self.first_key.as_ref()
    }

    /// The store below, for whoever started the server.
    pub fn store(&self) -> &Store {
        &self.shared.everything
    }

    /// The same server, which tells those who come through the door how it is.
    #[must_use]
    pub fn with_door(self, door: Option<Door>) -> Self {
        Self { door, ..self }
    }

    /// Serves until `shutdown`; then open long polls answer at once and other requests may end.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), ServerError> {
        let Self { shared, listener, protection, door, _lock, .. } = self;
        let closing = shared.closing.clone();
        // Also when this future is dropped: nothing of the server outlives it.
        let _closed = closing.clone().drop_guard();
        let sweeper = tokio::spawn(sweeper::run(shared.clone()));
        let tidying = tokio::spawn(tidy::run(shared.clone()));
        let hearing = tokio::spawn(listener::run(shared.clone()));
        let _answering = door.map(|door| pulse::answer(door, shared.clone()));
        let app = router::app(shared.clone());
        let serving = connections::serve(
            listener,
            protection.map(|protection| protection.acceptors()),
            app,
            shared.settings.request_within,
            closing.clone(),
            &shared.pulse,
        );
        let cut_off = async {
            shutdown.cancelled().await;
            shared.settings.unit.stopping("letting open requests end");
            closing.cancel();
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            () = serving => {}
            () = cut_off => tracing::warn!("requests were still open after the grace period"),
        }
        for (task, name) in [(sweeper, "sweeper"), (tidying, "tidying"), (hearing, "listener")] {
            if let Err(error) = task.await {
                tracing::error!(%error, "the {name} failed");
            }
        }
        shared.store().close().await;
        Ok(())
    }
}
