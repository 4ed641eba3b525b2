//! Several servers on one PostgreSQL: they wake each other, agree, and refuse what would let them differ.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use octarm::{
    config::Tls,
    model::chain,
    server::{self, ServerError, Settings},
    store::{Database, Place, StoreError, Vault},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::postgres::TestServer;
use crate::support::{
    PATIENCE, postgres,
    server::{TestWorker, line, success},
};

/// Two servers with one folder and one database; the first is ready.
async fn two() -> (TempDir, [Arc<TestServer>; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let one = TestServer::with(TestServer::settings(&folder).await).await;
    one.post("environments", json!({ "Name": "Dev" })).await.expect(201);
    one.post("projects", json!({ "Name": "Orders" })).await.expect(201);
    one.push("Orders.1.0.0.zip", b"one", "").await.expect(201);
    one.release("1.0.0").await;
    let two = TestServer::with(TestServer::settings(&folder).await).await;
    (folder, [Arc::new(one), Arc::new(two)])
}

#[tokio::test]
async fn a_claim_that_waits_at_one_server_wakes_when_another_queues() {
    let (_folder, [one, two]) = two().await;
    let worker = one.worker("w1", "m1").await;
    let before = Instant::now();
    let (hand_out, id) = tokio::join!(worker.claim_for(25_000), two.deploy("1.0.0"));
    assert_eq!(hand_out.unwrap().deployment, id);
    // It looks again after twenty-five seconds: sooner means woken.
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
}

#[tokio::test]
async fn who_follows_a_log_at_one_server_sees_what_comes_through_another() {
    let (_folder, [one, two]) = two().await;
    let id = two.deploy("1.0.0").await;
    let worker = one.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let follow = |from: usize| {
        let path = format!("tasks/ServerTasks-{}/log?from={from}&wait=30000", id.0);
        let request = two.request(reqwest::Method::GET, &path);
        async move {
            let answer = request.send().await.unwrap();
            let state = answer.headers()["octarm-task-state"].to_str().unwrap().to_owned();
            (state, answer.bytes().await.unwrap())
        }
    };
    let before = Instant::now();
    let log = line("a");
    let ((_, bytes), _) = tokio::join!(follow(0), worker.log(&hand_out, 0, &log));
    assert_eq!(bytes, log);
    let (end, _) = tokio::join!(follow(bytes.len()), worker.finish(&hand_out, success(), &log));
    assert_eq!((end.0.as_str(), end.1.len()), ("Success", 0));
    // Each wait would have taken thirty seconds.
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
}

/// Asks both servers at once, four times each; answers the statuses.
async fn at_once<F: Future<Output = u16> + Send + 'static>(
    servers: &[Arc<TestServer>; 2],
    ask: impl Fn(Arc<TestServer>, usize) -> F,
) -> Vec<u16> {
    let mut asked = JoinSet::new();
    for number in 0..8 {
        asked.spawn(ask(servers[number % 2].clone(), number));
    }
    let mut statuses = asked.join_all().await;
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn what_two_servers_are_asked_at_once_is_done_once() {
    let (_folder, servers) = two().await;
    let [one, _] = &servers;
    let same = at_once(&servers, |server, _| async move {
        server.post("environments", json!({ "Name": "Same" })).await.status
    });
    assert_eq!(same.await, [[201].as_slice(), &[409; 7]].concat());
    // Names that differ and make the same slug.
    let alike = at_once(&servers, |server, number| async move {
        let name = format!("A{}B", ["-", "_", ".", "+", "*", "/", "=", "!"][number]);
        server.post("projects", json!({ "Name": name })).await.status
    });
    assert_eq!(alike.await, [201; 8]);
    let projects = one.get("projects/all").await.expect(200);
    let mut slugs: Vec<&str> =
        projects.as_array().unwrap().iter().map(|row| row["Slug"].as_str().unwrap()).collect();
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), 9, "{slugs:?}");
    let pushed = at_once(&servers, |server, number| async move {
        server.push("Orders.2.0.0.zip", format!("content {number}").as_bytes(), "").await.status
    });
    assert_eq!(pushed.await, [[201].as_slice(), &[409; 7]].concat());
    let released = at_once(&servers, |server, _| async move {
        let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "2.0.0" });
        server.post("releases/create/v1", body).await.status
    });
    assert_eq!(released.await, [[201].as_slice(), &[409; 7]].concat());
    let saved = at_once(&servers, |server, number| async move {
        let variables = json!([{ "Name": "A", "Value": number.to_string() }]);
        let set = json!({ "Version": 0, "Variables": variables });
        server.put("variables/variableset-Projects-1", set).await.status
    });
    assert_eq!(saved.await, [[200].as_slice(), &[409; 7]].concat());
    let registered = at_once(&servers, |server, number| async move {
        server.register("w1", &format!("m{number}"), json!({})).await.status
    });
    assert_eq!(registered.await, [[200].as_slice(), &[409; 7]].concat());
}

