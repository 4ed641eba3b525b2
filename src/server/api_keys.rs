//! API keys: made, listed, deleted. The key itself is in the answer that makes it and nowhere else.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::IntoResponse,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    Shared,
    body::Fields,
    json::{link, time, wanted},
    paging::Params,
    problem::Problem,
    rewrite::Prefix,
    spaces::here,
};
use crate::{
    model::{Permission, SpaceId},
    store::{ApiKeyRow, NewApiKey},
};

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let rows = shared.store().api_keys().await?;
    let items = rows.iter().filter(|row| wanted(&params, &row.id.to_string(), &row.name));
    params.envelope("ApiKey", items.map(api_key).collect()).map(Json)
}

pub(super) async fn create(
    State(shared): State<Shared>,
    prefix: Option<Extension<Prefix>>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let permissions: Result<Vec<Permission>, _> =
        fields.texts("Permissions")?.iter().map(|word| word.parse()).collect();
    let days = fields.number("Days")?.map(|days| {
        u32::try_from(days).map_err(|_| Problem::invalid(format!("`Days` is {days}: expected 1 or more")))
    });
    // Whoever names a space does not want a key for all. The first one stands in the path of clients that know no other.
    let mut named = prefix.map(|Extension(Prefix(named))| named).filter(|_| here() != SpaceId::DEFAULT);
    for field in ["SpaceIdOrName", "SpaceId", "Space"] {
        named = fields.text(field)?.or(named);
    }
    let space = match named {
        Some(named) => Some(shared.store().space(&named).await?.id()),
        None => None,
    };
    let new = NewApiKey {
        name: fields.required("Name")?,
        permissions: permissions.map_err(|error| Problem::invalid(error.to_string()))?,
        space,
        environments: fields.texts("Environments")?,
        days: days.transpose()?,
    };
    let (made, row) = shared.store().create_api_key(&new).await?;
    tracing::info!(id = %row.id, name = row.name, "API key made");
    let mut answer = api_key(&row);
    answer["ApiKey"] = made.expose_secret().into();
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().delete_api_key(&id).await?;
    tracing::info!(id = %row.id, name = row.name, "API key deleted");
    Ok(Json(api_key(&row)))
}

fn api_key(row: &ApiKeyRow) -> Value {
    json!({
        "Id": row.id, "Name": row.name, "Hint": row.hint, "Permissions": row.permissions,
        "Space": row.space, "Environments": row.environments, "Created": time(row.created), "Expires": time(row.expires),
        "Links": { "Self": link(format_args!("apikeys/{}", row.id)) },
    })
}
