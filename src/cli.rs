//! The whole command tree on one page. A command is a function of plain arguments in a file of its own.

mod api_key;
mod connection;
mod deploy;
mod error;
mod later;
mod output;
mod package;
mod project;
mod release;
mod server;
mod task;
mod template;
mod variables;
mod worker;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use error::CliError;
use later::Later;
pub use output::{Output, unwritten};

use crate::{
    config::Environment,
    exit::Exit,
    model::{DeploymentId, Fingerprint, MachineId, Permission, TaskId},
};

/// Deploys versioned packages to AWS Lambda.
#[derive(Debug, Parser)]
#[command(name = "octarm", version, max_term_width = 110, after_help = exit_codes())]
pub struct Cli {
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
    /// Show the verbose lines of logs too
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Deploy a package file to its function, once, without a server
    Deploy(DeployArgs),
    /// The worker that sits in an environment
    #[command(subcommand)]
    Worker(Later<WorkerCommand>),
    /// The deployment server
    #[command(subcommand)]
    Server(Later<ServerCommand>),
    /// Packages: make, inspect, repack and push them
    #[command(subcommand)]
    Package(Later<PackageCommand>),
    /// Releases: create and deploy them
    #[command(subcommand)]
    Release(Later<ReleaseCommand>),
    /// Environments of a server
    #[command(subcommand)]
    Environment(Later<EnvironmentCommand>),
    /// Projects of a server
    #[command(subcommand)]
    Project(Later<ProjectCommand>),
    /// Variables of a project
    #[command(subcommand)]
    Variable(Later<VariableCommand>),
    /// Tasks: what the server does, and its log
    #[command(subcommand)]
    Task(Later<TaskCommand>),
    /// Deployments
    #[command(subcommand)]
    Deployment(Later<DeploymentCommand>),
    /// Machines: the registered workers, as the server sees them
    #[command(subcommand)]
    Machine(Later<MachineCommand>),
    /// API keys: what people and pipelines show to the server
    #[command(subcommand)]
    ApiKey(Later<ApiKeyCommand>),
    /// The variable language of `#{…}`
    #[command(subcommand)]
    Template(Later<TemplateCommand>),
}

