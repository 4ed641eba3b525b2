//! Requests that make something, sent again where nobody knows whether the first try arrived: under one idempotency key,
//! and only to a server that keeps those, so that nothing is made twice.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Backoff, ClientError, Connection};
use crate::protocol::{ErrorCode, IDEMPOTENCY_HEADER};

/// How long a request is sent again.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long the question for what the server can do may take.
const PROMPT: Duration = Duration::from_secs(10);

impl Connection {
    /// Sends a request with this API key until its answer is known, for a while.
    pub(super) async fn once<T: DeserializeOwned>(
        &self,
        act: &str,
        key: &SecretString,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let request = request.header(IDEMPOTENCY_HEADER, Uuid::now_v7().to_string());
        let began = Instant::now();
        let mut backoff = Backoff::default();
        // Whether a try may have been done without our knowing.
        let mut in_doubt = false;
        loop {
            let Some(attempt) = request.try_clone() else { return self.json(act, request).await };
            let error = match self.json(act, attempt).await {
                Err(error) if in_doubt || leaves_doubt(&error) => error,
                answer => return answer,
            };
            if !(error.is_retryable() || is_being_done(&error)) {
                return Err(error);
            }
            in_doubt = true;
            loop {
                if began.elapsed() > PATIENCE {
                    return Err(error);
                }
                tokio::time::sleep(backoff.pause(error.retry_after())).await;
                match self.keeps_keys(key).await {
                    Ok(true) => break,
                    Err(other) if other.is_retryable() => {}
                    // Another program, which would do the request a second time.
                    Ok(false) | Err(_) => return Err(error),
                }
            }
        }
    }

    /// Whether the server answers a repeat with the answer of the first.
    async fn keeps_keys(&self, key: &SecretString) -> Result<bool, ClientError> {
        let request = self.http.request(Method::GET, self.url(&["api"]));
        let request = request.header("X-Octopus-ApiKey", key.expose_secret()).timeout(PROMPT);
        let document: Value = self.json("asking what the server can do", request).await?;
        Ok(document["IdempotencyKeys"] == true)
    }
}

/// Whether a request may have been done although it ended so. One that found nobody was not, and whoever gave a wrong
/// address should hear of it at once.
fn leaves_doubt(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { source, .. } => !source.is_connect(),
        error => matches!(error.status(), Some(502..=504)) || is_being_done(error),
    }
}

/// Whether the same request, sent before, is still being done.
fn is_being_done(error: &ClientError) -> bool {
    let is_busy = matches!(error.code(), None | Some(ErrorCode::Busy));
    error.status() == Some(409) && is_busy && error.retry_after().is_some()
}
