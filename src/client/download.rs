//! Packages fetched for people: whole and as they were pushed, or not at all.

use std::{fs::Permissions, io, os::unix::fs::PermissionsExt as _, path::Path};

use reqwest::Method;
use serde_json::Value;
use tempfile::Builder;

use super::{ClientError, ServerClient};

impl ServerClient {
    /// Writes the bytes of a package, which is given as its document, to this file. One that is there already stays,
    /// unless it is to be replaced; what arrives damaged never has the file's name.
    pub async fn download(&self, package: &Value, to: &Path, replace: bool) -> Result<(), ClientError> {
        let text = |name: &str| package[name].as_str().unwrap_or_default();
        let act = format!("downloading {} {}", text("PackageId"), text("Version"));
        let local = |source| ClientError::File { act: act.clone(), source };
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let within = |source: io::Error| {
            local(io::Error::new(source.kind(), format!("`{}`: {source}", folder.display())))
        };
        // As the user's own mask lets it be: it is what was asked for, not something of ours.
        let open = Permissions::from_mode(0o666);
        let file = Builder::new().permissions(open).tempfile_in(folder).map_err(within)?;
        let (file, path) = file.into_parts();
        let mut file = tokio::fs::File::from_std(file);

        let request = self.request(&act, Method::GET, &["packages", text("Id"), "raw"])?;
        let response = self.connection.send(&act, request).await?;
        let (_, found) = self.connection.receive(&act, response, &mut file, within).await?;
        file.sync_all().await.map_err(within)?;
        let expected = text("Hash");
        if !found.eq_ignore_ascii_case(expected) {
            let (found, expected) = (format!("SHA-256 {found}"), format!("SHA-256 {expected}"));
            return Err(ClientError::Damaged { act: act.clone(), found, expected });
        }
        let kept = if replace { path.persist(to) } else { path.persist_noclobber(to) };
        kept.map_err(|error| {
            local(io::Error::new(error.error.kind(), format!("`{}`: {}", to.display(), error.error)))
        })
    }
}
