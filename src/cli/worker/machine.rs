//! Which machine this is.

use crate::{config::WorkerConfig, protocol::Machine};

/// This machine: an id that a clone of its disk does not share, where the system has one.
pub(super) fn machine(config: &WorkerConfig) -> Machine {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let id = config.machine_id.clone().unwrap_or_else(|| {
        let id = fs_err::read_to_string("/etc/machine-id").unwrap_or_default();
        // The id itself is confidential by systemd's own rule: what leaves the machine is made from it.
        let seed = if id.trim().is_empty() { &host } else { id.trim() };
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("octarm {seed}").as_bytes());
        hex::encode(&digest.as_ref()[..16])
    });
    Machine { host, id }
}
