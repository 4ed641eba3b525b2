//! `octarm man`: manual pages, from the same definitions as the commands themselves.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use serde_json::json;

use super::{Cli, CliError, Output};
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder to write a page for each command to; it is made where it is missing
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs, output: Output) -> Result<Exit, CliError> {
    let failed = |source| CliError::Io { act: "writing the manual pages".to_owned(), source };
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.output else {
        output.whole(&page(&command).map_err(failed)?);
        return Ok(Exit::Done);
    };
    fs_err::create_dir_all(folder).map_err(failed)?;
    let pages = write(&command, folder).map_err(failed)?;
    let text = format!("wrote {pages} manual pages to {}", folder.display());
    output.result(text, &json!({ "path": folder, "pages": pages }));
    Ok(Exit::Done)
}

/// Writes the page of a command and of each below it; answers how many.
fn write(command: &Command, folder: &Path) -> Result<usize, std::io::Error> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    fs_err::write(folder.join(format!("{name}.1")), page(command)?)?;
    let mut pages = 1;
    for below in command.get_subcommands() {
        pages += write(below, folder)?;
    }
    Ok(pages)
}

fn page(command: &Command) -> Result<String, std::io::Error> {
    let mut page = Vec::new();
    let version = concat!("octarm ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).source(version).manual("octarm").render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