#[derive(Debug, Args)]
struct DeployArgs {
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

/// Which server, with which key.
#[derive(Debug, Args)]
struct ServerArgs {
    /// The server's address, such as <http://127.0.0.1:8060>
    #[arg(long, env = "OCTARM_SERVER", value_name = "URL")]
    server: Option<String>,
    /// A file that holds the API key; or set `OCTARM_API_KEY`
    #[arg(long, env = "OCTARM_API_KEY_FILE", value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Take only the certificate with this fingerprint for the server's; the server prints it when it starts
    #[arg(long, env = "OCTARM_FINGERPRINT", value_name = "SHA256")]
    fingerprint: Option<Fingerprint>,
    /// A PEM file of authorities that vouch for the server, beside those of this system
    #[arg(long, env = "OCTARM_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct StateArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The worker's folder: its registration, its work, its local log
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum WorkerCommand {
    /// Register this machine as a worker of an environment; may be repeated
    Register {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        state: StateArgs,
        /// The worker's name
        #[arg(long)]
        name: String,
        /// The environment it deploys to
        #[arg(long)]
        environment: String,
        /// Take the name over from another machine
        #[arg(long)]
        replace: bool,
        /// When the worker is new: deploy the projects' current releases for its environment, those that ended well there
        /// last
        #[arg(long)]
        deploy_current: bool,
    },
    /// Poll for deployments and run them, until SIGTERM
    Run {
        #[command(flatten)]
        state: StateArgs,
    },
    /// Deregister this worker; may be repeated
    Deregister {
        #[command(flatten)]
        state: StateArgs,
        /// Also while it runs a deployment
        #[arg(long)]
        force: bool,
    },
    /// Show what this worker's deployments said, from its own copy
    Logs {
        #[command(flatten)]
        state: StateArgs,
        /// Go on as lines come
        #[arg(long, short)]
        follow: bool,
        /// Only of this deployment
        #[arg(long, value_name = "ID")]
        deployment: Option<DeploymentId>,
    },
}

#[derive(Debug, Subcommand)]
enum ServerCommand {
    /// Serve until SIGTERM
    Run {
        #[command(flatten)]
        settings: ServerSettings,
        /// Write the server's URL into this file once it listens
        #[arg(long, value_name = "FILE")]
        address_file: Option<PathBuf>,
    },
    /// Look whether a server could start: settings, folder, database, master key, certificate, address. Changes nothing
    CheckConfig {
        #[command(flatten)]
        settings: ServerSettings,
    },
    /// Write packages, tables and logs into one file, also while the server runs. With PostgreSQL, `pg_dump` the database
    /// first: its tables are not in the file
    Backup {
        #[command(flatten)]
        place: ServerPlace,
        /// The file to write, which does not exist yet
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// Also take what is secret: the master key, the certificate's key, the first API key. Who has such a file has
        /// everything
        #[arg(long)]
        with_master_key: bool,
    },
    /// Check a backup and put what it holds into an empty data folder
    Restore {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        place: ServerPlace,
    },
    /// Seal every sensitive value with a new master key, while no server runs. The old key is kept in the data folder under
    /// another name: backups made before need it
    RotateMasterKey {
        #[command(flatten)]
        place: ServerPlace,
        /// A file that holds the new key, 64 hexadecimal digits; else one is made
        #[arg(long, value_name = "FILE")]
        new_key: Option<PathBuf>,
    },
}

/// Where the server keeps what it keeps.
#[derive(Debug, Args)]
struct ServerPlace {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder for packages and keys, and for the database where it has no URL
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The URL of a PostgreSQL that holds the tables instead of a file in that folder. A password is refused here:
    /// with one the URL goes into the environment or a file
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Debug, Args)]
struct ServerSettings {
    #[command(flatten)]
    place: ServerPlace,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// `auto`: TLS with a certificate of its own making unless it listens on this machine alone; `self-made`: always; `off`:
    /// plain HTTP, behind a proxy that has TLS
    #[arg(long, value_name = "auto|self-made|off")]
    tls: Option<String>,
    /// The server's certificate, in PEM, followed by those that vouch for it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum PackageCommand {
    /// Make a package of a folder; Unix modes are kept
    Pack {
        /// The folder
        folder: PathBuf,
        /// The package's id
        #[arg(long)]
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
    Push {
        #[command(flatten)]
        server: ServerArgs,
        /// The packages
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What to do with one that is there already
        #[arg(long, value_enum, default_value = "fail")]
        overwrite: OverwriteMode,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PackFormat {
    /// For NuGet feeds and Octopus
    Nupkg,
    /// A plain zip named Id.Version.zip
    Zip,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OverwriteMode {
    /// Refuse
    Fail,
    /// Replace it; releases that exist keep what they pinned
    Replace,
    /// Leave it and succeed
    Ignore,
}

#[derive(Debug, Subcommand)]
enum ReleaseCommand {
    /// Create a release of a project
    Create {
        #[command(flatten)]
        server: ServerArgs,
        /// The project
        #[arg(long)]
        project: String,
        /// The release's version; else the package's
        #[arg(long)]
        version: Option<String>,
        /// The package's version; else the newest pushed
        #[arg(long = "package", value_name = "ID:VERSION")]
        packages: Vec<String>,
        /// Release notes
        #[arg(long)]
        notes: Option<String>,
        /// Succeed with the release that exists
        #[arg(long)]
        ignore_existing: bool,
    },
    /// Deploy a release to environments
    Deploy {
        #[command(flatten)]
        server: ServerArgs,
        /// The project
        #[arg(long)]
        project: String,
        /// The release's version
        #[arg(long)]
        version: String,
        /// The environments
        #[arg(long = "environment", required = true)]
        environments: Vec<String>,
        /// A variable for these deployments only; not for sensitive values
        #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variables::parse_pair)]
        variables: Vec<(String, String)>,
        /// Show the log and wait for the end
        #[arg(long)]
        wait: bool,
        /// Wait at most so many seconds
        #[arg(long, value_name = "SECONDS", requires = "wait")]
        timeout: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
enum EnvironmentCommand {
    /// Create an environment
    Create {
        #[command(flatten)]
        server: ServerArgs,
        /// Its name
        name: String,
        /// Succeed when it is there already
        #[arg(long)]
        ignore_existing: bool,
    },
    /// List the environments
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Deploy the projects' current releases for the environment once more: those that ended well there last
    DeployCurrent {
        #[command(flatten)]
        server: ServerArgs,
        /// Its name
        name: String,
        /// Only of these projects; else of all that were deployed there
        #[arg(long = "project", value_name = "NAME")]
        projects: Vec<String>,
        /// Show the logs and wait for the ends, also of those that are on their way already
        #[arg(long)]
        wait: bool,
        /// Wait at most so many seconds
        #[arg(long, value_name = "SECONDS", requires = "wait")]
        timeout: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
enum ProjectCommand {
    /// Create a project
    Create {
        #[command(flatten)]
        server: ServerArgs,
        /// Its name
        name: String,
        /// The package that it deploys; else the one of the project's name
        #[arg(long, value_name = "ID")]
        package: Option<String>,
        /// Succeed when it is there already
        #[arg(long)]
        ignore_existing: bool,
    },
}

#[derive(Debug, Subcommand)]
enum VariableCommand {
    /// Set variables of a project; releases created from then on have them
    Set {
        #[command(flatten)]
        server: ServerArgs,
        /// The project
        #[arg(long)]
        project: String,
        #[command(flatten)]
        scope: ScopeArgs,
        /// Variables; not for sensitive values
        #[arg(value_name = "NAME=VALUE", value_parser = variables::parse_pair)]
        variables: Vec<(String, String)>,
        /// A JSON file of sensitive variables, as of `deploy --variables`; `-` is standard input
        #[arg(long, value_name = "FILE")]
        sensitive: Option<PathBuf>,
    },
    /// List the variables of a project; sensitive values are not shown
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// The project
        #[arg(long)]
        project: String,
    },
}

/// Where the values hold: in one of each list that is given; the more particular value of a name wins.
#[derive(Debug, Args)]
struct ScopeArgs {
    /// Only in these environments
    #[arg(long = "environment")]
    environments: Vec<String>,
    /// Only on these machines
    #[arg(long = "machine", value_name = "NAME")]
    machines: Vec<String>,
    /// Only in these steps of the process
    #[arg(long = "step", value_name = "NAME")]
    steps: Vec<String>,
    /// Only for releases of these channels
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// Show a task
    Show {
        #[command(flatten)]
        server: ServerArgs,
        /// The task, as ServerTasks-1
        id: TaskId,
    },
    /// Show a task's log; with --follow, ends as the deployment ended
    Logs {
        #[command(flatten)]
        server: ServerArgs,
        /// The task, as ServerTasks-1
        id: TaskId,
        /// Go on as lines come, until the task ends
        #[arg(long, short)]
        follow: bool,
    },
    /// Cancel a task
    Cancel {
        #[command(flatten)]
        server: ServerArgs,
        /// The task, as ServerTasks-1
        id: TaskId,
    },
}

#[derive(Debug, Subcommand)]
enum DeploymentCommand {
    /// Say what a deployment of unknown end came to, so that its target is free again
    Resolve {
        #[command(flatten)]
        server: ServerArgs,
        /// The deployment, as Deployments-1
        id: DeploymentId,
        /// What you found
        #[arg(long = "as", value_enum)]
        found: Resolution,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Resolution {
    /// The function holds this deployment's code
    Success,
    /// It does not
    Failed,
}

#[derive(Debug, Subcommand)]
enum MachineCommand {
    /// List the workers
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Deregister a worker whose machine is gone; may be repeated
    Delete {
        #[command(flatten)]
        server: ServerArgs,
        /// The worker, as Machines-1
        id: MachineId,
        /// Also while it runs a deployment
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ApiKeyCommand {
    /// Make a key; it is shown this once
    Create {
        #[command(flatten)]
        server: ServerArgs,
        /// What it is for
        name: String,
        /// What it may do: read, publish (push packages, create releases), deploy, administer
        #[arg(long = "may", value_name = "PERMISSION", required = true)]
        permissions: Vec<Permission>,
        /// Deploy to these environments only
        #[arg(long = "environment", value_name = "NAME")]
        environments: Vec<String>,
        /// Stop working after so many days
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
        /// Write the key into this new file, which only you can read, and do not show it
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// List the keys: what each may do, never the key
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Delete a key: it stops working at once
    Delete {
        #[command(flatten)]
        server: ServerArgs,
        /// Its id or its name
        key: String,
    },
}

#[derive(Debug, Subcommand)]
enum TemplateCommand {
    /// Show what a text comes to; one that does not come out whole is no success
    Eval(EvalArgs),
}

#[derive(Debug, Args)]
struct EvalArgs {
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

fn exit_codes() -> String {
    use std::fmt::Write as _;
    let mut text = "Exit codes:\n".to_owned();
    for (_, code, meaning) in Exit::TABLE {
        let _ = writeln!(text, "  {code:>2}  {meaning}");
    }
    text
}

impl Cli {
    /// How this command line wants things printed.
    pub fn output(&self, environment: &Environment) -> Output {
        Output::new(self.json, self.verbose, environment)
    }

    /// Whether the command only works on files here: a runtime with threads of its own would cost more than it
    /// could do.
    pub fn is_local(&self) -> bool {
        matches!(
            self.command,
            Command::Package(Later(PackageCommand::Pack { .. } | PackageCommand::Repack { .. }))
        )
    }

    /// Runs the command.
    pub async fn run(self, environment: &Environment, output: Output) -> Result<Exit, CliError> {
        match self.command {
            Command::Deploy(args) => Box::pin(deploy::run(args, environment, output)).await,
            Command::Worker(Later(command)) => worker::run(command, environment, output).await,
            Command::Server(Later(command)) => server::run(command, environment, output).await,
            Command::Package(Later(command)) => package::run(command, environment, output).await,
            Command::Release(Later(command)) => release::run(command, environment, output).await,
            Command::Environment(Later(command)) => project::environment(command, environment, output).await,
            Command::Project(Later(command)) => project::project(command, environment, output).await,
            Command::Variable(Later(command)) => variables::run(command, environment, output).await,
            Command::Task(Later(command)) => task::run(command, environment, output).await,
            Command::Deployment(Later(command)) => task::deployment(command, environment, output).await,
            Command::Machine(Later(command)) => project::machine(command, environment, output).await,
            Command::ApiKey(Later(command)) => api_key::run(command, environment, output).await,
            Command::Template(Later(command)) => template::run(command, output),
        }
    }
}
