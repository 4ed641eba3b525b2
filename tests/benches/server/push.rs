//! Pushes of packages, small and large.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::wire::{Answer, Connection, Door};

const BOUNDARY: &str = "bench-boundary";
/// How much is sent at once.
const PIECE: usize = 256 * 1024;

/// A zip of so many mebibytes that nothing makes smaller.
pub(crate) fn zip(mebibytes: usize) -> Result<Vec<u8>, zip::result::ZipError> {
    let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..mebibytes {
        writer.start_file(format!("{number}.bin"), options)?;
        let mut file = Vec::with_capacity(1024 * 1024);
        while file.len() < 1024 * 1024 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            file.extend_from_slice(&state.to_le_bytes());
        }
        writer.write_all(&file)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// Pushes the package under this name; where `cut`, the line breaks half way.
pub(crate) async fn push(
    door: &Door,
    name: &str,
    package: &[u8],
    cut: bool,
) -> io::Result<Option<(Answer, Duration)>> {
    let head = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         content-type: application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let length = (head.len() + package.len() + tail.len()) as u64;
    let form = format!("content-type: multipart/form-data; boundary={BOUNDARY}\r\n");
    let path = "/api/Spaces-1/packages/raw?overwriteMode=OverwriteExisting";
    let before = Instant::now();
    let mut connection = Connection::open(door.address, door.key.clone()).await?;
    connection.begin("POST", path, &form, length, head.as_bytes()).await?;
    for piece in package[..if cut { package.len() / 2 } else { package.len() }].chunks(PIECE) {
        connection.send(piece).await?;
    }
    if cut {
        return Ok(None);
    }
    connection.send(tail.as_bytes()).await?;
    let answer = connection.answer().await?;
    Ok(Some((answer, before.elapsed())))
}
