//! What the deployment server remembers: domain verbs over one database. Every verb is one transaction.

mod api_keys;
mod assignments;
mod blobs;
mod build_information;
mod channels;
mod copy;
mod current;
mod database;
mod deployments;
mod environments;
mod error;
mod feeds;
mod held;
mod holding;
mod kept_logs;
mod keys;
mod leases;
mod leaving;
mod libraries;
mod lifecycles;
mod listener;
mod logs;
mod look;
mod once;
mod packages;
mod preview;
mod process;
mod progress;
mod projects;
mod prompts;
mod prune;
mod registration;
mod registration_tokens;
mod releases;
mod resolved;
mod retention;
mod rotation;
mod rules;
mod scopes;
mod sessions;
mod snapshots;
mod spaces;
mod system;
mod together;
mod turns;
mod values;
mod variables;
mod vault;
mod waiting;
mod worker_pools;
mod workers;

use std::time::Duration;

use aws_lc_rs::hmac;

use crate::model::SpaceId;

pub use api_keys::{ApiKeyRow, NewApiKey};
pub use blobs::{GRACE, UnnamedBlob};
pub use build_information::{BuildInformationRow, NewBuildInformation};
pub use channels::{ChannelRow, ChannelRule, NewChannel, RulePackage};
pub use copy::{DatabaseCopy, RESTORED};
pub use database::{Database, Place};
pub use deployments::{DeploymentRow, NewDeployment, Page, Resolution, TaskFilter};
pub use environments::EnvironmentRow;
pub use error::{Elsewhere, StoreError};
pub use holding::Own;
pub use kept_logs::{KeptLog, LogBlock};
pub use keys::Installation;
pub use leases::Swept;
pub use libraries::LibraryRow;
pub use lifecycles::{LifecycleRow, NewLifecycle, NewPhase, Phase};
pub use listener::{Change, Listener};
pub use look::Found;
pub use once::{Attempt, Claim, OnceKey, doing};
pub use packages::{NewPackage, Overwrite, PackageRow, Pushed};
pub use preview::{Preview, PreviewAction, Prompt, Template};
pub use process::FEED;
pub use progress::Progress;
pub use projects::{GroupRow, ProjectChange, ProjectRow};
pub use prompts::Asked;
pub use registration::Registrar;
pub use registration_tokens::{NewRegistrationToken, RegistrationTokenRow};
pub use releases::{NewRelease, PinnedPackage, ReleaseRow};
pub use resolved::Resolved;
pub use retention::{Facts, Judged, Kind};
pub use rotation::Alone;
pub use rules::{ReadRule, Verdict, read as read_rule};
pub use scopes::ScopeMember;
pub use sessions::{Begun, Session};
pub use spaces::{NewSpace, SpaceChange, SpaceRow};
pub use turns::{Leaving, Look, Queue, Turn};
pub use variables::{NewVariable, ShownVariable, VariableSet};
pub use vault::Vault;
pub use waiting::Waiting;
pub use worker_pools::WorkerPoolRow;
pub use workers::{MachineChange, MachineRow};

/// The store. Clones share one database.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    vault: std::sync::Arc<Vault>,
    installation: Installation,
    lease: Duration,
    together: together::Together,
    /// What vouches for the challenges that workers sign.
    challenges: std::sync::Arc<hmac::Key>,
    /// The space whose things the verbs find and make; none is all of them, and makes nothing.
    space: Option<i64>,
}

impl Store {
    /// The store in this database. `lease` is how long a hand-out lasts.
    pub async fn open(database: Database, vault: Vault, lease: Duration) -> Result<Self, StoreError> {
        let installation = keys::installation(&database, &vault).await?;
        if database.others().is_none() {
            let mut write = database.write().await?;
            once::abandon(&mut write).await?;
            write.commit().await?;
        }
        let challenges = std::sync::Arc::new(keys::of_challenges(&database).await?);
        let together = together::Together::start(database.clone());
        let vault = std::sync::Arc::new(vault);
        Ok(Self { database, vault, installation, lease, together, challenges, space: None })
    }

    /// Which database it is.
    pub fn installation(&self) -> Installation {
        self.installation
    }

    /// The same store with nothing but this space in it.
    #[must_use]
    pub fn in_space(&self, space: SpaceId) -> Self {
        Self { space: Some(space.0), ..self.clone() }
    }

    /// Begins a transaction in the store's space.
    async fn write(&self) -> Result<database::Write, StoreError> {
        let mut write = self.database.write().await?;
        write.space = self.space;
        Ok(write)
    }

    /// How long a hand-out lasts.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Closes the database; no verb may be called after it.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Moves the database's clock by so many milliseconds against the real one. Lease times hang on that clock
    /// alone, so this is how a test lets a lease run out.
    pub async fn shift_clock(&self, by_ms: i64) -> Result<(), StoreError> {
        let mut write = self.database.write().await?;
        sqlx::query(
            "update settings set value = cast(cast(value as bigint) + $1 as text) where name = 'clock_offset_ms'",
        )
        .bind(by_ms)
        .execute(&mut *write)
        .await?;
        write.commit().await
    }
}

/// Whether a character does not show where it stands but moves or hides what is around it: controls, line
/// separators, and what turns the direction of writing.
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The form that names are compared by.
fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Takes the one out of `rows` that is meant by an id, a name or a slug, in this order: the slug of one may be the name
/// of another. `id` is the number in `named`, where that is an id; `parts` answers number, name and slug.
fn meant<R>(
    rows: Vec<R>,
    named: &str,
    id: Option<i64>,
    parts: impl Fn(&R) -> (i64, &str, &str),
) -> Option<R> {
    let wanted = key(named);
    let place = id
        .and_then(|id| rows.iter().position(|row| parts(row).0 == id))
        .or_else(|| rows.iter().position(|row| key(parts(row).1) == wanted))
        .or_else(|| rows.iter().position(|row| parts(row).2 == wanted));
    place.and_then(|place| rows.into_iter().nth(place))
}

/// A name as a part of a URL: letters and digits, everything else one hyphen.
fn slug(name: &str) -> String {
    let words: Vec<String> = name
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    if words.is_empty() { "x".into() } else { words.join("-") }
}

/// The slug of `name`, with a number where another thing of its kind has it.
fn free_slug(name: &str, taken: &[String]) -> String {
    let plain = slug(name);
    let mut free = plain.clone();
    let mut number = 2_u64;
    while taken.contains(&free) {
        free = format!("{plain}-{number}");
        number += 1;
    }
    free
}

/// Milliseconds as the database holds them.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A count or a number of milliseconds, none of which is ever stored below zero.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A number of bytes or a fence as the database holds it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
