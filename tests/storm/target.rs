//! One function and what is deployed to it, one deployment after the other; each end is held against what AWS holds.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;

use super::{
    server::{Client, Made},
    tally::{End, Kind},
};
use crate::support::aws::{FakeAws, Settled};

/// One in so many deployments is cancelled.
const CANCELLED: usize = 12;
/// How late, in milliseconds.
const LATEST_CANCEL: u64 = 1500;

#[derive(Clone)]
pub(super) struct Release {
    pub(super) version: String,
    /// `CodeSha256` of its code.
    pub(super) sha256: String,
}

pub(super) struct Target {
    project: &'static str,
    environment: &'static str,
    function: String,
    releases: Vec<Release>,
    /// What the function should hold.
    holds: String,
}

impl Target {
    pub(super) fn new(
        project: &'static str,
        environment: &'static str,
        function: String,
        releases: Vec<Release>,
        holds: String,
    ) -> Self {
        Self { project, environment, function, releases, holds }
    }

    /// Deploys until there is nothing left to be deployed, then looks back.
    pub(super) async fn deploy_all(
        mut self,
        client: &Client,
        aws: &FakeAws,
        left: &AtomicUsize,
        mut rng: Rng,
        ends: &Mutex<Vec<End>>,
    ) {
        let one_less = |left: usize| left.checked_sub(1);
        while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            let release = self.releases[rng.usize(..self.releases.len())].clone();
            let end = self.deploy(client, aws, &release, &mut rng).await;
            ends.lock().unwrap().push(end);
        }
        let history = aws.function(&self.function).history;
        // What a function holds is not sent to it again, unless the last update of it failed.
        for pair in history.windows(2) {
            assert!(
                pair[0] != pair[1] || pair[0] == Settled::Failed,
                "{} was given one code twice: {history:?}",
                self.function
            );
        }
    }

    async fn deploy(&mut self, client: &Client, aws: &FakeAws, release: &Release, rng: &mut Rng) -> End {
        let made = client.deploy(self.project, &release.version, self.environment).await;
        let cancel = (rng.usize(..CANCELLED) == 0).then(|| Duration::from_millis(rng.u64(..LATEST_CANCEL)));
        let cancelling = async {
            if let Some(after) = cancel {
                tokio::time::sleep(after).await;
                client.cancel(&made.task).await;
            }
        };
        let (log, ()) = tokio::join!(client.follow(&made.task), cancelling);
        assert_eq!(client.follow(&made.task).await, log, "{}: who was cut off reads the same log", made.task);
        let task = client.task(&made.task).await;
        let error = task["ErrorMessage"].as_str().unwrap_or_default();
        let kind = match task["State"].as_str().unwrap() {
            "Success" => Kind::Success,
            "Canceled" => Kind::Cancelled,
            "Failed" if error.starts_with("unknown:") => Kind::Unknown,
            "Failed" => Kind::Failed,
            other => panic!("{}: {other} is no end", made.task),
        };
        self.compare(client, aws, release, &made, kind).await;
        let text = String::from_utf8(log).unwrap();
        End {
            deployment: made.deployment,
            environment: self.environment,
            kind,
            reason: error.to_owned(),
            log: text,
        }
    }

    /// Holds the end against what AWS holds; of one that nobody knew it is told to the server.
    async fn compare(&mut self, client: &Client, aws: &FakeAws, release: &Release, made: &Made, kind: Kind) {
        let at_rest = aws.function(&self.function).last_update_status != "InProgress";
        if kind == Kind::Unknown {
            aws.let_settle(&self.function);
        } else {
            assert!(at_rest, "{} of {} has ended, its update has not", made.task, self.function);
        }
        let held = aws.function(&self.function).code_sha256;
        match kind {
            Kind::Success => self.holds.clone_from(&release.sha256),
            Kind::Failed | Kind::Cancelled => {}
            Kind::Unknown => {
                let is_there = held == release.sha256;
                client.resolve(&made.deployment, if is_there { "success" } else { "failed" }).await;
                if is_there {
                    self.holds.clone_from(&release.sha256);
                }
            }
        }
        assert_eq!(
            held, self.holds,
            "{} ended as {kind:?}, and {} holds something else",
            made.task, self.function
        );
    }
}
