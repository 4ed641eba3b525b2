//! What this server does not have, said in the form that clients understand: an empty list, or a text that names it.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{
    Shared,
    json::{link, wanted},
    paging::Params,
    problem::Problem,
    spaces::here,
};

/// A list in which nothing is.
macro_rules! none {
    ($name:ident, $kind:literal) => {
        pub(super) async fn $name(params: Params) -> Result<impl IntoResponse, Problem> {
            params.envelope($kind, Vec::new()).map(Json)
        }
    };
}
none!(tenants, "Tenant");
none!(interruptions, "Interruption");
none!(artifacts, "Artifact");
none!(events, "Event");
none!(runbooks, "Runbook");

/// A bare list in which nothing is: the roles of machines, and tenants.
pub(super) async fn nothing() -> impl IntoResponse {
    Json(Value::Array(Vec::new()))
}

pub(super) async fn runbooks_of(
    State(shared): State<Shared>,
    Path(project): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    shared.store().project(&project).await?;
    runbooks(params).await
}

pub(super) async fn no_runbook() -> Problem {
    Problem::not_found("this server has no runbooks: it deploys releases")
}

pub(super) async fn no_tenant(Path(tenant): Path<String>) -> Problem {
    Problem::not_found(format!("tenant `{tenant}` does not exist: this server has no tenants"))
}

/// Clients take it for "send the package whole".
pub(super) async fn no_delta(Path((package, version)): Path<(String, String)>) -> Problem {
    Problem::not_found(format!(
        "there is no delta signature of package `{package}` version `{version}`: send the package whole"
    ))
}

const POLICY: &str = "MachinePolicies-1";
const POLICY_NAME: &str = "Default Machine Policy";

/// The one policy of machines. It says nothing: workers call the server, nobody checks them from here.
fn policy() -> Value {
    json!({
        "Id": POLICY, "Name": POLICY_NAME, "Description": "", "IsDefault": true, "SpaceId": here(),
        "Links": { "Self": link(format_args!("machinepolicies/{POLICY}")) },
    })
}

pub(super) async fn policies(params: Params) -> Result<impl IntoResponse, Problem> {
    let items = if wanted(&params, POLICY, POLICY_NAME) { vec![policy()] } else { Vec::new() };
    params.envelope("MachinePolicy", items).map(Json)
}

pub(super) async fn all_policies() -> impl IntoResponse {
    Json([policy()])
}

pub(super) async fn show_policy(Path(id): Path<String>) -> Result<impl IntoResponse, Problem> {
    if id.eq_ignore_ascii_case(POLICY) {
        return Ok(Json(policy()));
    }
    Err(Problem::not_found(format!("machine policy `{id}` does not exist: this server has one, `{POLICY}`")))
}
