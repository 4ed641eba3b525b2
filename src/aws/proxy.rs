//! The proxy that the environment names (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`): by itself the SDK takes none.

use std::sync::OnceLock;

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
};
use hyper_util::client::proxy::matcher::Matcher;

/// A client that goes by way of the proxy; none where there is no proxy. Whether a host is exempt is decided for each.
pub(super) fn client() -> Option<SharedHttpClient> {
    // No rule exempts this one, but one that exempts all.
    let anywhere = "https://anywhere.invalid/".parse().ok()?;
    Matcher::from_env().intercept(&anywhere)?;
    // All clients here wait equally long for a connection: one connector, with its connections, serves them all.
    let made = OnceLock::new();
    Some(http_client_fn(move |settings, components| {
        let connector = || {
            let builder = || {
                let mut builder = Connector::builder();
                builder.set_connector_settings(Some(settings.clone()));
                builder.set_sleep_impl(components.sleep_impl());
                builder
            };
            let proxied = builder()
                .proxy_config(ProxyConfig::from_env())
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc));
            SharedHttpConnector::new(ByScheme { proxied: proxied.build(), direct: builder().build_http() })
        };
        made.get_or_init(connector).clone()
    }))
}

/// Plain HTTP is spoken with what gives a machine or a container its credentials, which no proxy reaches.
#[derive(Debug)]
struct ByScheme {
    proxied: Connector,
    direct: Connector,
}

impl HttpConnector for ByScheme {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.uri().starts_with("https:") {
            self.proxied.call(request)
        } else {
            self.direct.call(request)
        }
    }
}
