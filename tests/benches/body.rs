//! Makes the body of an UpdateFunctionCode request from a package and prints its digest and size.
//!
//! `body PACKAGE SHA256 MEMORY`: the package is verified and what was learnt is kept in the file MEMORY; or, if
//! that is there, the package is trusted for it, as the daemon does when a second function comes of one package.

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, engine::general_purpose::STANDARD};
use octarm::{
    conventions::Conventions,
    package::{Package, Verification},
};

/// A multiple of three, so that no block but the last is padded.
const BLOCK: usize = 48 * 1024;
/// Blocks on the way from one thread to the other.
const UNDERWAY: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [package, sha256, memory] = arguments.as_slice() else {
        return Err("usage: body PACKAGE SHA256 MEMORY".into());
    };
    let layout = Conventions::load(None)?.layout;
    let package = Package::open(Path::new(package), None, &layout)?;
    let (full, blocks) = sync_channel(UNDERWAY);
    let (back, empty) = sync_channel(UNDERWAY);
    let hashing = thread::spawn(move || hash(&blocks, &back));
    let mut blocks = Blocks { block: Vec::with_capacity(BLOCK), full, empty, made: 1 };
    if let Ok(text) = fs_err::read_to_string(memory) {
        let known: Verification = serde_json::from_str(&text)?;
        package.repack_remembered("", sha256, &known, &mut blocks)?;
    } else {
        let (_, known) = package.repack_verified("", sha256, &mut blocks)?;
        fs_err::write(memory, serde_json::to_string(&known)?)?;
    }
    blocks.pass_on()?;
    drop(blocks);
    let (digest, size) = hashing.join().map_err(|_| "the hashing thread panicked")?;
    writeln!(io::stdout(), "{} {size}", hex::encode(digest))?;
    Ok(())
}

/// Passes blocks on to the thread that hashes, and takes them back empty.
struct Blocks {
    block: Vec<u8>,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    made: usize,
}

impl Blocks {
    fn pass_on(&mut self) -> io::Result<()> {
        let next = if self.made < UNDERWAY {
            self.made += 1;
            Vec::with_capacity(BLOCK)
        } else {
            self.empty.recv().map_err(io::Error::other)?
        };
        self.full.send(std::mem::replace(&mut self.block, next)).map_err(io::Error::other)
    }
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK {
            self.pass_on()?;
        }
        let now = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..now]);
        Ok(now)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Digest and size of the JSON around the blocks in base64.
fn hash(blocks: &Receiver<Vec<u8>>, back: &SyncSender<Vec<u8>>) -> (Vec<u8>, usize) {
    let mut text = vec![0; BLOCK / 3 * 4];
    let mut context = Context::new(&SHA256);
    let mut size = 0;
    let mut add = |bytes: &[u8]| {
        context.update(bytes);
        size += bytes.len();
    };
    add(br#"{"DryRun":false,"Publish":false,"ZipFile":""#);
    for mut block in blocks {
        let length = STANDARD.encode_slice(&block, &mut text).unwrap_or_default();
        add(&text[..length]);
        block.clear();
        // Nobody waits for the last ones.
        let _ = back.try_send(block);
    }
    add(br#""}"#);
    (context.finish().as_ref().to_vec(), size)
}
