//! What people ask about the way of releases: lifecycles, channels, how far releases have come; and taking away what is
//! no longer wanted.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ClientError, ServerClient};

impl ServerClient {
    /// All lifecycles.
    pub async fn lifecycles(&self) -> Result<Value, ClientError> {
        self.call("listing the lifecycles", Method::GET, &["lifecycles", "all"], None).await
    }

    /// A lifecycle, by id or name.
    pub async fn lifecycle(&self, named: &str) -> Result<Value, ClientError> {
        let act = format!("reading the lifecycle `{named}`");
        self.call(&act, Method::GET, &["lifecycles", named], None).await
    }

    /// Makes a lifecycle of these phases, each in Octopus's form; answers it.
    pub async fn create_lifecycle(&self, name: &str, phases: Vec<Value>) -> Result<Value, ClientError> {
        let act = format!("creating the lifecycle `{name}`");
        let body = json!({ "Name": name, "Phases": phases });
        self.call(&act, Method::POST, &["lifecycles"], Some(body)).await
    }

    /// Saves a lifecycle: the whole document, as it was read and then changed.
    pub async fn save_lifecycle(&self, lifecycle: Value) -> Result<Value, ClientError> {
        self.save("lifecycle", "lifecycles", lifecycle).await
    }

    /// Deletes a lifecycle, by id or name.
    pub async fn delete_lifecycle(&self, named: &str) -> Result<Value, ClientError> {
        let act = format!("deleting the lifecycle `{named}`");
        self.call(&act, Method::DELETE, &["lifecycles", named], None).await
    }

    /// The channels of a project, which is given by name, slug or id.
    pub async fn channels(&self, project: &str) -> Result<Value, ClientError> {
        let act = format!("listing the channels of `{project}`");
        let id = self.project(project).await?["Id"].take();
        let mut all = self.call(&act, Method::GET, &["channels", "all"], None).await?;
        if let Some(all) = all.as_array_mut() {
            all.retain(|channel| channel["ProjectId"] == id);
        }
        Ok(all)
    }

    /// Makes a channel of a project from a document in Octopus's form; answers it.
    pub async fn create_channel(&self, project: &str, channel: Value) -> Result<Value, ClientError> {
        let act = format!("creating a channel of `{project}`");
        self.call(&act, Method::POST, &["projects", project, "channels"], Some(channel)).await
    }

    /// Saves a channel: the whole document, as it was read and then changed.
    pub async fn save_channel(&self, channel: Value) -> Result<Value, ClientError> {
        self.save("channel", "channels", channel).await
    }

    /// Deletes a channel, by id.
    pub async fn delete_channel(&self, id: &str) -> Result<Value, ClientError> {
        self.call(&format!("deleting the channel {id}"), Method::DELETE, &["channels", id], None).await
    }

    /// How far a release has come, by its id.
    pub async fn release_progression(&self, id: &str) -> Result<Value, ClientError> {
        let act = format!("reading how far {id} has come");
        self.call(&act, Method::GET, &["releases", id, "progression"], None).await
    }

    /// The newest releases of a project and what became of them in each environment.
    pub async fn project_progression(&self, project: &str) -> Result<Value, ClientError> {
        let act = format!("reading how far the releases of `{project}` have come");
        self.call(&act, Method::GET, &["projects", project, "progression"], None).await
    }

    /// Deletes a release and what is on record of it, by its id.
    pub async fn delete_release(&self, id: &str) -> Result<Value, ClientError> {
        self.call(&format!("deleting {id}"), Method::DELETE, &["releases", id], None).await
    }

    /// Changes what the document holds of a project, which is given by name, slug or id.
    pub async fn change_project(&self, project: &str, change: Value) -> Result<Value, ClientError> {
        let act = format!("changing the project `{project}`");
        self.call(&act, Method::PUT, &["projects", project], Some(change)).await
    }

    /// Deletes a project and all that is on record of it, by name, slug or id.
    pub async fn delete_project(&self, project: &str) -> Result<Value, ClientError> {
        let act = format!("deleting the project `{project}`");
        self.call(&act, Method::DELETE, &["projects", project], None).await
    }

    async fn save(&self, kind: &str, resource: &str, document: Value) -> Result<Value, ClientError> {
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        let act = format!("saving the {kind} `{}`", text("Name"));
        let id = text("Id");
        self.call(&act, Method::PUT, &[resource, &id], Some(document)).await
    }
}
