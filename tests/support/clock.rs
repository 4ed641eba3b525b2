//! Clocks of a process that the test moves: a wall clock that jumps, a machine that was suspended.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::{NamedTempFile, TempDir};

use super::process::Program;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clock.c");

/// The clocks of the programs that were started with it.
pub(crate) struct Clock {
    /// How far wall clock and monotonic clock are moved, in nanoseconds.
    moved: NamedTempFile,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let clock = Self { moved: NamedTempFile::new().unwrap() };
        clock.set(0, 0);
        clock.set(1, 0);
        clock
    }

    /// The same program by these clocks.
    pub(crate) fn of(&self, program: Program) -> Program {
        program.env("LD_PRELOAD", library()).env("OCTARM_TEST_CLOCK", self.moved.path())
    }

    /// From now on the wall clock is wrong by so many seconds.
    pub(crate) fn jump(&self, seconds: i64) {
        self.set(0, seconds * 1_000_000_000);
    }

    /// The monotonic clock stood still for this long, as it does while a machine is suspended.
    pub(crate) fn suspended(&self, time: Duration) {
        let before = self.get(1);
        self.set(1, before - i64::try_from(time.as_nanos()).unwrap());
    }

    fn set(&self, which: u64, nanoseconds: i64) {
        self.moved.as_file().write_all_at(&nanoseconds.to_ne_bytes(), which * 8).unwrap();
    }

    fn get(&self, which: u64) -> i64 {
        let mut bytes = [0; 8];
        self.moved.as_file().read_exact_at(&mut bytes, which * 8).unwrap();
        i64::from_ne_bytes(bytes)
    }
}

/// Made once for all tests, by the compiler that building octarm needs anyway.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_folder, path) = LIBRARY.get_or_init(|| {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = folder.path().join("clock.so");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&path)
            .arg(SOURCE);
        let output = compiler.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (folder, path)
    });
    path
}
