//! Servers that are none, or that answer what no server should.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use serde_json::Value;

use super::expect;
use crate::support::process::{Output, Program};

/// Answers each request, given by its first line, with these bytes, and closes the connection.
struct Hostile {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Hostile {
    fn new(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let mut stream = stream.unwrap();
                let request = request(&mut stream);
                // A client that gave up before it asked.
                if request.is_empty() {
                    continue;
                }
                // A client that has gone has what it wanted.
                let _ = stream.write_all(answer(&request).as_bytes());
            }
        });
        Self { address, thread: Some(thread), is_over }
    }

    fn run(&self, words: &[&str]) -> Output {
        let url = format!("http://{}", self.address);
        Program::octarm().env("OCTARM_SERVER", url).env("OCTARM_API_KEY", "API-A1").args(words).run()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A whole request; answers its first line.
fn request(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return head.lines().next().unwrap_or_default().to_owned();
            }
        }
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return String::new(),
            Ok(length) => seen.extend(&part[..length]),
        }
    }
}

fn answer(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

const DEPLOY: [&str; 8] = ["release", "deploy", "--project", "a", "--version", "1.0.0", "--environment", "b"];

#[test]
fn who_does_not_know_whether_deployments_were_made_is_told_so() {
    // Takes the request, closes in the midst of its answer, and cannot be asked again under the same key.
    let server = Hostile::new(|request| match request.split(' ').next() {
        Some("POST") => "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"Deploy".to_owned(),
        _ => answer("404 Not Found", "text/plain", "none"),
    });
    let said = server.run(&DEPLOY);
    expect(&said, 69, &["octarm deployment list", "before you deploy again"]);
    let json = server.run(&[&DEPLOY[..], &["--json"]].concat());
    let error: Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!((&error["error"]["exit_code"], json.stdout.as_str()), (&69.into(), ""));
}

#[test]
fn what_a_server_says_beside_its_answer_commands_no_terminal() {
    let server = Hostile::new(|request| {
        let (status, body) = if request.contains("ServerTasks-1/log") {
            ("503 Service Unavailable", r#"{"ErrorMessage": "\u001b]0;pwn\u0007"}"#)
        } else {
            ("404 Not Found", r#"{"ErrorMessage": "\u001b[2Jgone"}"#)
        };
        answer(status, "application/json", body)
    });
    let said = server.run(&["task", "wait", "ServerTasks-1", "--timeout", "0"]);
    assert!(!said.stderr.contains('\u{1b}') && !said.stdout.contains('\u{1b}'), "{said:?}");
    let said = server.run(&["task", "show", "ServerTasks-1"]);
    expect(&said, 6, &["\\u{1b}[2Jgone"]);
}

#[test]
fn what_is_no_answer_of_such_a_server_is_never_taken_for_one() {
    for (status, body) in [
        ("200 OK", "{}"),
        ("200 OK", "null"),
        ("200 OK", "<html></html>"),
        ("404 Not Found", "<html></html>"),
        ("302 Found", ""),
    ] {
        let server = Hostile::new(move |_| answer(status, "text/html", body));
        for words in [
            &["environment", "list"][..],
            &["environment", "create", "X"],
            // Nothing is missing where nobody was asked.
            &["environment", "delete", "X", "--yes", "--ignore-missing"],
            &["task", "show", "ServerTasks-1"],
            &["task", "cancel", "ServerTasks-1"],
            &["release", "show", "Releases-1"],
            &["release", "delete", "Releases-1", "--yes", "--ignore-missing"],
        ] {
            let said = server.run(words);
            expect(&said, 6, &["check that the address is an octarm server's"]);
            assert_eq!(said.stdout, "", "{words:?}");
        }
    }
}
