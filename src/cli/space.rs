//! `octarm space`.

use clap::Subcommand;

use super::{CliError, Output, resource::list};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
};

#[derive(Debug, Subcommand)]
pub(super) enum SpaceCommand {
    /// List the spaces
    List,
}

pub(super) async fn run(
    command: SpaceCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    let SpaceCommand::List = command;
    list(client, Collection::Spaces, &["Id", "Name", "IsDefault"], output).await?;
    Ok(Exit::Done)
}
