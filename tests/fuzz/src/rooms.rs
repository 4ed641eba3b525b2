//! The rooms of octarm that read what strangers wrote, and what must hold for them.

// The checks name octarm as the integration tests do.
extern crate self as octarm;

mod checks;

/// The files of octarm itself: its layers of meaning and of formats, without settings and protocol.
#[path = "../../../src"]
mod rooms {
    pub mod conventions;
    pub mod model;
    pub mod package;
    pub mod template;
    pub mod version;
}
pub use rooms::{conventions, model, package, template, version};

/// Checks one input of a target.
pub fn check(target: &str, bytes: &[u8]) {
    let found = checks::TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = found.expect("the name of a target");
    check(bytes);
}
