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
use crate::protocol::IDEMPOTENCY_HEADER;

/// How long a request is sent again.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long the question for what the server can do may take.
const PROMPT: Duration = Duration::from_secs(10);

impl Connection {
    /// Sends a request with this API key until its answer is known, for a while. A request without one is for a server of
    /// which it is known that it keeps idempotency keys.
    pub(super) async fn once<T: DeserializeOwned>(
        &self,
        act: &str,
        key: Option<&SecretString>,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let request = request.header(IDEMPOTENCY_HEADER, Uuid::now_v7().to_string());
        let began = Instant::now();
        let mut backoff = Backoff::default();
        // Why a try may have been done without our knowing.
        let mut doubt = None;
        loop {
            let Some(attempt) = request.try_clone() else { return self.json(act, request).await };
            let error = match self.json(act, attempt).await {
                Err(error) if doubt.is_some() || error.leaves_doubt() => error,
                answer => return answer,
            };
            if !(error.is_retryable() || error.is_being_done()) {
                return Err(error);
            }
            let pause = error.retry_after();
            // The first that left it is what is told: that nobody was found later settles nothing.
            let error = doubt.take().unwrap_or(error);
            loop {
                if began.elapsed() > PATIENCE {
                    return Err(error);
                }
                tokio::time::sleep(backoff.pause(pause)).await;
                match self.keeps_keys(key).await {
                    Ok(true) => break,
                    Err(other) if other.is_retryable() => {}
                    // Another program, which would do the request a second time.
                    Ok(false) | Err(_) => return Err(error),
                }
            }
            doubt = Some(error);
        }
    }

    /// Whether the server answers a repeat with the answer of the first.
    async fn keeps_keys(&self, key: Option<&SecretString>) -> Result<bool, ClientError> {
        let Some(key) = key else { return Ok(true) };
        let request = self.http.request(Method::GET, self.url(&["api"]));
        let request = request.header("X-Octopus-ApiKey", key.expose_secret()).timeout(PROMPT);
        let document: Value = self.json("asking what the server can do", request).await?;
        Ok(document["IdempotencyKeys"] == true)
    }
}
