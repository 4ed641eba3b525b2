//! What may go because it is old, and why everything else stays. The judgement is a function of what is on record, so
//! that what is shown beforehand is what is done afterwards.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::packages::{PackageRow, version_key};
use crate::{
    config::{Keep, Retention},
    model::DeploymentId,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What kind of thing is kept or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A release, with the record of its deployments.
    Release,
    /// A version of a package.
    Package,
    /// The log of a deployment.
    Log,
    /// Bytes that nothing names.
    Blob,
}

/// One thing, whether it goes, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// What kind of thing.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
    /// Whether it goes.
    pub goes: bool,
    /// Why it goes or stays.
    pub why: String,
    /// How many bytes of its own it has.
    pub bytes: u64,
    /// The number of the release or the deployment.
    #[serde(skip)]
    pub(super) id: i64,
    /// The number of the project.
    #[serde(skip)]
    pub(super) project: i64,
    /// The key of the package, and the bytes.
    #[serde(skip)]
    pub(super) package: Option<PackageRow>,
}

impl Judged {
    /// Of bytes that nothing names.
    pub fn blob(sha256: &str, bytes: u64, goes: bool, why: impl Into<String>) -> Self {
        let (kind, name) = (Kind::Blob, format!("the bytes with SHA-256 {sha256}"));
        Self { kind, name, goes, why: why.into(), bytes, id: 0, project: 0, package: None }
    }
}

impl Judged {
    /// How many bytes are free when it is gone: those that nothing names. A package and a log only name theirs.
    pub fn bytes_freed(&self) -> u64 {
        if self.kind == Kind::Blob { self.bytes } else { 0 }
    }
}

/// A release, as far as it matters here.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ReleaseFacts {
    pub(super) id: i64,
    pub(super) project_id: i64,
    pub(super) project_name: String,
    pub(super) version: String,
    pub(super) assembled: i64,
    pub(super) package_id: String,
    pub(super) package_version: String,
    pub(super) package_sha256: String,
}

/// A deployment, as far as it matters here.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct DeploymentFacts {
    pub(super) id: i64,
    pub(super) release_id: i64,
    pub(super) project_id: i64,
    pub(super) environment_id: i64,
    pub(super) environment_name: String,
    /// Whether it has ended, as 0 or 1; so the next two.
    pub(super) ended: i64,
    pub(super) good: i64,
    pub(super) blocked: i64,
    pub(super) created: i64,
    pub(super) completed: Option<i64>,
    pub(super) log_length: i64,
    pub(super) log_sha256: Option<String>,
}

/// What is on record, of everything or of one project or package.
#[derive(Debug, Default)]
pub struct Facts {
    pub(super) now: i64,
    pub(super) releases: Vec<ReleaseFacts>,
    /// By number.
    pub(super) deployments: Vec<DeploymentFacts>,
    pub(super) packages: Vec<PackageRow>,
}

/// What is found of one thing.
struct Verdict {
    goes: bool,
    why: String,
}

fn stays(why: impl Into<String>) -> Verdict {
    Verdict { goes: false, why: why.into() }
}

fn goes(why: impl Into<String>) -> Verdict {
    Verdict { goes: true, why: why.into() }
}

impl Facts {
    /// Judges everything but blobs: releases first, since what a release holds stays with it.
    pub fn judge(&self, retention: &Retention) -> Vec<Judged> {
        let mut judged = Vec::new();
        let mut gone: HashSet<i64> = HashSet::new();
        let uses = self.uses();
        for release in &self.releases {
            let Verdict { goes, why } = self.judge_release(release, &uses, &retention.releases);
            if goes {
                gone.insert(release.id);
            }
            judged.push(Judged {
                kind: Kind::Release,
                name: format!("release {} of project `{}`", release.version, release.project_name),
                goes,
                why,
                bytes: 0,
                id: release.id,
                project: release.project_id,
                package: None,
            });
        }
        self.judge_packages(&retention.packages, &gone, &mut judged);
        self.judge_logs(retention.logs_days, &gone, &mut judged);
        judged
    }

