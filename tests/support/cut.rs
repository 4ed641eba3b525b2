//! A TCP proxy between a client and a server whose line the test can cut and mend.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::PATIENCE;

/// A running proxy; dropping it closes its connections.
pub(crate) struct Cut {
    address: SocketAddr,
    line: Arc<Line>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// The line as the proxy's thread and the test share it.
struct Line {
    state: Mutex<LineState>,
    changed: Condvar,
}

struct LineState {
    /// Cancelled when the line is cut; a mended line has a new one.
    cut: CancellationToken,
    connections: usize,
    /// How many bytes more the client may send before the line is cut.
    budget: Option<usize>,
}

impl Cut {
    /// Listens on a free port and passes everything on to the server.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = LineState { cut: CancellationToken::new(), connections: 0, budget: None };
        let line = Arc::new(Line { state: Mutex::new(state), changed: Condvar::new() });
        let stop = CancellationToken::new();
        let (served, stopped) = (line.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                stopped.run_until_cancelled(served.accept_all(listener, server)).await;
            });
        });
        Self { address, line, stop, thread: Some(thread) }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection, and each new one as soon as it is made, until the line is mended. Once this
    /// returns, nothing passes any more. The port stays ours, so that no other program can be reached on it.
    pub(crate) fn cut(&self) {
        let state = self.line.state.lock().unwrap();
        state.cut.cancel();
        let waited = self.line.changed.wait_timeout_while(state, PATIENCE, |state| state.connections > 0);
        assert!(!waited.unwrap().1.timed_out(), "connections outlived the cut");
    }

    /// Cuts the line when the client has sent this many bytes more: in the middle of a request.
    pub(crate) fn cut_after_bytes(&self, bytes: usize) {
        self.line.state.lock().unwrap().budget = Some(bytes);
    }

    /// Waits until those bytes were sent, and nothing passes any more.
    pub(crate) fn wait_cut(&self) {
        let state = self.line.state.lock().unwrap();
        let passes = |state: &mut LineState| !state.cut.is_cancelled() || state.connections > 0;
        let waited = self.line.changed.wait_timeout_while(state, PATIENCE, passes);
        assert!(!waited.unwrap().1.timed_out(), "the line is not cut");
    }

    /// New connections pass again.
    pub(crate) fn mend(&self) {
        let mut state = self.line.state.lock().unwrap();
        state.budget = None;
        if state.cut.is_cancelled() {
            state.cut = CancellationToken::new();
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the proxy's thread panicked");
        }
    }
}

impl Line {
    async fn accept_all(self: Arc<Self>, listener: TcpListener, server: SocketAddr) {
        loop {
            let Ok((client, _)) = listener.accept().await else { continue };
            // The connection is counted under the lock that `cut` takes: it is either refused or waited for.
            let cut = {
                let mut state = self.state.lock().unwrap();
                if state.cut.is_cancelled() {
                    continue;
                }
                state.connections += 1;
                state.cut.clone()
            };
            let line = self.clone();
            tokio::spawn(async move {
                cut.run_until_cancelled(line.pass(client, server)).await;
                // The sockets are closed by now; only then does the connection count as gone.
                line.state.lock().unwrap().connections -= 1;
                line.changed.notify_all();
            });
        }
    }

    async fn pass(&self, client: TcpStream, server: SocketAddr) {
        let Ok(server) = TcpStream::connect(server).await else { return };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::join!(self.copy(from_client, to_server, true), self.copy(from_server, to_client, false));
    }

    /// Copies to the end of one direction; what the client sends counts against the budget.
    async fn copy(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counted: bool) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let passed = if counted { self.spend(read) } else { read };
            if to.write_all(&buffer[..passed]).await.is_err() {
                break;
            }
            if passed < read {
                self.state.lock().unwrap().cut.cancel();
                break;
            }
        }
        let _ = to.shutdown().await;
    }

    /// How many of these bytes may still pass.
    fn spend(&self, bytes: usize) -> usize {
        let mut state = self.state.lock().unwrap();
        let Some(budget) = &mut state.budget else { return bytes };
        let passed = bytes.min(*budget);
        *budget -= passed;
        passed
    }
}
