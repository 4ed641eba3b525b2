//! `octarm server prune`, as operators call it.

use std::path::Path;

use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};

use super::bucket;
use crate::support::{
    aws::Action,
    packages::{Raw, write, zip},
    postgres,
    process::{Output, Program},
    setup::{Options, Setup},
};

fn prune(data: &Path, variables: &[(String, String)], more: &[&str]) -> Output {
    let mut program =
        Program::octarm().args(["server", "prune", "--releases-keep-count", "1"]).args(more.iter());
    program = program.arg_pair("--data", data);
    for (name, value) in variables {
        program = program.env(name, value);
    }
    program.run()
}

/// Moves the clock of a database that nobody uses.
fn a_day_later(file: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection =
            SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
        sqlx::query(
            "update settings set value = cast(value as integer) + 90000000 where name = 'clock_offset_ms'",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        connection.close().await.unwrap();
    });
}

fn push(setup: &Setup, content: &str) {
    let file = write(setup.folder(), "Orders.1.0.0.zip", &zip(&[Raw::new("a", content)]));
    setup.run(&["package", "push", file.to_str().unwrap(), "--overwrite", "replace"]);
}

fn stored(data: &Path) -> usize {
    let names = fs_err::read_dir(data.join("packages")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.len() == 64).count()
}

#[test]
fn a_folder_that_a_server_has_is_left_alone_and_a_stopped_one_is_pruned() {
    let mut setup = Setup::start();
    push(&setup, "one");
    push(&setup, "two");
    let beside = prune(&setup.data(), &[], &["--dry-run"]);
    assert_eq!(beside.code, Some(64), "{beside:?}");
    assert!(beside.stderr.contains("another server process is using the data folder"), "{beside:?}");
    assert!(beside.stderr.contains("stop the server that runs there first"), "{beside:?}");
    setup.stop_server();
    let shown = prune(&setup.data(), &[], &["--dry-run"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains("would remove the bytes with SHA-256 "), "{shown:?}");
    assert!(
        shown.stdout.contains("keeps package `Orders` version 1.0.0: all packages are kept"),
        "{shown:?}"
    );
    assert_eq!(stored(&setup.data()), 2);
    let done = prune(&setup.data(), &[], &["--json"]);
    let done: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&done["dry_run"], &done["things"][0]["kind"]), (&false.into(), &"blob".into()));
    assert_eq!(done["things"].as_array().unwrap().len(), 1);
    assert!(done["bytes"].as_u64().unwrap() > 100 && stored(&setup.data()) == 1);
    let again = prune(&setup.data(), &[], &[]);
    assert_eq!(again.stdout.trim(), "nothing went; 0 bytes are free by it");
    setup.start_server_again();
    push(&setup, "two");
}

#[test]
fn where_there_is_no_server_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let run = prune(&folder.path().join("data"), &[], &[]);
    assert_eq!(run.code, Some(64), "{run:?}");
    assert!(run.stderr.contains("is not a server's"), "{run:?}");
    assert!(!folder.path().join("data").exists());
    let zero = Program::octarm().args(["server", "prune", "--logs-days", "0"]).run();
    assert!(zero.code == Some(64) && zero.stderr.contains("`retention.logs_days` is 0"), "{zero:?}");
}

#[test]
fn beside_a_server_on_postgresql_young_bytes_are_spared() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(postgres::database_of(folder.path()));
    let variables = vec![("OCTARM_SERVER_DATABASE_URL".to_owned(), url)];
    let setup = Setup::start_with(&Options { variables: variables.clone(), ..Options::default() });
    push(&setup, "one");
    push(&setup, "two");
    let run = prune(&setup.data(), &variables, &[]);
    assert_eq!((run.code, run.stdout.trim()), (Some(0), "nothing went; 0 bytes are free by it"), "{run:?}");
    let shown = prune(&setup.data(), &variables, &["--dry-run"]);
    assert!(shown.stdout.contains("somebody may be about to"), "{shown:?}");
    assert_eq!(stored(&setup.data()), 2);
}

#[test]
fn objects_that_nothing_names_go_too() {
    let aws = bucket::fake();
    let variables = bucket::variables(&aws);
    let mut setup = Setup::start_with(&Options { variables: variables.clone(), ..Options::default() });
    push(&setup, "one");
    push(&setup, "two");
    setup.stop_server();
    let shown = prune(&setup.data(), &variables, &["--dry-run"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(!aws.calls().iter().any(|call| call.action == Action::DeleteObject));
    assert_eq!(aws.objects(bucket::BUCKET).len(), 3);
    // Not even where nobody else has the database: a request to a bucket may still be on its way.
    let run = prune(&setup.data(), &variables, &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(aws.objects(bucket::BUCKET).len(), 3);
    a_day_later(&setup.data().join("octarm.db"));
    let run = prune(&setup.data(), &variables, &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let left: Vec<String> = aws.objects(bucket::BUCKET).into_keys().collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&"some/where/installation".to_owned()), "{left:?}");
    setup.start_server_again();
    push(&setup, "two");
    assert_eq!(aws.objects(bucket::BUCKET).len(), 2);
}

#[test]
fn a_full_disk_is_pruned_and_a_push_that_finds_it_full_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let noise = |seed: u64| {
        let mut state = seed;
        let bytes = std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u8::try_from(state >> 56).unwrap()
        });
        bytes.take(1 << 20).collect::<Vec<u8>>()
    };
    for (name, seed) in [("one", 1), ("two", 2), ("three", 3)] {
        fs_err::create_dir(folder.path().join(name)).unwrap();
        write(&folder.path().join(name), "Orders.1.0.0.zip", &zip(&[Raw::new("a", &noise(seed)[..])]));
    }
    // The disk lives as long as this shell, so all that happens on it happens here.
    let script = r#"
        mkdir data && mount -t tmpfs -o size=9m,mode=700 small data
        "$0" server run --data data --listen 127.0.0.1:0 --address-file address 2>log &
        server=$!
        trap 'kill $server' EXIT
        until [ -s address ]; do kill -0 $server; done
        export OCTARM_SERVER="$(cat address)" OCTARM_API_KEY_FILE="$PWD/data/first-api-key"
        "$0" package push one/Orders.1.0.0.zip
        "$0" package push two/Orders.1.0.0.zip --overwrite replace
        cp data/first-api-key key
        export OCTARM_API_KEY_FILE="$PWD/key"
        free() { df --output=avail data | tail -1 | tr -d ' '; }
        dd if=/dev/zero of=data/ballast bs=1k count=$(($(free) - 768)) 2>/dev/null
        "$0" package push three/Orders.1.0.0.zip --overwrite replace 2>refusal && exit 1
        echo "left after a refused push: $(ls data/packages | wc -l)"
        trap - EXIT
        kill $server; wait $server
        dd if=/dev/zero of=data/ballast2 bs=1k 2>/dev/null || true
        echo "free: $(free)"
        "$0" server prune --data data
        echo "left after pruning: $(ls data/packages | wc -l)"
        cat refusal
    "#;
    let run =
        Program::octarm().current_dir(folder.path()).wrapped("unshare", &["-rm", "sh", "-ec", script]).run();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("the server's disk is full"), "{run:?}");
    assert!(run.stdout.contains("left after a refused push: 2\n"), "{run:?}");
    assert!(run.stdout.contains("free: 0\n"), "{run:?}");
    assert!(run.stdout.contains("1 thing went; 104"), "{run:?}");
    // The package that is named, and whose packages these are.
    assert!(run.stdout.contains("left after pruning: 2\n"), "{run:?}");
}
