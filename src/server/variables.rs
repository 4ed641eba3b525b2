//! Variable sets. A sensitive value goes in and never comes out.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{Shared, body::Fields, json::link, paging::Params, problem::Problem, spaces::here};
use crate::{
    conventions::Conventions,
    model::{ProjectId, ScopeType, SetOwner, VariableSetId, VariableSetIdError},
    store::{NewVariable, Resolved, ScopeMember, ShownVariable, VariableSet},
};

fn set_of(id: &str) -> Result<VariableSetId, Problem> {
    id.parse().map_err(|error: VariableSetIdError| Problem::not_found(error.to_string()))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let set = shared.store().variables(set_of(&id)?).await?;
    Ok(Json(document(&set)))
}

pub(super) async fn put(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let id = set_of(&id)?;
    if id.copy.is_some() {
        return Err(Problem::invalid(format!(
            "`{id}` is what a release copied and stays as it is: change `{}`, then let the release copy it again",
            VariableSetId::of(id.owner)
        )));
    }
    let version = fields.number("Version")?.ok_or_else(|| {
        Problem::invalid("`Version` is missing: send the variables with the version that they were read with")
    })?;
    let new = fields
        .objects("Variables")?
        .iter()
        .map(|fields| variable(fields, &shared.conventions))
        .collect::<Result<_, _>>()?;
    let set = shared.store().put_variables(id.owner, version, new).await?;
    Ok(Json(document(&set)))
}

/// The names of the variables of a project, or of all.
pub(super) async fn names(
    State(shared): State<Shared>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let project = match params.get("project") {
        Some(project) => Some(shared.store().project(project).await?),
        None => None,
    };
    Ok(Json(shared.store().variable_names(project.as_ref()).await?))
}

/// The values of a project that would hold, in the form of a set.
pub(super) async fn preview(
    State(shared): State<Shared>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let project = params.get("project").ok_or_else(|| {
        Problem::invalid("`project` is missing: give the project whose variables are to be shown")
    })?;
    let project = shared.store().project(project).await?;
    let wanted: Vec<(ScopeType, Vec<String>)> = [
        ("environment", ScopeType::Environment),
        ("channel", ScopeType::Channel),
        ("machine", ScopeType::Machine),
        ("role", ScopeType::Role),
        ("action", ScopeType::Action),
        ("tenant", ScopeType::Tenant),
    ]
    .into_iter()
    .filter_map(|(name, kind)| Some((kind, vec![params.get(name)?.to_owned()])))
    .collect();
    let Resolved { variables, members } = shared.store().resolved(&project, &wanted).await?;
    let owner = SetOwner::Project(ProjectId(project.id));
    let variables: Vec<Value> = variables
        .iter()
        .map(|(owner, variable)| {
            let mut shown = one(variable, &json!(variable.scope));
            shown["VariableSetId"] = json!(VariableSetId::of(*owner));
            shown
        })
        .collect();
    Ok(Json(json!({
        "Id": VariableSetId::of(owner), "OwnerId": owner, "Version": 0, "SpaceId": here(), "Variables": variables,
        "ScopeValues": scope_values(&members), "Links": {},
    })))
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
        prompt: read_prompt(fields, &name)?,
        name,
        kind,
        sensitive,
        value: fields.raw_text("Value")?,
        description: fields.raw_text("Description")?,
    })
}

/// The prompt as it is stored: one that cannot be read would be a prompt that asks for nothing.
fn read_prompt(fields: &Fields, name: &str) -> Result<Option<Value>, Problem> {
    let refused = |problem: Problem| {
        Problem::invalid(format!("the prompt of variable `{name}`: {}", problem.body.message))
    };
    let Some(prompt) = fields.object("Prompt").map_err(refused)? else { return Ok(None) };
    Ok(Some(json!({
        "label": prompt.raw_text("Label").map_err(refused)?,
        "description": prompt.raw_text("Description").map_err(refused)?,
        "required": prompt.flag("Required").map_err(refused)?,
        "displaysettings": prompt.value("DisplaySettings"),
    })))
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
            one(variable, &scope)
        })
        .collect();
    let VariableSet { id, version, members, .. } = set;
    json!({
        "Id": id, "OwnerId": id.owner, "Version": version, "SpaceId": here(), "Variables": variables,
        "ScopeValues": scope_values(members), "Links": { "Self": link(format_args!("variables/{id}")) },
    })
}

fn one(variable: &ShownVariable, scope: &Value) -> Value {
    json!({
        "Id": variable.id, "Name": variable.name, "Value": variable.value,
        "Description": variable.description, "Type": variable.kind, "IsSensitive": variable.sensitive,
        "IsEditable": true, "Scope": scope, "Prompt": variable.prompt.as_ref().map(prompt),
    })
}

/// What scopes may name, by type.
fn scope_values(members: &[ScopeMember]) -> Value {
    let of = |kind: ScopeType| -> Vec<Value> {
        let members = members.iter().filter(|member| member.kind == kind);
        members.map(|member| json!({ "Id": member.id, "Name": member.name })).collect()
    };
    let mut processes = of(ScopeType::ProcessOwner);
    for process in &mut processes {
        process["ProcessType"] = json!("Deployment");
    }
    json!({
        "Environments": of(ScopeType::Environment), "Machines": of(ScopeType::Machine),
        "Actions": of(ScopeType::Action), "Roles": [], "Channels": of(ScopeType::Channel), "TenantTags": [],
        "Processes": processes,
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
