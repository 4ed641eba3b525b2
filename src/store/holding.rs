//! What a worker holds: as it says itself, and as the database has it.

use std::fmt::Write as _;

use sqlx::AssertSqlSafe;

use super::{Session, Store, StoreError};
use crate::model::DeploymentId;

/// What of that which a worker holds by the database it may be handed again, beside what it says that it runs.
#[derive(Debug, Clone, Copy)]
pub enum Own<'a> {
    /// Nothing: a request that waits may be one that the worker has given up, while it already runs what a later
    /// request got.
    Kept(&'a [DeploymentId]),
    /// All but these, which it runs. Only right at its request.
    Besides(&'a [DeploymentId]),
}

impl Own<'_> {
    pub(super) fn is_wanted(self) -> i64 {
        i64::from(matches!(self, Self::Besides(_)))
    }

    /// The condition on `d.id`; numbers only, so that there is nothing to escape. It is also one on what nobody was handed
    /// yet: who runs a deployment of that number runs one that a database which lacks its last commits has forgotten. It
    /// could go on in the name of the new one, so that waits until it has heard that it is nobody's.
    pub(super) fn besides(self) -> String {
        match self {
            Self::Kept([]) | Self::Besides([]) => String::new(),
            Self::Kept(running) | Self::Besides(running) => format!(" and d.id not in ({})", list(running)),
        }
    }
}

impl Store {
    /// Which of these, of those that the worker holds, are to be cancelled.
    pub async fn to_cancel(
        &self,
        session: &Session,
        holding: &[DeploymentId],
    ) -> Result<Vec<DeploymentId>, StoreError> {
        if holding.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select id from deployments where machine_id = $1 and state = 'cancelling' and id in ({}) order by id",
            list(holding)
        )))
        .bind(session.id)
        .fetch_all(&self.database.reader)
        .await?;
        Ok(found.into_iter().map(DeploymentId).collect())
    }
}

fn list(ids: &[DeploymentId]) -> String {
    ids.iter().enumerate().fold(String::new(), |mut text, (at, id)| {
        let _ = write!(text, "{}{}", if at == 0 { "" } else { "," }, id.0);
        text
    })
}
