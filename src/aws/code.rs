//! A zip on its way to Lambda: written once to a file that nobody else can change, sent from there as often as needed.
//!
//! A request is signed over its whole body, so the digest of the JSON around the zip must be known before the first
//! byte is sent. It is made while the zip is written; afterwards nothing holds the zip in memory.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::body::FileBody;

/// How the JSON of UpdateFunctionCode begins, up to the zip in base64. The zip stands first, so that what comes after
/// it may be known later.
const OPENING: &[u8] = b"{\"ZipFile\":\"";
/// How many bytes are encoded at once: a multiple of three, so that only the last block is padded.
pub(super) const BLOCK: usize = 48 * 1024;
/// How many blocks may wait for their digest: enough to bridge a slow write, and no more than a few hundred KiB.
const WAITING: usize = 4;

/// A zip in a file, with what is needed to sign the requests that send it.
#[derive(Clone)]
pub struct Code {
    file: Arc<File>,
    size: u64,
    sha256: [u8; 32],
    /// Of the JSON so far: the opening and the zip in base64.
    json: Context,
}

/// Writes a zip into a file and digests the JSON that will carry it, on a thread of its own: the digest costs about
/// as much as all other work on the zip.
pub struct CodeWriter {
    file: File,
    size: u64,
    block: Vec<u8>,
    blocks: SyncSender<Vec<u8>>,
    digesting: JoinHandle<Context>,
}

impl CodeWriter {
    /// Writes to this file, which must be empty and have no name that others know.
    pub fn new(file: File) -> io::Result<Self> {
        let (blocks, received) = sync_channel(WAITING);
        let digesting =
            std::thread::Builder::new().name("digest".to_owned()).spawn(move || digest(&received))?;
        Ok(Self { file, size: 0, block: Vec::with_capacity(BLOCK), blocks, digesting })
    }

    /// The zip is complete; `sha256` is its own digest.
    pub fn finish(mut self, sha256: [u8; 32]) -> io::Result<Code> {
        self.file.flush()?;
        let last = std::mem::take(&mut self.block);
        self.pass_on(last)?;
        let Self { file, size, blocks, digesting, .. } = self;
        // The end of the channel is the end of the thread.
        drop(blocks);
        let json = digesting.join().map_err(|_| stopped())?;
        Ok(Code { file: Arc::new(file), size, sha256, json })
    }

    fn pass_on(&mut self, block: Vec<u8>) -> io::Result<()> {
        self.blocks.send(block).map_err(|_| stopped())
    }
}

impl Write for CodeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.size += written as u64;
        let mut rest = &bytes[..written];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(now);
            rest = later;
            if self.block.len() == BLOCK {
                let full = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
                self.pass_on(full)?;
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Digests the opening and every block in base64.
fn digest(blocks: &Receiver<Vec<u8>>) -> Context {
    let mut json = Context::new(&SHA256);
    json.update(OPENING);
    let mut text = String::with_capacity(BLOCK / 3 * 4);
    while let Ok(block) = blocks.recv() {
        text.clear();
        STANDARD.encode_string(block, &mut text);
        json.update(text.as_bytes());
    }
    json
}

fn stopped() -> io::Error {
    io::Error::other("the digest of the request stopped unexpectedly")
}

impl Code {
    /// The size of the zip in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The SHA-256 of the zip.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The zip as it is.
    pub(super) fn plain(&self) -> Payload {
        Payload { body: FileBody::plain(self.file.clone(), self.size), sha256: hex::encode(self.sha256) }
    }

    /// The JSON of UpdateFunctionCode, with this revision as its guard.
    pub(super) fn json(&self, revision_id: Option<&str>) -> Payload {
        let mut closing = "\"".to_owned();
        if let Some(revision) = revision_id {
            closing.push_str(",\"RevisionId\":");
            closing.push_str(&serde_json::Value::from(revision).to_string());
        }
        closing.push('}');
        let mut json = self.json.clone();
        json.update(closing.as_bytes());
        Payload {
            body: FileBody::base64(self.file.clone(), self.size, OPENING, closing),
            sha256: hex::encode(json.finish()),
        }
    }
}

/// A body that is read from the file while it is sent.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) body: FileBody,
    /// Its digest, lower-case hex.
    pub(super) sha256: String,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Code({} bytes)", self.size)
    }
}

impl std::fmt::Debug for CodeWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CodeWriter({} bytes)", self.size)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::digest as sha256;
    use aws_smithy_types::byte_stream::ByteStream;

    use super::*;

    fn code(zip: &[u8]) -> Code {
        let mut writer = CodeWriter::new(tempfile::tempfile().unwrap()).unwrap();
        for part in zip.chunks(1000) {
            writer.write_all(part).unwrap();
        }
        writer.finish(sha256(&SHA256, zip).as_ref().try_into().unwrap()).unwrap()
    }

    async fn sent(payload: Payload) -> Vec<u8> {
        let (length, digest) = (payload.body.length(), payload.sha256.clone());
        let body = payload.body.into_sdk();
        let mut sent = Vec::new();
        // The second reading is what a repeated try sends.
        for body in [body.try_clone().unwrap(), body] {
            sent = ByteStream::new(body).collect().await.unwrap().to_vec();
            assert_eq!(sent.len() as u64, length);
            assert_eq!(hex::encode(sha256(&SHA256, &sent)), digest);
        }
        sent
    }

    #[tokio::test]
    async fn what_is_sent_is_what_was_written_and_signed_whatever_its_length() {
        for size in [0, 1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 2] {
            let zip: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let code = code(&zip);
            assert_eq!(sent(code.plain()).await, zip);
            for revision in [None, Some("r1"), Some("\"\\\n")] {
                let json: serde_json::Value =
                    serde_json::from_slice(&sent(code.json(revision)).await).unwrap();
                assert_eq!(json["ZipFile"], STANDARD.encode(&zip));
                assert_eq!(json.get("RevisionId").and_then(|found| found.as_str()), revision);
            }
        }
    }
}
