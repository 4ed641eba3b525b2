//! Random lives of deployments against the state machine of the model.

use std::time::Duration;

use octarm::{
    blobs::Blob,
    model::{
        DeploymentEvent as Event, DeploymentId, DeploymentState as State, Fence, Outcome, SpaceId, TaskState,
    },
    protocol::{FinishRequest, Machine, RegisterRequest},
    store::{
        Database, NewDeployment, NewPackage, NewRelease, Overwrite, Own, Place, Registrar, ReleaseRow,
        Session, Store, Vault,
    },
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use uuid::Uuid;

use super::TestServer;
use crate::support::worker::{key_of, session_request};

const LEASE: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_mins(15);

#[derive(Debug, Clone)]
enum Act {
    Deploy,
    Claim(usize),
    Renew(usize),
    /// With the fence that this worker last had, current or not.
    Finish(usize, bool),
    Cancel(usize),
    Pass(u64),
    Sweep,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Deploy),
        4 => (0..2_usize).prop_map(Act::Claim),
        2 => (0..2_usize).prop_map(Act::Renew),
        3 => (0..2_usize, any::<bool>()).prop_map(|(worker, well)| Act::Finish(worker, well)),
        1 => (0..4_usize).prop_map(Act::Cancel),
        3 => prop_oneof![Just(20), Just(61), Just(901)].prop_map(Act::Pass),
        2 => Just(Act::Sweep),
    ]
}

/// A target of its own in the store that all worlds share.
struct World {
    store: Store,
    release: ReleaseRow,
    environment: String,
    workers: Vec<(Session, Option<(DeploymentId, Fence)>)>,
    deployments: Vec<(DeploymentId, State)>,
}

async fn store(folder: &tempfile::TempDir) -> Store {
    let place = if let Some(url) = TestServer::settings(folder).await.database {
        Place::Postgres(url)
    } else {
        let file = folder.path().join("octarm.db");
        fs_err::write(&file, "").unwrap();
        Place::File(file)
    };
    let database = Database::open(&place).await.unwrap();
    let store = Store::open(database, Vault::new(&[1; 32]).unwrap(), LEASE).await.unwrap();
    let store = store.in_space(SpaceId::DEFAULT);
    store.create_project("Orders", "", None, &[]).await.unwrap();
    let name = "Orders.1.0.0.zip".parse().unwrap();
    let package = NewPackage { name: &name, file_name: "Orders.1.0.0.zip", sha256: "0", size: 1 };
    store.expect_blob(&Blob { sha256: "0".to_owned(), size: 1 }).await.unwrap();
    store.push_package(&package, Overwrite::Fail).await.unwrap();
    store.create_release(&NewRelease { project: "Orders".into(), ..NewRelease::default() }).await.unwrap();
    store
}

async fn world(store: Store) -> World {
    let environment = format!("E{}", store.environments().await.unwrap().len());
    store.create_environment(&environment, "").await.unwrap();
    let release = store.release("Releases-1").await.unwrap();
    let mut workers = Vec::new();
    for name in ["w1", "w2"] {
        let machine = Machine { host: name.into(), id: name.into() };
        let key = key_of(name, &environment);
        let request = RegisterRequest {
            name: name.into(),
            environment: Some(environment.clone()),
            space: None,
            machine: machine.clone(),
            public_key: key.public(),
            replace: false,
            deploy_current: false,
        };
        let made = store.register(&request, &Registrar::Key("a key".into())).await.unwrap();
        let made = serde_json::to_value(made).unwrap();
        let mut request = session_request(&made, name, Uuid::now_v7());
        request.machine = machine;
        request.challenge = store.challenge(request.worker_id).await.unwrap().challenge;
        let installation = store.installation().id;
        request.signature = key.sign(&request.statement(installation));
        let begun = store.start_session(&request, Duration::from_hours(1)).await.unwrap();
        workers.push((store.session_of(&begun.token.0).await.unwrap(), None));
    }
    World { store, release, environment, workers, deployments: Vec::new() }
}

