//! The command tree: its groups stand here, each with its commands in a file of its own.

mod api_key;
mod channel;
mod completions;
mod config;
mod connection;
mod delete;
mod deploy;
mod deployment;
mod environment;
mod error;
mod find;
mod later;
mod library;
mod life;
mod lifecycle;
mod machine;
mod manual;
mod online;
mod output;
mod package;
mod profile;
mod project;
mod registration_token;
mod release;
mod resource;
mod server;
mod space;
mod table;
mod task;
mod template;
mod variable;
mod variables;
mod worker;
mod worker_pool;

use clap::{
    Parser, Subcommand,
    error::{ContextKind, ContextValue},
};

pub use error::CliError;
use later::Later;
use online::Online;
pub use output::{Output, unwritten};
pub use profile::ProfileError;

use crate::{config::Environment, exit::Exit};

/// Deploys versioned packages to AWS Lambda.
#[derive(Debug, Parser)]
#[command(name = "octarm", version, max_term_width = 110, after_help = exit_codes())]
pub struct Cli {
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true, display_order = 900)]
    json: bool,
    /// Show the verbose lines of logs too
    #[arg(long, short, global = true, display_order = 900)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Deploy a package file to its function, once, without a server
    Deploy(deploy::DeployArgs),
    /// The worker that sits in an environment
    #[command(subcommand)]
    Worker(Later<worker::WorkerCommand>),
    /// The deployment server
    #[command(subcommand)]
    Server(Later<server::ServerCommand>),
    /// Packages: make, inspect and repack them; push them, list and fetch those that the server has
    #[command(subcommand)]
    Package(Later<package::PackageCommand>),
    /// Releases: create, deploy and promote them
    Release(Online<release::ReleaseCommand>),
    /// Environments of a server
    Environment(Online<environment::EnvironmentCommand>),
    /// Projects of a server
    Project(Online<project::ProjectCommand>),
    /// Lifecycles: in which order releases reach environments
    Lifecycle(Online<lifecycle::LifecycleCommand>),
    /// Channels: ways of a project's releases, each with rules for versions
    Channel(Online<channel::ChannelCommand>),
    /// Library variable sets: variables that projects share
    Library(Online<library::LibraryCommand>),
    /// Variables of a project or of a library
    Variable(Online<variable::VariableCommand>),
    /// Tasks: what the server does, and its log
    Task(Online<task::TaskCommand>),
    /// Deployments: releases on their way to environments
    Deployment(Online<deployment::DeploymentCommand>),
    /// Machines: the registered workers, as the server sees them
    Machine(Online<machine::MachineCommand>),
    /// Worker pools: groups of workers
    WorkerPool(Online<worker_pool::WorkerPoolCommand>),
    /// API keys: what people and pipelines show to the server
    ApiKey(Online<api_key::ApiKeyCommand>),
    /// Registration tokens: what registers workers in one environment in place of an API key
    RegistrationToken(Online<registration_token::RegistrationTokenCommand>),
    /// Spaces of a server
    Space(Online<space::SpaceCommand>),
    /// Servers by a name, each with its key, for `--profile`
    #[command(subcommand, after_help = profile::PLACE)]
    Profile(Later<profile::ProfileCommand>),
    /// The variable language of `#{…}`
    #[command(subcommand)]
    Template(Later<template::TemplateCommand>),
    /// Print the script that completes octarm's commands in a shell
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArgs),
    /// Print the manual page of octarm, or write one for each command
    #[command(after_help = "Example:\n  octarm man --output ~/.local/share/man/man1")]
    Man(manual::ManArgs),
}

fn exit_codes() -> String {
    use std::fmt::Write as _;
    let mut text = "Exit codes:\n".to_owned();
    for (_, code, meaning) in Exit::TABLE {
        let _ = writeln!(text, "  {code:>3}  {meaning}");
    }
    text
}

/// The error of a wrong command line, without what may be a secret that lacks its name: a value given where a pair
/// belongs.
pub fn without_secrets(mut error: clap::Error) -> clap::Error {
    let names_a_pair =
        |value: &ContextValue| matches!(value, ContextValue::String(text) if text.contains("NAME=VALUE"));
    if error.get(ContextKind::InvalidArg).is_some_and(names_a_pair) {
        error.insert(ContextKind::InvalidValue, ContextValue::String("********".to_owned()));
    }
    error
}

impl Cli {
    /// How this command line wants things printed.
    pub fn output(&self, environment: &Environment) -> Output {
        Output::new(self.json, self.verbose, environment)
    }

    /// Whether the command only works on files here: a runtime with threads of its own would cost more than it
    /// could do.
    pub fn is_local(&self) -> bool {
        match &self.command {
            Command::Package(Later(command)) => command.is_local(),
            Command::Profile(_) | Command::Completions(_) | Command::Man(_) => true,
            _ => false,
        }
    }

    /// Runs the command.
    pub async fn run(self, environment: &Environment, output: Output) -> Result<Exit, CliError> {
        let client = |server| connection::client(server, environment);
        match self.command {
            Command::Deploy(args) => Box::pin(deploy::run(args, environment, output)).await,
            Command::Worker(Later(command)) => worker::run(command, environment, output).await,
            Command::Server(Later(command)) => server::run(command, environment, output).await,
            Command::Package(Later(command)) => package::run(command, environment, output).await,
            Command::Release(Online { server, command }) => {
                release::run(command, &client(&server)?, output).await
            }
            Command::Environment(Online { server, command }) => {
                environment::run(command, &client(&server)?, output).await
            }
            Command::Project(Online { server, command }) => {
                project::run(command, &client(&server)?, output).await
            }
            Command::Lifecycle(Online { server, command }) => {
                lifecycle::run(command, &client(&server)?, output).await
            }
            Command::Channel(Online { server, command }) => {
                channel::run(command, &client(&server)?, output).await
            }
            Command::Library(Online { server, command }) => {
                library::run(command, &client(&server)?, output).await
            }
            Command::Variable(Online { server, command }) => {
                variable::run(command, &client(&server)?, output).await
            }
            Command::Task(Online { server, command }) => task::run(command, &client(&server)?, output).await,
            Command::Deployment(Online { server, command }) => {
                deployment::run(command, &client(&server)?, output).await
            }
            Command::Machine(Online { server, command }) => {
                machine::run(command, &client(&server)?, output).await
            }
            Command::WorkerPool(Online { server, command }) => {
                worker_pool::run(command, &client(&server)?, output).await
            }
            Command::ApiKey(Online { server, command }) => {
                api_key::run(command, &client(&server)?, output).await
            }
            Command::RegistrationToken(Online { server, command }) => {
                registration_token::run(command, &client(&server)?, output).await
            }
            Command::Space(Online { server, command }) => {
                space::run(command, &client(&server)?, output).await
            }
            Command::Profile(Later(command)) => profile::run(command, environment, output),
            Command::Template(Later(command)) => template::run(command, output),
            Command::Completions(args) => Ok(completions::run(&args, output)),
            Command::Man(args) => manual::run(&args, output),
        }
    }
}
