//! How much of the state folder's disk is free, and whether that is enough for new work.

use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use super::{StateFolder, cache::Cache};
use crate::{deploy::bytes, protocol::MAX_REASON};

/// The disk of the state folder. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    folder: PathBuf,
    /// What is to stay free; 0 is nothing.
    minimum: u64,
}

impl Disk {
    pub(super) fn new(folder: &Path, minimum: u64) -> Self {
        Self { folder: folder.to_owned(), minimum }
    }

    /// Why no new work may be taken, after all has been removed that nobody needs. A deployment that ends for want of
    /// space in its middle leaves more behind than one that waits for another worker.
    pub(super) fn refusal(&self, cache: &Cache, state: &StateFolder) -> Option<String> {
        self.shortage()?;
        cache.make_room(0);
        if self.shortage().is_some() {
            state.prune();
        }
        let reason = self.shortage()?;
        // It goes to the server, and a path may hold anything.
        Some(reason.chars().filter(|one| !one.is_control()).take(MAX_REASON).collect())
    }

    /// Whether less than this, and what is to stay free, is there. A disk that does not say is taken at its best.
    pub(super) fn lacks(&self, wanted: u64) -> bool {
        self.free().is_some_and(|free| free < self.minimum.saturating_add(wanted))
    }

    fn shortage(&self) -> Option<String> {
        short(self.free()?, self.minimum, &self.folder)
    }

    fn free(&self) -> Option<u64> {
        match statvfs(&self.folder) {
            // What root could use besides does not count.
            Ok(found) => Some(found.f_bavail.saturating_mul(found.f_frsize)),
            Err(error) => {
                tracing::warn!(error = %error, folder = %self.folder.display(), "how much of the disk is free could not be found out");
                None
            }
        }
    }
}

fn short(free: u64, minimum: u64, folder: &Path) -> Option<String> {
    // Without how much it is: that is another number at each look, and each new reason is a write at the server.
    (free < minimum).then(|| {
        format!(
            "the disk of `{}` is short of space, at least {} are to stay free (`disk.minimum_free`)",
            folder.display(),
            bytes(minimum)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_the_floor_it_says_what_should_be_free_in_the_same_words_each_time() {
        let folder = Path::new("/var/lib/octarm/worker");
        for (free, minimum) in [(0, 0), (1, 0), (512 << 20, 512 << 20), (2 << 30, 512 << 20)] {
            assert_eq!(short(free, minimum, folder), None, "{free} of {minimum}");
        }
        for free in [(512 << 20) - 1, 100 << 20, 0] {
            assert_eq!(
                short(free, 512 << 20, folder).unwrap(),
                "the disk of `/var/lib/octarm/worker` is short of space, at least 512.0 MiB are to stay free \
                 (`disk.minimum_free`)"
            );
        }
    }

    #[test]
    fn what_is_wanted_comes_on_top_of_what_is_to_stay() {
        let folder = tempfile::tempdir().unwrap();
        let free = Disk::new(folder.path(), 0).free().unwrap();
        assert!(!Disk::new(folder.path(), 0).lacks(0));
        assert!(!Disk::new(folder.path(), free / 4).lacks(free / 4));
        assert!(Disk::new(folder.path(), u64::MAX).lacks(1));
        assert!(!Disk::new(Path::new("/nowhere"), u64::MAX).lacks(1), "a disk that does not say");
    }
}