#[tokio::test]
async fn what_one_server_gives_to_sign_is_good_at_the_other_and_once() {
    let (_folder, [one, two]) = two().await;
    let worker = one.worker("w1", "m1").await;
    let there = worker.through(&two);
    there.call("claim", json!({ "wait_ms": 0 })).await.expect(200);
    let request = worker.signed(|_| ()).await;
    there.ask(&request).await.expect(200);
    assert_eq!(worker.ask(&request).await.code(409), "challenge_over");
    // A claim that waits at one is told to leave when the other one was asked.
    let before = one.last_seen("Machines-1").await;
    let leaving = async {
        one.until_seen_after("Machines-1", &before).await;
        there.deregister(0).await.expect(200)
    };
    let (told, _) = tokio::join!(worker.call("claim", json!({ "wait_ms": 20_000 })), leaving);
    assert_eq!(told.expect(200)["leaving"], true);
}

#[tokio::test]
async fn of_many_at_two_servers_so_many_are_registered_as_a_token_has_uses() {
    let (_folder, servers) = two().await;
    let wanted = json!({ "EnvironmentId": "Dev", "Uses": 3 });
    let made = servers[0].post("workerregistrationtokens", wanted).await.expect(201);
    let token = made["Token"].as_str().unwrap().to_owned();
    let registered = at_once(&servers, |server, number| {
        let token = token.clone();
        async move {
            let (name, on) = (format!("w{number}"), format!("m{number}"));
            server.register_by(&token, &name, &on, json!({})).await.status
        }
    });
    assert_eq!(registered.await, [[200; 3].as_slice(), &[403; 5]].concat());
}

#[tokio::test]
async fn of_the_keys_that_may_administer_one_stays() {
    let (_folder, servers) = two().await;
    let [one, _] = &servers;
    for number in 1..8 {
        let body = json!({ "Name": format!("k{number}"), "Permissions": ["administer"] });
        one.post("apikeys", body).await.expect(201);
    }
    let listed = one.get("apikeys").await.expect(200);
    let id = |number: usize| listed["Items"][number]["Id"].as_str().unwrap().to_owned();
    let ids: Vec<String> = (0..8).map(id).collect();
    let gone = at_once(&servers, |server, number| {
        let path = format!("apikeys/{}", ids[number]);
        // Whoever asks may be deleted first: the verb is asked, not the door.
        async move { u16::from(server.store.delete_api_key(&path["apikeys/".len()..]).await.is_ok()) }
    });
    assert_eq!(gone.await, [[0].as_slice(), &[1; 7]].concat());
}

#[tokio::test]
async fn a_report_that_is_sent_to_two_servers_at_once_is_recorded_once() {
    let (_folder, servers) = two().await;
    let id = servers[0].deploy("1.0.0").await;
    let worker = servers[0].worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    assert_eq!(hand_out.deployment, id);
    let journalled = at_once(&servers, |server, _| {
        let (worker, hand_out) = (worker.through(&server), hand_out.clone());
        async move { worker.journal(&hand_out, 0, "f").await.status }
    });
    assert_eq!(journalled.await, [200; 8]);
    let logged = at_once(&servers, |server, _| {
        let (worker, hand_out) = (worker.through(&server), hand_out.clone());
        async move { worker.log(&hand_out, 0, &line("a")).await.status }
    });
    assert_eq!(logged.await, [[200].as_slice(), &[416; 7]].concat());
    let finished = at_once(&servers, |server, _| {
        let (worker, hand_out) = (worker.through(&server), hand_out.clone());
        async move { worker.finish(&hand_out, success(), &line("a")).await.status }
    });
    assert_eq!(finished.await, [200; 8]);
}

