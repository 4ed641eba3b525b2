//! Tells those who watch a daemon how it is: `/health`, `/ready` and `/metrics`, over plain HTTP and to anybody who asks.

mod metrics;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

pub use metrics::Metrics;

/// How many are answered at a time: those who watch are few, and none of them may make the daemon fail.
const VISITORS: usize = 32;
/// How long one may take to say what it wants.
const WITHIN: Duration = Duration::from_secs(2);

/// How a daemon is.
#[derive(Debug)]
pub struct Report {
    /// Its loops come round; else what does not.
    pub health: Result<(), String>,
    /// It does its work; else what keeps it from that.
    pub ready: Result<(), String>,
    /// The numbers.
    pub metrics: Metrics,
}

/// An address that is listened on.
#[derive(Debug)]
pub struct Door(TcpListener);

impl Door {
    /// Binds the address; port 0 takes a free one.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    /// Where it is.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until it is dropped; `report` is asked anew each time.
    pub async fn serve<R, F>(self, report: R)
    where
        R: Fn() -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Report> + Send + 'static,
    {
        let visitors = Arc::new(Semaphore::new(VISITORS));
        loop {
            let Ok(place) = Arc::clone(&visitors).acquire_owned().await else { return };
            let stream = match self.0.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of files, most likely: it passes, and until then a loop without a pause would help nobody.
                    tracing::debug!(%error, "a visitor of the health page was lost");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let report = report.clone();
            tokio::spawn(async move {
                let _place = place;
                let service = service_fn(move |request| {
                    let report = report.clone();
                    async move { Ok::<_, Infallible>(answer(&request, report).await) }
                });
                // One question each: an open connection of somebody who left would keep a place.
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(WITHIN)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = serving.await {
                    tracing::debug!(%error, "a visitor of the health page broke off");
                }
            });
        }
    }
}

async fn answer<F>(request: &Request<Incoming>, report: impl Fn() -> F) -> Response<Full<Bytes>>
where
    F: Future<Output = Report>,
{
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "expected GET\n".to_owned());
    }
    match request.uri().path() {
        "/health" => state(report().await.health),
        "/ready" => state(report().await.ready),
        "/metrics" => page(StatusCode::OK, Metrics::CONTENT_TYPE, report().await.metrics.into_text()),
        _ => page(StatusCode::NOT_FOUND, PLAIN, "expected /health, /ready or /metrics\n".to_owned()),
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

fn state(state: Result<(), String>) -> Response<Full<Bytes>> {
    match state {
        Ok(()) => page(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        Err(why) => page(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{why}\n")),
    }
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
