//! Starting ministack, an independent imitation of AWS that runs the deployed functions for real.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use serde_json::Value;
use tokio::runtime;

use super::PATIENCE;
use super::process::{Program, Running};
use super::sdk;

/// What ministack takes for the root user of its account, with `AUTH` on or off.
pub(crate) const ROOT: (&str, &str) = ("test", "test");

/// The region used with it; it knows them all.
pub(crate) const REGION: &str = "eu-west-1";

/// A running ministack. Dropping it ends it and every function it started.
pub(crate) struct Ministack {
    endpoint: String,
    client: aws_sdk_lambda::Client,
    runtime: runtime::Runtime,
    running: Running,
}

/// What an invocation answered.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Invoked {
    pub(crate) status: i32,
    pub(crate) function_error: Option<String>,
    pub(crate) answer: Value,
}

impl Ministack {
    /// Starts it; any credentials are accepted.
    pub(crate) fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts it so that it verifies signatures and policies.
    pub(crate) fn start_with_auth() -> Self {
        Self::start_with(true)
    }

    fn start_with(auth: bool) -> Self {
        let program = Program::at(executable()).env("BIND_HOST", "127.0.0.1").env("AUTH", auth.to_string());
        // It cannot choose a port by itself, so another program may take the one found free here.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let running = program.clone().env("GATEWAY_PORT", port.to_string()).spawn();
            let seen = running.wait_until("ministack to listen or to end", |seen| {
                seen.has_ended() || seen.line("Running on http://").is_some()
            });
            if !seen.has_ended() {
                return Self::listening_on(port, running);
            }
            let clash = seen.stderr() + &seen.stdout();
            assert!(clash.contains("in use"), "ministack ended:\n{clash}");
        }
        panic!("every free port was taken before ministack could listen on it");
    }

    fn listening_on(port: u16, running: Running) -> Self {
        let endpoint = format!("http://127.0.0.1:{port}");
        let client = sdk::lambda(&endpoint, REGION, ROOT.0, ROOT.1);
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { endpoint, client, runtime, running }
    }

    /// What `AWS_ENDPOINT_URL` is set to.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The id of its process group.
    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Makes a function as root, and waits until it is active.
    pub(crate) fn create_function(&self, name: &str, runtime: &str, handler: &str, zip: &[u8]) {
        let code = FunctionCode::builder().zip_file(Blob::new(zip)).build();
        let created = self
            .client
            .create_function()
            .function_name(name)
            .runtime(Runtime::from(runtime))
            .role("arn:aws:iam::000000000000:role/lambda")
            .handler(handler)
            .code(code);
        self.runtime.block_on(async {
            created.send().await.unwrap();
            aws_sdk_lambda::client::Waiters::wait_until_function_active_v2(&self.client)
                .function_name(name)
                .wait(PATIENCE)
                .await
                .unwrap();
        });
    }

    /// Makes a bucket as root.
    pub(crate) fn create_bucket(&self, name: &str) {
        let client = sdk::s3(&self.endpoint, REGION, ROOT.0, ROOT.1);
        let place = CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(REGION))
            .build();
        let created = client.create_bucket().bucket(name).create_bucket_configuration(place);
        self.runtime.block_on(created.send()).unwrap();
    }

    /// Invokes a function as root and waits for its answer.
    pub(crate) fn invoke(&self, name: &str, payload: &Value) -> Invoked {
        let call = self.client.invoke().function_name(name).payload(Blob::new(payload.to_string()));
        let invoked = self.runtime.block_on(call.send()).unwrap();
        let answer = invoked.payload.map(Blob::into_inner).unwrap_or_default();
        Invoked {
            status: invoked.status_code,
            function_error: invoked.function_error,
            answer: serde_json::from_slice(&answer).unwrap_or(Value::Null),
        }
    }

    /// The zip that a function holds, from where AWS says that it can be fetched.
    pub(crate) fn code(&self, name: &str) -> Vec<u8> {
        let call = self.client.get_function().function_name(name);
        self.runtime.block_on(async {
            let location = call.send().await.unwrap().code.unwrap().location.unwrap();
            let answer = reqwest::get(location).await.unwrap().error_for_status().unwrap();
            answer.bytes().await.unwrap().to_vec()
        })
    }

    /// The `CodeSha256` of a function.
    pub(crate) fn code_sha256(&self, name: &str) -> String {
        let call = self.client.get_function().function_name(name);
        let found = self.runtime.block_on(call.send()).unwrap();
        found.configuration.unwrap().code_sha256.unwrap()
    }
}

/// The executable. A test that needs it fails without it: a skipped test proves nothing.
fn executable() -> PathBuf {
    let ministack = tools().join("venv/bin/ministack");
    assert!(ministack.exists(), "{} is missing: run `make tools`", ministack.display());
    ministack
}

/// The folder that `make tools` fills.
pub(crate) fn tools() -> PathBuf {
    std::env::var_os("OCTARM_TOOLS").map_or_else(
        || {
            let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
            target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("tools")
        },
        PathBuf::from,
    )
}
