//! Traces of deployments and requests, for a collector that speaks OTLP over HTTP.

use tracing_subscriber::{Layer, Registry};

#[cfg(feature = "otel")]
mod otlp;

#[cfg(feature = "otel")]
pub use self::otlp::Traces;
#[cfg(feature = "otel")]
pub(super) use self::otlp::layer;

/// A layer of whatever kind.
pub(super) type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// What is still to be sent, which is nothing: this octarm was built without OpenTelemetry.
#[cfg(not(feature = "otel"))]
#[derive(Debug)]
pub struct Traces(());

/// Refuses to send traces: an endpoint that is silently ignored would be looked for at the collector.
#[cfg(not(feature = "otel"))]
pub(super) fn layer(
    endpoint: Option<&str>,
    _service: &'static str,
) -> Result<(Option<Boxed>, Traces), super::TelemetryError> {
    if endpoint.is_some() { Err(super::TelemetryError::NotBuilt) } else { Ok((None, Traces(()))) }
}
