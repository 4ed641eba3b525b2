//! What was learnt when every byte of a package was checked, to be remembered by the package's digest.

use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};

/// Raised whenever a package that was taken before could be refused, or be repacked to other bytes.
const RULES: u32 = 1;

/// That a package was checked, byte by byte, and which of its files are executable by what they hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    rules: u32,
    /// Digest of the package file, in hexadecimal.
    package_sha256: String,
    /// Where the data of programs and scripts begins in it, in order: unlike names and places in a list, that
    /// depends on the file alone.
    programs: Vec<u64>,
}

impl Verification {
    pub(super) fn new(package_sha256: &str, programs: Vec<u64>) -> Self {
        Self { rules: RULES, package_sha256: package_sha256.to_ascii_lowercase(), programs }
    }

    /// The programs, if this is of the package with that digest; else what it is of, and what was expected.
    pub(super) fn programs_of(&self, package_sha256: &str) -> Result<&[u64], (String, String)> {
        if self.is_of(package_sha256) {
            return Ok(&self.programs);
        }
        let shown = |sha256: &str, rules| format!("SHA-256 {sha256} by rules {rules}");
        Err((shown(&self.package_sha256, self.rules), shown(package_sha256, RULES)))
    }

    fn is_of(&self, package_sha256: &str) -> bool {
        self.rules == RULES && self.package_sha256.eq_ignore_ascii_case(package_sha256)
    }
}

/// The packages that were verified last, a bounded number of them.
#[derive(Debug)]
pub struct Remembered {
    /// The one that was used last is the last.
    verifications: VecDeque<Arc<Verification>>,
    most: usize,
}

impl Remembered {
    /// Remembers at most so many packages.
    pub fn new(most: usize) -> Self {
        Self { verifications: VecDeque::new(), most }
    }

    /// What is known of the package with that digest.
    pub fn get(&mut self, package_sha256: &str) -> Option<Arc<Verification>> {
        let place = self.verifications.iter().position(|known| known.is_of(package_sha256))?;
        let found = self.verifications.remove(place)?;
        self.verifications.push_back(Arc::clone(&found));
        Some(found)
    }

    /// Remembers a package, and forgets the one that was not used for the longest time.
    pub fn insert(&mut self, verification: Verification) {
        self.verifications.retain(|known| known.package_sha256 != verification.package_sha256);
        self.verifications.push_back(Arc::new(verification));
        while self.verifications.len() > self.most {
            self.verifications.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_is_kept() {
        let mut remembered = Remembered::new(2);
        remembered.insert(Verification::new("aa", vec![1]));
        remembered.insert(Verification::new("bb", vec![2]));
        assert_eq!(remembered.get("AA").unwrap().programs, [1]);
        remembered.insert(Verification::new("cc", vec![3]));
        assert!(remembered.get("bb").is_none());
        assert!(remembered.get("aa").is_some());
        // The same again takes no second place.
        remembered.insert(Verification::new("cc", vec![4]));
        assert!(remembered.get("aa").is_some());
        assert_eq!(remembered.get("cc").unwrap().programs, [4]);
    }

    #[test]
    fn other_rules_count_for_nothing() {
        let old = Verification { rules: RULES - 1, ..Verification::new("aa", Vec::new()) };
        assert!(old.programs_of("aa").is_err());
        let mut remembered = Remembered::new(2);
        remembered.insert(old);
        assert!(remembered.get("aa").is_none());
    }

    #[test]
    fn it_can_be_kept_as_text() {
        let text = r#"{"rules":1,"package_sha256":"aa","programs":[7]}"#;
        let verification: Verification = serde_json::from_str(text).unwrap();
        assert_eq!(verification, Verification::new("AA", vec![7]));
        assert_eq!(serde_json::to_string(&verification).unwrap(), text);
    }
}
