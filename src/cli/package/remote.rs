//! Packages that the server has: listed, shown, fetched, deleted.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output,
        delete::{self, DeleteArgs},
        find::{given, text, unknown},
        table,
    },
    client::{Collection, ServerClient},
    deploy::bytes,
    exit::Exit,
};

const KIND: Collection = Collection::Packages;

pub(super) async fn list(client: &ServerClient, id: Option<&str>, output: Output) -> Result<(), CliError> {
    let id = id.map(|id| given("package", id)).transpose()?;
    let filter = match id {
        Some(id) => ("nuGetPackageId", id.to_owned()),
        None => ("latest", "true".to_owned()),
    };
    let all = client.list(KIND, None, &[filter], usize::MAX).await?.items;
    if let Some(id) = id.filter(|_| all.is_empty()) {
        return Err(no_package(client, id).await?);
    }
    let row = |package: &Value| {
        json!({
            "Id": package["PackageId"], "Version": package["Version"], "Format": package["FileExtension"],
            "Size": size(package), "Published": package["Published"],
        })
    };
    let rows: Vec<Value> = all.iter().map(row).collect();
    table::show(&rows, &["Id", "Version", "Format", "Size", "Published"], &all.into(), output);
    Ok(())
}

pub(super) async fn show(
    client: &ServerClient,
    id: &str,
    version: Option<&str>,
    output: Output,
) -> Result<(), CliError> {
    let found = find(client, id, version).await?;
    let fields = [
        ("Id", text(&found, "PackageId").to_owned()),
        ("Version", text(&found, "Version").to_owned()),
        ("Format", text(&found, "FileExtension").to_owned()),
        ("Size", size(&found)),
        ("SHA-256", text(&found, "Hash").to_owned()),
        ("Published", text(&found, "Published").to_owned()),
    ];
    table::card(&fields, &found, output);
    Ok(())
}

pub(super) async fn delete(
    client: &ServerClient,
    id: &str,
    version: &str,
    args: &DeleteArgs,
    output: Output,
) -> Result<Exit, CliError> {
    let found = find(client, id, Some(version)).await;
    delete::delete(client, KIND, found, args, false, output).await
}

pub(super) async fn download(
    client: &ServerClient,
    id: &str,
    version: Option<&str>,
    to: Option<PathBuf>,
    force: bool,
    output: Output,
) -> Result<(), CliError> {
    let found = find(client, id, version).await?;
    let (id, version) = (text(&found, "PackageId"), text(&found, "Version"));
    if to.as_deref() == Some(Path::new("-")) {
        return stream(client, &found, output).await;
    }
    let to = match to {
        Some(to) => to,
        // A name from elsewhere is never a way into another folder.
        None => format!("{id}.{version}{}", text(&found, "FileExtension")).replace(['/', '\\'], "_").into(),
    };
    if !force && to.exists() {
        return Err(CliError::Occupied(to));
    }
    client.download(&found, &to, force).await?;
    let path = to.display().to_string();
    let json = json!({ "path": path, "size": found["PackageSizeBytes"], "sha256": found["Hash"] });
    output.result(format!("downloaded {id} {version} to {path}: {}", size(&found)), &json);
    Ok(())
}

/// Writes a package to standard output, once it is known to have come whole.
async fn stream(client: &ServerClient, found: &Value, output: Output) -> Result<(), CliError> {
    let failed = |source| CliError::Io { act: "keeping the package until it is whole".to_owned(), source };
    output.refuse_terminal("a package")?;
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = folder.path().join("package");
    client.download(found, &file, false).await?;
    output.stream(&file)?;
    let (id, version) = (text(found, "PackageId"), text(found, "Version"));
    let json = json!({ "path": "-", "size": found["PackageSizeBytes"], "sha256": found["Hash"] });
    output.result_beside(&format!("downloaded {id} {version} to standard output: {}", size(found)), &json);
    Ok(())
}

/// The version of a package, or its newest.
async fn find(client: &ServerClient, id: &str, version: Option<&str>) -> Result<Value, CliError> {
    let id = given("package", id)?;
    if let Some(version) = version {
        given("package's version", version)?;
        match client.read(KIND, &format!("packages-{id}.{version}")).await {
            Err(error) if error.status() == Some(404) => {}
            found => return Ok(found?),
        }
    }
    let mut versions = client.list(KIND, None, &[("nuGetPackageId", id.to_owned())], usize::MAX).await?.items;
    if versions.is_empty() {
        return Err(no_package(client, id).await?);
    }
    match version {
        // The highest version comes first.
        None => Ok(versions.swap_remove(0)),
        Some(version) => {
            let named = format!("{} {version}", text(&versions[0], "PackageId"));
            Err(unknown("package", &named, versions.iter().map(|package| text(package, "Version"))))
        }
    }
}

/// There is none of this id, but of these.
async fn no_package(client: &ServerClient, id: &str) -> Result<CliError, CliError> {
    let all = client.list(KIND, None, &[("latest", "true".to_owned())], usize::MAX).await?.items;
    Ok(unknown("package", id, all.iter().map(|package| text(package, "PackageId"))))
}

fn size(package: &Value) -> String {
    package["PackageSizeBytes"].as_u64().map(bytes).unwrap_or_default()
}
