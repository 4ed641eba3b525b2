//! The client of people, build servers and set-up scripts: the Octopus REST subset, with the server's own answers.
//!
//! Answers stay JSON: `--json` shows them as the server gave them, and a field that only a newer server has is
//! not lost on the way.

use std::{path::Path, time::Duration};

use reqwest::{
    Body, Method, StatusCode,
    multipart::{Form, Part},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::{ClientError, Connection, Origins, Trust, error::found, resources::identified};

/// How long an answer may take that needs no waiting.
pub(super) const PROMPT: Duration = Duration::from_mins(1);

/// What to do when the package is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Refuse.
    Fail,
    /// Replace it for releases to come; releases that exist keep what they pinned.
    Replace,
    /// Leave it, say nothing.
    Ignore,
}

/// What a release is made of.
#[derive(Debug, Clone, Default)]
pub struct NewRelease {
    /// The project, by name, slug or id.
    pub project: String,
    /// The release's version; else the package's.
    pub version: Option<String>,
    /// `PackageIdOrStep:version`; else the newest.
    pub packages: Vec<String>,
    /// Free text.
    pub notes: Option<String>,
    /// The channel, by name or id; else the default one.
    pub channel: Option<String>,
    /// Take a package that the channel's rules do not let in.
    pub ignore_channel_rules: bool,
    /// Answer the release that exists instead of refusing.
    pub ignore_existing: bool,
}

/// Part of a task's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    /// Whole lines, one JSON object each.
    pub lines: Vec<u8>,
    /// Whether the task has ended and this was all.
    pub ended: bool,
}

/// Speaks with one API key.
#[derive(Debug, Clone)]
pub struct ServerClient {
    pub(super) connection: Connection,
    key: SecretString,
    space: Option<String>,
}

impl ServerClient {
    /// A client for the server at this address.
    pub fn new(server: &str, trust: &Trust, key: SecretString) -> Result<Self, ClientError> {
        Ok(Self { connection: Connection::new(server, trust)?, key, space: None })
    }

    /// The same for another space, by name, slug or id; none is the one that the server takes for this key.
    #[must_use]
    pub fn in_space(self, space: Option<String>) -> Self {
        Self { space, ..self }
    }

    /// The space that was named.
    pub fn space(&self) -> Option<&str> {
        self.space.as_deref()
    }

    /// With what its errors say about where the server's address and the key came from.
    #[must_use]
    pub fn told_by(mut self, server: &str, key: &str) -> Self {
        self.connection.origins = Some(Origins { server: server.to_owned(), key: key.to_owned() });
        self
    }

    /// Pushes a package file; answers the package, and whether it was stored or one that was there was kept.
    pub async fn push(&self, file: &Path, overwrite: Overwrite) -> Result<(Value, bool), ClientError> {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let act = format!("pushing {name}");
        let local = |source| ClientError::File { act: act.clone(), source };
        // Looked at before it is opened: opening a pipe waits for whoever writes to it.
        let no_file = |found| ClientError::NoFile { act: act.clone(), path: file.to_owned(), found };
        let metadata = fs_err::tokio::metadata(file)
            .await
            .map_err(|error| found(&error).map_or_else(|| local(error), no_file))?;
        if !metadata.is_file() {
            return Err(no_file(if metadata.is_dir() {
                "a folder"
            } else {
                "no file that can be read twice"
            }));
        }
        let opened = fs_err::tokio::File::open(file).await.map_err(local)?;
        let body = Body::wrap_stream(ReaderStream::with_capacity(opened, 128 * 1024));
        let part = Part::stream_with_length(body, metadata.len()).file_name(name.clone());
        let mode = match overwrite {
            Overwrite::Fail => "FailIfExists",
            Overwrite::Replace => "OverwriteExisting",
            Overwrite::Ignore => "IgnoreIfExists",
        };
        let request = self
            .request(&act, Method::POST, &["packages", "raw"])?
            .query(&[("overwriteMode", mode)])
            .multipart(Form::new().part("file", part));
        let response = self.connection.send(&act, request).await.map_err(|error| {
            error.with_hint_for_existing("`--overwrite replace` replaces it, `--overwrite ignore` keeps it")
        })?;
        let stored = response.status() == StatusCode::CREATED;
        Ok((self.connection.read(&act, response).await?, stored))
    }

