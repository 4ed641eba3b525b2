//! How far a release has come in its lifecycle: where it may go next, and where it goes by itself.

use std::collections::HashSet;

use sqlx::{AnyConnection, AssertSqlSafe};

use super::{
    EnvironmentRow, LifecycleRow, Phase, ReleaseRow, Store, StoreError,
    database::{Write, now},
    deployments::within,
    environments,
    lifecycles::{self, name_of},
    prompts, releases,
};
use crate::model::{DeploymentId, ReleaseId};

/// Where a release stands.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The lifecycle of its channel, else of its project.
    pub lifecycle: LifecycleRow,
    /// The environments that it was deployed to well.
    successes: HashSet<i64>,
}

impl Progress {
    /// Whether the release was deployed well to as many environments of the phase as it asks for.
    pub fn is_complete(&self, phase: &Phase) -> bool {
        self.count(phase) >= phase.needed()
    }

    /// To how many more environments of the phase the release must be deployed well before it may go on.
    pub fn missing(&self, phase: &Phase) -> usize {
        phase.needed().saturating_sub(self.count(phase))
    }

    fn count(&self, phase: &Phase) -> usize {
        phase.environments().filter(|id| self.successes.contains(id)).count()
    }

    /// The first phase that the one at `place` waits for.
    fn obstacle(&self, place: usize) -> Option<&Phase> {
        self.lifecycle.phases.iter().take(place).find(|phase| !phase.is_optional && !self.is_complete(phase))
    }

    /// Whether the release may enter the phase at this place.
    pub fn is_reachable(&self, place: usize) -> bool {
        self.obstacle(place).is_none()
    }

    fn place_of(&self, environment: i64) -> Option<usize> {
        self.lifecycle.phases.iter().position(|phase| phase.environments().any(|id| id == environment))
    }

    /// The environments that the release may go to now, of these.
    pub fn open<'e>(&self, environments: &'e [EnvironmentRow]) -> Vec<&'e EnvironmentRow> {
        let is_open = |environment: &&EnvironmentRow| {
            self.lifecycle.phases.is_empty()
                || self.place_of(environment.id).is_some_and(|place| self.is_reachable(place))
        };
        environments.iter().filter(is_open).collect()
    }

    /// The environments that the release may go to now and was not deployed well to yet, of these.
    pub fn next<'e>(&self, environments: &'e [EnvironmentRow]) -> Vec<&'e EnvironmentRow> {
        self.open(environments).into_iter().filter(|row| !self.successes.contains(&row.id)).collect()
    }

    /// Refuses an environment that the release may not go to, or not yet.
    pub(super) fn refuse(
        &self,
        release: &str,
        environment: &EnvironmentRow,
        environments: &[EnvironmentRow],
    ) -> Result<(), StoreError> {
        let LifecycleRow { name, phases, .. } = &self.lifecycle;
        if phases.is_empty() {
            return Ok(());
        }
        let list = |ids: &mut dyn Iterator<Item = i64>| {
            ids.map(|id| format!("`{}`", name_of(environments, id))).collect::<Vec<_>>().join(", ")
        };
        let Some(place) = self.place_of(environment.id) else {
            let phases: Vec<String> = phases
                .iter()
                .map(|phase| format!("`{}` with {}", phase.name, list(&mut phase.environments())))
                .collect();
            return Err(StoreError::Invalid(format!(
                "{release} cannot go to environment `{}`: it is in no phase of lifecycle `{name}`, which has {}",
                environment.name,
                phases.join("; ")
            )));
        };
        let Some(obstacle) = self.obstacle(place) else { return Ok(()) };
        let there: Vec<i64> = obstacle.environments().filter(|id| self.successes.contains(id)).collect();
        let has = if there.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has them to {}", list(&mut there.into_iter()))
        };
        let all = list(&mut obstacle.environments());
        let count = obstacle.environments().count();
        let needs = match (obstacle.needed(), count) {
            (1, 1) => format!("a successful deployment to {all}"),
            (needed, count) if needed == count => format!("successful deployments to {all}"),
            (1, _) => format!("a successful deployment to one of {all}"),
            (needed, _) => format!("successful deployments to {needed} of {all}"),
        };
        Err(StoreError::Conflict(format!(
            "{release} cannot go to environment `{}` yet, which is in phase `{}` of lifecycle `{name}`: the phase `{}` \
             before it needs {needs}; {has}",
            environment.name, phases[place].name, obstacle.name
        )))
    }
}

impl Store {
    /// How far the release has come.
    pub async fn progress(&self, release: &ReleaseRow) -> Result<Progress, StoreError> {
        of(&mut *self.database.reader.acquire().await?, release).await
    }

