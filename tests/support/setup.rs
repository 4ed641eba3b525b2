//! A whole set-up of real processes: a server, workers, and the commands that people give.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::aws::{Credentials, FakeAws};
use super::ministack::{self, Ministack};
use super::process::{Output, Program, Running};

/// How the server of a set-up is started, where it is not the usual way.
#[derive(Clone, Default)]
pub(crate) struct Options {
    /// Seconds of a lease.
    pub(crate) lease: Option<u32>,
    /// Variables of the server's environment.
    pub(crate) variables: Vec<(String, String)>,
    /// A shell script that prepares the data folder, which it finds in `$DATA`, in a mount namespace of its own.
    pub(crate) before: Option<String>,
}

/// Where AWS is, and who a worker is there.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) key_id: String,
    pub(crate) secret: String,
}

impl Access {
    /// The default user of the fake.
    pub(crate) fn to_fake(aws: &FakeAws) -> Self {
        let Credentials { key_id, secret, .. } = Credentials::default();
        Self { endpoint: aws.endpoint().to_owned(), region: aws.region().to_owned(), key_id, secret }
    }

    /// The root user of ministack.
    pub(crate) fn to_ministack(aws: &Ministack) -> Self {
        Self {
            endpoint: aws.endpoint().to_owned(),
            region: ministack::REGION.to_owned(),
            key_id: ministack::ROOT.0.to_owned(),
            secret: ministack::ROOT.1.to_owned(),
        }
    }
}

/// A running server with its folder. Dropping it ends the server and deletes what it kept.
pub(crate) struct Setup {
    folder: TempDir,
    scheme: String,
    address: SocketAddr,
    /// What the server said its certificate is known by.
    fingerprint: Option<String>,
    program: Program,
    server: Option<Running>,
}

impl Setup {
    pub(crate) fn start() -> Self {
        Self::start_with(&Options::default())
    }

    pub(crate) fn start_with(options: &Options) -> Self {
        let folder = TempDir::new().unwrap();
        let mut program = Program::octarm()
            .args(["server", "run", "--data"])
            .args([folder.path().join("server")])
            .arg_pair("--address-file", folder.path().join("address"));
        for (name, value) in &options.variables {
            program = program.env(name, value);
        }
        if let Some(seconds) = options.lease {
            program = program.env("OCTARM_SERVER_LEASE_SECONDS", seconds.to_string());
        }
        if let Some(script) = &options.before {
            let script = format!("{script} && exec \"$0\" \"$@\"");
            program = program
                .env("DATA", folder.path().join("server"))
                .wrapped("unshare", &["-rm", "sh", "-ec", &script]);
        }
        let server = listen(&program, "127.0.0.1:0");
        let url = fs_err::read_to_string(folder.path().join("address")).unwrap();
        let (scheme, address) = url.trim().split_once("://").unwrap();
        let fingerprint = (scheme == "https").then(|| fingerprint_of(&server));
        let (scheme, address) = (scheme.to_owned(), address.parse().unwrap());
        Self { folder, scheme, address, fingerprint, program, server: Some(server) }
    }

