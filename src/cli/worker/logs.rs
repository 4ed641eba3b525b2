//! `octarm worker logs`.

use std::{path::Path, time::Duration};

use super::{CliError, Output};
use crate::{
    exit::Exit,
    model::DeploymentId,
    worker::{LocalLine, LogReader},
};

/// How often the local log is looked at for new lines.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn logs(
    state: &Path,
    follow: bool,
    deployment: Option<DeploymentId>,
    output: Output,
) -> Result<Exit, CliError> {
    let failed = |source| CliError::Io { act: "reading the worker's log".to_owned(), source };
    if !state.is_dir() {
        return Err(CliError::Io {
            act: "reading the worker's log".to_owned(),
            source: std::io::Error::other(format!("the state folder `{}` does not exist", state.display())),
        });
    }
    let show = |lines: Vec<LocalLine>| {
        for line in lines.into_iter().filter(|line| deployment.is_none_or(|wanted| wanted == line.deployment))
        {
            output.log_line(&line.deployment.to_string(), &line.line);
        }
    };
    let mut reader = LogReader::new(state);
    show(reader.older().map_err(failed)?);
    loop {
        show(reader.next_lines().map_err(failed)?);
        if !follow {
            return Ok(Exit::Done);
        }
        // Ctrl-C ends this as it ends `tail -f`.
        tokio::time::sleep(LOOK).await;
    }
}