    /// How far each of these has come, with as many statements for all of them as for one.
    pub async fn progress_of(&self, releases: &[ReleaseRow]) -> Result<Vec<Progress>, StoreError> {
        let lifecycles = self.lifecycles().await?;
        let channels: Vec<i64> = releases.iter().map(|release| release.channel_id).collect();
        let of_channels: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(format!(
            "select c.id, coalesce(c.lifecycle_id, p.lifecycle_id) from channels c join projects p on p.id = c.project_id \
             where true{}",
            within("c.id", &channels)
        )))
        .persistent(false)
        .fetch_all(&self.database.reader)
        .await?;
        let ids: Vec<i64> = releases.iter().map(|release| release.id).collect();
        let successes: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(format!(
            "select distinct release_id, environment_id from deployments \
             where (state = 'success' or resolved = 'success'){}",
            within("release_id", &ids)
        )))
        .persistent(false)
        .fetch_all(&self.database.reader)
        .await?;
        let progress = releases.iter().map(|release| {
            let of_channel = of_channels.iter().find(|(channel, _)| *channel == release.channel_id);
            let lifecycle = lifecycles.iter().find(|row| of_channel.is_some_and(|(_, id)| *id == row.id));
            // Either may have been deleted a moment ago.
            let lifecycle = lifecycle.cloned().ok_or_else(|| {
                StoreError::NotFound(format!("release `{}` does not exist", ReleaseId(release.id)))
            })?;
            let own = successes.iter().filter(|(id, _)| *id == release.id);
            Ok(Progress { lifecycle, successes: own.map(|(_, environment)| *environment).collect() })
        });
        progress.collect()
    }
}

/// How far the release has come, as its transaction sees it.
pub(super) async fn of(connection: &mut AnyConnection, release: &ReleaseRow) -> Result<Progress, StoreError> {
    let lifecycle: lifecycles::Raw = sqlx::query_as(
        "select l.id, l.name, l.description, l.phases from channels c join projects p on p.id = c.project_id \
         join lifecycles l on l.id = coalesce(c.lifecycle_id, p.lifecycle_id) where c.id = $1",
    )
    .bind(release.channel_id)
    .fetch_one(&mut *connection)
    .await?;
    let successes: Vec<i64> = sqlx::query_scalar(
        "select distinct environment_id from deployments where release_id = $1 \
         and (state = 'success' or resolved = 'success')",
    )
    .bind(release.id)
    .fetch_all(connection)
    .await?;
    Ok(Progress { lifecycle: lifecycles::read(lifecycle)?, successes: successes.into_iter().collect() })
}

/// Keeps the project of a deployment that is about to end well, before the deployment itself is locked: whoever deploys
/// once more what is current looks first what is on its way, and must miss neither this end nor what it makes.
pub(super) async fn lock_project(write: &mut Write, deployment: DeploymentId) -> Result<(), StoreError> {
    let project: Option<i64> = sqlx::query_scalar("select project_id from deployments where id = $1")
        .bind(deployment.0)
        .fetch_optional(&mut **write)
        .await?;
    match project {
        Some(project) => write.lock_row("projects", project).await,
        None => Ok(()),
    }
}

/// After a deployment ended well, whose project is locked: makes those that the lifecycle makes by itself in the phases behind it.
pub(super) async fn promote(write: &mut Write, deployment: DeploymentId) -> Result<(), StoreError> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "select d.release_id, d.environment_id from deployments d join releases r on r.id = d.release_id \
         join channels c on c.id = r.channel_id join projects p on p.id = c.project_id \
         join lifecycles l on l.id = coalesce(c.lifecycle_id, p.lifecycle_id) where d.id = $1 and l.phases <> '[]'",
    )
    .bind(deployment.0)
    .fetch_optional(&mut **write)
    .await?;
    // Without phases there is nothing to make, and nobody to wait for.
    let Some((release, environment)) = found else { return Ok(()) };
    // Of two that end at the same moment the second sees the first: else each would miss the other, and a phase that
    // needs both would open for nobody.
    write.lock_row("releases", release).await?;
    let release = releases::by_id(write, release).await?;
    let progress = of(write, &release).await?;
    match progress.place_of(environment) {
        Some(place) => enter(write, &release, &progress, place + 1).await,
        None => Ok(()),
    }
}

/// For a new release, whose project is locked: makes the deployments of the phases that are open from the start.
pub(super) async fn begin(write: &mut Write, release: &ReleaseRow) -> Result<(), StoreError> {
    let progress = of(write, release).await?;
    enter(write, release, &progress, 0).await
}

