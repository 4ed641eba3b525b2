//! A worker as the server sees it: it registers, proves itself by its key, and speaks as one process.

use std::sync::Mutex;

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::Ed25519KeyPair,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use octarm::{
    client::KeyPair,
    model::{JournalEntry, JournalRecord, MachineId},
    protocol::{
        Assignment, BASE, CheckRequest, ClaimResponse, DeregisterRequest, INSTANCE_HEADER, Machine,
        SessionRequest,
    },
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::server::{Answer, TestServer};

/// The key of the worker of this name on this machine: the same one in every run.
pub(crate) fn key_of(name: &str, machine: &str) -> KeyPair {
    let seed = digest(&SHA256, format!("{}\n{machine}", name.to_lowercase()).as_bytes());
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).unwrap();
    KeyPair::read(BASE64_STANDARD.encode(pair.to_pkcs8v1().unwrap()).into()).unwrap()
}

/// The machine of a test's worker.
pub(crate) fn machine(id: &str) -> Machine {
    Machine { host: format!("host-{id}"), id: id.to_owned() }
}

/// What a worker that the server answered so says of a process, without a challenge and unsigned.
pub(crate) fn session_request(registered: &Value, on: &str, instance: Uuid) -> SessionRequest {
    SessionRequest {
        worker_id: registered["worker_id"].as_str().unwrap().parse().unwrap(),
        challenge: String::new(),
        instance,
        machine: machine(on),
        version: "0.1.0".to_owned(),
        renewal: false,
        signature: String::new(),
    }
}

pub(crate) struct TestWorker {
    http: reqwest::Client,
    address: String,
    registered: Value,
    pub(crate) key: KeyPair,
    token: Mutex<String>,
    pub(crate) machine: String,
    pub(crate) instance: Uuid,
}

impl TestWorker {
    /// The worker that was registered with this answer, by its key of [`key_of`].
    pub(crate) fn new<E>(server: &TestServer<E>, registered: &Value, machine: &str) -> Self {
        Self {
            http: server.http.clone(),
            address: server.address.clone(),
            key: key_of(registered["name"].as_str().unwrap(), machine),
            registered: registered.clone(),
            token: Mutex::default(),
            machine: machine.to_owned(),
            instance: Uuid::now_v7(),
        }
    }

    /// Another process of the same worker, which has no session yet.
    pub(crate) fn again(&self) -> Self {
        Self { instance: Uuid::now_v7(), token: Mutex::default(), ..self.copy() }
    }

    /// The same process, speaking to another server.
    pub(crate) fn through<E>(&self, server: &TestServer<E>) -> Self {
        Self { http: server.http.clone(), address: server.address.clone(), ..self.copy() }
    }

    fn copy(&self) -> Self {
        Self {
            http: self.http.clone(),
            address: self.address.clone(),
            registered: self.registered.clone(),
            key: self.key.clone(),
            token: Mutex::new(self.token()),
            machine: self.machine.clone(),
            instance: self.instance,
        }
    }

