//! `octarm package`.

mod inspect;
mod repack;

use serde_json::json;

use self::repack::Repack;
use super::{CliError, Output, OverwriteMode, PackFormat, PackageCommand, connection};
use crate::{
    client::Overwrite,
    config::Environment,
    conventions::Conventions,
    deploy::{bytes, files},
    exit::Exit,
    package::{Format, pack},
    version::SemanticVersion,
};

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
                let answer = client.push(file, overwrite).await.map_err(|error| match pushed {
                    0 => error.into(),
                    _ => CliError::Partly { pushed, total: files.len(), source: Box::new(error.into()) },
                })?;
                let act = "pushing a package";
                let (id, version) = (
                    connection::field(&answer, "PackageId", act)?,
                    connection::field(&answer, "Version", act)?,
                );
                output.result(format!("pushed {id} {version}"), &answer);
            }
        }
    }
    Ok(Exit::Done)
}