    /// Lets a project deploy this package; all else in its process stays as it is, and an empty one gets a step.
    pub async fn set_package(&self, project: &Value, package: &str) -> Result<(), ClientError> {
        let act = format!("setting the package of the project `{}`", text(project, "Name"));
        let mut process = self.process(project).await?;
        let is_empty = process["Steps"].as_array().is_none_or(Vec::is_empty);
        let steps = process["Steps"].as_array_mut().into_iter().flatten();
        let actions = steps.filter_map(|step| step["Actions"].as_array_mut()).flatten();
        let packages = actions.filter_map(|action| action["Packages"].as_array_mut()).flatten();
        match packages.collect::<Vec<_>>().as_mut_slice() {
            [one] => one["PackageId"] = package.into(),
            _ if is_empty => process["Steps"] = one_step(package),
            // It is somebody's work: it is not written over.
            packages => return Err(ClientError::Process { act, packages: packages.len() }),
        }
        let id = text(project, "DeploymentProcessId");
        self.call(&act, Method::PUT, &["deploymentprocesses", &id], Some(process)).await?;
        Ok(())
    }

    /// A project's process.
    pub async fn process(&self, project: &Value) -> Result<Value, ClientError> {
        let act = format!("reading the process of the project `{}`", text(project, "Name"));
        let id = text(project, "DeploymentProcessId");
        self.call(&act, Method::GET, &["deploymentprocesses", &id], None).await
    }

    /// A project, by name, slug or id.
    pub async fn project(&self, name: &str) -> Result<Value, ClientError> {
        self.call(&format!("reading the project `{name}`"), Method::GET, &["projects", name], None).await
    }

    /// A project's variables.
    pub async fn variables(&self, project: &Value) -> Result<Value, ClientError> {
        let id = text(project, "VariableSetId");
        self.call("reading the variables", Method::GET, &["variables", &id], None).await
    }

    /// The variables of the libraries that a project includes.
    pub async fn library_variables(&self, project: &Value) -> Result<Vec<Value>, ClientError> {
        let mut all = Vec::new();
        let included = project["IncludedLibraryVariableSetIds"].as_array();
        for id in included.into_iter().flatten().filter_map(Value::as_str) {
            let id = format!("variableset-{id}");
            all.push(
                self.call("reading the library variables", Method::GET, &["variables", &id], None).await?,
            );
        }
        Ok(all)
    }

    /// What a release copied of variables: the project's, then those of each library.
    pub async fn release_variables(&self, project: &str, version: &str) -> Result<Vec<Value>, ClientError> {
        let act = format!("reading release {version} of `{project}`");
        let release = self.call(&act, Method::GET, &["projects", project, "releases", version], None).await?;
        let own = text(&release, "ProjectVariableSetSnapshotId");
        let libraries = release["LibraryVariableSetSnapshotIds"].as_array().into_iter().flatten();
        let libraries = libraries.filter_map(Value::as_str).map(str::to_owned);
        let act = format!("reading the variables of release {version} of `{project}`");
        let mut all = Vec::new();
        for id in std::iter::once(own).chain(libraries) {
            all.push(self.call(&act, Method::GET, &["variables", &id], None).await?);
        }
        Ok(all)
    }

    /// Saves a project's variables: the whole document, with the version that was read.
    pub async fn save_variables(&self, variables: Value) -> Result<Value, ClientError> {
        let id = text(&variables, "Id");
        self.call("saving the variables", Method::PUT, &["variables", &id], Some(variables)).await
    }

    /// Makes a release; answers its id and version.
    pub async fn create_release(&self, release: &NewRelease) -> Result<Value, ClientError> {
        let act = format!("creating a release of `{}`", release.project);
        let body = json!({
            "ProjectName": release.project,
            "ReleaseVersion": release.version,
            "Packages": release.packages,
            "ReleaseNotes": release.notes,
            "ChannelName": release.channel,
            "IgnoreChannelRules": release.ignore_channel_rules,
            "IgnoreIfAlreadyExists": release.ignore_existing,
        });
        self.call(&act, Method::POST, &["releases", "create", "v1"], Some(body)).await
    }

    /// A release of a project, which is given by its id, by its version.
    pub async fn release(&self, project: &str, version: &str) -> Result<Value, ClientError> {
        let act = format!("reading the release {version}");
        let path = ["projects", project, "releases", version];
        identified(&act, self.call(&act, Method::GET, &path, None).await?)
    }

