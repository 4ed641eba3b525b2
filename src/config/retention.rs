//! What a server keeps, and for how long.

use serde::Deserialize;

use super::ConfigError;

/// What is kept. Where nothing is said, everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Releases: so many in each environment of each project.
    pub releases: Keep,
    /// Packages: so many versions of each.
    pub packages: Keep,
    /// For how many days after a deployment's end its log is kept.
    pub logs_days: Option<u32>,
}

/// What is kept of one kind: what either of the two says; everything where neither is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// The last so many.
    pub count: Option<u32>,
    /// What was used within so many days.
    pub days: Option<u32>,
}

impl Keep {
    /// Whether everything is kept.
    pub fn is_all(&self) -> bool {
        self.count.is_none() && self.days.is_none()
    }
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    releases_keep_count: Option<u32>,
    releases_keep_days: Option<u32>,
    packages_keep_count: Option<u32>,
    packages_keep_days: Option<u32>,
    logs_days: Option<u32>,
}

impl Section {
    /// Refuses zero, which some mean as "nothing" and others as "no limit".
    pub(super) fn read(self) -> Result<Retention, ConfigError> {
        let settings = [
            ("releases_keep_count", self.releases_keep_count),
            ("releases_keep_days", self.releases_keep_days),
            ("packages_keep_count", self.packages_keep_count),
            ("packages_keep_days", self.packages_keep_days),
            ("logs_days", self.logs_days),
        ];
        if let Some((name, _)) = settings.iter().find(|(_, value)| *value == Some(0)) {
            let reason =
                format!("`retention.{name}` is 0, expected at least 1; leave it out to keep everything");
            return Err(ConfigError::Wrong { origin: None, reason });
        }
        Ok(Retention {
            releases: Keep { count: self.releases_keep_count, days: self.releases_keep_days },
            packages: Keep { count: self.packages_keep_count, days: self.packages_keep_days },
            logs_days: self.logs_days,
        })
    }
}