    /// The digests that are named once all that goes by this judgement is gone.
    pub fn named_after(&self, judged: &[Judged]) -> HashSet<String> {
        let gone: HashSet<(Kind, i64)> =
            judged.iter().filter(|thing| thing.goes).map(|thing| (thing.kind, thing.id)).collect();
        let gone_packages: HashSet<(String, String)> = judged
            .iter()
            .filter(|thing| thing.goes)
            .filter_map(|thing| thing.package.as_ref().map(PackageRow::keys))
            .collect();
        let releases = self.releases.iter().filter(|release| !gone.contains(&(Kind::Release, release.id)));
        let logs = self.deployments.iter().filter(|deployment| {
            !gone.contains(&(Kind::Log, deployment.id))
                && !gone.contains(&(Kind::Release, deployment.release_id))
        });
        let packages = self.packages.iter().filter(|row| !gone_packages.contains(&row.keys()));
        releases
            .map(|release| release.package_sha256.clone())
            .chain(logs.filter_map(|deployment| deployment.log_sha256.clone()))
            .chain(packages.map(|row| row.sha256.clone()))
            .collect()
    }

    /// Every release with what holds it in its environments.
    fn uses(&self) -> HashMap<i64, Uses> {
        let mut uses: HashMap<i64, Uses> = HashMap::new();
        let mut targets: HashMap<(i64, i64), Vec<&DeploymentFacts>> = HashMap::new();
        for deployment in self.deployments.iter().rev() {
            targets.entry((deployment.project_id, deployment.environment_id)).or_default().push(deployment);
            let of_release = uses.entry(deployment.release_id).or_default();
            of_release.last = of_release.last.max(deployment.completed.unwrap_or(deployment.created));
            if deployment.ended == 0 || deployment.blocked == 1 {
                let why = if deployment.blocked == 1 { "waits to be resolved" } else { "has not ended" };
                of_release.hold(format!(
                    "{} to environment `{}` {why}",
                    DeploymentId(deployment.id),
                    deployment.environment_name
                ));
            }
        }
        for newest_first in targets.values() {
            let mut ranked: Vec<i64> = Vec::new();
            for deployment in newest_first {
                if !ranked.contains(&deployment.release_id) {
                    ranked.push(deployment.release_id);
                    let of_release = uses.entry(deployment.release_id).or_default();
                    of_release.ranks.push((ranked.len(), deployment.environment_name.clone()));
                }
            }
            if let Some(current) = newest_first.first() {
                let why = format!("it is the current release of environment `{}`", current.environment_name);
                uses.entry(current.release_id).or_default().hold(why);
            }
            let good = newest_first.iter().filter(|deployment| deployment.good == 1);
            if let Some(good) = good.max_by_key(|deployment| (deployment.completed, deployment.id)) {
                let why = format!("it is the last good release of environment `{}`", good.environment_name);
                uses.entry(good.release_id).or_default().hold(why);
            }
        }
        uses
    }

    fn judge_release(&self, release: &ReleaseFacts, uses: &HashMap<i64, Uses>, keep: &Keep) -> Verdict {
        let none = Uses::default();
        let of_release = uses.get(&release.id).unwrap_or(&none);
        if let Some(why) = &of_release.held {
            return stays(why);
        }
        if keep.is_all() {
            return stays("all releases are kept");
        }
        if let Some(count) = keep.count {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            if let Some((_, environment)) = of_release.ranks.iter().find(|(rank, _)| *rank <= count) {
                return stays(format!("it is one of the last {count} of environment `{environment}`"));
            }
            let is_nowhere = |other: &&ReleaseFacts| {
                other.project_id == release.project_id
                    && other.id > release.id
                    && !uses.contains_key(&other.id)
            };
            if of_release.ranks.is_empty() && self.releases.iter().filter(is_nowhere).count() < count {
                return stays(format!("it is one of the newest {count} that were not deployed yet"));
            }
        }
        if let Some(days) = keep.days
            && release.assembled.max(of_release.last) > self.now - i64::from(days) * DAY_MS
        {
            return stays(format!("it was made or deployed within the last {days} days"));
        }
        goes(limits(keep))
    }

