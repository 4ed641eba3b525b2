//! Workers as the server sees them, thousands in one thread: each polls over a connection of its own, and runs what it
//! gets without an AWS behind it.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{SHA256, digest};
use octarm::{
    client::KeyPair,
    model::{JournalEntry, JournalRecord, Level, LogLine, Outcome},
    protocol::{
        Assignment, BASE, ChallengeResponse, ClaimResponse, FinishRequest, INSTANCE_HEADER, JournalRequest,
        RegisterResponse, SessionRequest, SessionResponse,
    },
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use uuid::Uuid;

use super::wire::{Connection, Door};

/// How long a claim waits at the server, as a worker asks for.
const POLL: Duration = Duration::from_secs(25);
/// How often a lease is renewed.
const RENEW: Duration = Duration::from_secs(20);
/// How long it may take until all have the deployments whose logs they send.
const RAMP: Duration = Duration::from_secs(5);
/// How many registrations are under way at once.
const AT_ONCE: usize = 64;

/// What is deployed.
pub(crate) const PROJECT: &str = "Orders";

/// The name of an environment by its place.
pub(crate) fn environment(place: usize) -> String {
    format!("Env {place}")
}

/// What a deployment to an environment is for.
#[derive(Clone, Copy)]
enum Asked {
    /// It was asked for then, and ends at once.
    Short(Instant),
    /// Its worker sends a chunk of log each so often, from then until then.
    Long { every: Duration, from: Instant, until: Instant },
}

/// What all simulated workers share.
pub(crate) struct Load {
    pub(crate) door: Door,
    /// For each environment what is open in it: one deployment at a time.
    open: Mutex<Vec<Option<Asked>>>,
    seen: Mutex<Seen>,
}

/// What was measured.
#[derive(Default)]
pub(crate) struct Seen {
    /// From before the request for a deployment until its worker had it.
    pub(crate) dispatched: Vec<Duration>,
    /// When each chunk of a long log was sent, and how long it took.
    pub(crate) chunks: Vec<(Instant, Duration)>,
    /// What went wrong.
    pub(crate) failed: Vec<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The headers of a worker.
fn credentials(token: &str, instance: Uuid) -> String {
    format!("authorization: Bearer {token}\r\n{INSTANCE_HEADER}: {instance}\r\n")
}

fn bytes(value: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

impl Load {
    /// Makes the environments and what is deployed, and lets all workers poll.
    pub(crate) async fn start(door: Door, workers: usize, environments: usize) -> io::Result<Arc<Self>> {
        let mut administrator = Connection::open(door.address, door.key.clone()).await?;
        for place in 0..environments {
            post(&mut administrator, "environments", &json!({ "Name": environment(place) }), 201).await?;
        }
        post(&mut administrator, "projects", &json!({ "Name": PROJECT }), 201).await?;
        let load =
            Arc::new(Self { door, open: Mutex::new(vec![None; environments]), seen: Mutex::default() });
        let mut starting = JoinSet::new();
        for number in 0..workers {
            if starting.len() >= AT_ONCE {
                joined(starting.join_next().await)?;
            }
            let load = load.clone();
            starting.spawn(async move {
                let (connection, place) = load.register(number).await?;
                tokio::spawn(load.work(connection, place));
                Ok(())
            });
        }
        while let Some(started) = starting.join_next().await {
            joined(Some(started))?;
        }
        Ok(load)
    }

    /// Registers a worker and starts its session.
    async fn register(&self, number: usize) -> io::Result<(Connection, usize)> {
        let place = number % lock(&self.open).len();
        let machine = json!({ "host": "bench", "id": format!("machine {number}") });
        let name = format!("worker {number}");
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let request = json!({
            "name": name, "environment": environment(place), "machine": machine, "public_key": key.public(),
        });
        let mut connection = Connection::open(self.door.address, self.door.key.clone()).await?;
        let answer = connection.call("POST", &format!("{BASE}/register"), &bytes(&request)?).await?;
        let registered: RegisterResponse = serde_json::from_slice(&answer.expect(200)?)?;
        let asked = bytes(&json!({ "worker_id": registered.worker_id }))?;
        let answer = connection.call("POST", &format!("{BASE}/challenge"), &asked).await?;
        let given: ChallengeResponse = serde_json::from_slice(&answer.expect(200)?)?;
        let mut request = SessionRequest {
            worker_id: registered.worker_id,
            challenge: given.challenge,
            instance: Uuid::now_v7(),
            machine: serde_json::from_value(machine)?,
            version: "0.1.0".to_owned(),
            renewal: false,
            signature: String::new(),
        };
        request.signature = key.sign(&request.statement(registered.installation));
        let answer = connection.call("POST", &format!("{BASE}/session"), &bytes(&request)?).await?;
        let begun: SessionResponse = serde_json::from_slice(&answer.expect(200)?)?;
        let headers = credentials(&begun.token.0, request.instance);
        Ok((Connection::open(self.door.address, headers).await?, place))
    }

    /// Polls and runs what comes, until the program ends.
    async fn work(self: Arc<Self>, mut connection: Connection, place: usize) {
        loop {
            if let Err(error) = self.poll(&mut connection, place).await {
                lock(&self.seen).failed.push(format!("worker of {}: {error}", environment(place)));
                return;
            }
        }
    }

    async fn poll(&self, connection: &mut Connection, place: usize) -> io::Result<()> {
        let request = format!("{{\"wait_ms\":{}}}", POLL.as_millis());
        let answer = connection.call("POST", &format!("{BASE}/claim"), request.as_bytes()).await?;
        let at = answer.at;
        let claimed: ClaimResponse = serde_json::from_slice(&answer.expect(200)?)?;
        let Some(assignment) = claimed.assignment else {
            sleep(Duration::from_millis(claimed.pause_ms)).await;
            return Ok(());
        };
        let asked = lock(&self.open)[place];
        match asked {
            Some(Asked::Short(asked)) => {
                lock(&self.seen).dispatched.push(at - asked);
                journal(connection, &assignment).await?;
                let log = log_of(&assignment.task.to_string());
                chunk(connection, &assignment, 0, &log).await?;
                finish(connection, &assignment, &log).await?;
            }
            Some(Asked::Long { every, from, until }) => {
                sleep(from.saturating_duration_since(Instant::now())).await;
                let log = self.long(connection, &assignment, every, until).await?;
                finish(connection, &assignment, &log).await?;
            }
            None => return Err(io::Error::other(format!("{} was not asked for", assignment.deployment))),
        }
        lock(&self.open)[place] = None;
        Ok(())
    }

    /// Sends a chunk of log whenever it is time for one; late ones are made up for.
    async fn long(
        &self,
        connection: &mut Connection,
        assignment: &Assignment,
        every: Duration,
        until: Instant,
    ) -> io::Result<Vec<u8>> {
        let piece = log_of(&assignment.task.to_string());
        let mut log = Vec::new();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut renewed = Instant::now();
        while Instant::now() < until {
            ticks.tick().await;
            if renewed.elapsed() > RENEW {
                renewed = Instant::now();
                let path = format!("{BASE}/deployments/{}/renew", assignment.deployment);
                connection
                    .call("POST", &path, &bytes(&json!({ "fence": assignment.fence }))?)
                    .await?
                    .expect(200)?;
            }
            let before = Instant::now();
            chunk(connection, assignment, log.len(), &piece).await?;
            lock(&self.seen).chunks.push((before, before.elapsed()));
            log.extend_from_slice(&piece);
        }
        Ok(log)
    }

    /// Asks for so many deployments a second, for so long, to one environment after the other of those from `first` on.
    pub(crate) async fn dispatch(self: &Arc<Self>, first: usize, rate: u32, time: Duration) {
        let environments = lock(&self.open).len();
        let mut ticks = interval(Duration::from_secs(1) / rate);
        let until = Instant::now() + time;
        let mut asking = JoinSet::new();
        let mut place = first;
        while Instant::now() < until {
            ticks.tick().await;
            place = if place + 1 >= environments { first } else { place + 1 };
            let load = self.clone();
            asking.spawn(async move { load.deploy(place, Asked::Short(Instant::now())).await });
        }
        asking.join_all().await;
    }

    /// Lets the workers of the first `writers` environments send `rate` chunks a second altogether, for so long.
    pub(crate) async fn write(self: &Arc<Self>, writers: usize, rate: u32, time: Duration) {
        let writing = u32::try_from(writers).unwrap_or(u32::MAX);
        let every = Duration::from_secs(1) * writing / rate;
        let from = Instant::now() + RAMP;
        for place in 0..writers {
            // So that not all send at the same moment.
            let late = every * u32::try_from(place).unwrap_or(u32::MAX) / writing;
            let asked = Asked::Long { every, from: from + late, until: from + late + time };
            self.deploy(place, asked).await;
        }
    }

    /// Over a connection of its own, as the command line does.
    async fn deploy(&self, place: usize, asked: Asked) {
        if lock(&self.open)[place].replace(asked).is_some() {
            lock(&self.seen).failed.push(format!("{} still has its last deployment", environment(place)));
        }
        let body = json!({
            "ProjectName": PROJECT, "ReleaseVersion": "1.0.0", "EnvironmentNames": [environment(place)],
        });
        let asked = async {
            let mut connection = Connection::open(self.door.address, self.door.key.clone()).await?;
            post(&mut connection, "deployments/create/untenanted/v1", &body, 201).await
        };
        if let Err(error) = asked.await {
            lock(&self.seen).failed.push(format!("deployment to {}: {error}", environment(place)));
        }
    }

    /// Waits until nothing is open, and answers what was seen since the last time.
    pub(crate) async fn settle(&self) -> Seen {
        let until = Instant::now() + Duration::from_secs(20);
        while lock(&self.open).iter().any(Option::is_some) && Instant::now() < until {
            sleep(Duration::from_millis(20)).await;
        }
        let mut seen = std::mem::take(&mut *lock(&self.seen));
        let open = lock(&self.open).iter().flatten().count();
        if open > 0 {
            seen.failed.push(format!("{open} deployments did not end"));
        }
        seen
    }
}

fn joined<T>(result: Option<Result<io::Result<T>, tokio::task::JoinError>>) -> io::Result<()> {
    result.transpose()?.transpose().map(drop)
}

pub(crate) async fn post(
    connection: &mut Connection,
    path: &str,
    body: &Value,
    status: u16,
) -> io::Result<()> {
    connection.call("POST", &format!("/api/Spaces-1/{path}"), &bytes(body)?).await?.expect(status).map(drop)
}

/// A chunk of about a kilobyte: what a deployment says within a moment.
fn log_of(task: &str) -> Vec<u8> {
    let line = |number| LogLine {
        time: jiff::Timestamp::now(),
        level: Level::Info,
        text: format!("{task} says for the {number}th time that nothing else happened since the last one"),
    };
    (0..7).flat_map(|number| line(number).to_bytes()).collect()
}

/// Two records, as of an update of code.
async fn journal(connection: &mut Connection, assignment: &Assignment) -> io::Result<()> {
    for sequence in 0..2 {
        let record = JournalRecord::UpdateCodeEffect {
            region: "eu-west-1".to_owned(),
            function: "orders".to_owned(),
            sha256: "w5bAjuvTqzWBAAG5Cg6JeLfYpeLaiRpMbcVJ4Ud8RDI=".to_owned(),
            revision_id: None,
        };
        let request = JournalRequest { fence: assignment.fence, entry: JournalEntry { sequence, record } };
        let path = format!("{BASE}/deployments/{}/journal", assignment.deployment);
        connection.call("POST", &path, &bytes(&request)?).await?.expect(200)?;
    }
    Ok(())
}

async fn chunk(
    connection: &mut Connection,
    assignment: &Assignment,
    offset: usize,
    chunk: &[u8],
) -> io::Result<()> {
    let Assignment { deployment, fence, .. } = assignment;
    let path = format!("{BASE}/deployments/{deployment}/log?fence={fence}&offset={offset}");
    connection.call("PATCH", &path, chunk).await?.expect(200).map(drop)
}

async fn finish(connection: &mut Connection, assignment: &Assignment, log: &[u8]) -> io::Result<()> {
    let request = FinishRequest {
        fence: assignment.fence,
        outcome: Outcome::Success { summary: "done".to_owned() },
        log_length: assignment.log_offset + log.len() as u64,
        log_sha256: hex::encode(digest(&SHA256, log)),
    };
    let path = format!("{BASE}/deployments/{}/finish", assignment.deployment);
    connection.call("POST", &path, &bytes(&request)?).await?.expect(200).map(drop)
}
