//! Library variable sets: what projects include. Their variables are read and saved as a project's are.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{Shared, body::Fields, json::link, paging::Params, problem::Problem, spaces::here};
use crate::{
    model::{LibraryVariableSetId, SetOwner, VariableSetId},
    store::LibraryRow,
};

const KIND: &str = "LibraryVariableSet";
/// The kind of library that there is; Octopus has one of scripts too.
const CONTENT: &str = "Variables";

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<Json<Value>, Problem> {
    if !params.lets("contentType", CONTENT) {
        return params.envelope(KIND, Vec::new()).map(Json);
    }
    let rows = shared.store().libraries().await?;
    params.page_of(KIND, &rows, |row| (LibraryVariableSetId(row.id), &row.name), library)
}

pub(super) async fn all(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.store().libraries().await?.iter().map(library).collect::<Vec<_>>()))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(library(&shared.store().library(&id).await?)))
}

pub(super) async fn create(
    State(shared): State<Shared>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    if let Some(content) =
        fields.text("ContentType")?.filter(|content| !content.eq_ignore_ascii_case(CONTENT))
    {
        return Err(Problem::invalid(format!(
            "`ContentType` is `{content}`: this version of the server has libraries of `{CONTENT}` only"
        )));
    }
    let description = fields.raw_text("Description")?.unwrap_or_default();
    let row = shared.store().create_library(&fields.required("Name")?, &description).await?;
    Ok((StatusCode::CREATED, Json(library(&row))))
}

/// What is not sent stays as it is.
pub(super) async fn put(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let (name, description) = (fields.raw_text("Name")?, fields.raw_text("Description")?);
    let row = shared.store().change_library(&id, name.as_deref(), description.as_deref()).await?;
    Ok(Json(library(&row)))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(library(&shared.store().delete_library(&id).await?)))
}

/// The sets that a project is to include; none where the request does not say.
pub(super) fn included(fields: &Fields) -> Result<Option<Vec<String>>, Problem> {
    const NAME: &str = "IncludedLibraryVariableSetIds";
    if fields.value(NAME).is_none() { Ok(None) } else { fields.texts(NAME).map(Some) }
}

fn library(row: &LibraryRow) -> Value {
    let id = LibraryVariableSetId(row.id);
    let variables = VariableSetId::of(SetOwner::Library(id));
    json!({
        "Id": id, "Name": row.name, "Description": row.description, "SpaceId": here(), "ContentType": CONTENT,
        "VariableSetId": variables, "Templates": [],
        "Links": {
            "Self": link(format_args!("libraryvariablesets/{id}")),
            "Variables": link(format_args!("variables/{variables}")),
        },
    })
}