    fn judge_packages(&self, keep: &Keep, gone: &HashSet<i64>, judged: &mut Vec<Judged>) {
        let pins: HashMap<(String, String), &ReleaseFacts> = self
            .releases
            .iter()
            .filter(|release| !gone.contains(&release.id))
            .map(|release| {
                ((release.package_id.to_lowercase(), version_key(&release.package_version)), release)
            })
            .collect();
        let mut before: Option<String> = None;
        let mut rank = 0;
        // The highest version of each comes first.
        for row in &self.packages {
            let key = row.keys().0;
            rank = if before.as_ref() == Some(&key) { rank + 1 } else { 1 };
            before = Some(key);
            let verdict = if let Some(release) = pins.get(&row.keys()) {
                stays(format!(
                    "release {} of project `{}` is made of it",
                    release.version, release.project_name
                ))
            } else if keep.is_all() {
                stays("all packages are kept")
            } else if rank == 1 {
                stays("it is the highest version of its package")
            } else if let Some(count) = keep.count.filter(|count| rank <= *count) {
                stays(format!("it is one of the {count} highest versions of its package"))
            } else if let Some(days) =
                keep.days.filter(|days| row.published > self.now - i64::from(*days) * DAY_MS)
            {
                stays(format!("it was pushed within the last {days} days"))
            } else {
                goes(limits(keep))
            };
            judged.push(Judged {
                kind: Kind::Package,
                name: format!("package `{}` version {}", row.package_id, row.version),
                goes: verdict.goes,
                why: verdict.why,
                bytes: super::unsigned(row.size),
                id: 0,
                project: 0,
                package: Some(row.clone()),
            });
        }
    }

    fn judge_logs(&self, days: Option<u32>, gone: &HashSet<i64>, judged: &mut Vec<Judged>) {
        // With a release go its deployments, and their logs are nothing of their own then.
        let has_log = |deployment: &&DeploymentFacts| {
            deployment.log_length > 0 && !gone.contains(&deployment.release_id)
        };
        for deployment in self.deployments.iter().filter(has_log) {
            let verdict = match (days, deployment.completed) {
                _ if deployment.blocked == 1 => stays("the deployment waits to be resolved"),
                (_, None) => stays("the deployment has not ended"),
                (None, _) => stays("all logs are kept"),
                (Some(days), Some(completed)) if completed > self.now - i64::from(days) * DAY_MS => {
                    stays(format!("the deployment ended within the last {days} days"))
                }
                (Some(days), Some(_)) => goes(format!("the deployment ended more than {days} days ago")),
            };
            judged.push(Judged {
                kind: Kind::Log,
                name: format!("log of {}", DeploymentId(deployment.id)),
                goes: verdict.goes,
                why: verdict.why,
                bytes: super::unsigned(deployment.log_length),
                id: deployment.id,
                project: deployment.project_id,
                package: None,
            });
        }
    }
}

/// What holds a release.
#[derive(Default)]
struct Uses {
    /// What keeps it, whatever the settings say.
    held: Option<String>,
    /// In each environment, its place among those that were deployed there last, from 1 on.
    ranks: Vec<(usize, String)>,
    /// When it was last deployed.
    last: i64,
}

impl Uses {
    fn hold(&mut self, why: String) {
        self.held.get_or_insert(why);
    }
}