#[tokio::test]
async fn the_queue_of_a_target_keeps_its_order_at_two_servers() {
    let (_folder, servers) = two().await;
    let mut queued = Vec::new();
    for number in 0..12 {
        queued.push(servers[number % 2].deploy("1.0.0").await);
    }
    let mut workers = Vec::new();
    for number in 0..4 {
        workers.push(servers[number % 2].worker(&format!("w{number}"), &format!("m{number}")).await);
    }
    let mut order = Vec::new();
    while order.len() < queued.len() {
        let claims = workers.iter().map(|worker: &TestWorker| worker.claim());
        let claimed = futures_util::future::join_all(claims).await;
        let mut claimed: Vec<_> = claimed
            .into_iter()
            .enumerate()
            .filter_map(|(place, hand_out)| Some((place, hand_out?)))
            .collect();
        assert_eq!(claimed.len(), 1, "one target is handed out once at a time");
        let (place, hand_out) = claimed.remove(0);
        order.push(hand_out.deployment);
        workers[place].finish(&hand_out, success(), b"").await.expect(200);
    }
    assert_eq!(order, queued);
}

/// The settings of a server with a folder of its own on the database of another.
async fn elsewhere(folder: &TempDir) -> (TempDir, Settings) {
    let own = tempfile::tempdir().unwrap();
    let settings = Settings {
        database: TestServer::settings(folder).await.database,
        ..Settings::new(own.path().join("data"), "127.0.0.1:0".parse().unwrap())
    };
    (own, settings)
}

