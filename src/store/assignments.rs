//! What a worker is handed: the pinned package, the journal so far, and all variables.

use super::{
    Session, Store, StoreError, database::Write, prompts::Prompted, scopes, system, unsigned, values::Values,
};
use crate::{
    model::{DeploymentId, Fence, JournalEntry, ProjectId, TaskId, Variable},
    protocol::{Assignment, PackageReference},
};

#[derive(sqlx::FromRow)]
struct Row {
    fence: i64,
    held_since: i64,
    created: i64,
    cancel_requested: i64,
    log_length: i64,
    prompted: String,
    variables: Option<String>,
    libraries: Option<String>,
    action_name: String,
    package_id: String,
    package_version: String,
    package_file: String,
    package_sha256: String,
    package_size: i64,
    channel_id: i64,
    project_id: i64,
    environment_id: i64,
}

impl Store {
    /// The assignment for a deployment whose hand-out is in this transaction.
    pub(super) async fn assignment(
        &self,
        write: &mut Write,
        deployment: DeploymentId,
        session: &Session,
        reconcile: bool,
    ) -> Result<Assignment, StoreError> {
        let row: Row = sqlx::query_as(
            "select d.fence, d.held_since, d.created, d.cancel_requested, d.log_length, d.prompted, r.action_name, r.package_id, \
             r.package_version, r.package_file, r.package_sha256, r.package_size, r.channel_id, d.project_id, \
             d.environment_id, case when d.snapshot = r.snapshot then r.variables else s.variables end as variables, \
             case when d.snapshot = r.snapshot then r.libraries else s.libraries end as libraries from deployments d \
             join releases r on r.id = d.release_id \
             left join release_snapshots s on s.release_id = r.id and s.number = d.snapshot where d.id = $1",
        )
        .bind(deployment.0)
        .fetch_one(&mut **write)
        .await?;
        let variables = self.assigned_variables(write, deployment, session, &row).await?;
        Ok(Assignment {
            deployment,
            task: TaskId(deployment.0),
            fence: Fence(unsigned(row.fence)),
            held_since: Fence(unsigned(row.held_since)),
            created_ms: Some(row.created),
            reconcile,
            cancel: row.cancel_requested == 1,
            log_offset: unsigned(row.log_length),
            journal: journal(write, deployment).await?,
            package: PackageReference {
                id: row.package_id,
                version: row.package_version,
                file_name: row.package_file,
                sha256: row.package_sha256,
                size: unsigned(row.package_size),
            },
            variables,
        })
    }

    async fn assigned_variables(
        &self,
        write: &mut Write,
        deployment: DeploymentId,
        session: &Session,
        row: &Row,
    ) -> Result<Vec<Variable>, StoreError> {
        let project = ProjectId(row.project_id);
        let (Some(own), Some(libraries)) = (&row.variables, &row.libraries) else {
            let what = format!("the variables that {deployment} was made with");
            return Err(StoreError::Corrupt { what, source: None });
        };
        let values = Values::read(project, own, libraries)?;
        let mut prompted: Vec<Prompted> = serde_json::from_str(&row.prompted)
            .map_err(|error| StoreError::corrupt(format!("the prompted values of {deployment}"), error))?;
        let target = scopes::target(row.project_id, row.environment_id, row.channel_id, &row.action_name);
        let mut variables = Vec::new();
        for held in values.applicable(&scopes::on(&target, session.id))? {
            match prompted.iter().position(|prompted| prompted.is_for(&held)) {
                Some(place) => {
                    let given = prompted.remove(place).open(&self.vault, project)?;
                    variables.push(Variable { sensitive: given.sensitive || held.stored.sensitive, ..given });
                }
                None => variables.push(held.open(&self.vault)?),
            }
        }
        // What is given by a name alone holds whatever is stored. What is given for variables that do not hold on this
        // machine is not for it.
        for prompted in prompted.into_iter().filter(Prompted::is_for_its_name) {
            variables.push(prompted.open(&self.vault, project)?);
        }
        variables.extend(system::variables(write, deployment, session).await?);
        Ok(variables)
    }
}

async fn journal(write: &mut Write, deployment: DeploymentId) -> Result<Vec<JournalEntry>, StoreError> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("select sequence, record from journal where deployment_id = $1 order by sequence")
            .bind(deployment.0)
            .fetch_all(&mut **write)
            .await?;
    rows.into_iter()
        .map(|(sequence, record)| {
            let place = || format!("journal entry {sequence} of {deployment}");
            Ok(JournalEntry {
                sequence: u32::try_from(sequence).map_err(|error| StoreError::corrupt(place(), error))?,
                record: serde_json::from_str(&record).map_err(|error| StoreError::corrupt(place(), error))?,
            })
        })
        .collect()
}
