//! How the release build of the program is linked, so that a small command needs little memory.
//!
//! Of the 20 MB of code a small command runs less than one, but the system maps 64 KiB around every page that is
//! touched. So the functions that such a command runs are laid side by side (`first.ld`), and the relocations of the
//! program, which are read as a whole at every start, are packed: 1.3 MB of them become 16 KB.

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::Command,
};

/// The first glibc that reads packed relocations; a program that has them does not start on an older one.
const PACKED_SINCE: (u32, u32) = (2, 36);
/// The oldest glibc that the program is to run on, where that is not the one of this machine.
const OLDEST: &str = "OCTARM_OLDEST_GLIBC";

fn main() -> io::Result<()> {
    let folder = Path::new(&variable("CARGO_MANIFEST_DIR")).join("packaging/build");
    let mut out = io::stdout().lock();
    writeln!(out, "cargo::rerun-if-changed={}", folder.display())?;
    writeln!(out, "cargo::rerun-if-env-changed={OLDEST}")?;
    if variable("PROFILE") == "release" && variable("CARGO_CFG_TARGET_OS") == "linux" && is_usual_linker() {
        writeln!(out, "cargo::rustc-link-arg-bins=-Wl,-T,{}", folder.join("first.ld").display())?;
        let oldest = if variable("CARGO_CFG_TARGET_ENV") == "gnu" { oldest_glibc() } else { None };
        if oldest.is_some_and(|oldest| oldest >= PACKED_SINCE) {
            writeln!(out, "cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs")?;
        }
    }
    Ok(())
}

/// A variable of the environment that cargo made for this script; empty where there is none.
#[expect(clippy::disallowed_methods, reason = "cargo talks to a build script through its environment")]
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Whether nobody chose a linker: the usual ones, LLD and the one of GNU, take a script; others may not.
fn is_usual_linker() -> bool {
    variable("RUSTC_LINKER").is_empty() && !variable("CARGO_ENCODED_RUSTFLAGS").contains("fuse-ld")
}

/// The oldest glibc that has to read the program; none where it cannot be told.
fn oldest_glibc() -> Option<(u32, u32)> {
    let asked = variable(OLDEST);
    if !asked.is_empty() {
        return version(&asked);
    }
    if variable("HOST") != variable("TARGET") {
        return None;
    }
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    version(std::str::from_utf8(&output.stdout).ok()?.trim().strip_prefix("glibc ")?)
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
