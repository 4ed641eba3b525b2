//! Packages in a bucket instead of the data folder.

use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};

use crate::support::{
    aws::{Action, Credentials, FakeAws, Fault, REGION},
    ministack::{self, Ministack},
    packages::{Raw, write, zip},
    postgres,
    process::Program,
    setup::{Options, Setup},
};

pub(super) const BUCKET: &str = "octarm-blobs";
/// The object that says whose the others are: the first that a server writes.
const MARK: &str = "some/where/installation";

/// What a server with its packages in the fake's bucket is told.
pub(super) fn variables(aws: &FakeAws) -> Vec<(String, String)> {
    let Credentials { key_id, secret, .. } = Credentials::default();
    told(aws.endpoint(), aws.region(), &key_id, &secret)
}

fn told(endpoint: &str, region: &str, key_id: &str, secret: &str) -> Vec<(String, String)> {
    [
        ("OCTARM_SERVER_BLOBS", "s3://octarm-blobs/some/where/"),
        ("OCTARM_SERVER_BLOBS_ENDPOINT", endpoint),
        ("OCTARM_SERVER_BLOBS_REGION", region),
        ("AWS_ACCESS_KEY_ID", key_id),
        ("AWS_SECRET_ACCESS_KEY", secret),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

pub(super) fn fake() -> FakeAws {
    let aws = FakeAws::start();
    aws.create_bucket(BUCKET, REGION, false);
    aws
}

fn start(aws: &FakeAws) -> Setup {
    Setup::start_with(&Options { variables: variables(aws), ..Options::default() })
}

/// A package that does not get smaller by packing, and its place in the bucket.
fn large(setup: &Setup) -> (PathBuf, Vec<u8>, String) {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from(state >> 56).unwrap()
    })
    .take(300_000)
    .collect();
    let bytes = zip(&[Raw::new("a", &noise[..])]);
    let sha256 = hex::encode(digest(&SHA256, &bytes));
    let key = format!("some/where/sha256/{}/{sha256}", &sha256[..2]);
    (write(setup.folder(), "Orders.1.0.0.zip", &bytes), bytes, key)
}

fn count(aws: &FakeAws, action: Action) -> usize {
    aws.calls().iter().filter(|call| call.action == action).count()
}

fn left_over(setup: &Setup) -> usize {
    fs_err::read_dir(setup.data().join("packages")).unwrap().count()
}

fn raw(setup: &Setup) -> (u16, Vec<u8>) {
    let request = reqwest::Client::new()
        .get(format!("{}/api/packages/Orders.1.0.0/raw", setup.url()))
        .header("X-Octopus-ApiKey", setup.key());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    })
}

#[test]
fn a_package_lies_under_its_digest_and_is_sent_once() {
    for on_postgres in [false, true] {
        let aws = fake();
        let mut variables = variables(&aws);
        let folder = tempfile::tempdir().unwrap();
        if on_postgres {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let url = runtime.block_on(postgres::database_of(folder.path()));
            variables.push(("OCTARM_SERVER_DATABASE_URL".to_owned(), url));
        }
        let setup = Setup::start_with(&Options { variables, ..Options::default() });
        let (file, bytes, key) = large(&setup);
        let file = file.to_str().unwrap();
        setup.run(&["package", "push", file]);
        let objects = aws.objects(BUCKET);
        assert_eq!(objects.keys().map(String::as_str).collect::<Vec<_>>(), [MARK, &key]);
        assert_eq!(objects[&key][0].bytes, bytes);
        assert_eq!(left_over(&setup), 0);
        // The same bytes again, also under another name, are there already.
        setup.run(&["package", "push", file, "--overwrite", "replace"]);
        let other = write(setup.folder(), "Other.1.0.0.zip", &bytes);
        setup.run(&["package", "push", other.to_str().unwrap()]);
        assert_eq!(count(&aws, Action::PutObject), 2);
        assert_eq!(raw(&setup), (200, bytes));
        assert_eq!(left_over(&setup), 0);
    }
}