#[tokio::test]
async fn a_server_without_the_database_s_master_key_is_refused() {
    let (folder, _servers) = two().await;
    let key = fs_err::read_to_string(folder.path().join("data/master-key")).unwrap();
    let (own, settings) = elsewhere(&folder).await;
    let error = server::start(settings.clone()).await.unwrap_err();
    assert!(matches!(error, ServerError::KeyMissing { .. }), "{error}");
    assert!(error.hint().unwrap().contains("copy it from another server"));
    assert!(!own.path().join("data/master-key").exists());
    let wrong = Settings { master_key: Some("00".repeat(32).into()), ..settings.clone() };
    let error = server::start(wrong).await.unwrap_err();
    assert!(matches!(error, ServerError::Store(StoreError::WrongKey)), "{error}");
    assert!(error.hint().unwrap().contains("OCTARM_SERVER_MASTER_KEY"));
    let odd = Settings { master_key: Some("password".into()), ..settings.clone() };
    let error = server::start(odd).await.unwrap_err().to_string();
    assert_eq!(error, "the master key `OCTARM_SERVER_MASTER_KEY` is not 64 hexadecimal digits");
    let whole = Settings { master_key: Some(key.into()), ..settings };
    let error = server::start(whole.clone()).await.unwrap_err();
    assert!(matches!(error, ServerError::BlobsElsewhere { named: 1, .. }), "{error}");
    let packages = own.path().join("data/packages");
    fs_err::remove_dir_all(&packages).unwrap();
    fs_err::os::unix::fs::symlink(folder.path().join("data/packages"), &packages).unwrap();
    server::start(whole).await.unwrap();
    assert!(!own.path().join("data/master-key").exists());
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused_in_words() {
    let open = async |url: &str| Database::open(&Place::Postgres(url.into())).await.unwrap_err();
    let latin = postgres::empty_database("encoding 'LATIN1' template template0").await;
    let error = open(&latin).await.to_string();
    assert_eq!(error, "the server's database cannot be used: its encoding is LATIN1, expected UTF8");
    let missing = latin.replace("/test_", "/none_");
    for url in [missing.as_str(), "postgres://u:s3cret@127.0.0.1:1/d"] {
        let error = open(url).await;
        assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_text_that_postgresql_cannot_hold_is_refused() {
    let (_folder, [one, _]) = two().await;
    let body = json!({ "Name": "Test", "Description": "a\u{0}b" });
    let text = one.post("environments", body).await.refused(400);
    assert_eq!(text, "a text holds the character U+0000, which cannot be stored");
}

#[tokio::test]
async fn servers_that_start_together_make_one_installation() {
    let url = postgres::empty_database("template template0").await;
    let folder = tempfile::tempdir().unwrap();
    let started = (0..3).map(|number| {
        let settings = Settings {
            database: Some(url.clone().into()),
            master_key: Some("5a".repeat(32).into()),
            ..Settings::new(folder.path().join(number.to_string()), "127.0.0.1:0".parse().unwrap())
        };
        server::start(settings)
    });
    let mut installations = Vec::new();
    let mut keys = 0;
    for server in futures_util::future::join_all(started).await {
        let server = server.unwrap();
        installations.push(server.store().installation().id);
        keys += usize::from(server.first_key().is_some());
    }
    installations.dedup();
    assert_eq!((installations.len(), keys), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_together_on_one_folder_agree_on_what_they_make() {
    for _ in 0..4 {
        let url = postgres::empty_database("template template0").await;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut starting = JoinSet::new();
        for _ in 0..4 {
            let settings = Settings {
                database: Some(url.clone().into()),
                tls: Tls::SelfMade,
                ..Settings::new(data.clone(), "127.0.0.1:0".parse().unwrap())
            };
            let here = tokio::runtime::Handle::current();
            // Each on a thread of its own, so that they really meet.
            starting.spawn_blocking(move || here.block_on(server::start(settings)));
        }
        let servers: Vec<_> = starting.join_all().await.into_iter().map(Result::unwrap).collect();
        let mut fingerprints: Vec<_> = servers.iter().map(|server| server.fingerprint().unwrap()).collect();
        fingerprints.dedup();
        assert_eq!(fingerprints.len(), 1);
        assert_eq!(servers.iter().filter(|server| server.first_key().is_some()).count(), 1);
        let left: Vec<_> = fs_err::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");
    }
}

#[tokio::test]
async fn a_master_key_stays_while_servers_run() {
    let (folder, [one, _two]) = two().await;
    let url = postgres::database_of(folder.path()).await;
    let mut looking = PgConnection::connect(&url).await.unwrap();
    let present = async {
        let held = "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and granted \
                    and database = (select oid from pg_database where datname = current_database())";
        while sqlx::query_scalar::<_, i64>(held).fetch_one(&mut looking).await.unwrap() < 2 {}
    };
    tokio::time::timeout(PATIENCE, present).await.unwrap();
    let settings = TestServer::settings(&folder).await;
    let error = server::rotate_master_key(&settings, None).await.unwrap_err();
    assert!(chain(&error).contains("servers are using the database"), "{}", chain(&error));
    assert!(!one.data.join("master-key.next").exists());
}

#[tokio::test]
async fn a_server_whose_key_was_replaced_behind_it_spoils_nothing() {
    let (folder, [one, _two]) = two().await;
    let set = |version: i64, value: &str| {
        let variable = json!({ "Id": "a", "Name": "A", "IsSensitive": true, "Value": value, "Prompt": {} });
        json!({ "Version": version, "Variables": [variable] })
    };
    let library = "variables/variableset-LibraryVariableSets-1";
    one.put("variables/variableset-Projects-1", set(0, "first-value")).await.expect(200);
    one.post("libraryvariablesets", json!({ "Name": "Common" })).await.expect(201);
    one.put(library, set(0, "library-value")).await.expect(200);
    one.push("Orders.2.0.0.zip", b"two", "").await.expect(201);
    one.release("2.0.0").await;
    let id = one.deploy("2.0.0").await;
    let worker = one.worker("w1", "m1").await;
    // As if it had been cut off while the key was replaced.
    let settings = TestServer::settings(&folder).await;
    let database = Database::open(&Place::Postgres(settings.database.clone().unwrap())).await.unwrap();
    let mut old = [0; 32];
    let text = fs_err::read_to_string(one.data.join("master-key")).unwrap();
    hex::decode_to_slice(text.trim(), &mut old).unwrap();
    let (old, new) = (Vault::new(&old).unwrap(), Vault::new(&[7; 32]).unwrap());
    // In the project, in the library and in the release.
    assert_eq!(database.rotate(&old, &new).await.unwrap(), 3);
    one.put("variables/variableset-Projects-1", set(1, "second-value")).await.expect(500);
    one.put(library, set(1, "second-value")).await.expect(500);
    one.post("releases/Releases-1/snapshot-variables", json!({})).await.expect(500);
    one.post("environments/Dev/deploy-current", json!({})).await.expect(500);
    for more in [json!({ "Variables": { "A": "given-value" } }), json!({ "UpdateVariableSnapshot": true })] {
        let mut body =
            json!({ "ProjectName": "Orders", "ReleaseVersion": "2.0.0", "EnvironmentNames": ["Dev"] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one.post("deployments/create/untenanted/v1", body).await.expect(500);
    }
    let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "2.1.0" });
    one.post("releases/create/v1", body).await.expect(500);
    worker.call("claim", json!({ "wait_ms": 0 })).await.expect(500);
    assert_eq!(one.task(id).await["State"], "Queued");
    // A server that has the new key hands it out.
    let new = Settings { master_key: Some("07".repeat(32).into()), ..settings };
    let three = TestServer::with(new).await;
    let hand_out = worker.through(&three).claim().await.unwrap();
    assert_eq!(hand_out.deployment, id);
    assert!(hand_out.variables.iter().any(|variable| variable.value == "first-value"));
}

#[tokio::test]
async fn a_database_that_was_away_for_a_while() {
    let (folder, [one, two]) = two().await;
    let database = postgres::database_of(folder.path()).await;
    let name = database.split(['/', '?']).nth(3).unwrap().to_owned();
    let worker = one.worker("w1", "m1").await;
    postgres::administer(&format!("alter database {name} allow_connections false")).await;
    postgres::administer(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
    ))
    .await;
    let away = async || {
        let answer = one.request(reqwest::Method::GET, "environments").send().await.unwrap();
        (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
    };
    assert_eq!(away().await, (503, true));
    let claim: Value = worker.call("claim", json!({ "wait_ms": 0 })).await.expect(503);
    assert_eq!(claim["error"]["code"], "busy");
    postgres::administer(&format!("alter database {name} allow_connections true")).await;
    let back = async { while away().await.0 != 200 {} };
    tokio::time::timeout(PATIENCE, back).await.unwrap();
    // And they hear each other again: sooner than a claim looks by itself, once they have had the time to connect.
    let heard = async {
        loop {
            let before = Instant::now();
            let (hand_out, _) = tokio::join!(worker.claim_for(25_000), two.deploy("1.0.0"));
            worker.finish(&hand_out.unwrap(), success(), b"").await.expect(200);
            if before.elapsed() < Duration::from_secs(4) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
}

#[tokio::test]
async fn of_two_that_end_at_once_the_second_sees_the_first() {
    let (folder, [one, two]) = two().await;
    for name in ["Two", "Prod"] {
        one.post("environments", json!({ "Name": name })).await.expect(201);
    }
    let phases = json!([
        { "Name": "Test", "OptionalDeploymentTargets": ["Dev", "Two"] },
        { "Name": "Live", "AutomaticDeploymentTargets": ["Prod"] },
    ]);
    one.post("lifecycles", json!({ "Name": "Way", "Phases": phases })).await.expect(201);
    one.put("projects/Orders", json!({ "LifecycleId": "Way" })).await.expect(200);
    let body =
        json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Dev", "Two"] });
    one.post("deployments/create/untenanted/v1", body).await.expect(201);
    let first = one.worker("w1", "m1").await;
    let token = two.register("w2", "m2", json!({ "environment": "Two" })).await.expect(200);
    let second = TestWorker::new(&two, &token, "m2");
    second.session().await.expect(200);
    let (of_first, of_second) = (first.claim().await.unwrap(), second.claim().await.unwrap());
    // What changes a deployment comes no further than to its commit until the lock is given back.
    let url = postgres::database_of(folder.path()).await;
    let mut holding = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "create function wait_at_commit() returns trigger language plpgsql as \
         'begin perform pg_advisory_xact_lock_shared(1); return null; end'; \
         create constraint trigger held after update on deployments deferrable initially deferred \
         for each row execute function wait_at_commit(); select pg_advisory_lock(1)",
    )
    .execute(&mut holding)
    .await
    .unwrap();
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
                   and wait_event_type = 'Lock'";
    let release = async {
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut holding).await.unwrap() < 2 {}
        sqlx::raw_sql("select pg_advisory_unlock(1)").execute(&mut holding).await.unwrap();
    };
    let (one_end, two_end, ()) = tokio::join!(
        first.finish(&of_first, success(), b""),
        second.finish(&of_second, success(), b""),
        release,
    );
    one_end.expect(200);
    two_end.expect(200);
    let made = two.get("deployments?environments=Environments-3").await.expect(200);
    assert_eq!(made["TotalResults"], 1);
}

#[tokio::test]
async fn what_ends_well_waits_for_whoever_holds_its_project() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TestServer::settings(&folder).await;
    let url = settings.database.clone().unwrap();
    let server = TestServer::with(settings).await;
    server.post("environments", json!({ "Name": "Dev" })).await.expect(201);
    server.post("projects", json!({ "Name": "Orders" })).await.expect(201);
    server.push("Orders.1.0.0.zip", b"one", "").await.expect(201);
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    // As one does that looks what is on its way, and then what ended.
    let mut holder = PgConnection::connect(url.expose_secret()).await.unwrap();
    let hold = "begin; select id from projects for no key update";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let look = async {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
            )
            .fetch_one(&mut holder)
            .await
            .unwrap();
            if waiting > 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let state: String =
            sqlx::query_scalar("select state from deployments").fetch_one(&mut holder).await.unwrap();
        sqlx::raw_sql("commit").execute(&mut holder).await.unwrap();
        state
    };
    let (ended, seen) = tokio::join!(
        worker.finish(&hand_out, success(), b""),
        tokio::time::timeout(Duration::from_secs(4), look)
    );
    assert_eq!((ended.status, seen.unwrap().as_str()), (200, "leased"));
}
