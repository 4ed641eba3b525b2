//! A proxy between worker and server that knows requests: it holds one of them, on its way there or on its way back.

use std::{
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex},
    thread::JoinHandle,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Request, Response, StatusCode, header},
};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, aws::Gate};

/// Where a request is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// The server has not got it.
    There,
    /// The server has done it, and the worker does not know.
    Back,
    /// The server has not got it, and gets it also when its sender has given it up.
    Late,
}

struct Script {
    call: &'static str,
    /// How many such requests pass before it.
    after: usize,
    way: Way,
    gate: Gate,
}

/// What the server answered so far: the path of each request and the status.
#[derive(Default)]
struct Answers {
    all: Mutex<Vec<(String, u16)>>,
    changed: Condvar,
}

/// A running proxy. Dropping it ends its thread.
pub(crate) struct Arrows {
    address: SocketAddr,
    script: Arc<Mutex<Option<Script>>>,
    answers: Arc<Answers>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Passing {
    server: String,
    client: reqwest::Client,
    script: Arc<Mutex<Option<Script>>>,
    answers: Arc<Answers>,
}

impl Arrows {
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::<Mutex<Option<Script>>>::default();
        let answers = Arc::<Answers>::default();
        let stop = CancellationToken::new();
        let passing = Passing {
            server: format!("http://{server}"),
            client: reqwest::Client::new(),
            script: script.clone(),
            answers: answers.clone(),
        };
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let serving = axum::serve(listener, Router::new().fallback(pass).with_state(passing));
                stopped.run_until_cancelled(serving.into_future()).await;
            });
        });
        Self { address, script, answers, stop, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients connect.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Holds the next request whose path ends in `call`, once so many others of them have passed.
    pub(crate) fn hold(&self, call: &'static str, after: usize, way: Way) -> Gate {
        let gate = Gate::shut();
        *self.script.lock().unwrap() = Some(Script { call, after, way, gate: gate.clone() });
        gate
    }

    /// Waits until the server has answered so many requests whose path ends in `call` with this status.
    pub(crate) fn wait_for_answers(&self, call: &str, status: u16, count: usize) {
        let is_short = |all: &mut Vec<(String, u16)>| {
            all.iter().filter(|(path, answered)| path.ends_with(call) && *answered == status).count() < count
        };
        let all = self.answers.all.lock().unwrap();
        let waited = self.answers.changed.wait_timeout_while(all, PATIENCE, is_short).unwrap();
        assert!(!waited.1.timed_out(), "no {count} answers of {status} to {call}: {:?}", *waited.0);
    }
}

impl Drop for Arrows {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the proxy's thread panicked");
        }
    }
}

impl Passing {
    /// What is scripted for this request.
    fn scripted(&self, path: &str) -> Option<(Way, Gate)> {
        let mut script = self.script.lock().unwrap();
        let one = script.as_mut().filter(|one| path.ends_with(one.call))?;
        if one.after > 0 {
            one.after -= 1;
            return None;
        }
        script.take().map(|one| (one.way, one.gate))
    }
}

async fn pass(State(passing): State<Passing>, request: Request<Body>) -> Response<Body> {
    let scripted = passing.scripted(request.uri().path());
    if let Some((Way::There, gate)) = &scripted {
        gate.pass().await;
    }
    let (head, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut headers = head.headers;
    headers.remove(header::HOST);
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    // A task of its own: what the server has got it does, also when the worker has gone.
    let named = head.uri.path().to_owned();
    let sent =
        passing.client.request(head.method, format!("{}{path}", passing.server)).headers(headers).body(body);
    let (late, answers) = (scripted.clone(), passing.answers.clone());
    let answer = tokio::spawn(async move {
        if let Some((Way::Late, gate)) = late {
            gate.pass().await;
        }
        let answer = sent.send().await.ok()?;
        let status = answer.status();
        answers.all.lock().unwrap().push((named, status.as_u16()));
        answers.changed.notify_all();
        Some((status, answer.headers().clone(), answer.bytes().await.ok()?))
    });
    let Some((status, headers, body)) = answer.await.unwrap() else {
        return Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::empty()).unwrap();
    };
    if let Some((Way::Back, gate)) = &scripted {
        gate.pass().await;
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    response
}