/// Why something goes that nothing else keeps.
fn limits(keep: &Keep) -> String {
    match (keep.count, keep.days) {
        (Some(count), Some(days)) => format!("beyond the last {count}, and older than {days} days"),
        (Some(count), None) => format!("beyond the last {count}"),
        (None, Some(days)) => format!("older than {days} days"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{option, prelude::*};

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum End {
        Good,
        Bad,
        Open,
        Blocked,
    }

    /// Of two projects, six releases, each made of a package version of its own, and deployments of them: which, where,
    /// how they ended, and how many days that took.
    fn facts(history: &[(i64, i64, End, i64)]) -> Facts {
        let release = |id: i64| ReleaseFacts {
            id,
            project_id: id % 2,
            project_name: format!("P{}", id % 2),
            version: format!("{id}.0.0"),
            assembled: id * DAY_MS,
            package_id: "Orders".to_owned(),
            package_version: format!("{id}.0.0"),
            package_sha256: format!("sha-{id}"),
        };
        let package = |id: i64| PackageRow {
            package_id: "Orders".to_owned(),
            version: format!("{id}.0.0"),
            extension: ".zip".to_owned(),
            file_name: format!("Orders.{id}.0.0.zip"),
            sha256: format!("sha-{id}"),
            size: 1,
            published: id * DAY_MS,
        };
        let deployment =
            |(number, (release, environment, end, days)): (i64, &(i64, i64, End, i64))| DeploymentFacts {
                id: number,
                release_id: *release,
                project_id: release % 2,
                environment_id: *environment,
                environment_name: format!("E{environment}"),
                ended: i64::from(*end != End::Open),
                good: i64::from(*end == End::Good),
                blocked: i64::from(*end == End::Blocked),
                created: (10 + number) * DAY_MS,
                completed: (*end != End::Open).then_some((10 + number + days) * DAY_MS),
                log_length: 1,
                log_sha256: None,
            };
        Facts {
            now: 40 * DAY_MS,
            releases: (1..=6).map(release).collect(),
            deployments: (1..).zip(history).map(deployment).collect(),
            packages: (1..=8).rev().map(package).collect(),
        }
    }

    proptest! {
        #[test]
        fn what_is_in_use_stays_whatever_the_settings_say(
            history in prop::collection::vec(
                (1..=6_i64, 1..=2_i64, prop::sample::select(vec![End::Good, End::Bad, End::Open, End::Blocked]), 0..9_i64),
                0..20,
            ),
            (count, days) in (option::of(1..4_u32), option::of(1..30_u32)),
        ) {
            let facts = facts(&history);
            let keep = Keep { count, days };
            let retention = Retention { releases: keep, packages: keep, logs_days: days };
            let judged = facts.judge(&retention);
            let gone: Vec<i64> = judged
                .iter()
                .filter(|thing| thing.goes && thing.kind == Kind::Release)
                .map(|thing| thing.id)
                .collect();
            prop_assert!(!keep.is_all() || !judged.iter().any(|thing| thing.goes));
            for (project, environment) in [(0, 1), (0, 2), (1, 1), (1, 2)] {
                let here: Vec<&DeploymentFacts> = facts
                    .deployments
                    .iter()
                    .filter(|d| d.project_id == project && d.environment_id == environment)
                    .collect();
                let current = here.last().map(|d| d.release_id);
                let good = here.iter().filter(|d| d.good == 1).max_by_key(|d| (d.completed, d.id));
                let open = here.iter().filter(|d| d.ended == 0 || d.blocked == 1).map(|d| d.release_id);
                for release in current.into_iter().chain(good.map(|d| d.release_id)).chain(open) {
                    prop_assert!(!gone.contains(&release), "{release} is in use");
                }
                // What goes has at least so many others behind it wherever it was.
                for release in &gone {
                    let last = here.iter().rposition(|d| d.release_id == *release);
                    if let (Some(last), Some(count)) = (last, count) {
                        let after: HashSet<i64> = here[last + 1..].iter().map(|d| d.release_id).collect();
                        prop_assert!(after.len() >= usize::try_from(count).unwrap());
                    }
                }
            }
            let packages: Vec<&str> = judged
                .iter()
                .filter(|thing| thing.goes)
                .filter_map(|thing| Some(thing.package.as_ref()?.version.as_str()))
                .collect();
            prop_assert!(!packages.contains(&"8.0.0"));
            let named = facts.named_after(&judged);
            for release in facts.releases.iter().filter(|release| !gone.contains(&release.id)) {
                prop_assert!(!packages.contains(&release.package_version.as_str()));
                prop_assert!(named.contains(&release.package_sha256));
            }
        }
    }
}
