//! The one integration test binary: every module drives octarm through a public door.
// All of it is test code, helpers included: lints then allow what they allow in tests.
#![cfg(test)]

mod architecture;
mod cli;
mod conventions;
mod corpus;
mod deploy;
mod documents;
mod fake;
mod package;
mod server;
mod storm;
mod support;
mod systemd;
mod template;
mod version;
mod whole;
mod worker;
