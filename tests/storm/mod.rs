//! One long run in bad weather, over real processes: workers and server are killed, drained, suspended, cut off, their
//! clocks jump, AWS refuses, throttles, hangs up in the middle. However bad it gets, each deployment has one end, the end
//! is true, and its log is whole.
//!
//! What happens when is drawn from a seed (`OCTARM_STORM_SEED`); what it hits is up to the machine. How many deployments
//! there are, `OCTARM_STORM_DEPLOYMENTS` says.

mod fleet;
mod server;
mod tally;
mod target;
mod weather;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use tokio_util::sync::CancellationToken;

use self::{
    fleet::Ship,
    server::Client,
    tally::{End, Tally},
    target::{Release, Target},
};
use crate::support::{
    aws::{FakeAws, code_sha256},
    packages::{Producer, Raw, nupkg, write, zip},
    setup::{Options, Setup},
};

/// Environments, each with its workers and how many deployments each of those runs at a time.
const FLEET: [(&str, &[&str], u32); 3] = [
    ("CI", &["ci-1"], 8),
    ("Staging", &["staging-1"], 8),
    ("Production", &["production-1", "production-2"], 4),
];
const PROJECTS: [&str; 8] = ["Orders", "Bills", "Users", "Stock", "Mail", "Logs", "Search", "Prices"];
const VERSIONS: [&str; 4] = ["1.0.0", "1.1.0", "2.0.0", "2.0.1"];
/// How many deployments there are when nobody says.
const DEPLOYMENTS: usize = 150;
/// How often it is looked whether it gets on: once the weather has calmed, one ends in this time.
const LOOK: Duration = Duration::from_secs(40);

#[test]
fn every_deployment_has_one_true_end_and_a_whole_log() {
    let deployments = number("OCTARM_STORM_DEPLOYMENTS").unwrap_or(DEPLOYMENTS);
    let seed = number("OCTARM_STORM_SEED").unwrap_or(1) as u64;
    println!("seed {seed}");
    let began = Instant::now();
    let aws = FakeAws::start();
    let options = Options { lease: Some(2), ..Options::default() };
    let mut setup = Setup::start_with(&options);
    let targets = targets(&setup, &aws);
    let mut ships: Vec<Ship> = FLEET
        .iter()
        .flat_map(|(environment, names, concurrency)| {
            names.iter().map(|name| (*environment, *name, *concurrency))
        })
        .map(|(environment, name, concurrency)| Ship::launch(&setup, &aws, name, environment, concurrency))
        .collect();
    let client = Client::of(&setup);
    let left = AtomicUsize::new(deployments);
    let ends: Mutex<Vec<End>> = Mutex::default();
    let sailed = Instant::now();
    let struck = thread::scope(|scope| {
        let (server, blows) = fleet::channel();
        let sunk = CancellationToken::new();
        let wreck = Wreck(sunk.clone());
        let setup = &mut setup;
        scope.spawn(move || {
            let _wreck = wreck;
            fleet::strike_server(setup, blows);
        });
        let mut struck = Vec::new();
        for ship in &mut ships {
            let (sender, blows) = fleet::channel();
            struck.push(sender);
            let wreck = Wreck(sunk.clone());
            scope.spawn(move || {
                let _wreck = wreck;
                ship.sail(blows);
            });
        }
        let (aws, left, client, ends) = (&aws, &left, &client, &ends);
        let wreck = Wreck(sunk.clone());
        let weather = scope.spawn(move || {
            let _wreck = wreck;
            weather::blow(Rng::with_seed(seed), aws, &struck, &server, left)
        });
        // However this ends, the weather does.
        let _calm = Calm(left);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let crews = targets.into_iter().enumerate().map(|(number, target)| {
            target.deploy_all(client, aws, left, Rng::with_seed(seed + 1 + number as u64), ends)
        });
        let all = futures_util::future::join_all(crews);
        runtime.block_on(async {
            tokio::pin!(all);
            let mut seen = 0;
            loop {
                tokio::select! {
                    _ = &mut all => break,
                    () = sunk.cancelled() => panic!("it cannot go on: see above"),
                    () = tokio::time::sleep(LOOK) => {
                        let ended = ends.lock().unwrap().len();
                        println!("{ended} have ended after {:.0?}", sailed.elapsed());
                        // As long as there is weather, waiting is in order.
                        let is_stuck = left.load(Ordering::SeqCst) == 0 && ended == seen;
                        assert!(!is_stuck, "not all have ended: {}", client.open().await);
                        seen = ended;
                    }
                }
            }
        });
        weather.join().unwrap()
    });
    let ends = ends.into_inner().unwrap();
    let time = sailed.elapsed();
    let logs = ships.iter_mut().map(Ship::land).collect::<Vec<_>>();
    let tally = Tally::of(&ends, &struck, &logs, &aws);
    println!("{tally}\n{time:.0?} for the deployments, {:.0?} in all", began.elapsed());
    assert_eq!(ends.len(), deployments, "each has exactly one end");
    tally.check();
}

/// A thread whose panic ends the whole.
struct Wreck(CancellationToken);

impl Drop for Wreck {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.cancel();
        }
    }
}

/// Nothing more is to be deployed once this is gone.
struct Calm<'a>(&'a AtomicUsize);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::SeqCst);
    }
}

fn number(name: &str) -> Option<usize> {
    #[expect(clippy::disallowed_methods, reason = "it says how much a test does, and nothing of octarm's")]
    let text = std::env::var(name).ok();
    text.map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}")))
}

/// All functions, and the releases that go to them.
fn targets(setup: &Setup, aws: &FakeAws) -> Vec<Target> {
    let environments = FLEET.map(|(environment, ..)| environment);
    for environment in environments {
        setup.run(&["environment", "create", environment]);
    }
    let mut targets = Vec::new();
    for project in PROJECTS {
        setup.run(&["project", "create", project]);
        let releases: Vec<Release> =
            VERSIONS.iter().map(|version| release(setup, project, version)).collect();
        for environment in environments {
            let function = format!("{environment}-{project}");
            let old = zip(&[Raw::new("index.js", format!("// the first code of {function}\n")).mode(0o644)]);
            let sha256 = code_sha256(&old);
            aws.create_function(&function, old);
            targets.push(Target::new(project, environment, function, releases.clone(), sha256));
        }
    }
    targets
}

/// A release on the server, and what Lambda will say of its code, by another door than the deployment's.
fn release(setup: &Setup, project: &str, version: &str) -> Release {
    let code = format!("exports.handler = async () => '{project} {version}'\n");
    let bytes = zip(&nupkg(Producer::NuGet, project, version, &[("src/function/index.js", &code)]));
    let package = write(setup.folder(), &format!("{project}.{version}.nupkg"), &bytes);
    setup.release(project, version, &package);
    let repacked = setup.folder().join("repacked.zip");
    setup.run(&["package", "repack", package.to_str().unwrap(), "--output", repacked.to_str().unwrap()]);
    Release { version: version.to_owned(), sha256: code_sha256(&fs_err::read(repacked).unwrap()) }
}
