//! What is removed because it is old or because nothing names it, and what never is.

use std::{collections::BTreeSet, path::Path, time::Duration};

use octarm::{
    blobs::{Blob, Blobs},
    config::{Keep, Retention},
    model::DeploymentId,
    server::{self, ServerError, Settings},
    store::{GRACE, Judged, NewPackage, Overwrite, StoreError},
};
use serde_json::json;
use tempfile::TempDir;

use super::TestServer;
use crate::support::{
    PATIENCE,
    server::{TestWorker, line, package, success, unknown},
};

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

fn failed() -> serde_json::Value {
    json!({ "result": "failed", "failure": { "step": "update code", "messages": ["no"] } })
}

fn releases(count: u32) -> Retention {
    Retention { releases: Keep { count: Some(count), days: None }, ..Retention::default() }
}

async fn in_folder(folder: &TempDir, retention: Retention) -> Settings {
    Settings { retention, ..TestServer::settings(folder).await }
}

fn names(things: &[Judged], goes: bool) -> BTreeSet<String> {
    things.iter().filter(|thing| thing.goes == goes).map(|thing| thing.name.clone()).collect()
}

#[track_caller]
fn why<'t>(things: &'t [Judged], name: &str) -> &'t str {
    &things.iter().find(|thing| thing.name == name).unwrap_or_else(|| panic!("{name}: {things:?}")).why
}

fn release_of_orders(version: &str) -> String {
    format!("release {version} of project `Orders`")
}

/// Pushes the package of this version and makes the release of it.
async fn release(server: &TestServer, version: &str) {
    server.push(&format!("Orders.{version}.zip"), version.as_bytes(), "").await.expect(201);
    server.release(version).await;
}

/// Deploys a release and lets the worker end it so.
async fn deploy(
    server: &TestServer,
    worker: &TestWorker,
    version: &str,
    end: serde_json::Value,
) -> DeploymentId {
    let id = server.deploy(version).await;
    let hand_out = worker.claim().await.unwrap();
    worker.log(&hand_out, 0, &line(version)).await.expect(200);
    worker.finish(&hand_out, end, &line(version)).await.expect(200);
    id
}

fn stored(data: &Path) -> usize {
    let names = fs_err::read_dir(data.join("packages")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.len() == 64).count()
}

/// A stopped server with five releases, all deployed to one environment but the last; the third was the last good one.
async fn five(folder: &TempDir) {
    let server = TestServer::with(TestServer::settings(folder).await).await;
    server.post("environments", json!({ "Name": "Dev" })).await.expect(201);
    server.post("projects", json!({ "Name": "Orders" })).await.expect(201);
    let worker = server.worker("w1", "m1").await;
    for (version, end) in
        [("1.0.0", success()), ("2.0.0", success()), ("3.0.0", success()), ("4.0.0", failed())]
    {
        release(&server, version).await;
        deploy(&server, &worker, version, end).await;
    }
    // One has two copies of its variables: both go with it.
    server.post("releases/Releases-1/snapshot-variables", json!({})).await.expect(200);
    release(&server, "5.0.0").await;
    server.stop().await;
}

