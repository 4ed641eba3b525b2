//! The commands of people: everything that the server holds, profiles, what shells and `man` are given.

mod files;
mod hostile;
mod life;
mod profiles;
mod resources;
mod shells;

use crate::support::process::Output;

/// A command that must end with this code, and say this somewhere.
#[track_caller]
fn expect(output: &Output, code: i32, parts: &[&str]) {
    assert_eq!(output.code, Some(code), "{output:?}");
    let all = format!("{}{}", output.stdout, output.stderr);
    for part in parts {
        assert!(all.contains(part), "expected {part:?} in\n{all}");
    }
}
