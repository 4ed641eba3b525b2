//! The units in `packaging/systemd`, held against what the daemons do, and against systemd's own eyes where it is there.

use std::{collections::HashMap, path::PathBuf, process::Command};

use octarm::config::{Environment, WorkerConfig};

fn unit(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd").join(name)
}

const UNITS: [&str; 2] = ["octarm-worker.service", "octarm-server.service"];

/// The directives of `[Service]`; of one that stands there twice, the last.
fn directives(name: &str) -> HashMap<String, String> {
    let text = fs_err::read_to_string(unit(name)).unwrap();
    let service = text.split("[Service]").nth(1).unwrap().split("\n[").next().unwrap();
    let lines = service.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
}

/// `3min`, `2min`, `5s`.
fn seconds(text: &str) -> u64 {
    let number = |unit| text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
    number("min").map(|minutes| minutes * 60).or_else(|| number("s")).unwrap()
}

#[test]
fn the_units_say_what_the_daemons_do() {
    for name in UNITS {
        let found = directives(name);
        for (key, value) in [
            ("Type", "notify"),
            ("NotifyAccess", "main"),
            ("KillMode", "mixed"),
            ("KillSignal", "SIGTERM"),
            ("ExecReload", "/bin/kill -HUP $MAINPID"),
            ("Restart", "on-failure"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            ("UMask", "0077"),
        ] {
            assert_eq!(found.get(key).map(String::as_str), Some(value), "{key} of {name}");
        }
        // A poll that nobody answers, a pause and a margin: the daemon itself warns below two minutes.
        assert!(seconds(&found["WatchdogSec"]) > 2 * 60, "{name}");
    }
}

#[test]
fn what_a_drain_leaves_is_cancelled_before_systemd_kills() {
    let flags = vec![("state", "/s".to_owned())];
    let empty = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let config = WorkerConfig::read(Some(empty.path()), &Environment::default(), flags).unwrap();
    let patience = seconds(&directives("octarm-worker.service")["TimeoutStopSec"]);
    assert!(config.drain_deadline.as_secs() + 60 <= patience, "{:?} of {patience} s", config.drain_deadline);
}

#[test]
fn systemd_takes_the_units_and_finds_little_exposed() {
    let folder = tempfile::tempdir().unwrap();
    for name in UNITS {
        // It looks whether the program is there.
        let text = fs_err::read_to_string(unit(name)).unwrap();
        let file = folder.path().join(name);
        fs_err::write(&file, text.replace("/usr/bin/octarm", env!("CARGO_BIN_EXE_octarm"))).unwrap();
        let analyze = |words: &[&str]| Command::new("systemd-analyze").args(words).arg(&file).output();
        // Where there is no systemd, the directives that matter are held above.
        let Ok(output) = analyze(&["verify"]) else { return };
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
        let output = analyze(&["security", "--offline=true", "--threshold=20"]).unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
