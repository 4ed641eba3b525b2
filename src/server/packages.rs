//! Packages: push, list, fetch.

use std::{io, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{FromRequest as _, Multipart, Path, Request, State, multipart::Field},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Shared,
    json::{link, time},
    paging::Params,
    problem::Problem,
};
use crate::{
    blobs::{Blob, BlobError, Incoming},
    model::chain,
    package::{FileName, Package, PackageError},
    protocol::ErrorCode,
    store::{FEED, NewPackage, Overwrite, PackageRow, StoreError},
};

/// How long a push waits for the same bytes to be gone, and how often it looks.
const GOING: Duration = Duration::from_secs(5);
const GOING_PAUSE: Duration = Duration::from_millis(50);

/// Takes in a package as it comes, whatever its length, and answers when it is durable.
pub(super) async fn push(
    State(shared): State<Shared>,
    params: Params,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    let overwrite = overwrite(&params)?;
    let mut form = Multipart::from_request(request, &shared).await.map_err(|rejection| {
        Problem::invalid(format!("the upload is not multipart/form-data: {rejection}"))
    })?;
    let cut = |error: axum::extract::multipart::MultipartError| {
        Problem::invalid(format!("the upload ended early or cannot be read: {}", error.body_text()))
    };
    let silence = shared.settings.upload_silence;
    // Clients name the part as they like: the first one with a file name is the package.
    let (file_name, name, mut incoming) = loop {
        let Some(field) = within(silence, form.next_field()).await?.map_err(cut)? else {
            return Err(Problem::invalid("the upload holds no file: one part with a file name is expected"));
        };
        let Some(file_name) = field.file_name().map(base_name) else { continue };
        let name: FileName = file_name
            .parse()
            .map_err(|error| Problem::invalid(format!("package `{file_name}` cannot be taken: {error}")))?;
        // Before the bytes come.
        if !Package::reads(name.extension()) {
            let error = PackageError::Format { package: file_name.clone(), extension: name.extension() };
            return Err(refused(&file_name, &error));
        }
        let incoming = receive(&shared, field).await?;
        break (file_name, name, incoming);
    };
    // To the end, so that an upload that was cut after the file is not taken for a whole one.
    while let Some(field) = within(silence, form.next_field()).await?.map_err(cut)? {
        if let Some(second) = field.file_name() {
            return Err(Problem::invalid(format!(
                "the upload holds `{file_name}` and `{}`: send one file at a time",
                base_name(second)
            )));
        }
    }
    check(&shared, &mut incoming, &file_name).await?;
    if let Some(kept) = shared.store().before_push(&name, overwrite).await? {
        return Ok((StatusCode::OK, Json(package(&kept.row))));
    }
    let sealed = incoming.seal().await?;
    expect(&shared, sealed.blob()).await?;
    let blob = sealed.keep().await?;
    let new = NewPackage { name: &name, file_name: &file_name, sha256: &blob.sha256, size: blob.size };
    let pushed = shared.store().push_package(&new, overwrite).await?;
    let status = if pushed.stored { StatusCode::CREATED } else { StatusCode::OK };
    tracing::info!(package = file_name, sha256 = blob.sha256, stored = pushed.stored, "package pushed");
    Ok((status, Json(package(&pushed.row))))
}

/// Has the blob spared until it is named. One that is being deleted just now is gone in a moment.
pub(super) async fn expect(shared: &Shared, blob: &Blob) -> Result<(), StoreError> {
    let deadline = Instant::now() + GOING;
    loop {
        match shared.store().expect_blob(blob).await {
            Err(StoreError::BlobGoing { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(GOING_PAUSE).await;
            }
            other => return other,
        }
    }
}

/// The next part of an upload, unless its sender falls silent.
async fn within<T>(silence: Duration, part: impl Future<Output = T>) -> Result<T, Problem> {
    tokio::time::timeout(silence, part).await.map_err(|_| {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::Invalid,
            format!("nothing of the upload arrived for {silence:?}"),
        )
    })
}

/// Refuses what no worker could deploy.
async fn check(shared: &Shared, incoming: &mut Incoming, file_name: &str) -> Result<(), Problem> {
    let path = incoming.written().await?.to_owned();
    let shown = file_name.to_owned();
    let conventions = shared.conventions.clone();
    let opened = tokio::task::spawn_blocking(move || {
        // A tar is spooled beside the upload: there is room for packages, which other folders may not have.
        let work = path.parent().unwrap_or(&path);
        Package::open(&path, Some(&shown), &conventions.layout, work).map(drop).map_err(|error| match error {
            PackageError::Io { source, .. } if is_full(&source) => BlobError::from(source).into(),
            PackageError::Io { .. } => Problem::internal(&error),
            // A cause that names our file is trouble of ours.
            _ if chain(&error).contains(&*work.to_string_lossy()) => Problem::internal(&error),
            _ => refused(&shown, &error),
        })
    });
    opened.await.map_err(|error| Problem::internal(&error))?
}

