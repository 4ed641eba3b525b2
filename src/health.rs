//! Tells those who watch a daemon how it is: `/health`, `/ready` and `/metrics`, over plain HTTP and to anybody who asks.

mod metrics;

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

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
        let mut visitors: VecDeque<Visitor> = VecDeque::new();
        loop {
            let stream = match self.0.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of files, most likely: it passes, and until then a loop without a pause would help nobody.
                    tracing::debug!(%error, "a visitor of the health page was lost");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            visitors.retain(|one| !one.serving.is_finished());
            if visitors.len() >= VISITORS {
                // Whoever says nothing keeps nobody out: the one that has said nothing for longest goes.
                let silent = visitors.iter().position(|one| !one.has_asked.load(Relaxed));
                visitors.remove(silent.unwrap_or_default());
            }
            visitors.push_back(Visitor::new(stream, report.clone()));
        }
    }
}

/// Somebody who watches, for as long as this lives.
struct Visitor {
    has_asked: Arc<AtomicBool>,
    serving: AbortOnDropHandle<()>,
}

impl Visitor {
    fn new<R, F>(stream: TcpStream, report: R) -> Self
    where
        R: Fn() -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Report> + Send + 'static,
    {
        let has_asked = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&has_asked);
        let serving = tokio::spawn(async move {
            let service = service_fn(move |request| {
                asked.store(true, Relaxed);
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
        Self { has_asked, serving: AbortOnDropHandle::new(serving) }
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn those_who_say_nothing_keep_nobody_out() {
        let door = Door::open(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = door.address().unwrap();
        let serving = tokio::spawn(door.serve(|| {
            std::future::ready(Report { health: Ok(()), ready: Ok(()), metrics: Metrics::default() })
        }));
        let asking = async {
            let mut silent = Vec::new();
            for _ in 0..VISITORS * 2 {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            let mut honest = TcpStream::connect(address).await.unwrap();
            honest.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut text = String::new();
            honest.read_to_string(&mut text).await.unwrap();
            assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
        };
        tokio::time::timeout(WITHIN, asking).await.unwrap();
        serving.abort();
    }
}
