//! Variable sets. A sensitive value goes in and never comes out.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{Shared, body::Fields, json::link, problem::Problem, rewrite::SPACE};
use crate::{
    conventions::Conventions,
    model::{EnvironmentId, ProjectId},
    store::{NewVariable, VariableSet},
};

const SET: &str = "variableset-";

fn project_of(id: &str) -> Result<ProjectId, Problem> {
    let project = id.strip_prefix(SET).and_then(|project| project.parse().ok());
    project.ok_or_else(|| {
        Problem::not_found(format!("variable set `{id}` does not exist: expected `{SET}Projects-<number>`"))
    })
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let set = shared.store.variables(project_of(&id)?).await?;
    document(&shared, &set).await.map(Json)
}

pub(super) async fn put(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let project = project_of(&id)?;
    let version = fields.number("Version")?.ok_or_else(|| {
        Problem::invalid("`Version` is missing: send the variables with the version that they were read with")
    })?;
    let new = fields
        .objects("Variables")?
        .iter()
        .map(|fields| variable(fields, &shared.conventions))
        .collect::<Result<_, _>>()?;
    let set = shared.store.put_variables(project, version, new).await?;
    document(&shared, &set).await.map(Json)
}

fn variable(fields: &Fields, conventions: &Conventions) -> Result<NewVariable, Problem> {
    let name = fields.required("Name")?;
    let mut environments = Vec::new();
    if let Some(scope) = fields.object("Scope")? {
        if let Some(other) = scope.filled_lists().into_iter().find(|kind| *kind != "environment") {
            return Err(Problem::invalid(format!(
                "variable `{name}` is scoped by `{other}`: this version of the server evaluates `Environment` only"
            )));
        }
        environments = scope.texts("Environment")?;
    }
    let kind = fields.text("Type")?.unwrap_or_else(|| "String".into());
    let sensitive = fields.flag("IsSensitive")?
        || kind.eq_ignore_ascii_case("Sensitive")
        // Well known to be secret, whatever the client calls it.
        || conventions.is_sensitive(&name);
    Ok(NewVariable {
        id: fields.text("Id")?,
        name,
        kind,
        sensitive,
        value: fields.raw_text("Value")?,
        description: fields.raw_text("Description")?,
        environments,
        prompt: fields.value("Prompt"),
    })
}

async fn document(shared: &Shared, set: &VariableSet) -> Result<Value, Problem> {
    let environments = shared.store.environments().await?;
    let environments: Vec<Value> =
        environments.iter().map(|row| json!({ "Id": EnvironmentId(row.id), "Name": row.name })).collect();
    let variables: Vec<Value> = set
        .variables
        .iter()
        .map(|variable| {
            // Some clients read `Scope.Environment` of every variable and break where it is missing.
            json!({
                "Id": variable.id, "Name": variable.name, "Value": variable.value,
                "Description": variable.description, "Type": variable.kind, "IsSensitive": variable.sensitive,
                "IsEditable": true, "Scope": { "Environment": variable.environments },
                "Prompt": variable.prompt.as_ref().map(prompt),
            })
        })
        .collect();
    let id = format!("{SET}{}", set.project);
    Ok(json!({
        "Id": id, "OwnerId": set.project, "Version": set.version, "SpaceId": SPACE, "Variables": variables,
        "ScopeValues": {
            "Environments": environments, "Machines": [], "Actions": [], "Roles": [], "Channels": [],
            "TenantTags": [], "Processes": [],
        },
        "Links": { "Self": link(format_args!("variables/{id}")) },
    }))
}

/// The prompt with its property names in Octopus's spelling.
fn prompt(stored: &Value) -> Value {
    let get = |name: &str| stored.get(name).cloned().unwrap_or_default();
    json!({
        "Label": get("label"), "Description": get("description"),
        "Required": get("required").as_bool().unwrap_or(false), "DisplaySettings": get("displaysettings"),
    })
}
