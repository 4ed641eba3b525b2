//! Replays the committed corpus of the fuzz targets: what was found once stays found, also where nobody fuzzes.

use std::path::Path;

#[path = "fuzz/src/checks.rs"]
pub(crate) mod checks;

fn replay(target: &str) {
    let (_, check) = checks::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut count = 0;
    for input in fs_err::read_dir(&folder).unwrap() {
        let path = input.unwrap().path();
        let bytes = fs_err::read(&path).unwrap();
        let outcome = std::panic::catch_unwind(|| check(&bytes));
        assert!(outcome.is_ok(), "{} does not hold: see above", path.display());
        count += 1;
    }
    assert!(count >= 10, "{} holds only {count} inputs", folder.display());
}

#[test]
fn archive() {
    replay("archive");
}

#[test]
fn nuspec() {
    replay("nuspec");
}

#[test]
fn templates() {
    replay("templates");
}

#[test]
fn versions() {
    replay("versions");
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut found: Vec<String> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, checks::TARGETS.map(|(name, _)| name));
}
