//! What the documents promise, held against the program.

use std::path::{Path, PathBuf};

use octarm::{
    config::{Environment, ServerConfig, WorkerConfig},
    exit::Exit,
};
use secrecy::ExposeSecret as _;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The file with every commented setting made a real one: `# key = value` becomes `key = value`.
fn uncommented(name: &str) -> tempfile::NamedTempFile {
    let text = fs_err::read_to_string(root().join("packaging/etc").join(name)).unwrap();
    let is_setting = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line))
        .collect();
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    fs_err::write(file.path(), lines.join("\n")).unwrap();
    file
}

#[test]
fn the_reference_of_the_workers_settings_holds() {
    let file = uncommented("worker.toml");
    let text = fs_err::read_to_string(file.path()).unwrap();
    for key in [
        "state",
        "conventions",
        "machine_id",
        "concurrency",
        "log_limit",
        "max_size",
        "minimum_free",
        "from_environment",
        "format",
        "level",
    ] {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key} is not described");
    }
    let read = WorkerConfig::read(Some(file.path()), &Environment::default(), Vec::new()).unwrap();
    assert_eq!(
        read.from_environment,
        ["AWS.Deployment.Key", "AWS.Deployment.Secret", "AWS.Deployment.Region"]
    );
    assert_eq!(read.concurrency.get(), 1);
    assert_eq!((read.log_limit, read.cache_size, read.minimum_free), (Some(32 << 20), 1 << 30, 512 << 20));
    assert_eq!(read.state, Path::new("/var/lib/octarm/worker"));
}

#[test]
fn the_reference_of_the_servers_settings_holds() {
    let file = uncommented("server.toml");
    let text = fs_err::read_to_string(file.path()).unwrap();
    for key in
        ["data", "database_url", "listen", "tls", "lease_seconds", "unknown_after_seconds", "format", "level"]
    {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key} is not described");
    }
    // The values shown are the defaults, but for the places that have none.
    let shown = ServerConfig::read(Some(file.path()), &Environment::default(), Vec::new()).unwrap();
    let url = shown.database_url.as_ref().unwrap().expose_secret().to_owned();
    let places = vec![("data", shown.data.display().to_string()), ("database_url", url)];
    let empty = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let read = ServerConfig::read(Some(empty.path()), &Environment::default(), places).unwrap();
    // Their text hides what is secret, and shows all else.
    assert_eq!(format!("{read:?}"), format!("{shown:?}"));
}

#[test]
fn the_table_of_exit_codes_holds() {
    let readme = fs_err::read_to_string(root().join("README.md")).unwrap();
    for (_, code, meaning) in Exit::TABLE {
        assert!(readme.contains(&format!("| {code} | {meaning} |")), "README.md lacks {code} {meaning}");
    }
}

#[test]
fn every_folder_at_the_top_has_its_door_sign() {
    for folder in ["src", "conventions", "tests", "packaging"] {
        assert!(root().join(folder).join("README.md").is_file(), "{folder} has no README.md");
    }
}
