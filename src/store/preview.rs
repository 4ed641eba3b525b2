//! What a release would be made of, and what a deployment would do, for those who ask before they act.

use serde_json::Value;

use super::{
    EnvironmentRow, ProjectRow, ReleaseRow, Store, StoreError,
    process::{self, NamedAction},
    scopes,
    values::Held,
};
use crate::model::ProjectId;

/// What a new release of a project needs a version for.
#[derive(Debug, Clone)]
pub struct Template {
    /// The step that deploys the package.
    pub step: String,
    /// Its action.
    pub action: String,
    /// The package's id.
    pub package: String,
    /// The newest release, of the channel where one is given.
    pub last: Option<ReleaseRow>,
}

/// What a deployment would do.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The actions in their order.
    pub actions: Vec<PreviewAction>,
    /// The machines of the environment: number and name.
    pub machines: Vec<(i64, String)>,
    /// The values that are asked for.
    pub prompts: Vec<Prompt>,
}

/// An action of the process that a release keeps.
#[derive(Debug, Clone)]
pub struct PreviewAction {
    /// Its id, or its name where it has none.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it does something: the one that deploys the package does.
    pub is_deployed: bool,
}

/// A value that is asked for with a deployment.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The variable's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The value it has unless another one is given; none for a sensitive one.
    pub value: Option<String>,
    /// Whether it is hidden.
    pub sensitive: bool,
    /// Octopus's description of the prompt.
    pub description: Value,
}

impl Store {
    /// What a new release of the project, in the channel of this number, needs a version for.
    pub async fn release_template(
        &self,
        project: &ProjectRow,
        channel: Option<i64>,
    ) -> Result<Template, StoreError> {
        let packaged = process::read(&project.name, &project.process)?.packaged;
        let releases = self.releases(Some(project.id)).await?;
        let last = releases.into_iter().find(|row| channel.is_none_or(|channel| row.channel_id == channel));
        Ok(Template { step: packaged.step, action: packaged.action, package: packaged.package, last })
    }

    /// What a deployment of the release to the environment would do.
    pub async fn preview(
        &self,
        release: &ReleaseRow,
        environment: &EnvironmentRow,
    ) -> Result<Preview, StoreError> {
        let project = self.project(&ProjectId(release.project_id).to_string()).await?;
        let actions = process::actions(&project.name, &release.process)?
            .into_iter()
            .map(|NamedAction { id, name, .. }| PreviewAction {
                is_deployed: name == release.action_name,
                id: id.unwrap_or_else(|| name.clone()),
                name,
            })
            .collect();
        let machines: Vec<(i64, String)> =
            sqlx::query_as("select id, name from machines where environment_id = $1 order by id")
                .bind(environment.id)
                .fetch_all(&self.database.reader)
                .await?;
        let values = release.values()?;
        let target =
            scopes::target(release.project_id, environment.id, release.channel_id, &release.action_name);
        let ids: Vec<i64> = machines.iter().map(|(id, _)| *id).collect();
        let prompts = values
            .asked(&target, &ids)?
            .into_iter()
            .filter_map(|Held { stored, .. }| {
                Some(Prompt {
                    id: stored.id.clone(),
                    name: stored.name.clone(),
                    value: stored.value.clone().filter(|_| !stored.sensitive),
                    sensitive: stored.sensitive,
                    description: stored.prompt.clone()?,
                })
            })
            .collect();
        Ok(Preview { actions, machines, prompts })
    }
}