/// Makes the automatic deployments of the phases from `place` on that the release may enter.
async fn enter(
    write: &mut Write,
    release: &ReleaseRow,
    progress: &Progress,
    place: usize,
) -> Result<(), StoreError> {
    let phases = progress.lifecycle.phases.iter().enumerate().skip(place);
    let open = phases.take_while(|(place, _)| progress.is_reachable(*place));
    let targets: Vec<(&str, i64)> = open
        .flat_map(|(_, phase)| phase.automatic.iter().map(|environment| (phase.name.as_str(), *environment)))
        .collect();
    if targets.is_empty() {
        return Ok(());
    }
    let known = environments::all(write).await?;
    let values = release.values()?;
    for (phase, environment) in targets.into_iter().filter(|(_, id)| known.iter().any(|row| row.id == *id)) {
        // What ended well has ended well whatever comes next, so this does not fail with it: a deployment that cannot
        // be made is made as one that failed, and says why.
        let refusal = match prompts::of_environment(write, release, &values, environment, &[]).await {
            Ok(_) => None,
            Err(error @ (StoreError::Invalid(_) | StoreError::Corrupt { .. })) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        sqlx::query(concat!(
            "insert into deployments (release_id, project_id, environment_id, created, comments, prompted, state, fence, \
             cancel_requested, blocked, log_offset, log_length, automatic, snapshot, completed, error_message) \
             select $1, p.id, $3, ",
            now!(),
            ", $4, '[]', $5, 0, 0, 0, 0, 0, 1, $7, case $5 when 'failed' then ",
            now!(),
            " end, $6 from projects p where p.id = $2 and p.is_disabled = 0 and not exists \
             (select 1 from deployments where release_id = $1 and environment_id = $3) \
             on conflict (release_id, environment_id) where automatic = 1 do nothing"
        ))
        .bind(release.id)
        .bind(release.project_id)
        .bind(environment)
        .bind(format!("made by phase `{phase}` of lifecycle `{}`", progress.lifecycle.name))
        .bind(if refusal.is_some() { "failed" } else { "queued" })
        .bind(refusal)
        .bind(release.snapshot)
        .execute(&mut **write)
        .await?;
        write.announce_ready([environment]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(environments: &[i64], minimum: u32, is_optional: bool) -> Phase {
        let name = format!("{environments:?}");
        Phase {
            id: name.clone(),
            name,
            automatic: Vec::new(),
            optional: environments.to_vec(),
            minimum,
            is_optional,
        }
    }

    /// The environments that are open after these successes.
    fn open(phases: &[Phase], successes: &[i64]) -> Vec<i64> {
        let environments: Vec<EnvironmentRow> = (1..=9)
            .map(|id| EnvironmentRow {
                id,
                name: id.to_string(),
                slug: id.to_string(),
                description: String::new(),
                sort_order: id,
                space_id: 1,
            })
            .collect();
        let lifecycle =
            LifecycleRow { id: 2, name: "L".into(), description: String::new(), phases: phases.to_vec() };
        let progress = Progress { lifecycle, successes: successes.iter().copied().collect() };
        let open: Vec<i64> = progress.open(&environments).iter().map(|row| row.id).collect();
        for row in &environments {
            assert_eq!(
                progress.refuse("r", row, &environments).is_ok(),
                open.contains(&row.id),
                "{}",
                row.id
            );
        }
        open
    }

    #[test]
    fn phases_open_one_after_the_other() {
        let phases = [phase(&[1, 2], 0, false), phase(&[3, 4, 5], 2, false), phase(&[6], 0, false)];
        assert_eq!(open(&phases, &[]), [1, 2]);
        assert_eq!(open(&phases, &[1]), [1, 2]);
        assert_eq!(open(&phases, &[1, 2]), [1, 2, 3, 4, 5]);
        assert_eq!(open(&phases, &[1, 2, 4]), [1, 2, 3, 4, 5]);
        assert_eq!(open(&phases, &[1, 2, 4, 5]), [1, 2, 3, 4, 5, 6]);
        // What came from elsewhere does not make up for what is missing before it.
        assert_eq!(open(&phases, &[1, 4, 5]), [1, 2]);
    }

    #[test]
    fn an_optional_phase_may_be_left_out() {
        let phases =
            [phase(&[1], 0, true), phase(&[2], 0, false), phase(&[3], 0, true), phase(&[4], 0, false)];
        assert_eq!(open(&phases, &[]), [1, 2]);
        assert_eq!(open(&phases, &[2]), [1, 2, 3, 4]);
    }

    #[test]
    fn without_phases_everything_is_open() {
        assert_eq!(open(&[], &[]), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
