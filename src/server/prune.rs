//! Removing what is old and bytes that nothing names: by the server itself, now and then, or by hand.

use std::{collections::HashSet, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ServerError, Settings, bucket, folder, owner};
use crate::{
    blobs::{Blob, Blobs},
    config::Retention,
    store::{Database, Found, GRACE, Judged, Kind, Place, Store, UnnamedBlob, Vault},
};

/// How many blobs are doomed at once.
const BATCH: u32 = 10;
/// For how long one that deletes what it doomed may go on with that. Later another one takes it over, and nobody knows
/// what is still on its way from the first.
const DELETING: Duration = Duration::from_mins(5);
/// After how long another one takes over: longer than a signed request is good for.
const ABANDONED: Duration = Duration::from_mins(30);

/// Who else may be at work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Company {
    /// How long a blob that nothing names is spared.
    grace: Duration,
    /// After how long a blob that somebody doomed is somebody else's to delete.
    abandoned: Duration,
}

impl Company {
    /// A server that runs: somebody may be pushing. What was doomed before on a database of its own was doomed by a process
    /// that is gone.
    pub(super) fn of_server(has_other_nodes: bool) -> Self {
        Self { grace: GRACE, abandoned: if has_other_nodes { ABANDONED } else { Duration::ZERO } }
    }

    /// Nobody.
    fn none() -> Self {
        Self { grace: Duration::ZERO, abandoned: Duration::ZERO }
    }
}

/// Prunes by hand what a server with these settings has; answers what was removed. With `dry_run` nothing is removed, and
/// the answer is what would be, and what would stay.
pub async fn prune(settings: &Settings, dry_run: bool) -> Result<Vec<Judged>, ServerError> {
    let looked = folder::look(&settings.data, settings.database.as_ref());
    let nothing = || ServerError::NothingThere(looked.database.to_string());
    let is_there = match &looked.database {
        Place::File(file) => file.exists(),
        // Else its tables would be made.
        Place::Postgres(_) => Found::at(&looked.database, None).await? != Found::New,
    };
    if !is_there {
        return Err(nothing());
    }
    let folder = folder::open(&settings.data, settings.database.as_ref())?;
    let is_alone = folder.lock.is_some();
    // Whoever is alone with a database is not alone with a bucket: its requests may still be on their way.
    let company =
        if is_alone && settings.blobs.is_none() { Company::none() } else { Company::of_server(true) };
    // Room for the database on a disk that is full.
    let spare = is_alone.then(|| folder::Spare::take(&settings.data));
    let abandoned = if is_alone { Duration::ZERO } else { super::ABANDONED };
    let blobs = Blobs::open(&folder.packages, bucket(settings).await?, super::PACKAGE_LIMIT, abandoned)?;
    let database = Database::open(&folder.database).await?;
    if database.is_new().await? {
        return Err(nothing());
    }
    let vault = Vault::new(&folder.master_key(settings.master_key.as_ref(), &database).await?)?;
    let store = Store::open(database, vault, settings.lease).await?;
    let done = if dry_run {
        look(&store, &blobs, &settings.retention, company).await
    } else {
        // Nobody asks it to stop: what is killed on its way is taken over by the next one.
        run(&store, &blobs, &settings.retention, company, &CancellationToken::new()).await
    };
    store.close().await;
    drop(spare);
    done
}

/// What would go and what would stay.
async fn look(
    store: &Store,
    blobs: &Blobs,
    retention: &Retention,
    company: Company,
) -> Result<Vec<Judged>, ServerError> {
    owner::refuse_others(store.installation(), blobs).await?;
    let (mut judged, mut named) = (Vec::new(), HashSet::new());
    for space in store.spaces().await? {
        let facts = store.in_space(space.id()).facts().await?;
        let of_space = facts.judge(retention);
        named.extend(facts.named_after(&of_space));
        judged.extend(of_space);
    }
    let known = store.known_blobs().await?;
    let has_row: HashSet<&str> = known.iter().map(|blob| blob.sha256.as_str()).collect();
    // What has no row yet is found now.
    let found = blobs.list().await?.into_iter().filter(|blob| !has_row.contains(blob.sha256.as_str()));
    let found: Vec<UnnamedBlob> = found.map(UnnamedBlob::found).collect();
    let unnamed = known.iter().chain(&found).filter(|blob| !named.contains(&blob.sha256));
    judged.extend(unnamed.map(|blob| blob.judge(company.grace)));
    Ok(judged)
}

/// Removes what is old, and bytes that nothing names, until it is asked to stop.
pub(super) async fn run(
    store: &Store,
    blobs: &Blobs,
    retention: &Retention,
    company: Company,
    stop: &CancellationToken,
) -> Result<Vec<Judged>, ServerError> {
    let find = async {
        owner::refuse_elsewhere(store, blobs).await?;
        owner::claim(store, blobs).await?;
        store.adopt_blobs(&blobs.list().await?).await?;
        Ok::<_, ServerError>(())
    };
    let Some(found) = stop.run_until_cancelled(find).await else { return Ok(Vec::new()) };
    found?;
    // Bytes first: that makes room for what the rest writes.
    let mut removed = collect(store, blobs, company, stop).await?;
    let remove = async {
        let mut gone = Vec::new();
        for space in store.spaces().await? {
            let store = store.in_space(space.id());
            let judged = store.facts().await?.judge(retention);
            gone.extend(store.remove(&judged, retention).await?);
        }
        Ok::<_, ServerError>(gone)
    };
    if let Some(gone) = stop.run_until_cancelled(remove).await {
        removed.splice(0..0, gone?);
        removed.extend(collect(store, blobs, company, stop).await?);
    }
    Ok(removed)
}

/// Deletes the bytes that nothing names. It stops only between two batches: what is doomed keeps a push of the same bytes
/// waiting until it is gone.
async fn collect(
    store: &Store,
    blobs: &Blobs,
    company: Company,
    stop: &CancellationToken,
) -> Result<Vec<Judged>, ServerError> {
    let mut deleted = Vec::new();
    store.mark_unnamed_blobs().await?;
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let doomed = store.doom_blobs(company.grace, company.abandoned, BATCH).await?;
        if doomed.is_empty() {
            break;
        }
        for Blob { sha256, size } in doomed {
            // What is left is taken over later.
            if begun.elapsed() > DELETING {
                return Ok(deleted);
            }
            blobs.delete(&sha256).await?;
            store.forget_blob(&sha256).await?;
            tracing::info!(sha256, size, "deleted bytes that nothing names");
            deleted.push(Judged::blob(&sha256, size, true, "nothing names them"));
        }
    }
    Ok(deleted)
}

/// Whether something is a kind that the operators' log tells of one by one; bytes are told of where they are deleted.
pub(super) fn is_told(thing: &Judged) -> bool {
    thing.kind != Kind::Blob
}
