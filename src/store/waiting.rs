//! Why a deployment that nobody took yet waits.

use std::{collections::HashMap, fmt};

use super::{DeploymentRow, Store, StoreError};
use crate::model::{DeploymentId, DeploymentState};

/// What a queued deployment waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// Nobody knows how an earlier one ended: until somebody says so, nothing more is deployed to the target.
    Unknown(DeploymentId),
    /// An earlier one of the same project and environment.
    Behind(DeploymentId),
    /// There is no worker that could take it.
    NoWorker {
        /// The environment's name.
        environment: String,
        /// Whether there are any and all are disabled.
        disabled: bool,
    },
    /// All workers that are not disabled take no new work.
    Refusing {
        /// The environment's name.
        environment: String,
        /// What one of them said.
        reason: String,
    },
    /// The tasks of its space are stopped.
    Stopped {
        /// The space's name.
        space: String,
    },
    /// It is next: a worker only has to ask.
    Worker {
        /// The environment's name.
        environment: String,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(
                f,
                "waits because the end of {id} is unknown: find out what it did, then resolve it as success or failed"
            ),
            Self::Behind(id) => write!(f, "waits behind {id}"),
            Self::NoWorker { environment, disabled: false } => {
                write!(f, "waits for a worker: none is registered in environment `{environment}`")
            }
            Self::NoWorker { environment, disabled: true } => {
                write!(f, "waits for a worker: all in environment `{environment}` are disabled")
            }
            Self::Refusing { environment, reason } => {
                write!(f, "waits for a worker: none in environment `{environment}` takes new work: {reason}")
            }
            Self::Stopped { space } => {
                write!(f, "waits until the tasks of space `{space}` go on: they are stopped")
            }
            Self::Worker { environment } => write!(f, "waits for a worker of environment `{environment}`"),
        }
    }
}

/// A deployment that others wait for.
#[derive(sqlx::FromRow)]
struct Open {
    id: i64,
    project_id: i64,
    environment_id: i64,
    state: String,
    blocked: i64,
}

/// The workers of one environment.
struct Workers {
    disabled: bool,
    /// What one of them says, where none takes new work and not all are disabled.
    refusing: Option<String>,
}

/// What stands before the queue of one target, and the queue.
#[derive(Default)]
struct Ahead {
    unknown: Option<DeploymentId>,
    active: Option<i64>,
    queued: Vec<i64>,
}

impl Store {
    /// Why those of these deployments wait that are queued.
    pub async fn waiting(&self, rows: &[DeploymentRow]) -> Result<HashMap<i64, Waiting>, StoreError> {
        let queued = DeploymentState::Queued.as_str();
        let rows: Vec<&DeploymentRow> = rows.iter().filter(|row| row.state == queued).collect();
        if rows.is_empty() {
            return Ok(HashMap::new());
        }
        // Two looks for a whole list, however long it is.
        let open: Vec<Open> = sqlx::query_as(
            "select id, project_id, environment_id, state, blocked from deployments \
             where state in ('queued', 'leased', 'cancelling', 'lost') or blocked = 1 order by id",
        )
        .fetch_all(&self.database.reader)
        .await?;
        let workers: Vec<(i64, i64, i64, Option<String>)> = sqlx::query_as(
            "select environment_id, min(case when leaving_since is null then disabled else 1 end), \
             cast(max(case when disabled = 0 and leaving_since is null and refusing is null then 1 else 0 end) as bigint), \
             min(case when disabled = 0 and leaving_since is null then refusing end) from machines \
             group by environment_id",
        )
        .fetch_all(&self.database.reader)
        .await?;
        let stopped: Vec<(i64, String)> = sqlx::query_as(
            "select e.id, s.name from environments e join spaces s on s.id = e.space_id where s.task_queue_stopped = 1",
        )
        .fetch_all(&self.database.reader)
        .await?;
        let stopped: HashMap<i64, String> = stopped.into_iter().collect();
        let workers: HashMap<i64, Workers> = workers
            .into_iter()
            .map(|(environment, disabled, any, reason)| {
                (environment, Workers { disabled: disabled == 1, refusing: reason.filter(|_| any == 0) })
            })
            .collect();
        let mut targets: HashMap<(i64, i64), Ahead> = HashMap::new();
        for one in open {
            let ahead = targets.entry((one.project_id, one.environment_id)).or_default();
            if one.blocked == 1 {
                ahead.unknown = Some(DeploymentId(one.id));
            } else if one.state == queued {
                ahead.queued.push(one.id);
            } else {
                ahead.active = Some(one.id);
            }
        }
        let none = Ahead::default();
        let why = |row: &DeploymentRow| {
            let ahead = targets.get(&(row.project_id, row.environment_id)).unwrap_or(&none);
            // The one right before it, so that following from one to the next leads to the front.
            let before = ahead.queued.iter().rev().find(|id| **id < row.id).or(ahead.active.as_ref());
            let environment = row.environment_name.clone();
            match (before, ahead.unknown, workers.get(&row.environment_id)) {
                (Some(id), ..) => Waiting::Behind(DeploymentId(*id)),
                (None, Some(id), _) => Waiting::Unknown(id),
                _ if stopped.contains_key(&row.environment_id) => {
                    Waiting::Stopped { space: stopped[&row.environment_id].clone() }
                }
                (None, None, None) => Waiting::NoWorker { environment, disabled: false },
                (None, None, Some(Workers { disabled: true, .. })) => {
                    Waiting::NoWorker { environment, disabled: true }
                }
                (None, None, Some(Workers { refusing: Some(reason), .. })) => {
                    Waiting::Refusing { environment, reason: reason.clone() }
                }
                (None, None, Some(_)) => Waiting::Worker { environment },
            }
        };
        Ok(rows.into_iter().map(|row| (row.id, why(row))).collect())
    }
}
