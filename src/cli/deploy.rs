//! `octarm deploy`: the engine without a server, for one shot in a script.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::ZonedDateTime;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{CliError, Output, variables};
use crate::{
    aws::Pace,
    config::Environment,
    conventions::{Conventions, environment_name},
    deploy::{self, Event, Guard, Job, Log, Progress, Ran, Redactor, bytes},
    exit::Exit,
    model::{Outcome, Variable},
    shutdown::{self, Wishes},
    template::{Variables, names},
};

#[derive(Debug, Args)]
pub(super) struct DeployArgs {
    /// The package: a .nupkg, .zip, .tar, .tar.gz, .tgz or .tar.bz2
    package: PathBuf,
    /// The environment: `Octopus.Environment.Name`
    #[arg(long)]
    environment: Option<String>,
    /// The release: `Octopus.Release.Number`
    #[arg(long)]
    release: Option<String>,
    /// The project: `Octopus.Project.Name`
    #[arg(long)]
    project: Option<String>,
    /// A variable; not for sensitive values, which others can read in the list of processes
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variables::parse_pair)]
    variables: Vec<(String, String)>,
    /// A JSON file of variables: {"Name": "value"} or [{"k": "Name", "v": "value", "s": true}]; `-` is standard input
    #[arg(long = "variables", value_name = "FILE")]
    variables_file: Option<PathBuf>,
    /// A folder whose conventions lie over the built-in ones
    #[arg(long, value_name = "FOLDER")]
    conventions: Option<PathBuf>,
    /// Show what would be done; change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Repacking, asking, sending, settling.
const STAGES: u64 = 4;

pub(super) async fn run(
    args: DeployArgs,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    let conventions = Conventions::load(args.conventions.as_deref())?;
    variables::refuse_sensitive(&args.variables, &conventions)?;
    if !args.package.is_file() {
        return Err(CliError::NoPackage(args.package));
    }
    let gathered = gather(&args, &conventions, environment)?;

    let (events, received) = mpsc::unbounded_channel();
    let started = ZonedDateTime::now();
    let log = Log::new(events, Redactor::of(&gathered.variables, &started)?);
    for origin in &gathered.origins {
        log.info(origin);
    }

    let cancel = CancellationToken::new();
    let leave = CancellationToken::new();
    // The first signal cancels at the next safe point, the second leaves.
    shutdown::listen(Wishes { drain: cancel.clone(), cancel: leave.clone(), ..Wishes::default() }, || None)
        .map_err(|source| CliError::Io { act: "listening for signals".to_owned(), source })?;
    let file_name =
        args.package.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let job = Job {
        package: args.package,
        file_name,
        expected: None,
        variables: gathered.variables,
        work: std::env::temp_dir(),
        journal: Vec::new(),
        started,
        known: None,
        pace: Pace::default(),
        dry_run: args.dry_run,
    };
    let guard = Guard::Alone { cancel };
    let began_to_send = AtomicBool::new(false);
    let showing = show(received, output, &began_to_send);
    let running = async {
        let ran = deploy::run(job, &conventions, &log, &guard).await;
        // The last sender: the lines end here.
        drop(log);
        ran
    };
    let both = async { tokio::join!(running, showing) };
    let (ran, ()) = tokio::select! {
        both = both => both,
        () = leave.cancelled() => {
            let began = began_to_send.load(Ordering::SeqCst);
            return Ok(if began { Exit::Unknown } else { Exit::Cancelled });
        }
    };
    let ran = ran
        .unwrap_or_else(|stop| Ran { outcome: Outcome::Cancelled { summary: stop.to_string() }, plan: None });
    if output.is_json() {
        output.result("", &json!({ "outcome": ran.outcome, "plan": ran.plan, "dry_run": args.dry_run }));
    }
    Ok(match ran.outcome {
        Outcome::Success { .. } => Exit::Done,
        Outcome::Failed { .. } => Exit::DeploymentFailed,
        Outcome::Cancelled { .. } => Exit::Cancelled,
        Outcome::Unknown { .. } => Exit::Unknown,
    })
}

/// All variables, and where those came from that say what goes where.
struct Gathered {
    variables: Variables,
    origins: Vec<String>,
}

