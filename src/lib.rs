#![doc = include_str!("README.md")]

// Layer 0: meaning. No I/O, no async, no clock.
pub mod model;
pub mod template;
pub mod version;

// Layer 1: formats and settings. Bytes and files, no network.
pub mod config;
pub mod conventions;
pub mod package;
pub mod protocol;

// Layer 2: the outside world, one adapter for each neighbour.
pub mod aws;
pub mod blobs;
pub mod client;
pub mod health;
pub mod store;
pub mod systemd;

// Layer 3: the work.
pub mod deploy;

// Layer 4: the two daemons; they meet only in `protocol`.
pub mod server;
pub mod worker;

// Layer 5: the person.
pub mod cli;
pub mod exit;
pub mod shutdown;
pub mod telemetry;
