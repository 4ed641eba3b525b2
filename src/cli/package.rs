//! `octarm package`.

mod inspect;
mod remote;
mod repack;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use self::repack::Repack;
use super::{
    CliError, Output,
    connection::{self, ServerArgs},
    delete::DeleteArgs,
};
use crate::{
    client::Overwrite,
    config::Environment,
    conventions::Conventions,
    deploy::{bytes, files},
    exit::Exit,
    package::{FileNameError, Format, is_valid_id, pack},
    version::SemanticVersion,
};

#[derive(Debug, Subcommand)]
pub(super) enum PackageCommand {
    /// Make a package of a folder; Unix modes are kept
    Pack {
        /// The folder
        folder: PathBuf,
        /// The package's id
        #[arg(long, value_parser = package_id)]
        id: String,
        /// The package's version
        #[arg(long)]
        version: String,
        /// The format
        #[arg(long, value_enum, default_value = "nupkg")]
        format: PackFormat,
        /// The folder to write it to
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        output: PathBuf,
    },
    /// Check a package file and show what it holds and what its function would be
    Inspect {
        /// The package: a .nupkg, .zip, .tar, .tar.gz, .tgz or .tar.bz2
        file: PathBuf,
        /// A folder whose conventions lie over the built-in ones
        #[arg(long, value_name = "FOLDER")]
        conventions: Option<PathBuf>,
    },
    /// Check every byte of a package and make the zip of it that Lambda gets
    Repack {
        /// The package
        package: PathBuf,
        /// The folder in it that holds the function; else the convention's, or the root where that is missing
        #[arg(long, value_name = "FOLDER")]
        folder: Option<String>,
        /// The zip to write; a file of that name is replaced when all is done
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// A folder whose conventions lie over the built-in ones
        #[arg(long, value_name = "FOLDER")]
        conventions: Option<PathBuf>,
    },
    /// Push package files to the server
    #[command(after_help = "Example:\n  octarm package push Orders.1.4.2.nupkg --overwrite ignore")]
    Push {
        /// The packages
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What to do with one that is there already
        #[arg(long, value_enum, default_value = "fail")]
        overwrite: OverwriteMode,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the newest version of each package that the server has, or every version of one
    List {
        /// The package's id
        id: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show a package that the server has
    Show {
        /// The package's id
        id: String,
        /// Its version; else the newest
        version: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Delete a version of a package that no release needs
    Delete {
        /// The package's id
        id: String,
        /// Its version
        version: String,
        #[command(flatten)]
        delete: DeleteArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Fetch a package from the server, and check that it came whole
    #[command(after_help = "Example:\n  octarm package download Orders 1.4.2 --output /tmp/orders.nupkg")]
    Download {
        /// The package's id
        id: String,
        /// Its version; else the newest
        version: Option<String>,
        /// The file to write, `-` is standard output; else one named by id and version in this folder
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace a file of that name
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum PackFormat {
    /// For NuGet feeds and Octopus
    Nupkg,
    /// A plain zip named Id.Version.zip
    Zip,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum OverwriteMode {
    /// Refuse
    Fail,
    /// Replace it; releases that exist keep what they pinned
    Replace,
    /// Leave it and succeed
    Ignore,
}

/// An id on the command line.
pub(super) fn package_id(id: &str) -> Result<String, FileNameError> {
    if is_valid_id(id) { Ok(id.to_owned()) } else { Err(FileNameError::Id { id: id.to_owned() }) }
}

impl PackageCommand {
    /// Whether one thread is enough for it.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Pack { .. } | Self::Repack { .. })
    }
}

pub(super) async fn run(
    command: PackageCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        PackageCommand::Pack { folder, id, version, format, output: to } => {
            let format = match format {
                PackFormat::Nupkg => Format::Nupkg,
                PackFormat::Zip => Format::Zip,
            };
            let version: SemanticVersion = version
                .parse()
                .map_err(|reason| CliError::Version { given: version.clone(), source: reason })?;
            if !folder.is_dir() {
                return Err(CliError::NoFolder(folder));
            }
            let layout = Conventions::load(None)?.layout;
            let packed = pack(&folder, &id, &version, format, &to, &layout)?;
            let path = packed.path.display().to_string();
            let text = format!("packed {path}: {}, {}", files(packed.entries), bytes(packed.size));
            for left in &packed.left_out {
                output.aside(&format!("left out {}: an earlier package of the same id", left.display()));
            }
            let sha256 = hex::encode(packed.sha256);
            output.result(
                text,
                &json!({ "path": path, "files": packed.entries, "size": packed.size, "sha256": sha256 }),
            );
        }
        PackageCommand::Inspect { file, conventions } => {
            return inspect::run(file, conventions.as_deref(), output);
        }
        PackageCommand::Repack { package, folder, output: to, conventions } => {
            repack::run(&Repack { package, folder, to, conventions }, output)?;
        }
        PackageCommand::Push { server, files, overwrite } => {
            let client = connection::client(&server, environment)?;
            let overwrite = match overwrite {
                OverwriteMode::Fail => Overwrite::Fail,
                OverwriteMode::Replace => Overwrite::Replace,
                OverwriteMode::Ignore => Overwrite::Ignore,
            };
            for (pushed, file) in files.iter().enumerate() {
                let (answer, stored) = client.push(file, overwrite).await.map_err(|error| match pushed {
                    0 => error.into(),
                    _ => CliError::Partly { pushed, total: files.len(), source: Box::new(error.into()) },
                })?;
                let act = "pushing a package";
                let (id, version) = (
                    connection::field(&answer, "PackageId", act)?,
                    connection::field(&answer, "Version", act)?,
                );
                let text = match overwrite {
                    Overwrite::Ignore if !stored => format!("package {id} {version} exists"),
                    _ => format!("pushed {id} {version}"),
                };
                output.result(text, &answer);
            }
        }
        PackageCommand::List { server, id } => {
            remote::list(&connection::client(&server, environment)?, id.as_deref(), output).await?;
        }
        PackageCommand::Show { server, id, version } => {
            remote::show(&connection::client(&server, environment)?, &id, version.as_deref(), output).await?;
        }
        PackageCommand::Delete { server, id, version, delete } => {
            delete.check()?;
            let client = connection::client(&server, environment)?;
            return remote::delete(&client, &id, &version, &delete, output).await;
        }
        PackageCommand::Download { server, id, version, output: to, force } => {
            let client = connection::client(&server, environment)?;
            remote::download(&client, &id, version.as_deref(), to, force, output).await?;
        }
    }
    Ok(Exit::Done)
}