/// In rising priority: the convention's defaults (laid under by the engine), the file, the environment, the
/// command line.
fn gather(
    args: &DeployArgs,
    conventions: &Conventions,
    environment: &Environment,
) -> Result<Gathered, CliError> {
    let file = match &args.variables_file {
        Some(file) => variables::read_file(file, conventions)?,
        None => Vec::new(),
    };
    let options = [
        ("Octopus.Environment.Name", &args.environment, "--environment"),
        ("Octopus.Release.Number", &args.release, "--release"),
        ("Octopus.Project.Name", &args.project, "--project"),
    ];
    let mut line: Vec<(Variable, &str)> =
        args.variables.iter().map(|(name, value)| (Variable::plain(name, value), "--variable")).collect();
    line.extend(
        options
            .iter()
            .filter_map(|(name, value, option)| Some((Variable::plain(*name, value.as_deref()?), *option))),
    );

    let mut gathered = Gathered { variables: Variables::default(), origins: Vec::new() };
    let mut origin = BTreeMap::new();
    for variable in file {
        origin.insert(key(&variable.name), "the variables file".to_owned());
        gathered.variables.set(variable);
    }
    let mut candidates: Vec<String> =
        conventions.well_known().iter().map(|known| known.name.clone()).collect();
    candidates.extend(gathered.variables.iter().map(|variable| variable.name.clone()));
    candidates.extend(gathered.variables.iter().flat_map(|variable| names(&variable.value)));
    candidates.extend(line.iter().flat_map(|(variable, _)| names(&variable.value)));
    candidates.extend(conventions.templates().flat_map(names));
    let mut looked = BTreeSet::new();
    while let Some(name) = candidates.pop() {
        let variable = environment_name(&name);
        if !looked.insert(key(&name)) {
            continue;
        }
        let Some(value) = environment.get(&variable) else { continue };
        let before = gathered.variables.get(&name);
        let is_overridden = line.iter().any(|(given, _)| given.name.eq_ignore_ascii_case(&name));
        if let Some(before) =
            before.filter(|before| is_octopus(&name) && before.value != value && !is_overridden)
        {
            let shown = |value: &str| if before.sensitive { "********".to_owned() } else { value.to_owned() };
            return Err(CliError::Disagreement {
                file: shown(&before.value),
                environment: shown(value),
                name,
                variable,
            });
        }
        let sensitive = conventions.is_sensitive(&name) || before.is_some_and(|before| before.sensitive);
        // What a value refers to may be in the environment too.
        candidates.extend(names(value));
        origin.insert(key(&name), format!("{variable} of the environment"));
        gathered.variables.set(Variable { name, value: value.to_owned(), sensitive });
    }
    for (variable, option) in line {
        if gathered.variables.get(&variable.name).is_some_and(|before| before.sensitive) {
            // The file says that it is a secret: then it is one here, where others can read it.
            return Err(CliError::SensitiveArgument { name: variable.name });
        }
        origin.insert(key(&variable.name), option.to_owned());
        gathered.variables.set(variable);
    }
    for default in conventions.defaults().filter(|default| gathered.variables.get(&default.name).is_none()) {
        gathered.origins.push(format!("{} = {} (from the conventions)", default.name, default.value));
    }
    let told = |name: &str| (is_octopus(name) || is_lambda(name)) && !is_the_packages(name);
    let mut told: Vec<&Variable> =
        gathered.variables.iter().filter(|variable| told(&variable.name)).collect();
    told.sort_by_key(|variable| key(&variable.name));
    for variable in told {
        let from = origin.get(&key(&variable.name)).map_or("", String::as_str);
        let value = if variable.sensitive { "********" } else { &variable.value };
        gathered.origins.push(format!("{} = {value} (from {from})", variable.name));
    }
    Ok(gathered)
}

/// Names compare without regard to case.
fn key(name: &str) -> String {
    name.to_lowercase()
}

fn is_octopus(name: &str) -> bool {
    name.to_lowercase().starts_with("octopus.")
}

/// The package itself says these, whatever the environment holds.
fn is_the_packages(name: &str) -> bool {
    name.to_lowercase().starts_with("octopus.action.package.")
}

fn is_lambda(name: &str) -> bool {
    name.to_lowercase().starts_with("lambda.")
}