    /// Where the server listens, also after a restart.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `OCTARM_SERVER` is set to.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The folder of everything of this set-up; the test may put its own files there.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("server")
    }

    /// The file with the first API key.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.data().join("first-api-key")
    }

    pub(crate) fn key(&self) -> String {
        fs_err::read_to_string(self.key_file()).unwrap().trim().to_owned()
    }

    /// The server's process.
    pub(crate) fn server(&self) -> &Running {
        self.server.as_ref().expect("the server was ended by the test")
    }

    /// Ends the server as a crash would.
    pub(crate) fn kill_server(&mut self) -> Output {
        let server = self.server.take().expect("the server was ended by the test");
        server.kill();
        server.wait()
    }

    /// Asks the server to stop, and waits until it has.
    pub(crate) fn stop_server(&mut self) -> Output {
        let server = self.server.take().expect("the server was ended by the test");
        server.terminate();
        server.wait()
    }

    /// Starts the server again, on the same folder and the same address.
    pub(crate) fn start_server_again(&mut self) {
        assert!(self.server.is_none(), "the server runs");
        self.server = Some(listen(&self.program, &self.address.to_string()));
    }

    /// A command for this server with the first API key.
    pub(crate) fn octarm<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Program {
        let program = Program::octarm()
            .current_dir(self.folder())
            .env("OCTARM_SERVER", self.url())
            .env("OCTARM_API_KEY_FILE", self.key_file())
            .args(arguments);
        match &self.fingerprint {
            Some(fingerprint) => program.env("OCTARM_FINGERPRINT", fingerprint),
            None => program,
        }
    }

    /// Runs a command that must succeed; answers what it printed.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.octarm(arguments).run();
        assert_eq!(output.code, Some(0), "octarm {arguments:?}: {output:?}");
        output.stdout
    }

    /// The same with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.octarm(arguments).args(["--json"]).run();
        assert_eq!(output.code, Some(0), "octarm {arguments:?}: {output:?}");
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// What the server's API answers to a GET with the first API key, whatever it is.
    pub(crate) fn get(&self, path: &str) -> String {
        let request = reqwest::Client::new()
            .get(format!("{}{path}", self.url()))
            .header("X-Octopus-ApiKey", self.key());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() })
    }

    /// Saves this JSON document by a PUT with the first API key.
    #[track_caller]
    pub(crate) fn put(&self, path: &str, document: &str) {
        let (status, said) = self.try_put(path, document);
        assert_eq!(status, 200, "{said}");
    }

    /// The same where it may be refused; answers the status and what the server said.
    pub(crate) fn try_put(&self, path: &str, document: &str) -> (u16, String) {
        let request = reqwest::Client::new()
            .put(format!("{}{path}", self.url()))
            .header("X-Octopus-ApiKey", self.key())
            .header("Content-Type", "application/json")
            .body(document.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    /// Creates environments, and a project that deploys the package of its own name.
    #[track_caller]
    pub(crate) fn create(&self, environments: &[&str], project: &str) {
        for environment in environments {
            self.run(&["environment", "create", environment]);
        }
        self.run(&["project", "create", project]);
    }

    /// Pushes a package file and creates the release of the package's version.
    #[track_caller]
    pub(crate) fn release(&self, project: &str, version: &str, package: &Path) {
        self.run(&["package", "push", package.to_str().unwrap()]);
        let pinned = format!("{project}:{version}");
        self.run(&["release", "create", "--project", project, "--version", version, "--package", &pinned]);
    }

    /// Asks for a deployment without waiting for it; answers its task and its deployment.
    #[track_caller]
    pub(crate) fn deploy(&self, project: &str, version: &str, environment: &str) -> (String, String) {
        let words = ["release", "deploy", "--project", project, "--version", version];
        let answer = self.json(&[&words[..], &["--environment", environment]].concat());
        let made = &answer["DeploymentServerTasks"][0];
        let id = |name: &str| made[name].as_str().unwrap().to_owned();
        (id("ServerTaskId"), id("DeploymentId"))
    }

    /// Waits until a task has ended; answers its log as it was shown, and the exit code that the end means.
    pub(crate) fn follow(&self, task: &str) -> Output {
        self.octarm(["task", "logs", task, "--follow", "--verbose"]).run()
    }

    /// A task as the server tells it.
    #[track_caller]
    pub(crate) fn task(&self, id: &str) -> Value {
        self.json(&["task", "show", id])
    }

    /// Registers a worker of this name and runs it.
    #[track_caller]
    pub(crate) fn worker(&self, name: &str, environment: &str, access: &Access) -> WorkerHandle {
        self.worker_through(&self.url(), name, environment, access)
    }

    /// The same, with another way to the server, such as a proxy.
    #[track_caller]
    pub(crate) fn worker_through(
        &self,
        url: &str,
        name: &str,
        environment: &str,
        access: &Access,
    ) -> WorkerHandle {
        let state = self.folder().join(name);
        let output = self
            .octarm(["worker", "register", "--name", name, "--environment", environment])
            .arg_pair("--server", url)
            .arg_pair("--state", &state)
            .run();
        assert_eq!(output.code, Some(0), "{output:?}");
        let program = Program::octarm()
            .args(["worker", "run"])
            .arg_pair("--state", &state)
            .env("AWS_ENDPOINT_URL", &access.endpoint)
            .env("AWS_DEPLOYMENT_REGION", &access.region)
            .env("AWS_DEPLOYMENT_KEY", &access.key_id)
            .env("AWS_DEPLOYMENT_SECRET", &access.secret);
        let running = poll(&program);
        WorkerHandle { state, program, running: Some(running) }
    }
}

/// Starts the server and waits until it listens and has said where.
fn listen(program: &Program, address: &str) -> Running {
    let running = program.clone().arg_pair("--listen", address).spawn();
    running.wait_for_line("listening");
    running
}

fn fingerprint_of(server: &Running) -> String {
    let line = server.wait_for_line("fingerprint=");
    let (_, rest) = line.split_once("fingerprint=").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Starts a worker and waits until its session stands.
fn poll(program: &Program) -> Running {
    let running = program.spawn();
    running.wait_for_line("polling for deployments");
    running
}

/// A worker, running or ended by the test. Dropping it ends it.
pub(crate) struct WorkerHandle {
    state: PathBuf,
    program: Program,
    running: Option<Running>,
}

impl WorkerHandle {
    /// Its state folder.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// What starts it, to be changed and given back to `start_as`.
    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// Its process.
    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().expect("the worker was ended by the test")
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) -> Output {
        let running = self.running.take().expect("the worker was ended by the test");
        running.kill();
        running.wait()
    }

    /// Asks it to drain, and waits for its end.
    pub(crate) fn drain(&mut self) -> Output {
        let running = self.running.take().expect("the worker was ended by the test");
        running.terminate();
        running.wait()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> Output {
        self.running.take().expect("the worker was ended by the test").wait()
    }

    /// Starts it again, and waits until it polls.
    pub(crate) fn start_again(&mut self) {
        let program = self.program.clone();
        self.start_as(program);
    }

    /// Starts it again without waiting for anything: its server may be away.
    pub(crate) fn start_unawaited(&mut self) {
        assert!(self.running.is_none(), "the worker runs");
        self.running = Some(self.program.spawn());
    }

    /// Starts it again with another environment.
    pub(crate) fn start_as(&mut self, program: Program) {
        assert!(self.running.is_none(), "the worker runs");
        self.running = Some(poll(&program));
        self.program = program;
    }
}