    /// What the process shows.
    pub(crate) fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }

    /// Lets the process show something else.
    pub(crate) fn show(&self, token: &str) {
        token.clone_into(&mut self.token.lock().unwrap());
    }

    pub(crate) fn id(&self) -> MachineId {
        self.registered["worker_id"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn installation(&self) -> Uuid {
        self.registered["installation"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{BASE}/{path}", self.address))
            .bearer_auth(self.token())
            .header(INSTANCE_HEADER, self.instance.to_string())
    }

    pub(crate) async fn call(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    /// A challenge for this worker.
    pub(crate) async fn challenge(&self) -> String {
        let answer = self.call("challenge", json!({ "worker_id": self.id() })).await.expect(200);
        answer["challenge"].as_str().unwrap().to_owned()
    }

    /// A session request with a fresh challenge, changed before it is signed.
    pub(crate) async fn signed(&self, change: impl FnOnce(&mut SessionRequest)) -> SessionRequest {
        let mut request = session_request(&self.registered, &self.machine, self.instance);
        request.challenge = self.challenge().await;
        change(&mut request);
        request.signature = self.key.sign(&request.statement(self.installation()));
        request
    }

    /// Sends a session request; its token is shown from then on.
    pub(crate) async fn ask(&self, request: &SessionRequest) -> Answer {
        let answer = self.call("session", serde_json::to_value(request).unwrap()).await;
        if answer.status == 200 {
            self.show(answer.body["token"].as_str().unwrap());
        }
        answer
    }

    pub(crate) async fn session(&self) -> Answer {
        self.ask(&self.signed(|_| ()).await).await
    }

    pub(crate) async fn renew_session(&self) -> Answer {
        self.ask(&self.signed(|request| request.renewal = true).await).await
    }

    pub(crate) async fn end_session(&self) -> Answer {
        Answer::of(self.request(Method::DELETE, "session")).await
    }

    pub(crate) async fn claim_for(&self, wait_ms: u64) -> Option<Assignment> {
        let body = self.call("claim", json!({ "wait_ms": wait_ms })).await.expect(200);
        serde_json::from_value::<ClaimResponse>(body).unwrap().assignment.map(|assignment| *assignment)
    }

    /// Takes what is there now.
    pub(crate) async fn claim(&self) -> Option<Assignment> {
        self.claim_for(0).await
    }

    pub(crate) async fn renew(&self, hand_out: &Assignment) -> Answer {
        self.call(&format!("deployments/{}/renew", hand_out.deployment), json!({ "fence": hand_out.fence }))
            .await
    }

    pub(crate) async fn log(&self, hand_out: &Assignment, offset: u64, bytes: &[u8]) -> Answer {
        let path =
            format!("deployments/{}/log?fence={}&offset={offset}", hand_out.deployment, hand_out.fence);
        Answer::of(self.request(Method::PATCH, &path).body(bytes.to_vec())).await
    }

    pub(crate) async fn journal(&self, hand_out: &Assignment, sequence: u32, function: &str) -> Answer {
        let record = JournalRecord::UpdateCodeEffect {
            region: "eu-west-1".to_owned(),
            function: function.to_owned(),
            sha256: "sha".to_owned(),
            revision_id: None,
        };
        let entry = JournalEntry { sequence, record };
        let body = json!({ "fence": hand_out.fence, "entry": entry });
        self.call(&format!("deployments/{}/journal", hand_out.deployment), body).await
    }

    /// Reports an end; `log` is what this hand-out sent.
    pub(crate) async fn finish(&self, hand_out: &Assignment, outcome: Value, log: &[u8]) -> Answer {
        let digest = digest(&SHA256, log);
        let body = json!({
            "fence": hand_out.fence, "outcome": outcome, "log_length": hand_out.log_offset + log.len() as u64,
            "log_sha256": hex::encode(digest),
        });
        self.call(&format!("deployments/{}/finish", hand_out.deployment), body).await
    }

    /// Asks what the server knows the worker as.
    pub(crate) async fn check(&self) -> Answer {
        let mut request = CheckRequest {
            worker_id: self.id(),
            challenge: self.challenge().await,
            machine: machine(&self.machine),
            signature: String::new(),
        };
        request.signature = self.key.sign(&request.statement(self.installation()));
        self.call("check", serde_json::to_value(request).unwrap()).await
    }

    /// Asks to leave, and waits for so long.
    pub(crate) async fn deregister(&self, wait_ms: u64) -> Answer {
        self.leave(false, wait_ms).await
    }

    /// Leaves at once.
    pub(crate) async fn deregister_by_force(&self) -> Answer {
        self.leave(true, 0).await
    }

    async fn leave(&self, force: bool, wait_ms: u64) -> Answer {
        let mut request = DeregisterRequest {
            worker_id: self.id(),
            challenge: self.challenge().await,
            machine: machine(&self.machine),
            force,
            wait_ms,
            signature: String::new(),
        };
        request.signature = self.key.sign(&request.statement(self.installation()));
        self.call("deregister", serde_json::to_value(request).unwrap()).await
    }
}
