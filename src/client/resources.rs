//! What people do with anything that the server holds: list it, read it, make it, change it, delete it.
//!
//! Answers stay JSON: a field that only a newer server has is not lost on the way.

use reqwest::Method;
use serde::{Deserialize, de::Error as _};
use serde_json::Value;

use super::{ClientError, ServerClient, server::PROMPT};

/// The most items in one answer: large lists come in pieces that each arrive soon.
const PAGE: usize = 500;

/// A collection of the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// Where deployments go to.
    Environments,
    /// What is deployed.
    Projects,
    /// In which order environments are reached.
    Lifecycles,
    /// Ways of a project's releases.
    Channels,
    /// What was pushed.
    Packages,
    /// Versions of projects.
    Releases,
    /// Releases on their way to environments.
    Deployments,
    /// What the server does.
    Tasks,
    /// The registered workers.
    Machines,
    /// The same as members of pools.
    Workers,
    /// Variables that projects share.
    Libraries,
    /// Groups of workers.
    WorkerPools,
    /// What people and pipelines show to the server.
    ApiKeys,
    /// What registers workers in one environment.
    RegistrationTokens,
    /// The partitions of the server.
    Spaces,
}

impl Collection {
    /// The last part of its address.
    fn path(self) -> &'static str {
        match self {
            Self::Environments => "environments",
            Self::Projects => "projects",
            Self::Lifecycles => "lifecycles",
            Self::Channels => "channels",
            Self::Packages => "packages",
            Self::Releases => "releases",
            Self::Deployments => "deployments",
            Self::Tasks => "tasks",
            Self::Machines => "machines",
            Self::Workers => "workers",
            Self::Libraries => "libraryvariablesets",
            Self::WorkerPools => "workerpools",
            Self::ApiKeys => "apikeys",
            Self::RegistrationTokens => "workerregistrationtokens",
            Self::Spaces => "spaces",
        }
    }

    /// The word for one of them.
    pub fn one(self) -> &'static str {
        match self {
            Self::Environments => "environment",
            Self::Projects => "project",
            Self::Lifecycles => "lifecycle",
            Self::Channels => "channel",
            Self::Packages => "package",
            Self::Releases => "release",
            Self::Deployments => "deployment",
            Self::Tasks => "task",
            Self::Machines => "machine",
            Self::Workers => "worker",
            Self::Libraries => "library variable set",
            Self::WorkerPools => "worker pool",
            Self::ApiKeys => "API key",
            Self::RegistrationTokens => "registration token",
            Self::Spaces => "space",
        }
    }
}

/// A list, perhaps cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The items, in the server's order.
    pub items: Vec<Value>,
    /// How many there are at the server.
    pub total: u64,
}

/// Part of a list, as it is sent.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    items: Vec<Value>,
    total_results: u64,
}

/// A document; one without an id is none.
pub(super) fn identified(act: &str, document: Value) -> Result<Value, ClientError> {
    match document["Id"].as_str() {
        Some(id) if !id.is_empty() => Ok(document),
        _ => {
            let source = serde_json::Error::missing_field("Id");
            Err(ClientError::Unreadable { act: act.to_owned(), source })
        }
    }
}

impl ServerClient {
    /// The items of a collection, those of one project where one is given by its id, that the filters let pass; at most
    /// so many.
    pub async fn list(
        &self,
        collection: Collection,
        project: Option<&str>,
        filters: &[(&str, String)],
        most: usize,
    ) -> Result<Listed, ClientError> {
        let act = format!("listing the {}s", collection.one());
        let path: Vec<&str> = match project {
            Some(project) => vec![Collection::Projects.path(), project, collection.path()],
            None => vec![collection.path()],
        };
        let mut listed = Listed::default();
        loop {
            let take = PAGE.min(most - listed.items.len());
            let request = self
                .request(&act, Method::GET, &path)?
                .query(filters)
                .query(&[("skip", listed.items.len()), ("take", take)])
                .timeout(PROMPT);
            let page: Page = self.connection.json(&act, request).await?;
            listed.total = page.total_results;
            let is_last = page.items.is_empty();
            listed.items.extend(page.items);
            if is_last || listed.items.len() >= most || listed.items.len() as u64 >= listed.total {
                return Ok(listed);
            }
        }
    }

    /// One of a collection, by what the server takes for its id.
    pub async fn read(&self, collection: Collection, id: &str) -> Result<Value, ClientError> {
        let act = format!("reading the {} `{id}`", collection.one());
        identified(&act, self.call(&act, Method::GET, &[collection.path(), id], None).await?)
    }

    /// Makes one; answers it.
    pub async fn create(
        &self,
        collection: Collection,
        name: &str,
        body: Value,
    ) -> Result<Value, ClientError> {
        let act = format!("creating the {} `{name}`", collection.one());
        identified(&act, self.call(&act, Method::POST, &[collection.path()], Some(body)).await?)
    }

    /// Saves one: the whole document, as it was read and then changed; answers it.
    pub async fn change(&self, collection: Collection, document: Value) -> Result<Value, ClientError> {
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        let act = format!("changing the {} `{}`", collection.one(), text("Name"));
        let id = text("Id");
        identified(&act, self.call(&act, Method::PUT, &[collection.path(), &id], Some(document)).await?)
    }

    /// Deletes one, by its id; `force` also while it is at work.
    pub async fn delete(&self, collection: Collection, id: &str, force: bool) -> Result<(), ClientError> {
        let act = format!("deleting the {} {id}", collection.one());
        let mut request = self.request(&act, Method::DELETE, &[collection.path(), id])?.timeout(PROMPT);
        if force {
            request = request.query(&[("force", true)]);
        }
        // What servers answer to this differs, and who asked knows what it was.
        self.connection.send(&act, request).await.map(drop)
    }

    /// How far a release has come, by its id.
    pub async fn release_progression(&self, id: &str) -> Result<Value, ClientError> {
        let act = format!("reading how far {id} has come");
        self.call(&act, Method::GET, &["releases", id, "progression"], None).await
    }
}
