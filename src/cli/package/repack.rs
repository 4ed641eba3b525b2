//! `octarm package repack`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    cli::{CliError, Output},
    conventions::Conventions,
    deploy::{bytes, files},
    package::{Extension, FileName, Package},
};

/// What was asked for.
pub(super) struct Repack {
    pub(super) package: PathBuf,
    pub(super) folder: Option<String>,
    pub(super) to: PathBuf,
    pub(super) conventions: Option<PathBuf>,
}

pub(super) fn run(asked: &Repack, output: Output) -> Result<(), CliError> {
    if asked.to == Path::new("-") {
        // A stream cannot be taken back when the end of the package turns out to be bad.
        return Err(CliError::NoStream);
    }
    if !asked.package.exists() {
        return Err(CliError::NoPackage(asked.package.clone()));
    }
    let layout = Conventions::load(asked.conventions.as_deref())?.layout;
    let name = without_version(&asked.package);
    // A tar is spooled where the zip will be: on no other disk is space needed.
    let beside = asked.to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let package = Package::open(&asked.package, name.as_deref(), &layout, beside)?;
    let folder = match &asked.folder {
        Some(folder) => folder.trim_end_matches('/'),
        None => package.function_folder(&layout.function_folder),
    };
    let written = package.repack_to_file(folder, &asked.to)?;
    let (path, count) = (asked.to.display().to_string(), written.files);
    let place = if folder.is_empty() { "the package's root".to_owned() } else { format!("`{folder}`") };
    let text = format!(
        "repacked {} from {place} to {path}: {} unzipped, {} zipped\nCodeSha256 {}",
        files(count),
        bytes(written.unzipped_size),
        bytes(written.size),
        written.code_sha256()
    );
    let value = json!({
        "path": path,
        "folder": folder,
        "files": count,
        "unzipped_size": written.unzipped_size,
        "size": written.size,
        "code_sha256": written.code_sha256(),
    });
    output.result(text, &value);
    Ok(())
}

/// A name for a zip whose own says neither id nor version: repacking needs none.
fn without_version(package: &Path) -> Option<String> {
    let name = package.file_name()?.to_str()?;
    let (stem, extension) = Extension::cut(name)?;
    let is_named = extension == Extension::Nupkg || name.parse::<FileName>().is_ok();
    (!is_named).then(|| {
        let id = if crate::package::is_valid_id(stem) { stem } else { "unnamed" };
        format!("{id}.0{}", &name[stem.len()..])
    })
}
