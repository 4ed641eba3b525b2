//! What many workers write all the time goes to the disk together: chunks of logs, and that a worker was heard of. Each
//! is still answered only when it is durable, but one wait for the disk answers all that came in meanwhile.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Store, StoreError,
    database::{Database, Write, now},
    logs,
};
use crate::{
    model::{DeploymentId, Fence},
    protocol::Recorded,
};

/// How many may wait to be written before who comes next waits too.
const WAITING: usize = 1024;
/// How many are written at once at most.
const MOST: usize = 256;
/// The shortest time from one beginning to the next, so that claims and new deployments find the disk free between
/// them. Who comes after a quiet moment does not wait.
const APART: Duration = Duration::from_millis(25);

/// A piece of a deployment's log.
pub(super) struct Chunk {
    pub(super) machine: i64,
    pub(super) deployment: DeploymentId,
    pub(super) fence: Fence,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// That a worker was heard of.
struct Seen {
    machine: i64,
    /// What it says now of why it takes no new work, where that is something else than before.
    news: Option<Refusing>,
}

/// Why a worker takes no new work, if it takes none.
struct Refusing(Option<String>);

enum Asked {
    Seen { seen: Seen, done: oneshot::Sender<Result<(), StoreError>> },
    Chunk { chunk: Chunk, done: oneshot::Sender<Result<Recorded, StoreError>> },
}

/// Where what is to be written together is left. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Together(mpsc::Sender<Asked>);

impl Together {
    /// Writes until the last clone is dropped.
    pub(super) fn start(database: Database) -> Self {
        let (ask, mut asked) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            let mut next = Instant::now();
            while asked.recv_many(&mut batch, MOST).await > 0 {
                if Instant::now() < next {
                    sleep_until(next).await;
                    while batch.len() < MOST
                        && let Ok(more) = asked.try_recv()
                    {
                        batch.push(more);
                    }
                }
                next = Instant::now() + APART;
                write(&database, std::mem::take(&mut batch)).await;
            }
        });
        Self(ask)
    }

    async fn ask<T>(
        &self,
        asked: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Asked,
    ) -> Result<T, StoreError> {
        let (done, written) = oneshot::channel();
        let ended = || StoreError::Database("what writes for all workers has ended".into());
        self.0.send(asked(done)).await.map_err(|_| ended())?;
        written.await.map_err(|_| ended())?
    }
}

impl Store {
    /// Notes that the worker was heard of.
    pub async fn touch(&self, machine: i64) -> Result<(), StoreError> {
        self.see(Seen { machine, news: None }).await
    }

    /// The same, and why it takes no new work, or that it takes some again. Where that cannot be noted just now, the
    /// worker's next claim says it again.
    pub async fn touch_refusing(&self, machine: i64, reason: Option<&str>) -> Result<(), StoreError> {
        self.see(Seen { machine, news: Some(Refusing(reason.map(str::to_owned))) }).await
    }

    async fn see(&self, seen: Seen) -> Result<(), StoreError> {
        self.together.ask(|done| Asked::Seen { seen, done }).await
    }

    /// Appends whole lines at `offset`, which is where the stored log ends.
    pub async fn append_log(
        &self,
        machine: i64,
        deployment: DeploymentId,
        fence: Fence,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Recorded, StoreError> {
        let chunk = Chunk { machine, deployment, fence, offset, bytes: bytes.to_vec() };
        self.together.ask(|done| Asked::Chunk { chunk, done }).await
    }
}

/// Writes all of it, or none of it where the database fails, and answers everybody. Who went away is not missed.
async fn write(database: &Database, batch: Vec<Asked>) {
    let (mut seen, mut heard, mut chunks) = (Vec::new(), Vec::new(), Vec::new());
    for asked in batch {
        match asked {
            Asked::Seen { seen: one, done } => {
                seen.push(one);
                heard.push(done);
            }
            Asked::Chunk { chunk, done } => chunks.push((chunk, done)),
        }
    }
    // In one order, so that no two nodes wait for each other; of one deployment in the order they came.
    chunks.sort_by_key(|(chunk, _)| chunk.deployment.0);
    let all: Vec<&Chunk> = chunks.iter().map(|(chunk, _)| chunk).collect();
    match transact(database, &seen, &all).await {
        Ok(recorded) => {
            for done in heard {
                drop(done.send(Ok(())));
            }
            for ((_, done), recorded) in chunks.into_iter().zip(recorded) {
                drop(done.send(recorded));
            }
        }
        Err(error) => {
            for done in heard {
                drop(done.send(Err(error.for_another())));
            }
            for (_, done) in chunks {
                drop(done.send(Err(error.for_another())));
            }
        }
    }
}

async fn transact(
    database: &Database,
    seen: &[Seen],
    chunks: &[&Chunk],
) -> Result<Vec<Result<Recorded, StoreError>>, StoreError> {
    let mut write = database.write().await?;
    see(&mut write, seen).await?;
    let recorded = if chunks.is_empty() { Vec::new() } else { logs::append(&mut write, chunks).await? };
    write.commit().await?;
    Ok(recorded)
}

/// Notes that these were heard of. One whose row somebody else holds just now is heard of there.
async fn see(write: &mut Write, seen: &[Seen]) -> Result<(), StoreError> {
    if seen.is_empty() {
        return Ok(());
    }
    let list = seen.iter().map(|seen| seen.machine.to_string()).collect::<Vec<_>>().join(", ");
    // What came last first, since the first that fits counts.
    let news: Vec<(i64, &Refusing)> =
        seen.iter().rev().filter_map(|seen| Some((seen.machine, seen.news.as_ref()?))).collect();
    let case =
        |(number, (machine, _)): (usize, &(i64, &Refusing))| format!(" when {machine} then ${}", number + 1);
    let cases = news.iter().enumerate().map(case).collect::<Vec<_>>().concat();
    let refusing =
        if cases.is_empty() { cases } else { format!(", refusing = case id{cases} else refusing end") };
    let text = AssertSqlSafe(format!(
        "update machines set last_seen = {}{refusing} where id in \
         (select id from machines where id in ({list}) order by id{})",
        now!(),
        write.skip_locked(),
    ));
    let mut update = sqlx::query(text).persistent(false);
    for (_, Refusing(reason)) in news {
        update = update.bind(reason);
    }
    update.execute(&mut **write).await?;
    Ok(())
}