#[tokio::test]
async fn what_a_dry_run_shows_is_what_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    five(&folder).await;
    let retention =
        Retention { packages: Keep { count: Some(1), days: None }, logs_days: Some(7), ..releases(1) };
    let settings = in_folder(&folder, retention).await;
    let shown = server::prune(&settings, true).await.unwrap();
    assert_eq!(why(&shown, &release_of_orders("1.0.0")), "beyond the last 1");
    assert_eq!(why(&shown, &release_of_orders("3.0.0")), "it is the last good release of environment `Dev`");
    assert_eq!(why(&shown, &release_of_orders("4.0.0")), "it is the current release of environment `Dev`");
    assert_eq!(
        why(&shown, &release_of_orders("5.0.0")),
        "it is one of the newest 1 that were not deployed yet"
    );
    assert_eq!(why(&shown, "package `Orders` version 2.0.0"), "beyond the last 1");
    assert_eq!(
        why(&shown, "package `Orders` version 3.0.0"),
        "release 3.0.0 of project `Orders` is made of it"
    );
    assert_eq!(why(&shown, "log of Deployments-3"), "the deployment ended within the last 7 days");
    // Nothing was removed by looking.
    assert_eq!(server::prune(&settings, true).await.unwrap(), shown);
    let removed = server::prune(&settings, false).await.unwrap();
    assert_eq!(names(&removed, true), names(&shown, true));
    assert_eq!(names(&removed, false), BTreeSet::new());
    // Nothing goes twice, and what stays stays for the same reasons.
    let again = server::prune(&settings, true).await.unwrap();
    assert_eq!(names(&again, true), BTreeSet::new());
    for thing in again.iter().filter(|thing| !thing.name.starts_with("the bytes")) {
        assert_eq!(thing.why, why(&shown, &thing.name));
    }
    let server = TestServer::with(TestServer::settings(&folder).await).await;
    let left = server.get("releases").await.expect(200);
    let versions: Vec<&str> =
        left["Items"].as_array().unwrap().iter().map(|row| row["Version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["5.0.0", "4.0.0", "3.0.0"]);
    for version in ["3.0.0", "4.0.0", "5.0.0"] {
        server.get(&format!("packages/Orders.{version}/raw")).await.expect(200);
    }
    server.get("packages/Orders.2.0.0").await.refused(404);
}

#[tokio::test]
async fn what_is_in_use_is_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::with(in_folder(&folder, releases(1)).await).await;
    for name in ["Dev", "Prod"] {
        server.post("environments", json!({ "Name": name })).await.expect(201);
    }
    server.post("projects", json!({ "Name": "Orders" })).await.expect(201);
    let worker = server.worker("w1", "m1").await;
    let good = ["1.0.0", "2.0.0", "3.0.0", "4.0.0", "5.0.0"];
    for version in good {
        release(&server, version).await;
        deploy(&server, &worker, version, success()).await;
    }
    // The oldest is the one in production, though nobody has come for it yet.
    let to_prod = json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Prod"] });
    server.post("deployments/create/untenanted/v1", to_prod).await.expect(201);
    // The second has an end that nobody knows.
    server.deploy("2.0.0").await;
    let hand_out = worker.claim().await.unwrap();
    worker.finish(&hand_out, unknown(), b"").await.expect(200);
    let judged = server.store.facts().await.unwrap().judge(&releases(1));
    assert!(why(&judged, &release_of_orders("1.0.0")).ends_with("to environment `Prod` has not ended"));
    assert!(why(&judged, &release_of_orders("2.0.0")).ends_with("to environment `Dev` waits to be resolved"));
    assert_eq!(why(&judged, &release_of_orders("5.0.0")), "it is the last good release of environment `Dev`");
    let going: BTreeSet<String> = ["3.0.0", "4.0.0"].map(release_of_orders).into();
    assert_eq!(names(&judged, true), going);
    // Somebody deploys one of them after it was judged.
    let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "4.0.0", "EnvironmentNames": ["Prod"] });
    server.post("deployments/create/untenanted/v1", body).await.expect(201);
    let removed = server.store.remove(&judged, &releases(1)).await.unwrap();
    assert_eq!(names(&removed, true), [release_of_orders("3.0.0")].into());
    server.get("releases/Releases-4").await.expect(200);
}

#[tokio::test]
async fn a_package_that_a_release_took_after_it_was_judged_stays() {
    let server = TestServer::start().await;
    server.post("environments", json!({ "Name": "Dev" })).await.expect(201);
    server.post("projects", json!({ "Name": "Orders" })).await.expect(201);
    for version in ["1.0.0", "2.0.0", "3.0.0"] {
        server.push(&format!("Orders.{version}.zip"), version.as_bytes(), "").await.expect(201);
    }
    let retention = Retention { packages: Keep { count: None, days: Some(7) }, ..Retention::default() };
    let judged = server.store.facts().await.unwrap().judge(&retention);
    assert_eq!(names(&judged, true), BTreeSet::new());
    server.pass(8 * DAY).await;
    let judged = server.store.facts().await.unwrap().judge(&retention);
    let package = |version: &str| format!("package `Orders` version {version}");
    assert_eq!(names(&judged, true), [package("1.0.0"), package("2.0.0")].into());
    assert_eq!(why(&judged, &package("3.0.0")), "it is the highest version of its package");
    let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "1", "PackageVersion": "1.0.0" });
    server.post("releases/create/v1", body).await.expect(201);
    let removed = server.store.remove(&judged, &retention).await.unwrap();
    assert_eq!(names(&removed, true), [package("2.0.0")].into());
    server.get("packages/Orders.1.0.0/raw").await.expect(200);
}

#[tokio::test]
async fn an_old_log_is_removed_and_says_so() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let id = deploy(&server, &worker, "1.0.0", success()).await;
    server.pass(8 * DAY).await;
    let worker = server.worker("w1", "m1").await;
    let young = deploy(&server, &worker, "1.0.0", success()).await;
    let retention = Retention { logs_days: Some(7), ..Retention::default() };
    let judged = server.store.facts().await.unwrap().judge(&retention);
    let removed = server.store.remove(&judged, &retention).await.unwrap();
    assert_eq!(names(&removed, true), [format!("log of {id}")].into());
    let raw = async |id: DeploymentId| {
        let request = server.request(reqwest::Method::GET, &format!("tasks/ServerTasks-{}/raw", id.0));
        request.send().await.unwrap().text().await.unwrap()
    };
    assert!(raw(id).await.contains("the log was removed because it was older"));
    assert!(raw(young).await.contains("1.0.0") && !raw(young).await.contains("was removed"));
    let details = server.get(&format!("tasks/ServerTasks-{}/details", id.0)).await.expect(200);
    let elements = details["ActivityLogs"][0]["Children"][0]["LogElements"].as_array().unwrap().clone();
    assert_eq!(elements.len(), 1, "{elements:?}");
    assert_eq!(server.task(id).await["State"], "Success");
}