impl World {
    async fn play(&mut self, act: &Act) {
        match *act {
            Act::Deploy => {
                let new = NewDeployment {
                    release: self.release.clone(),
                    environments: vec![self.environment.clone()],
                    prompted: Vec::new(),
                    comments: String::new(),
                    update_variables: false,
                    created_by: String::new(),
                };
                let made = self.store.create_deployments(&new).await.unwrap();
                self.deployments.extend(made.into_iter().map(|id| (id, State::Queued)));
            }
            Act::Claim(worker) => {
                let (session, held) = &mut self.workers[worker];
                if let Some(hand_out) = self.store.claim(session, Own::Besides(&[])).await.unwrap() {
                    let place =
                        self.deployments.iter().position(|(id, _)| *id == hand_out.deployment).unwrap();
                    // Only what nobody ever had is handed out to be begun.
                    let begun = self.deployments[place].1 != State::Queued;
                    assert_eq!(hand_out.reconcile, begun, "{hand_out:?}");
                    assert!(hand_out.fence.0 > 1 || !begun);
                    *held = Some((hand_out.deployment, hand_out.fence));
                }
            }
            Act::Renew(worker) => {
                let (session, held) = &self.workers[worker];
                if let Some((id, fence)) = held {
                    let _ = self.store.renew(session.id, *id, *fence).await;
                }
            }
            Act::Finish(worker, well) => {
                let (session, held) = &self.workers[worker];
                let Some((id, fence)) = *held else { return };
                let outcome = if well {
                    Outcome::Success { summary: String::new() }
                } else {
                    Outcome::Cancelled { summary: String::new() }
                };
                let empty = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"");
                let request = FinishRequest { fence, outcome, log_length: 0, log_sha256: hex::encode(empty) };
                let before = self.store.deployment(id).await.unwrap();
                let done = self.store.finish(session.id, id, &request).await;
                if before.fence != i64::try_from(fence.0).unwrap() {
                    assert!(done.is_err(), "a stale hand-out ended {id}");
                }
            }
            Act::Cancel(place) => {
                if let Some((id, _)) = self.deployments.get(place) {
                    self.store.cancel(*id).await.unwrap();
                }
            }
            Act::Pass(seconds) => {
                self.store.shift_clock(i64::try_from(seconds * 1000).unwrap()).await.unwrap();
            }
            Act::Sweep => drop(self.store.sweep(PATIENCE).await.unwrap()),
        }
    }

    /// Every change is a path of the model, ends are final, and one target is never run twice at a time.
    async fn check(&mut self) -> Result<(), TestCaseError> {
        let mut busy = 0;
        for (id, before) in &mut self.deployments {
            let row = self.store.deployment(*id).await.unwrap();
            let now = row.state().unwrap();
            prop_assert!(reachable(*before, now), "{id} went from {before} to {now}");
            *before = now;
            let active = matches!(now, State::Leased | State::Cancelling | State::Lost);
            prop_assert_eq!(row.completed.is_some(), now.is_ended());
            busy += u32::from(active || row.blocked == 1);
        }
        prop_assert!(busy <= 1, "{busy} deployments hold one target");
        Ok(())
    }
}

/// Whether the model has a way from one state to the other. One verb may take several steps (expire and claim).
fn reachable(from: State, to: State) -> bool {
    let events = [
        Event::Claim,
        Event::Expire,
        Event::Cancel,
        Event::GiveUp,
        Event::Finish(TaskState::Success),
        Event::Finish(TaskState::Canceled),
    ];
    let mut known = vec![from];
    for _ in 0..3 {
        let next: Vec<State> = known
            .iter()
            .flat_map(|state| events.iter().filter_map(|event| state.next(*event).ok()))
            .collect();
        known.extend(next);
    }
    known.contains(&to)
}

#[test]
fn every_life_is_one_of_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = runtime.block_on(store(&folder));
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let lives = TestRunner::new(config).run(&vec(act(), 1..40), |acts| {
        runtime.block_on(async {
            let mut world = world(store.clone()).await;
            for act in &acts {
                world.play(act).await;
                world.check().await?;
            }
            Ok(())
        })
    });
    runtime.block_on(store.close());
    lives.unwrap_or_else(|error| panic!("{error}"));
}
