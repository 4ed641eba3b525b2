#![doc = include_str!("README.md")]

// Layer 0: meaning. No I/O, no async, no clock.
pub mod model;
pub mod version;

// Layer 1: formats and settings. Bytes and files, no network.
pub mod package;
pub mod protocol;

// Layer 2: the outside world, one adapter for each neighbour.
pub mod blobs;
pub mod store;

// Layer 4: the daemons.
pub mod server;
