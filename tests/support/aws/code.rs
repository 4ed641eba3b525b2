//! Whether an uploaded zip is one that Lambda could unpack and run: really parsed, every CRC verified.

use std::io::{Cursor, Read};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zip::ZipArchive;

use super::refusal::Refusal;

/// Lambda's limit of the unpacked size.
pub(crate) const MAX_UNZIPPED: u64 = 262_144_000;

const NOT_A_ZIP: &str = "Could not unzip uploaded file. Please check your file, then try to upload again.";

/// `CodeSha256` as AWS reports it: base64 of the SHA-256 of the zip as it was sent.
pub(crate) fn code_sha256(zip: &[u8]) -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, zip))
}

/// Refuses what Lambda refuses, and also what it takes but cannot run: an entry whose mode keeps the
/// function's user from reading it.
pub(super) fn check(zip: &[u8]) -> Result<(), Refusal> {
    if zip.is_empty() {
        return Err(Refusal::invalid_parameter("Uploaded file must be a non-empty zip"));
    }
    let not_a_zip = || Refusal::invalid_parameter(NOT_A_ZIP);
    let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(|_| not_a_zip())?;
    if archive.is_empty() {
        return Err(Refusal::invalid_parameter("Uploaded file must be a non-empty zip"));
    }
    let mut unzipped = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|_| not_a_zip())?;
        let Some(name) = entry.enclosed_name() else { return Err(not_a_zip()) };
        readable_by_others(&name.display().to_string(), entry.unix_mode())?;
        let declared = entry.size();
        unzipped += declared;
        if unzipped > MAX_UNZIPPED {
            let message = format!("Unzipped size must be smaller than {MAX_UNZIPPED} bytes");
            return Err(Refusal::invalid_parameter(message));
        }
        // Reading to the end verifies the CRC; one byte more than declared is enough to see a lie.
        let read = std::io::copy(&mut entry.by_ref().take(declared + 1), &mut std::io::sink());
        if !read.is_ok_and(|read| read == declared) {
            return Err(not_a_zip());
        }
    }
    Ok(())
}

fn readable_by_others(name: &str, mode: Option<u32>) -> Result<(), Refusal> {
    const FILE_TYPE: u32 = 0o170_000;
    const LINK: u32 = 0o120_000;
    const FOLDER: u32 = 0o040_000;
    let mode = mode.unwrap_or(0);
    let needed = match mode & FILE_TYPE {
        LINK => 0,
        FOLDER => 0o005,
        _ => 0o004,
    };
    if mode & needed == needed {
        return Ok(());
    }
    Err(Refusal::invalid_parameter(format!(
        "{name} has mode {:04o}, which keeps the function's user from reading it",
        mode & 0o7777
    )))
}
