//! What a process remembers of packages that it has verified: to check a package again, byte by byte, for its second
//! function or the next environment costs most of a deployment's time and tells nothing new.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use super::Log;
use crate::package::{Package, PackageError, Remembered, Repacked};

/// How many packages are remembered, a few kilobytes each.
const PACKAGES: usize = 100;

/// The packages that this process has verified. Clones share one memory.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Mutex<Remembered>>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Remembered::new(PACKAGES))))
    }
}

impl Memory {
    /// What is known of the package with this SHA-256, which was computed of the file that will be deployed.
    pub fn of(&self, sha256: impl Into<String>) -> Known {
        Known { memory: self.clone(), sha256: sha256.into() }
    }
}

/// What is known of one package.
#[derive(Debug, Clone)]
pub struct Known {
    memory: Memory,
    sha256: String,
}

impl Known {
    /// Repacks the package, and looks at every byte of it only the first time.
    pub(super) fn repack(
        &self,
        package: &Package,
        folder: &str,
        to: impl Write,
        log: &Log,
    ) -> Result<Repacked, PackageError> {
        let verification = self.remembered(|remembered| remembered.get(&self.sha256));
        if let Some(verification) = verification {
            log.verbose("this package was verified before: its files are not unzipped again");
            return package.repack_remembered(folder, &self.sha256, &verification, to);
        }
        let (repacked, verification) = package.repack_verified(folder, &self.sha256, to)?;
        self.remembered(|remembered| remembered.insert(verification));
        Ok(repacked)
    }

    fn remembered<T>(&self, act: impl FnOnce(&mut Remembered) -> T) -> T {
        // A memory that somebody panicked with is still one of whole entries.
        act(&mut self.memory.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
