//! `octarm worker logs`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde_json::json;

use super::{CliError, Output};
use crate::{
    config::WorkerConfig,
    exit::Exit,
    model::DeploymentId,
    worker::{LocalLine, LogReader},
};

/// How often the local log is looked at for new lines.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(in crate::cli) struct LogsArgs {
    /// Go on as lines come
    #[arg(long, short)]
    follow: bool,
    /// Only of this deployment
    #[arg(long, value_name = "ID")]
    deployment: Option<DeploymentId>,
    /// Only from this time on, such as 2026-11-25T14:00:00Z, or for as long as `10m`, `2h` or `1d` before now
    #[arg(long, value_name = "TIME|DURATION", value_parser = since)]
    since: Option<Timestamp>,
}

impl LogsArgs {
    fn wants(&self, one: &LocalLine) -> bool {
        self.deployment.is_none_or(|wanted| wanted == one.deployment)
            && self.since.is_none_or(|since| one.line.time >= since)
    }
}

/// A time, or a duration before now. One that is longer than time goes back is before all.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let expected =
        || "expected a time like 2026-11-25T14:00:00Z, or a duration like 10m, 2h or 1d".to_owned();
    let span: Span = match text.parse() {
        Ok(span) => span,
        Err(error) if jiff::Error::is_range(&error) && !text.contains('-') => return Ok(Timestamp::MIN),
        Err(_) => return Err(expected()),
    };
    let before = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    if before.is_negative() {
        return Err(expected());
    }
    Ok(Timestamp::now().checked_sub(before).unwrap_or(Timestamp::MIN))
}

pub(super) async fn logs(config: &WorkerConfig, args: LogsArgs, output: Output) -> Result<Exit, CliError> {
    let failed = |source| CliError::Io { act: "reading the worker's log".to_owned(), source };
    let state: &PathBuf = &config.state;
    if !state.is_dir() {
        let text = format!("the state folder `{}` does not exist", state.display());
        return Err(failed(std::io::Error::other(text)));
    }
    let show = |lines: Vec<LocalLine>| {
        for one in lines.into_iter().filter(|one| args.wants(one) && output.wants(&one.line)) {
            let LocalLine { deployment, line } = one;
            if output.is_json() {
                let value = json!({
                    "deployment": deployment, "time": line.time, "level": line.level, "text": line.text,
                });
                output.whole(&value.to_string());
            } else {
                output.log_line(&deployment.to_string(), &line);
            }
        }
    };
    let mut reader = LogReader::new(state);
    show(reader.older().map_err(failed)?);
    loop {
        show(reader.next_lines().map_err(failed)?);
        if !args.follow {
            return Ok(Exit::Done);
        }
        // Ctrl-C ends this as it ends `tail -f`.
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_duration() {
        let time: Timestamp = "2026-11-25T14:00:00Z".parse().unwrap();
        assert_eq!(since("2026-11-25T15:00:00+01:00"), Ok(time));
        for (text, seconds) in
            [("10m", 600), ("2h", 7200), ("1d", 86_400), ("1h 30m", 5400), ("2w", 1_209_600)]
        {
            let time = since(text).unwrap();
            let found = Timestamp::now().duration_since(time).as_secs();
            assert!((seconds..seconds + 60).contains(&found), "{text}: {found}");
        }
        assert_eq!(since("9999999d"), Ok(Timestamp::MIN), "so long ago is before all");
        for bad in ["", "yesterday", "10", "-10m", "-9999999d", "1 month", "2026-11-25"] {
            assert!(since(bad).unwrap_err().contains("expected a time like"), "{bad}");
        }
    }
}
