//! What the tests stand on: packages, fakes, proxies and child processes.

pub(crate) mod arrows;
pub(crate) mod aws;
pub(crate) mod clock;
pub(crate) mod cut;
pub(crate) mod ministack;
pub(crate) mod packages;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod sdk;
pub(crate) mod server;
pub(crate) mod setup;
pub(crate) mod systemd;
pub(crate) mod worker;

use std::time::Duration;

/// How long a test waits for something that must happen: so long that only a fault makes it end.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
