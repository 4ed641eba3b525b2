//! `octarm template`: what the variable language makes of a text.

use std::{
    io::{self, BufRead, Read},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use jiff::ZonedDateTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CliError, Output, variables};
use crate::{
    conventions::Conventions,
    exit::Exit,
    model::Variable,
    template::{Rendered, Variables, render},
};

#[derive(Debug, Subcommand)]
pub(super) enum TemplateCommand {
    /// Show what a text comes to; one that does not come out whole is no success
    Eval(EvalArgs),
}

#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    /// The text, such as `#{Name | ToUpper}`
    #[arg(required_unless_present = "jsonl")]
    text: Option<String>,
    /// A JSON file of variables, as of `deploy`; `-` is standard input
    #[arg(long, value_name = "FILE")]
    variables: Option<PathBuf>,
    /// Read one {"variables": {"Name": "value"}, "template": "text"} a line from standard input, and answer each by
    /// one {"value", "missing", "error"}
    #[arg(long, conflicts_with_all = ["text", "variables"])]
    jsonl: bool,
}

/// A line of standard input that is longer than this is something else.
const LINE_LIMIT: u64 = 16 * 1024 * 1024;

pub(super) fn run(command: TemplateCommand, output: Output) -> Result<Exit, CliError> {
    let TemplateCommand::Eval(args) = command;
    match args.text {
        Some(text) => one(&text, args.variables.as_deref(), output),
        None => lines(output),
    }
}

fn one(text: &str, file: Option<&std::path::Path>, output: Output) -> Result<Exit, CliError> {
    let variables: Variables = match file {
        Some(file) => variables::read_file(file, &Conventions::load(None)?)?.into_iter().collect(),
        None => Variables::default(),
    };
    let rendered = render(text, &variables, &ZonedDateTime::now());
    if output.is_json() {
        output.result("", &answer(&rendered));
        return Ok(if rendered.clean().is_ok() { Exit::Done } else { Exit::Input });
    }
    // A value with gaps is shown too: whoever asks wants to see what came out.
    if let Some(value) = rendered.value.as_ref().filter(|_| rendered.error.is_none()) {
        output.say(value);
    }
    rendered.clean().map_err(|source| CliError::Template { source })?;
    Ok(Exit::Done)
}

fn answer(rendered: &Rendered) -> Value {
    let mut answer = json!({ "value": rendered.value, "missing": rendered.missing, "error": rendered.error });
    // The language itself does not count these as missing; but no value with one in it is used.
    if !rendered.uncalculated.is_empty() {
        answer["uncalculated"] = json!(rendered.uncalculated);
    }
    answer
}

/// One question a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    variables: variables::Pairs,
    template: String,
}

/// Answers every line of standard input by one of standard output, as it comes.
fn lines(output: Output) -> Result<Exit, CliError> {
    let reading = |source| CliError::Reading { act: "reading standard input".to_owned(), source };
    let mut stdin = io::stdin().lock();
    let mut exit = Exit::Done;
    loop {
        let mut line = Vec::new();
        let length = (&mut stdin).take(LINE_LIMIT).read_until(b'\n', &mut line).map_err(reading)?;
        if length == 0 {
            return Ok(exit);
        }
        let is_whole = line.ends_with(b"\n") || length < usize::try_from(LINE_LIMIT).unwrap_or(usize::MAX);
        if !is_whole {
            stdin.skip_until(b'\n').map_err(reading)?;
        }
        let asked = if is_whole { question(&line) } else { Err(format!("it is over {LINE_LIMIT} bytes")) };
        let rendered = match asked {
            Ok((variables, template)) => render(&template, &variables, &ZonedDateTime::now()),
            Err(reason) => Rendered {
                error: Some(format!(
                    "the line is not {{\"variables\": {{…}}, \"template\": \"…\"}}: {reason}"
                )),
                ..Rendered::default()
            },
        };
        output.say_log(&answer(&rendered).to_string());
        if rendered.clean().is_err() {
            exit = Exit::Input;
        }
    }
}

fn question(line: &[u8]) -> Result<(Variables, String), String> {
    // serde_json's own words may repeat the text, which may be secret: only the place is told.
    let question: Question = serde_json::from_slice(line)
        .map_err(|error| format!("it cannot be read at column {}", error.column()))?;
    let variables: Result<Variables, String> = question
        .variables
        .0
        .into_iter()
        .map(|(name, value)| variables::of_parts(name, value, false))
        .collect::<Result<Vec<Variable>, _>>()
        .map(|variables| variables.into_iter().collect());
    Ok((variables?, question.template))
}
