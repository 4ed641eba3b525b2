//! The projects' current releases of an environment, deployed again: what a new worker there begins with.

use super::{
    EnvironmentRow, Store, StoreError,
    database::Write,
    deployments::{self, Waits},
    environments, keys, progress, projects, prompts, releases,
};
use crate::{
    model::{DeploymentId, ProjectId},
    protocol::{CurrentOutcome, CurrentRelease},
};

/// The last deployment of a project to an environment that ended well, or was found to.
#[derive(sqlx::FromRow)]
struct Last {
    release_id: i64,
    prompted: String,
}

/// A deployment that is in the way of another one.
#[derive(sqlx::FromRow)]
struct Open {
    id: i64,
    release_id: i64,
    version: String,
    blocked: i64,
}

impl Store {
    /// Deploys the current releases of these projects, or of all that ever were deployed there, to the environment. A
    /// project that cannot be deployed keeps no other from it. `created_by` is the name of the API key that asks.
    pub async fn deploy_current(
        &self,
        environment: &str,
        projects: &[String],
        created_by: &str,
    ) -> Result<Vec<CurrentRelease>, StoreError> {
        let mut wanted = Vec::new();
        for named in projects {
            wanted.push(self.project(named).await?.id);
        }
        let mut write = self.write().await?;
        keys::refuse_replaced(&mut write, &self.vault).await?;
        let environment = environments::find(environments::all(&mut write).await?, environment)?;
        let made =
            self.queue_current(&mut write, &environment, &wanted, "deploy-current", created_by).await?;
        write.commit().await?;
        Ok(made)
    }

    /// The same inside a transaction, in which [`keys::refuse_replaced`] was asked.
    pub(super) async fn queue_current(
        &self,
        write: &mut Write,
        environment: &EnvironmentRow,
        projects: &[i64],
        comments: &str,
        created_by: &str,
    ) -> Result<Vec<CurrentRelease>, StoreError> {
        let mut wanted: Vec<i64> = if projects.is_empty() {
            sqlx::query_scalar(
                "select distinct project_id from deployments where environment_id = $1 \
                 and (state = 'success' or resolved = 'success')",
            )
            .bind(environment.id)
            .fetch_all(&mut **write)
            .await?
        } else {
            projects.to_vec()
        };
        wanted.sort_unstable();
        wanted.dedup();
        let mut made = Vec::new();
        for project in wanted {
            // Of two that ask at the same moment the second sees what the first has made.
            write.lock_row("projects", project).await?;
            made.push(self.queue_one(write, environment, project, comments, created_by).await?);
        }
        Ok(made)
    }

    async fn queue_one(
        &self,
        write: &mut Write,
        environment: &EnvironmentRow,
        project: i64,
        comments: &str,
        created_by: &str,
    ) -> Result<CurrentRelease, StoreError> {
        let row = projects::by_id(write, project).await?;
        let told = |release: Option<&str>, outcome, deployment, message: String| CurrentRelease {
            project: row.name.clone(),
            release: release.map(str::to_owned),
            outcome,
            deployment,
            message,
        };
        // First what is on its way, then what ended: what ends between the two is seen by the second at the latest.
        let open: Option<Open> = sqlx::query_as(
            "select d.id, d.release_id, r.version, d.blocked from deployments d join releases r on r.id = d.release_id \
             where d.project_id = $1 and d.environment_id = $2 \
             and (d.state in ('queued', 'leased', 'cancelling', 'lost') or d.blocked = 1) \
             order by d.blocked desc, d.id desc limit 1",
        )
        .bind(project)
        .bind(environment.id)
        .fetch_optional(&mut **write)
        .await?;
        let last: Option<Last> = sqlx::query_as(
            "select release_id, prompted from deployments where project_id = $1 and environment_id = $2 \
             and (state = 'success' or resolved = 'success') order by completed desc, id desc limit 1",
        )
        .bind(project)
        .bind(environment.id)
        .fetch_optional(&mut **write)
        .await?;
        let Some(last) = last else {
            let message = format!("no deployment to environment `{}` ever ended well", environment.name);
            return Ok(told(None, CurrentOutcome::NeverDeployed, None, message));
        };
        let release = releases::by_id(write, last.release_id).await?;
        let version = Some(release.version.as_str());
        if let Some(open) = open {
            let id = DeploymentId(open.id);
            let (outcome, message) = if open.blocked == 1 {
                let message = format!("nobody knows how {id} ended: resolve it as success or failed");
                (CurrentOutcome::Blocked, message)
            } else if open.release_id == release.id {
                (CurrentOutcome::Active, format!("{id} is on its way already"))
            } else {
                (CurrentOutcome::Busy, format!("{id} of release {} is on its way", open.version))
            };
            return Ok(told(version, outcome, Some(id), message));
        }
        // With what was given to the one that ended well: that is what runs there.
        let given = async {
            projects::refuse_disabled(&row, "deployment")?;
            let subject = format!("release {} of project `{}`", release.version, row.name);
            let known = environments::all(write).await?;
            progress::of(write, &release).await?.refuse(&subject, environment, &known)?;
            let given = prompts::given_before(&self.vault, ProjectId(project), &last.prompted)?;
            let values = release.values()?;
            let given = prompts::of_environment(write, &release, &values, environment.id, &given).await?;
            prompts::seal(&self.vault, ProjectId(project), given)
        };
        let prompted = match given.await {
            Ok(prompted) => prompted,
            Err(error @ (StoreError::Invalid(_) | StoreError::Conflict(_) | StoreError::Corrupt { .. })) => {
                return Ok(told(version, CurrentOutcome::Refused, None, error.to_string()));
            }
            Err(error) => return Err(error),
        };
        let waits = Waits { comments, created_by, prompted: &prompted };
        let id = deployments::insert(write, &release, environment.id, &waits).await?;
        Ok(told(version, CurrentOutcome::Queued, Some(id), format!("{id} is queued")))
    }
}
