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
    model::{ProjectId, ScopeType},
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
    Ok(Json(document(&set)))
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
    Ok(Json(document(&set)))
}

fn variable(fields: &Fields, conventions: &Conventions) -> Result<NewVariable, Problem> {
    let name = fields.required("Name")?;
    let kind = fields.text("Type")?.unwrap_or_else(|| "String".into());
    let sensitive = fields.flag("IsSensitive")?
        || kind.eq_ignore_ascii_case("Sensitive")
        // Well known to be secret, whatever the client calls it.
        || conventions.is_sensitive(&name);
    Ok(NewVariable {
        id: fields.text("Id")?,
        scope: scope(fields, &name)?,
        name,
        kind,
        sensitive,
        value: fields.raw_text("Value")?,
        description: fields.raw_text("Description")?,
        prompt: fields.value("Prompt"),
    })
}

/// A type that is not known is refused, never left out: without it the value would hold where it must not.
fn scope(fields: &Fields, name: &str) -> Result<Vec<(ScopeType, Vec<String>)>, Problem> {
    let Some(scope) = fields.object("Scope")? else { return Ok(Vec::new()) };
    let refused = |why: &str| Problem::invalid(format!("the scope of variable `{name}`: {why}"));
    scope
        .filled()
        .into_iter()
        .map(|word| {
            let kind = ScopeType::parse(word)
                .ok_or_else(|| refused(&format!("this server knows no `{word}` to scope by")))?;
            let texts = scope.texts(kind.as_str()).map_err(|problem| refused(&problem.body.message))?;
            Ok((kind, texts))
        })
        .collect()
}

fn document(set: &VariableSet) -> Value {
    let is_prompted = |name: &str| {
        let mut same = set.variables.iter().filter(|other| other.name.eq_ignore_ascii_case(name));
        same.any(|other| other.prompt.is_some())
    };
    let variables: Vec<Value> = set
        .variables
        .iter()
        .map(|variable| {
            let mut scope = json!(variable.scope);
            // Clients that give a value for a name read `Scope.Environment` of all variables of that name and break
            // where it is missing. Others find a variable again by its whole scope: there it stays as it was sent.
            if scope["Environment"].is_null() && is_prompted(&variable.name) {
                scope["Environment"] = json!([]);
            }
            json!({
                "Id": variable.id, "Name": variable.name, "Value": variable.value,
                "Description": variable.description, "Type": variable.kind, "IsSensitive": variable.sensitive,
                "IsEditable": true, "Scope": scope, "Prompt": variable.prompt.as_ref().map(prompt),
            })
        })
        .collect();
    let members = |kind: ScopeType| -> Vec<Value> {
        let members = set.members.iter().filter(|member| member.kind == kind);
        members.map(|member| json!({ "Id": member.id, "Name": member.name })).collect()
    };
    let mut processes = members(ScopeType::ProcessOwner);
    for process in &mut processes {
        process["ProcessType"] = json!("Deployment");
    }
    let id = format!("{SET}{}", set.project);
    json!({
        "Id": id, "OwnerId": set.project, "Version": set.version, "SpaceId": SPACE, "Variables": variables,
        "ScopeValues": {
            "Environments": members(ScopeType::Environment), "Machines": members(ScopeType::Machine),
            "Actions": members(ScopeType::Action), "Roles": [], "Channels": members(ScopeType::Channel),
            "TenantTags": [], "Processes": processes,
        },
        "Links": { "Self": link(format_args!("variables/{id}")) },
    })
}

/// The prompt with its property names in Octopus's spelling.
fn prompt(stored: &Value) -> Value {
    let get = |name: &str| stored.get(name).cloned().unwrap_or_default();
    json!({
        "Label": get("label"), "Description": get("description"),
        "Required": get("required").as_bool().unwrap_or(false), "DisplaySettings": get("displaysettings"),
    })
}
