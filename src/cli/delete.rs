//! Deleting: said twice, by `--yes` or by an answer on a terminal, and told afterwards.

use std::io::{self, BufRead as _, IsTerminal as _};

use clap::Args;
use serde_json::Value;

use super::{
    CliError, Output,
    find::{name_of, text},
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
};

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// Do not ask; where nobody can be asked nothing is deleted without it
    #[arg(long, short)]
    yes: bool,
    /// Succeed when it is not there
    #[arg(long)]
    ignore_missing: bool,
}

impl DeleteArgs {
    /// Refuses before anything is asked of the server.
    pub(super) fn check(&self) -> Result<(), CliError> {
        if self.yes || (io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Ok(());
        }
        Err(CliError::NotConfirmed)
    }

    /// Whether this says that there is nothing to delete, which was said to be no error.
    pub(super) fn ignores(&self, error: &CliError) -> bool {
        self.ignore_missing && error.is_missing()
    }

    /// Whether it shall be; what it is stands in the question.
    pub(super) fn confirm(&self, what: &str, output: Output) -> Result<bool, CliError> {
        if self.yes {
            return Ok(true);
        }
        output.ask(&format!("delete {what}? [y/N] "));
        let mut answer = String::new();
        io::stdin()
            .lock()
            .read_line(&mut answer)
            .map_err(|source| CliError::Io { act: "reading the answer".to_owned(), source })?;
        let is_yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
        if !is_yes {
            output.aside("nothing was deleted");
        }
        Ok(is_yes)
    }
}

/// Deletes what was found, once that is confirmed; `force` also while it is at work.
pub(super) async fn delete(
    client: &ServerClient,
    collection: Collection,
    found: Result<Value, CliError>,
    args: &DeleteArgs,
    force: bool,
    output: Output,
) -> Result<Exit, CliError> {
    let found = match found {
        Err(error) if args.ignores(&error) => {
            output.result(format!("{error}: nothing to delete"), &Value::Null);
            return Ok(Exit::Done);
        }
        found => found?,
    };
    let id = text(&found, "Id");
    let what = format!("the {} {} ({id})", collection.one(), name_of(&found));
    if !args.confirm(&what, output)? {
        return Ok(Exit::Declined);
    }
    client.delete(collection, id, force).await?;
    output.result(format!("deleted {what}"), &found);
    Ok(Exit::Done)
}