    /// Deploys the current releases of these projects, or of all that were deployed there, to the environment once more.
    pub async fn deploy_current(&self, environment: &str, projects: &[String]) -> Result<Value, ClientError> {
        let act = format!("deploying what is current in `{environment}`");
        let path = ["environments", environment, "deploy-current"];
        self.call(&act, Method::POST, &path, Some(json!({ "Projects": projects }))).await
    }

    /// Deploys a release; answers one task for each environment.
    pub async fn deploy(
        &self,
        project: &str,
        version: &str,
        environments: &[String],
        variables: &[(String, String)],
    ) -> Result<Value, ClientError> {
        let act = format!("deploying `{project}` {version} to {}", environments.join(", "));
        let variables: serde_json::Map<_, _> =
            variables.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        let body = json!({
            "ProjectName": project,
            "ReleaseVersion": version,
            "EnvironmentNames": environments,
            "Variables": variables,
        });
        self.call(&act, Method::POST, &["deployments", "create", "untenanted", "v1"], Some(body)).await
    }

    /// Says what an `unknown` deployment came to, so that its target is free again.
    pub async fn resolve(&self, id: &str, success: bool) -> Result<Value, ClientError> {
        let word = if success { "success" } else { "failed" };
        let act = format!("resolving {id} as {word}");
        self.call(&act, Method::POST, &["deployments", id, "resolve"], Some(json!({ "As": word }))).await
    }

    /// A task.
    pub async fn task(&self, id: &str) -> Result<Value, ClientError> {
        let act = format!("reading {id}");
        identified(&act, self.call(&act, Method::GET, &["tasks", id], None).await?)
    }

    /// Asks to cancel a task; answers it.
    pub async fn cancel(&self, id: &str) -> Result<Value, ClientError> {
        let act = format!("cancelling {id}");
        identified(&act, self.call(&act, Method::POST, &["tasks", id, "cancel"], None).await?)
    }

    /// A task's log from a byte offset on; waits for more while the task runs.
    pub async fn log(&self, id: &str, from: u64, wait: Duration) -> Result<LogPart, ClientError> {
        let act = format!("reading the log of {id}");
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let request = self
            .request(&act, Method::GET, &["tasks", id, "log"])?
            .query(&[("from", from), ("wait", wait_ms)])
            .timeout(wait + PROMPT);
        let response = self.connection.send(&act, request).await?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let state = header("octarm-task-state").unwrap_or_default();
        let length: u64 =
            header("octarm-log-length").and_then(|length| length.parse().ok()).unwrap_or_default();
        let lines = response.bytes().await.map_err(|source| self.connection.unreachable(&act, source))?;
        let completed = matches!(state.as_str(), "Success" | "Failed" | "Canceled" | "TimedOut");
        Ok(LogPart { ended: completed && from + lines.len() as u64 >= length, lines: lines.into() })
    }

    pub(super) fn request(
        &self,
        act: &str,
        method: Method,
        path: &[&str],
    ) -> Result<reqwest::RequestBuilder, ClientError> {
        // Addresses leave these out, and would then mean another thing.
        if let Some(named) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            return Err(ClientError::Name { act: act.to_owned(), named: (*named).to_owned() });
        }
        let mut url = self.connection.url(&["api"]);
        if let Ok(mut segments) = url.path_segments_mut() {
            // Names may hold a slash: each is one segment.
            segments.extend(self.space.iter().flat_map(|space| ["spaces", space.as_str()]));
            segments.extend(path);
        }
        Ok(self.connection.http.request(method, url).header("X-Octopus-ApiKey", self.key.expose_secret()))
    }

    pub(super) async fn call(
        &self,
        act: &str,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<Value, ClientError> {
        let makes = method == Method::POST;
        let mut request = self.request(act, method, path)?.timeout(PROMPT);
        if let Some(body) = body {
            request = request.json(&body);
        }
        if makes {
            self.connection.once(act, Some(&self.key), request).await
        } else {
            self.connection.json(act, request).await
        }
    }
}

/// The process that deploys one package.
fn one_step(package: &str) -> Value {
    json!([{
        "Name": "Update code",
        "Condition": "Success",
        "StartTrigger": "StartAfterPrevious",
        "PackageRequirement": "LetOctopusDecide",
        "Properties": {},
        "Actions": [{
            "Name": "Update code",
            "ActionType": "Octarm.LambdaUpdateCode",
            "Properties": {},
            "Packages": [{ "Name": "", "PackageId": package, "FeedId": "feeds-builtin", "AcquisitionLocation": "Server" }],
        }],
    }])
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
