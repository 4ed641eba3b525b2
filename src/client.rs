//! Typed clients of the deployment server: one for people and build servers, one for the worker.

mod download;
mod error;
mod key;
mod once;
mod probe;
mod resources;
mod retry;
mod server;
mod session;
mod trust;
mod worker;

use std::{io, time::Duration};

pub use error::ClientError;
pub use key::{KeyError, KeyPair};
pub use probe::{Answer, Proxy, Way, ask, way};
pub use resources::{Collection, Listed};
pub use retry::{Backoff, jittered};
pub use server::{LogPart, NewRelease, Overwrite, ServerClient};
pub use session::Credential;
pub use trust::Trust;
pub use worker::{Registrar, WorkerClient};

use aws_lc_rs::digest::{Context, SHA256};
use futures_util::StreamExt as _;
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use self::retry::{Gate, Urgency};

/// A connection to the address of one server.
#[derive(Debug, Clone)]
struct Connection {
    http: Client,
    base: Url,
    /// The proxy that leads there.
    proxy: Option<Proxy>,
    origins: Option<Origins>,
    gate: Gate,
}

/// Where the address and the key came from, for whoever has to correct one.
#[derive(Debug, Clone)]
struct Origins {
    server: String,
    key: String,
}

impl Connection {
    fn new(server: &str, trust: &Trust) -> Result<Self, ClientError> {
        let refused = |reason: String| ClientError::Address { server: server.to_owned(), reason };
        let mut base = Url::parse(server).map_err(|error| refused(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(refused("expected http://HOST:PORT or https://HOST".to_owned()));
        }
        if base.password().is_some() || !base.username().is_empty() {
            return Err(refused("credentials do not belong into an address".to_owned()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let builder = Client::builder()
            .user_agent(concat!("octarm/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            // Of silence, not of the whole: packages are large and polls are long.
            .read_timeout(Duration::from_mins(1))
            // A redirect would carry the key somewhere else.
            .redirect(redirect::Policy::none());
        let http = trust.apply(builder)?.build().map_err(|error| refused(error.to_string()))?;
        let proxy = Proxy::to(&base);
        Ok(Self { http, base, proxy, origins: None, gate: Gate::default() })
    }

    /// The address of a path given as segments, each encoded as it needs.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments.iter().flat_map(|part| part.split('/')));
        }
        url
    }

    fn host(&self) -> String {
        let address = self.base.as_str().trim_end_matches('/');
        match &self.origins {
            Some(origins) => format!("{address} (from {})", origins.server),
            None => address.to_owned(),
        }
    }

    /// Writes what arrives into a file, as it comes; answers how many bytes that were, and their SHA-256 in hex.
    async fn receive(
        &self,
        act: &str,
        response: Response,
        file: &mut (impl AsyncWrite + Unpin),
        local: impl Fn(io::Error) -> ClientError,
    ) -> Result<(u64, String), ClientError> {
        let mut chunks = response.bytes_stream();
        let (mut size, mut digest) = (0, Context::new(&SHA256));
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|source| self.unreachable(act, source))?;
            digest.update(&chunk);
            size += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(&local)?;
        }
        Ok((size, hex::encode(digest.finish())))
    }

    fn unreachable(&self, act: &str, source: reqwest::Error) -> ClientError {
        ClientError::Unreachable {
            act: act.to_owned(),
            server: self.host(),
            proxy: self.proxy.as_ref().map(|proxy| proxy.address.clone()),
            source: source.without_url(),
        }
    }

    async fn send(&self, act: &str, request: RequestBuilder) -> Result<Response, ClientError> {
        self.send_as(Urgency::Patient, act, request).await
    }

    async fn send_as(
        &self,
        urgency: Urgency,
        act: &str,
        request: RequestBuilder,
    ) -> Result<Response, ClientError> {
        if urgency == Urgency::Patient {
            self.gate.pass().await;
        }
        let response = request.send().await.map_err(|source| self.unreachable(act, source))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let refused = ClientError::refused(act, response).await;
        if let Some(time) = refused.busy_for() {
            self.gate.shut(time);
        }
        Err(match &self.origins {
            Some(origins) => refused.with_key_of(&origins.key),
            None => refused,
        })
    }

    async fn json<T: DeserializeOwned>(&self, act: &str, request: RequestBuilder) -> Result<T, ClientError> {
        let response = self.send(act, request).await?;
        self.read(act, response).await
    }

    async fn read<T: DeserializeOwned>(&self, act: &str, response: Response) -> Result<T, ClientError> {
        let body = response.bytes().await.map_err(|source| self.unreachable(act, source))?;
        serde_json::from_slice(&body)
            .map_err(|source| ClientError::Unreadable { act: act.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_joined() {
        let connection = Connection::new("http://127.0.0.1:8060/octarm", &Trust::default()).unwrap();
        assert_eq!(
            connection.url(&["api/packages", "a b"]).as_str(),
            "http://127.0.0.1:8060/octarm/api/packages/a%20b"
        );
        for (server, expected) in [
            ("127.0.0.1:8060", "relative URL without a base"),
            ("ftp://x", "expected http://HOST:PORT"),
            ("http://user:pw@x", "credentials do not belong into an address"),
        ] {
            let error = Connection::new(server, &Trust::default()).unwrap_err();
            let chain = format!("{error} {error:?}");
            assert!(chain.contains(expected), "{chain}");
        }
    }
}