/// Shows the log as it comes: a progress bar on a terminal, plain lines elsewhere. With `--json`, the lines go to
/// standard error and standard output holds the result alone.
async fn show(mut events: mpsc::UnboundedReceiver<Event>, output: Output, began_to_send: &AtomicBool) {
    let bar = output.is_interactive().then(|| {
        let style = ProgressStyle::with_template("{spinner} [{bar:20}] {msg} {elapsed}");
        ProgressBar::new(STAGES).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    });
    while let Some(event) = events.recv().await {
        if matches!(&event, Event::Line(line) if !output.wants(line)) {
            continue;
        }
        if matches!(event, Event::Progress(Progress::Sending { .. })) {
            began_to_send.store(true, Ordering::SeqCst);
        }
        match (event, &bar) {
            (Event::Line(line), Some(bar)) => bar.suspend(|| output.say_log(&output.log_text("", &line))),
            (Event::Line(line), None) if output.is_json() => output.log_aside(&line),
            (Event::Line(line), None) => output.say_log(&output.log_text("", &line)),
            (Event::Progress(Progress::Idle), Some(bar)) => bar.finish_and_clear(),
            (Event::Progress(progress), Some(bar)) => {
                let (stage, message) = describe(progress);
                bar.reset();
                bar.set_position(stage);
                bar.set_message(message);
                bar.enable_steady_tick(Duration::from_millis(100));
            }
            (Event::Progress(_), None) => {}
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

/// Which of the stages it is, and its words.
fn describe(progress: Progress) -> (u64, String) {
    match progress {
        Progress::Repacking => (0, "checking and repacking".to_owned()),
        Progress::Asking => (1, "asking AWS".to_owned()),
        Progress::Sending { bytes: size } => (2, format!("sending {}", bytes(size))),
        Progress::Settling => (3, "waiting for Lambda".to_owned()),
        Progress::Idle => (STAGES, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn args(line: &[&str]) -> DeployArgs {
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            args: DeployArgs,
        }
        Line::parse_from(["x", "p.nupkg"].iter().chain(line)).args
    }

    fn gathered(line: &[&str], environment: &[(&str, &str)]) -> Result<Gathered, CliError> {
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        gather(&args(line), &Conventions::load(None).unwrap(), &environment)
    }

    #[test]
    fn sources_rank_and_say_where_values_came_from() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(
            file.path(),
            r##"{"Lambda.Function": "#{Team}-x", "AWS.Deployment.Region": "eu-west-1"}"##,
        )
        .unwrap();
        let environment =
            [("OCTOPUS_ENVIRONMENT_NAME", "CI"), ("TEAM", "shop"), ("AWS_DEPLOYMENT_REGION", "us-east-1")];
        let path = file.path().display().to_string();
        let found = gathered(&["--variables", &path, "--release", "1.0"], &environment).unwrap();
        let value = |name: &str| found.variables.get(name).unwrap().value.clone();
        assert_eq!(value("AWS.Deployment.Region"), "us-east-1");
        assert_eq!(value("team"), "shop");
        assert_eq!(
            found.origins,
            [
                "Octopus.Project.Name = #{Octopus.Action.Package.PackageId} (from the conventions)",
                "Lambda.UpdateTimeout = 300 (from the conventions)",
                "Lambda.Function = #{Team}-x (from the variables file)",
                "Octopus.Environment.Name = CI (from OCTOPUS_ENVIRONMENT_NAME of the environment)",
                "Octopus.Release.Number = 1.0 (from --release)",
            ]
        );
    }

    #[test]
    fn file_and_environment_must_agree_on_what_this_deployment_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), r#"{"Octopus.Environment.Name": "Staging"}"#).unwrap();
        let path = file.path().display().to_string();
        let left_behind = [("OCTOPUS_ENVIRONMENT_NAME", "Production")];
        let error = gathered(&["--variables", &path], &left_behind).err().unwrap();
        assert_eq!(
            error.to_string(),
            "`Octopus.Environment.Name` is `Staging` in the variables file but `Production` in the environment (OCTOPUS_ENVIRONMENT_NAME)"
        );
        let found = gathered(&["--variables", &path, "--environment", "CI"], &left_behind).unwrap();
        assert_eq!(found.variables.get("Octopus.Environment.Name").unwrap().value, "CI");
    }
}