/// What is told of a package that cannot be taken.
fn refused(file_name: &str, error: &PackageError) -> Problem {
    let mut problem = Problem::invalid(format!("package `{file_name}` cannot be taken: {}", chain(error)));
    problem.body.hint = error.hint();
    problem
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub(super) fn overwrite(params: &Params) -> Result<Overwrite, Problem> {
    match params.get("overwriteMode").map(str::to_lowercase).as_deref() {
        None if params.flag("replace") => Ok(Overwrite::Replace),
        None | Some("failifexists") => Ok(Overwrite::Fail),
        Some("overwriteexisting") => Ok(Overwrite::Replace),
        Some("ignoreifexists") => Ok(Overwrite::Ignore),
        Some(other) => Err(Problem::invalid(format!(
            "`overwriteMode` is `{other}`: expected FailIfExists, OverwriteExisting or IgnoreIfExists"
        ))),
    }
}

/// Some clients send a path.
fn base_name(sent: &str) -> String {
    sent.rsplit(['/', '\\']).next().unwrap_or(sent).to_owned()
}

async fn receive(shared: &Shared, mut field: Field<'_>) -> Result<Incoming, Problem> {
    let mut incoming = shared.blobs.receive()?;
    while let Some(bytes) = within(shared.settings.upload_silence, field.chunk()).await?.map_err(|error| {
        Problem::invalid(format!("the upload ended early or cannot be read: {}", error.body_text()))
    })? {
        incoming.write(&bytes).await?;
    }
    Ok(incoming)
}

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let mut rows = shared.store().packages().await?;
    if let Some(id) = params.get("nuGetPackageId") {
        rows.retain(|row| row.package_id.eq_ignore_ascii_case(id));
    }
    if let Some(part) = params.get("filter") {
        rows.retain(|row| row.package_id.to_lowercase().contains(&part.to_lowercase()));
    }
    if params.flag("latest") {
        // The highest version of each package comes first.
        rows.dedup_by(|later, kept| later.package_id.eq_ignore_ascii_case(&kept.package_id));
    }
    params.envelope("Package", rows.iter().map(package).collect()).map(Json)
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(package(&shared.store().package(&id).await?)))
}

pub(super) async fn bytes(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let row = shared.store().package(&id).await?;
    let blob = Blob { sha256: row.sha256, size: u64::try_from(row.size).unwrap_or(0) };
    stream(&shared, &row.file_name, &blob).await
}

/// The bytes of a package as an answer of known length.
pub(super) async fn stream(shared: &Shared, package: &str, blob: &Blob) -> Result<Response, Problem> {
    let bytes = shared.blobs.read(blob, 0).await.map_err(|error| match error {
        BlobError::Missing { .. } => {
            tracing::error!(package, cause = chain(&error), "a package has lost its bytes");
            Problem::not_found(format!("package `{package}` cannot be read: {error}"))
        }
        other => other.into(),
    })?;
    let mut response = Body::from_stream(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, blob.size.into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    delete(&shared, &[&id]).await
}

pub(super) async fn remove_all(
    State(shared): State<Shared>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let ids = params.list("ids").ok_or_else(|| Problem::invalid("`ids` is missing: say what to delete"))?;
    delete(&shared, &ids).await
}

async fn delete(shared: &Shared, ids: &[&str]) -> Result<Json<Value>, Problem> {
    let rows = shared.store().delete_packages(ids).await?;
    for row in &rows {
        tracing::info!(package = row.file_name, sha256 = row.sha256, "package deleted");
    }
    Ok(Json(json!({ "Deleted": rows.iter().map(package).collect::<Vec<_>>() })))
}

fn package(row: &PackageRow) -> Value {
    let id = format!("packages-{}.{}", row.package_id, row.version);
    json!({
        "Id": id, "PackageId": row.package_id, "NuGetPackageId": row.package_id, "Version": row.version,
        "FeedId": FEED, "NuGetFeedId": FEED, "FileExtension": row.extension, "PackageSizeBytes": row.size,
        "Hash": row.sha256, "Title": row.package_id, "Summary": null, "Description": null,
        "Published": time(row.published), "ReleaseNotes": null,
        "Links": {
            "Self": link(format_args!("packages/{id}")), "Raw": link(format_args!("packages/{id}/raw")),
            "Feed": link(format_args!("feeds/{FEED}")),
        },
    })
}
