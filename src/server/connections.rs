//! Connections: who says nothing, or half of what there is to say, is not waited for.

use std::{convert::Infallible, pin::pin, time::Duration};

use super::pulse::{Pulse, TICK};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    response::Response,
    serve::Listener,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{interval, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};
use tower::{BoxError, Service, ServiceExt as _};

/// Serves until `closing`, and then until the requests that are open have ended.
pub(super) async fn serve<S>(
    mut listener: TcpListener,
    tls: Option<watch::Receiver<TlsAcceptor>>,
    app: S,
    within: Duration,
    closing: CancellationToken,
    pulse: &Pulse,
) where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    // Only the older protocol: the look at which of the two a client speaks has no time limit.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    // From the moment that a request could begin, so idle connections end too.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(within);
    let open = TaskTracker::new();
    let mut ticks = interval(TICK);
    loop {
        pulse.taking();
        let (stream, peer) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            _ = ticks.tick() => continue,
            () = closing.cancelled() => break,
        };
        let service = TowerToHyperService::new(app.clone().map_request(taken));
        let (builder, tls, closing) =
            (builder.clone(), tls.as_ref().map(|tls| tls.borrow().clone()), closing.clone());
        open.spawn(async move {
            let stream = match tls {
                None => Either::Left(stream),
                Some(tls) => match timeout(within, tls.accept(stream)).await {
                    Ok(Ok(stream)) => Either::Right(stream),
                    Ok(Err(error)) => return tracing::debug!(%error, %peer, "a TLS handshake failed"),
                    Err(_) => return tracing::debug!(%peer, "a TLS handshake did not end in time"),
                },
            };
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = closing.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error, "a connection broke off");
            }
        });
    }
    drop(listener);
    open.close();
    open.wait().await;
}

fn taken<B>(request: Request<B>) -> Request
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    request.map(Body::new)
}
