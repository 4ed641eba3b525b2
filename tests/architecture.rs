//! The rules of import between the rooms, read from the sources: a breach prints the rule it breaks.

use std::path::{Path, PathBuf};

/// The rooms in the order of the layers; a room may import only rooms before it in this list.
const ROOMS: [&str; 21] = [
    "model",
    "version",
    "template",
    "package",
    "conventions",
    "protocol",
    "config",
    "client",
    "aws",
    "blobs",
    "store",
    "systemd",
    "health",
    "deploy",
    "worker",
    "server",
    "exit",
    "shutdown",
    "telemetry",
    "cli",
    "main",
];
/// Rooms that never see each other though the order would allow it.
const STRANGERS: [(&str, &str, &str); 5] = [
    ("server", "worker", "the daemons meet only in `protocol`"),
    ("server", "client", "client and server share only `protocol` and `model`"),
    ("server", "deploy", "the server hands deployments out, it never runs one"),
    ("worker", "store", "the worker knows the server only by the protocol"),
    ("deploy", "client", "the engine runs without a server too"),
];
/// Vocabularies of others, each at home in one room.
const VOCABULARIES: [(&str, &[&str]); 13] = [
    ("aws_sdk_", &["aws"]),
    ("sqlx::", &["store"]),
    ("axum::", &["server"]),
    ("clap::", &["cli", "main"]),
    ("zip::", &["package"]),
    // A backup of the server is a tar, and no package.
    ("tar::", &["package", "server"]),
    ("bzip2::", &["package"]),
    ("reqwest::", &["client"]),
    ("sd_notify::", &["systemd"]),
    // The server has axum; the page of a daemon's health is too small for that.
    ("hyper::", &["health"]),
    ("indicatif::", &["cli"]),
    // What the worker API is made of tells its own schema, and the server puts it into its document.
    ("schemars::", &["model", "protocol", "server"]),
    ("std::env::", &["config", "cli"]),
];
/// What rooms without I/O never mention.
const PURE: [(&str, &[&str]); 3] = [
    ("model", &["async fn", "std::fs", "fs_err", "tokio", "tracing::", "Timestamp::now", "Instant::now"]),
    ("template", &["async fn", "std::fs", "fs_err", "tokio", "tracing::", "Timestamp::now", "Instant::now"]),
    ("version", &["async fn", "std::fs", "fs_err", "tokio", "tracing::", "Timestamp::now", "Instant::now"]),
];

#[test]
fn rooms_import_only_what_lies_below_them() {
    let mut breaches = Vec::new();
    for (path, text) in sources() {
        let room = room_of(&path);
        let Some(place) = ROOMS.iter().position(|known| *known == room) else {
            if room != "lib" {
                breaches.push(format!("{}: the room `{room}` is not in the list of layers", path.display()));
            }
            continue;
        };
        for used in used_rooms(&text) {
            let used_place = ROOMS.iter().position(|known| *known == used);
            if used_place.is_none_or(|used_place| used_place > place) {
                breaches.push(format!("{}: `{room}` imports `{used}`, which lies above it", path.display()));
            }
            if let Some((.., why)) =
                STRANGERS.iter().find(|(one, other, _)| (*one, *other) == (room.as_str(), used))
            {
                breaches.push(format!("{}: `{room}` imports `{used}`: {why}", path.display()));
            }
        }
        for (word, homes) in VOCABULARIES {
            if !homes.contains(&room.as_str()) && code(&text).any(|line| mentions(line, word)) {
                breaches
                    .push(format!("{}: `{word}` is at home in {homes:?}, not in `{room}`", path.display()));
            }
        }
        for (pure, words) in PURE {
            for word in
                words.iter().filter(|word| room == pure && code(&text).any(|line| line.contains(**word)))
            {
                breaches.push(format!("{}: `{room}` is pure and has no `{word}`", path.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn every_source_file_opens_with_its_purpose_and_stays_small() {
    for (path, text) in sources() {
        let is_front = text.starts_with("#![doc = include_str!");
        assert!(is_front || text.starts_with("//! "), "{} has no opening sentence", path.display());
        let lines = text.lines().count();
        assert!(lines <= 700, "{} has {lines} lines: it is asking to be two", path.display());
    }
}

#[test]
fn the_map_names_every_room() {
    let map = fs_err::read_to_string(root().join("src/README.md")).unwrap();
    for room in ROOMS {
        assert!(map.contains(&format!("`{room}`")), "src/README.md does not name `{room}`");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs_err::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn room_of(path: &Path) -> String {
    let first = path.components().nth(1).unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The code before a file's own tests, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn mentions(line: &str, word: &str) -> bool {
    let is_part = |at: usize| line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    line.match_indices(word).any(|(at, _)| !is_part(at))
}

/// Every room that the code names: `crate::room…`, or inside `use crate::{…}`.
fn used_rooms(text: &str) -> Vec<&str> {
    let mut used = Vec::new();
    let mut depth = 0;
    for line in code(text) {
        let line = line.trim();
        for (at, found) in line.match_indices("crate::") {
            used.extend(first_word(&line[at + found.len()..]));
        }
        if let Some(rest) = line.strip_prefix("use crate::{") {
            depth = 1;
            used.extend(rest.split(", ").filter_map(first_word).take(1));
            depth += braces(rest);
        } else if depth > 0 {
            if depth == 1 {
                used.extend(top_level(line));
            }
            depth += braces(line);
        }
    }
    used.retain(|name| ROOMS.contains(name));
    used
}

/// The rooms of one line inside `use crate::{`, without what stands in inner braces.
fn top_level(line: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut start = 0;
    let mut found = Vec::new();
    for (at, c) in line.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(first_word(&line[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.extend(first_word(&line[start..]));
    found
}

fn braces(text: &str) -> i32 {
    text.chars().map(|c| i32::from(c == '{') - i32::from(c == '}')).sum()
}

fn first_word(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    Some(&text[..end]).filter(|word| !word.is_empty())
}
