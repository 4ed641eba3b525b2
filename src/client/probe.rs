//! How a server is reached, for whoever looks into why it is not.

use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::Url;

use super::{ClientError, Connection, Trust};

/// A server that is there answers this at once.
const PROMPT: Duration = Duration::from_secs(15);

/// The way to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The server's host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub has_tls: bool,
    /// The proxy in between, without its credentials.
    pub proxy: Option<Proxy>,
}

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its address, for people.
    pub address: String,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Proxy {
    /// The one that the environment names for this address: the HTTP client takes the same, by the same rules.
    pub(super) fn to(base: &Url) -> Option<Self> {
        let found = Matcher::from_env().intercept(&base.as_str().parse().ok()?)?;
        let uri = found.uri();
        let scheme = uri.scheme_str().unwrap_or("http");
        let standard = match scheme {
            "https" => 443,
            scheme if scheme.starts_with("socks") => 1080,
            _ => 80,
        };
        let (host, port) = (uri.host()?, uri.port_u16().unwrap_or(standard));
        Some(Self {
            address: format!("{scheme}://{host}:{port}"),
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
        })
    }
}

/// What anybody is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The server's time.
    pub time: Option<Timestamp>,
}

/// The way to this server, by the same rules and variables as the clients go it.
pub fn way(server: &str) -> Result<Way, ClientError> {
    let Connection { base, proxy, .. } = Connection::new(server, &Trust::default())?;
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let has_tls = base.scheme() == "https";
    let port = base.port_or_known_default().unwrap_or(if has_tls { 443 } else { 80 });
    Ok(Way { host, port, has_tls, proxy })
}

/// Asks for what needs no credential. Whatever is answered is an answer.
pub async fn ask(server: &str, trust: &Trust) -> Result<Answer, ClientError> {
    let connection = Connection::new(server, trust)?;
    let request = connection.http.get(connection.url(&["api"])).timeout(PROMPT);
    let act = "asking the server for its root";
    let response = request.send().await.map_err(|source| connection.unreachable(act, source))?;
    let date = response.headers().get("date").and_then(|value| value.to_str().ok());
    let time = date.and_then(|date| rfc2822::parse(date).ok()).map(|time| time.timestamp());
    Ok(Answer { status: response.status().as_u16(), time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_begins_at_the_address() {
        let found = way("https://[::1]/octarm").unwrap();
        assert_eq!((found.host.as_str(), found.port, found.has_tls), ("::1", 443, true));
        assert_eq!(way("http://h:8060").unwrap().port, 8060);
        assert!(way("h:8060").is_err());
    }
}