#[tokio::test]
async fn a_server_prunes_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    five(&folder).await;
    let pause = Duration::from_millis(5);
    let server =
        TestServer::with(Settings { tidy_pause: pause, ..in_folder(&folder, releases(1)).await }).await;
    // Two releases go, and their packages stay, since nothing is said of those.
    let gone = async { while server.get("releases").await.expect(200)["TotalResults"] != 3 {} };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    server.delete("packages/Orders.1.0.0").await.expect(200);
    let sha256 = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &package(b"1.0.0")));
    let file = server.data.join("packages").join(&sha256);
    // Found unnamed in one round, spared for a day, gone in a later one.
    server.pass(HOUR).await;
    let is_unnamed = async || {
        let known = server.store.known_blobs().await.unwrap();
        let blob = known.into_iter().find(|blob| blob.sha256 == sha256).unwrap();
        assert!(!blob.judge(GRACE).goes && file.exists());
        blob.judge(Duration::from_millis(1)).goes
    };
    let unnamed = async { while !is_unnamed().await {} };
    tokio::time::timeout(PATIENCE, unnamed).await.unwrap();
    server.pass(25 * HOUR).await;
    let deleted = async {
        while file.exists() {
            server.get("/api").await.expect(200);
        }
    };
    tokio::time::timeout(PATIENCE, deleted).await.unwrap();
    for version in ["2.0.0", "3.0.0", "4.0.0", "5.0.0"] {
        server.get(&format!("packages/Orders.{version}/raw")).await.expect(200);
    }
}

#[tokio::test]
async fn a_turn_is_one_node_s_until_it_is_over() {
    let server = TestServer::start().await;
    let take = || server.store.take_work("work", HOUR);
    let first = tokio::join!(take(), take(), take(), take());
    let first = [first.0, first.1, first.2, first.3].map(Result::unwrap);
    assert_eq!(first.iter().filter(|taken| **taken).count(), 1, "{first:?}");
    assert!(server.store.take_work("other work", HOUR).await.unwrap());
    server.pass(HOUR + Duration::from_secs(1)).await;
    assert!(take().await.unwrap());
    assert!(!take().await.unwrap());
}

/// One step of a push or of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Expect,
    Keep,
    Name,
    Doom,
    Delete,
    Forget,
}

/// All orders of two sequences.
fn orders(push: &[Step], collect: &[Step]) -> Vec<Vec<Step>> {
    let mut all = Vec::new();
    for (from, other) in [(push, collect), (collect, push)] {
        let Some((first, rest)) = from.split_first() else { continue };
        let rest = if from == push { orders(rest, other) } else { orders(other, rest) };
        all.extend(rest.into_iter().map(|rest| [&[*first][..], &rest].concat()));
    }
    if all.is_empty() { vec![Vec::new()] } else { all }
}

async fn sealed(blobs: &Blobs) -> octarm::blobs::Sealed {
    let mut incoming = blobs.receive().unwrap();
    incoming.write(b"bytes").await.unwrap();
    incoming.seal().await.unwrap()
}

