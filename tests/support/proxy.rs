//! An HTTP proxy for CONNECT, as companies put one between their machines and the world.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use base64::{Engine, engine::general_purpose::STANDARD};

/// A running proxy; dropping it ends it.
pub(crate) struct Proxy {
    address: SocketAddr,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

struct Seen {
    /// Whom it lets through, as `user:password`; everybody without one.
    user: Option<String>,
    targets: Mutex<Vec<String>>,
    refused: Mutex<usize>,
    is_ended: AtomicBool,
}

impl Proxy {
    /// Lets this user through alone, or everybody.
    pub(crate) fn start(user: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen {
            user: user.map(str::to_owned),
            targets: Mutex::default(),
            refused: Mutex::default(),
            is_ended: AtomicBool::new(false),
        });
        let served = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if served.is_ended.load(Ordering::Relaxed) {
                    return;
                }
                let served = Arc::clone(&served);
                // It ends with its connection.
                std::thread::spawn(move || drop(served.serve(client)));
            }
        });
        Self { address, seen, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it led, once for each connection.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.seen.targets.lock().unwrap().clone()
    }

    /// How many it let not through.
    pub(crate) fn refused(&self) -> usize {
        *self.seen.refused.lock().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.seen.is_ended.store(true, Ordering::Relaxed);
        // Wakes it.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the proxy's thread panicked");
        }
    }
}

impl Seen {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let (mut target, mut user) = (String::new(), None);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            } else if let Some(rest) = line.strip_prefix("CONNECT ") {
                target = rest.split(' ').next().unwrap_or_default().to_owned();
            } else if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("proxy-authorization")
            {
                user = Some(value.to_owned());
            }
        }
        let expected = self.user.as_ref().map(|user| format!("Basic {}", STANDARD.encode(user)));
        if target.is_empty() || (expected.is_some() && user != expected) {
            *self.refused.lock().unwrap() += 1;
            let status = if target.is_empty() {
                "405 Method Not Allowed"
            } else {
                "407 Proxy Authentication Required"
            };
            return write!(client, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        }
        self.targets.lock().unwrap().push(target.clone());
        let server = TcpStream::connect(&target)?;
        write!(client, "HTTP/1.1 200 Connection established\r\n\r\n")?;
        let (from_server, to_client) = (server.try_clone()?, client);
        let back = std::thread::spawn(move || copy(from_server, &to_client));
        copy(reader, &server);
        drop(back.join());
        Ok(())
    }
}

/// Passes on until one of the two is gone, then lets the other go.
fn copy(mut from: impl Read, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}