/// The most memory that the server ever had, in KiB.
fn peak(setup: &Setup) -> usize {
    let status = fs_err::read_to_string(format!("/proc/{}/status", setup.server().pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_large_package_is_never_in_memory() {
    let aws = fake();
    let size = 24 << 20;
    let package = zip(&[Raw::new("a", vec![0; size])]);
    for variables in [Vec::new(), variables(&aws)] {
        let setup = Setup::start_with(&Options { variables, ..Options::default() });
        let small = write(setup.folder(), "Small.1.0.0.zip", &zip(&[Raw::new("a", "b")]));
        setup.run(&["package", "push", small.to_str().unwrap()]);
        let before = peak(&setup);
        let large = write(setup.folder(), "Orders.1.0.0.zip", &package);
        setup.run(&["package", "push", large.to_str().unwrap()]);
        assert_eq!(raw(&setup).1.len(), package.len());
        let grown = peak(&setup) - before;
        assert!(grown < size / 1024 / 2, "{grown} KiB more for a package of {} KiB", size / 1024);
    }
}

#[test]
fn reading_goes_on_where_the_line_was_cut() {
    let aws = fake();
    let setup = start(&aws);
    let (file, bytes, _) = large(&setup);
    setup.run(&["package", "push", file.to_str().unwrap()]);
    // More cuts than are borne without a byte in between.
    aws.on(Action::GetObject, Fault::Times(5, Box::new(Fault::CutBody(50_000))));
    assert_eq!(raw(&setup), (200, bytes));
    assert_eq!(aws.faults_left(), 0);
}

#[test]
fn an_object_that_is_gone_is_named_with_its_package() {
    let aws = fake();
    let setup = start(&aws);
    let (file, _, key) = large(&setup);
    setup.run(&["package", "push", file.to_str().unwrap()]);
    aws.delete_object(BUCKET, &key);
    let (status, body) = raw(&setup);
    let text = String::from_utf8(body).unwrap();
    assert_eq!(status, 404);
    assert!(text.contains("package `Orders.1.0.0.zip` cannot be read"), "{text}");
    assert!(text.contains(&format!("there is no `s3://{BUCKET}/{key}`")), "{text}");
}

#[test]
fn a_bucket_that_fails_half_way_leaves_nothing() {
    let aws = fake();
    let setup = start(&aws);
    let (file, _, key) = large(&setup);
    let file = file.to_str().unwrap();
    let refuse = |status: u16, error_type: &str| Fault::Refuse {
        status,
        error_type: error_type.to_owned(),
        message: "No.".to_owned(),
        retry_after: None,
    };
    for fault in [Fault::CutBefore, refuse(500, "InternalError"), refuse(403, "AccessDenied")] {
        // As often as the SDK tries, and the client of this command.
        aws.on(Action::PutObject, Fault::Times(40, Box::new(fault)));
        let run = setup.octarm(["package", "push", file]).run();
        assert_ne!(run.code, Some(0), "{run:?}");
        assert_eq!(left_over(&setup), 0);
        assert_eq!(aws.objects(BUCKET).keys().collect::<Vec<_>>(), [MARK]);
        let packages: serde_json::Value = serde_json::from_str(&setup.get("/api/packages")).unwrap();
        assert_eq!(packages["TotalResults"], 0);
        aws.forget_faults();
    }
    // The answer alone was lost: the object is there, and the next try finds it.
    aws.on(Action::PutObject, Fault::CutAfter);
    setup.run(&["package", "push", file]);
    assert_eq!(aws.objects(BUCKET).keys().map(String::as_str).collect::<Vec<_>>(), [MARK, &key]);
}

#[test]
fn check_config_reads_and_says_what_is_wrong() {
    let aws = fake();
    let folder = tempfile::tempdir().unwrap();
    let check = |variables: Vec<(String, String)>| {
        let mut program = Program::octarm().args(["server", "check-config", "--listen", "127.0.0.1:0"]);
        program = program.arg_pair("--data", folder.path().join("data"));
        for (name, value) in variables {
            program = program.env(name, value);
        }
        program.run()
    };
    let good = check(variables(&aws));
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.stdout.contains("the bucket of packages, `s3://octarm-blobs/some/where/`"), "{good:?}");
    assert!(aws.calls().iter().all(|call| call.action == Action::ListObjects), "{:?}", aws.calls());

    let stranger = told(aws.endpoint(), aws.region(), "AKIAUNKNOWN", "another");
    let writer = Credentials::new("AKIAWRITER", "writer").allowed_only(&[Action::PutObject]);
    aws.add_credentials(&writer);
    let writer = told(aws.endpoint(), aws.region(), "AKIAWRITER", "writer");
    let nowhere = told("http://127.0.0.1:1", aws.region(), "AKIAWRITER", "writer");
    let with = |url: &str| {
        let mut variables = variables(&aws);
        url.clone_into(&mut variables[0].1);
        variables
    };
    aws.create_bucket("elsewhere", "us-west-2", false);
    for (variables, code, words) in [
        (stranger, 64, "check the AWS credentials of this machine"),
        (writer, 64, "these credentials need s3:ListBucket"),
        (nowhere, 69, "no answer from AWS to ListObjectsV2"),
        (with("s3://missing"), 64, "create the bucket"),
        (with("s3://elsewhere"), 64, "set `blobs_region`"),
        (with("s3://NO"), 64, "`NO`"),
        (with("s3://abc/a//b"), 64, "`a//b`"),
    ] {
        let run = check(variables);
        assert_eq!(run.code, Some(code), "{run:?}");
        assert!(run.stderr.contains(words), "{words}: {run:?}");
    }
    assert!(!folder.path().join("data").exists());
}

#[test]
fn an_independent_imitation_of_s3_takes_it_too() {
    let aws = Ministack::start();
    aws.create_bucket(BUCKET);
    let variables = told(aws.endpoint(), ministack::REGION, ministack::ROOT.0, ministack::ROOT.1);
    let setup = Setup::start_with(&Options { variables, ..Options::default() });
    let (file, bytes, _) = large(&setup);
    let file = file.to_str().unwrap();
    setup.run(&["package", "push", file]);
    setup.run(&["package", "push", file, "--overwrite", "replace"]);
    assert_eq!(raw(&setup), (200, bytes));
    assert_eq!(left_over(&setup), 0);
}

#[test]
fn who_shares_a_bucket_by_mistake_or_forgets_it_is_told_at_the_start() {
    let aws = fake();
    let mut setup = start(&aws);
    let (file, ..) = large(&setup);
    setup.run(&["package", "push", file.to_str().unwrap()]);
    // Another installation below the same prefix.
    let other = tempfile::tempdir().unwrap();
    let data = other.path().join("data");
    let serve = |data: &std::path::Path, variables: Vec<(String, String)>| {
        let program = Program::octarm().args(["server", "run", "--listen", "127.0.0.1:0", "--data"]);
        variables.iter().fold(program.args([data]), |program, (name, value)| program.env(name, value)).run()
    };
    let refused = serve(&data, variables(&aws));
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(refused.stderr.contains("belong to installation"), "{refused:?}");
    // The same one without its bucket.
    setup.stop_server();
    let refused = serve(&setup.data(), Vec::new());
    assert_eq!(refused.code, Some(64), "{refused:?}");
    for part in ["names 1 packages and logs", "holds none of them", "hint: set `blobs`"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
}

#[test]
fn a_restored_copy_takes_its_originals_bucket_only_when_it_is_told_to() {
    let aws = fake();
    let mut setup = start(&aws);
    let (file, bytes, key) = large(&setup);
    setup.run(&["package", "push", file.to_str().unwrap()]);
    let folder = tempfile::tempdir().unwrap();
    let (backup, copy) = (folder.path().join("backup.tar"), folder.path().join("copy"));
    let octarm = |words: &[&str], data: &std::path::Path| {
        let program = Program::octarm().args(["server"]).args(words).arg_pair("--data", data);
        variables(&aws).iter().fold(program, |program, (name, value)| program.env(name, value)).run()
    };
    let made = octarm(&["backup", "--with-master-key", "--output", backup.to_str().unwrap()], &setup.data());
    assert_eq!(made.code, Some(0), "{made:?}");
    // What the original gets after it, the copy does not know.
    let later = write(setup.folder(), "Later.1.0.0.zip", &zip(&[Raw::new("a", &b"later"[..])]));
    setup.run(&["package", "push", later.to_str().unwrap()]);
    let restored = octarm(&["restore", backup.to_str().unwrap()], &copy);
    assert!(restored.code == Some(0) && restored.stdout.contains("octarm server take-over"), "{restored:?}");
    for words in [
        &["run", "--listen", "127.0.0.1:0"] as &[&str],
        &["prune"],
        &["check-config", "--listen", "127.0.0.1:0"],
    ] {
        let refused = octarm(words, &copy);
        assert_eq!(refused.code, Some(64), "{refused:?}");
        for part in ["belong to another copy of this database", "octarm server take-over"] {
            assert!(refused.stderr.contains(part), "{part}: {refused:?}");
        }
    }
    // The original does not notice.
    assert_eq!(raw(&setup), (200, bytes));
    setup.stop_server();
    let taken = octarm(&["take-over"], &copy);
    assert!(taken.code == Some(0) && taken.stdout.contains("are this database's"), "{taken:?}");
    let pruned = octarm(&["prune", "--dry-run"], &copy);
    assert_eq!(pruned.code, Some(0), "{pruned:?}");
    let refused = octarm(&["run", "--listen", "127.0.0.1:0"], &setup.data());
    assert!(refused.stderr.contains("belong to another copy"), "{refused:?}");
    assert!(aws.objects(BUCKET).contains_key(&key));
}
