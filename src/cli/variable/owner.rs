//! Whose variables are meant.

use clap::Args;
use serde_json::Value;

use crate::{
    cli::{CliError, find::find},
    client::{Collection, ServerClient},
};

/// A project's own, or those of a library.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct OwnerArgs {
    /// The project, by name, slug or id
    #[arg(long)]
    project: Option<String>,
    /// The library variable set, by name or id
    #[arg(long, value_name = "NAME")]
    library: Option<String>,
}

impl OwnerArgs {
    /// As the person named it.
    pub(super) fn name(&self) -> &str {
        self.project.as_deref().or(self.library.as_deref()).unwrap_or_default()
    }

    /// The document of its variables.
    pub(super) async fn document(&self, client: &ServerClient) -> Result<Value, CliError> {
        let kind = if self.library.is_some() { Collection::Libraries } else { Collection::Projects };
        let owner = find(client, kind, self.name()).await?;
        Ok(client.variables(&owner).await?)
    }
}
