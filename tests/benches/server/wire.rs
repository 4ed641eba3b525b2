//! HTTP/1.1 with as little work as it takes: whoever loads a server on its own machine must not be what is measured.

use std::{io, net::SocketAddr, time::Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Where the server is and how its users prove who they are.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    /// The headers of an API key.
    pub(crate) key: String,
}

/// One connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    headers: String,
}

/// An answer, and when the last byte of it was there.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Answer {
    /// The body, where the status is this one.
    pub(crate) fn expect(self, status: u16) -> io::Result<Vec<u8>> {
        if self.status == status {
            return Ok(self.body);
        }
        let text = String::from_utf8_lossy(&self.body);
        Err(io::Error::other(format!("status {}, expected {status}: {text}", self.status)))
    }
}

impl Connection {
    /// Each request sends these headers, lines with their ends.
    pub(crate) async fn open(address: SocketAddr, headers: String) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, headers })
    }

    pub(crate) async fn call(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
        self.begin(method, path, "content-type: application/json\r\n", body.len() as u64, body).await?;
        self.answer().await
    }

    /// Sends the head of a request, whose body has `length` bytes, and the first of them.
    pub(crate) async fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        length: u64,
        first: &[u8],
    ) -> io::Result<()> {
        let own = &self.headers;
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\n{own}{headers}content-length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(first);
        self.stream.write_all(&request).await
    }

    /// Sends more of a body.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Waits for the answer to what was sent.
    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        let mut read = Vec::new();
        let end = loop {
            if let Some(place) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break place + 4;
            }
            self.more(&mut read).await?;
        };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not an answer: {head}")))?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let length: usize = length.ok_or_else(|| io::Error::other(format!("of unknown length: {head}")))?;
        while read.len() < end + length {
            self.more(&mut read).await?;
        }
        Ok(Answer { status, body: read.split_off(end), at: Instant::now() })
    }

    async fn more(&mut self, read: &mut Vec<u8>) -> io::Result<()> {
        if self.stream.read_buf(read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
