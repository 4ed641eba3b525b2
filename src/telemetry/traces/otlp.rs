//! The sender of traces: in batches, from a thread of its own, out of a queue that drops what does not fit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter},
};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, filter_fn},
};

use super::{super::TelemetryError, Boxed};

/// How many spans wait for a collector that is slow or away; more are dropped.
const QUEUE: usize = 2048;
/// How long a span waits for others to be sent with.
const DELAY: Duration = Duration::from_secs(1);
/// How long a collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last batch.
const END: Duration = Duration::from_secs(2);

/// What is still to be sent: dropping it sends that, if the collector takes it in time.
#[derive(Debug)]
pub struct Traces(Option<(SdkTracerProvider, Arc<Losses>)>);

impl Drop for Traces {
    fn drop(&mut self) {
        let Some((provider, losses)) = &self.0 else { return };
        if let Err(error) = provider.shutdown_with_timeout(END) {
            losses.tell(&error);
        }
    }
}

/// The layer that passes on the spans that are made to be traces, of all that this process makes: not those of
/// libraries, and no event, which could be about anything.
pub(in crate::telemetry) fn layer(
    endpoint: Option<&str>,
    service: &'static str,
) -> Result<(Option<Boxed>, Traces), TelemetryError> {
    let Some(endpoint) = endpoint else { return Ok((None, Traces(None))) };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpJson)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| TelemetryError::Traces {
            endpoint: endpoint.to_owned(),
            reason: error.to_string(),
        })?;
    let losses = Arc::new(Losses { endpoint: endpoint.to_owned(), told: AtomicBool::new(false) });
    let exporter = Heard { exporter, losses: Arc::clone(&losses) };
    let batches =
        BatchConfigBuilder::default().with_max_queue_size(QUEUE).with_scheduled_delay(DELAY).build();
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
        .with_resource(Resource::builder().with_service_name(service).with_attribute(version).build())
        .build();
    let traced = filter_fn(|meta| {
        meta.is_span() && ["octarm::deployment", "octarm::request"].contains(&meta.target())
    });
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("octarm"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(traced.with_max_level_hint(LevelFilter::INFO));
    Ok((Some(layer.boxed()), Traces(Some((provider, losses)))))
}

/// Says once that the collector does not take what is sent, and again only after it took something in between.
#[derive(Debug)]
struct Losses {
    endpoint: String,
    told: AtomicBool,
}

impl Losses {
    fn tell(&self, error: &OTelSdkError) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let endpoint = &self.endpoint;
            tracing::warn!(endpoint, %error, "traces are lost: the collector does not take them");
        }
    }
}

/// The exporter, and who hears of its failures.
#[derive(Debug)]
struct Heard {
    exporter: opentelemetry_otlp::SpanExporter,
    losses: Arc<Losses>,
}

impl SpanExporter for Heard {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.exporter.export(batch).await;
        match &sent {
            Ok(()) => self.losses.told.store(false, Ordering::Relaxed),
            Err(error) => self.losses.tell(error),
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