#[tokio::test]
async fn bytes_that_are_pushed_while_they_are_collected_are_there_in_the_end() {
    let server = TestServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path(), None, 100, Duration::ZERO).unwrap();
    let push = [Step::Expect, Step::Keep, Step::Name];
    let all = orders(&push, &[Step::Doom, Step::Delete, Step::Forget]);
    assert_eq!(all.len(), 20);
    for (number, order) in all.into_iter().enumerate() {
        // From an earlier package, which was deleted long ago.
        let old = sealed(&blobs).await;
        server.store.expect_blob(old.blob()).await.unwrap();
        let blob: Blob = old.keep().await.unwrap();
        server.pass(2 * GRACE).await;
        let (mut doomed, mut waiting, mut is_held) = (Vec::new(), Vec::new(), false);
        let name = format!("P{number}.1.0.0.zip");
        let mut steps = order.clone();
        while !steps.is_empty() {
            let step = steps.remove(0);
            let is_push = push.contains(&step);
            if is_push && is_held {
                waiting.push(step);
                continue;
            }
            match step {
                Step::Expect => match server.store.expect_blob(&blob).await {
                    Ok(()) => {}
                    Err(StoreError::BlobGoing { .. }) => {
                        is_held = true;
                        waiting.push(step);
                    }
                    Err(error) => panic!("{order:?}: {error}"),
                },
                Step::Keep => assert_eq!(sealed(&blobs).await.keep().await.unwrap(), blob),
                Step::Name => {
                    let new = NewPackage {
                        name: &name.parse().unwrap(),
                        file_name: &name,
                        sha256: &blob.sha256,
                        size: blob.size,
                    };
                    let pushed = server.store.push_package(&new, Overwrite::Fail).await;
                    assert!(pushed.is_ok(), "{order:?}: {pushed:?}");
                }
                Step::Doom => doomed = server.store.doom_blobs(GRACE, DAY, 10).await.unwrap(),
                Step::Delete => {
                    for blob in &doomed {
                        blobs.delete(&blob.sha256).await.unwrap();
                    }
                }
                Step::Forget => {
                    for blob in &doomed {
                        server.store.forget_blob(&blob.sha256).await.unwrap();
                    }
                    // What was held back goes on now.
                    is_held = false;
                    steps.splice(0..0, std::mem::take(&mut waiting));
                }
            }
        }
        assert!(blobs.read(&blob, 0).await.is_ok(), "{order:?} lost the bytes");
        // One order at least takes each way.
        let is_first = order[0] == Step::Doom;
        assert_eq!(doomed.len(), usize::from(is_first), "{order:?}");
        server.delete(&format!("packages/P{number}.1.0.0")).await.expect(200);
        // Forgotten as if it had never been, for the next order.
        for _ in 0..2 {
            server.store.mark_unnamed_blobs().await.unwrap();
            server.pass(2 * GRACE).await;
            for blob in server.store.doom_blobs(GRACE, DAY, 10).await.unwrap() {
                blobs.delete(&blob.sha256).await.unwrap();
                server.store.forget_blob(&blob.sha256).await.unwrap();
            }
        }
        assert_eq!(server.store.known_blobs().await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_push_waits_for_the_same_bytes_to_be_gone() {
    let server = TestServer::ready().await;
    let bytes = package(b"one");
    // However long it had a name, and nobody looked: it is spared from when it was first found without one.
    server.pass(2 * GRACE).await;
    server.delete("packages/Orders.1.0.0").await.expect(200);
    assert_eq!(server.store.doom_blobs(GRACE, DAY, 10).await.unwrap(), []);
    server.store.mark_unnamed_blobs().await.unwrap();
    assert_eq!(server.store.doom_blobs(GRACE, DAY, 10).await.unwrap(), []);
    server.pass(2 * GRACE).await;
    let doomed = server.store.doom_blobs(GRACE, DAY, 10).await.unwrap();
    assert_eq!(doomed.len(), 1);
    // Bytes that were expected before, and whose time is over, get no name any more.
    let name = "Orders.1.0.0.zip".parse().unwrap();
    let late = NewPackage { name: &name, file_name: "x", sha256: &doomed[0].sha256, size: 1 };
    let error = server.store.push_package(&late, Overwrite::Fail).await.unwrap_err();
    assert!(matches!(error, StoreError::BlobGoing { .. }) && error.is_retryable(), "{error}");
    let collect = async {
        // The push is held while these bytes are doomed: it has come so far once it has a file.
        let folder = server.data.join("packages");
        while fs_err::read_dir(&folder).unwrap().count() < 2 {
            tokio::task::yield_now().await;
        }
        fs_err::remove_file(folder.join(&doomed[0].sha256)).unwrap();
        server.store.forget_blob(&doomed[0].sha256).await.unwrap();
    };
    let (answer, ()) = tokio::join!(server.push_bytes("Orders.1.0.0.zip", &bytes, ""), collect);
    assert_eq!(answer.expect(201)["Hash"], doomed[0].sha256);
    let raw = server.request(reqwest::Method::GET, "packages/Orders.1.0.0/raw").send().await.unwrap();
    assert_eq!(raw.bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn bytes_of_another_installation_are_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    five(&folder).await;
    let settings = in_folder(&folder, releases(1)).await;
    let owner = settings.data.join("packages/installation");
    fs_err::write(&owner, "somebody else\n").unwrap();
    let before = stored(&settings.data);
    for dry_run in [true, false] {
        let error = server::prune(&settings, dry_run).await.unwrap_err();
        assert!(matches!(error, ServerError::ForeignBlobs { .. }), "{error}");
    }
    assert_eq!(stored(&settings.data), before);
    fs_err::remove_file(&owner).unwrap();
    server::prune(&settings, false).await.unwrap();
    let text = fs_err::read_to_string(&owner).unwrap();
    let server = TestServer::with(TestServer::settings(&folder).await).await;
    let id = server.get("/api").await.expect(200)["InstallationId"].clone();
    assert_eq!(text.trim().split_once(' ').unwrap().0, id);
}
