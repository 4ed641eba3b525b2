//! Registration tokens: made, listed, deleted. The token itself is in the answer that makes it and nowhere else.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::IntoResponse,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    Shared,
    auth::Caller,
    body::Fields,
    json::{link, time, wanted},
    paging::Params,
    problem::Problem,
};
use crate::store::{NewRegistrationToken, RegistrationTokenRow};

/// How long a token lives where nothing else is asked for.
const LIFE: Duration = Duration::from_hours(1);

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let rows = shared.store().registration_tokens().await?;
    let items = rows.iter().filter(|row| {
        wanted(&params, &row.id.to_string(), &row.id.to_string())
            && params.lets("environmentIds", &row.environment.to_string())
    });
    params.envelope("WorkerRegistrationToken", items.map(document).collect()).map(Json)
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(document(&shared.store().registration_token(&id).await?)))
}

pub(super) async fn create(
    State(shared): State<Shared>,
    caller: Caller,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let environment = match fields.text("EnvironmentId")? {
        Some(id) => id,
        None => fields.required("Environment")?,
    };
    let whole = |name: &str, usual: u64| -> Result<u64, Problem> {
        fields.number(name)?.map_or(Ok(usual), |number| {
            u64::try_from(number)
                .map_err(|_| Problem::invalid(format!("`{name}` is {number}, expected 1 or more")))
        })
    };
    let new = NewRegistrationToken {
        environment,
        expires_in: Duration::from_secs(whole("ExpiresInSeconds", LIFE.as_secs())?),
        uses: u32::try_from(whole("Uses", 1)?).unwrap_or(u32::MAX),
        allow_replace: fields.flag("AllowReplace")?,
        created_by: caller.name().to_owned(),
    };
    let (made, row) = shared.store().create_registration_token(&new).await?;
    tracing::info!(id = %row.id, environment = %row.environment, by = caller.name(), "registration token made");
    let mut answer = document(&row);
    answer["Token"] = made.expose_secret().into();
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().delete_registration_token(&id).await?;
    tracing::info!(id = %row.id, by = caller.name(), "registration token deleted");
    Ok(Json(document(&row)))
}

/// What it is good for now.
fn state(row: &RegistrationTokenRow) -> &'static str {
    if row.is_over {
        "Expired"
    } else if row.used >= row.uses {
        "UsedUp"
    } else {
        "Active"
    }
}

fn document(row: &RegistrationTokenRow) -> Value {
    json!({
        "Id": row.id, "SpaceId": row.space, "EnvironmentId": row.environment, "Hint": row.hint, "State": state(row),
        "Uses": row.uses, "Used": row.used, "AllowReplace": row.allow_replace, "Created": time(row.created),
        "CreatedBy": row.created_by, "Expires": time(row.expires),
        "Links": { "Self": link(format_args!("workerregistrationtokens/{}", row.id)) },
    })
}
