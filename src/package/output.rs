//! A small zip writer for repacked functions: plain headers, one fixed time, Unix modes, and a digest of all
//! that is written. It never compresses: the entries come as they are.

use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};

/// 1980-01-01, the earliest date a zip can hold; the time is zero.
const DATE: u16 = 0x0021;
/// Version 2.0: deflate and folders.
const VERSION_NEEDED: u16 = 20;
/// The same, made on Unix, so that readers take the modes.
const VERSION_MADE_BY: u16 = 3 << 8 | VERSION_NEEDED;
/// The name is UTF-8.
const UTF8: u16 = 1 << 11;
/// A regular file.
const REGULAR: u32 = 0o100_000;

/// What an entry's headers say.
#[derive(Debug, Clone)]
pub(super) struct Header<'a> {
    pub(super) name: &'a str,
    pub(super) deflated: bool,
    pub(super) crc32: u32,
    pub(super) compressed_size: u64,
    pub(super) size: u64,
}

/// A zip being written.
pub(super) struct Output<W> {
    to: W,
    digest: Context,
    written: u64,
    directory: Vec<u8>,
    entries: u16,
}

/// The finished zip.
pub(super) struct Finished {
    pub(super) sha256: [u8; 32],
    pub(super) size: u64,
}

impl<W: Write> Output<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, digest: Context::new(&SHA256), written: 0, directory: Vec::new(), entries: 0 }
    }

    /// Passes on the bytes of the entry whose header was begun.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)?;
        self.digest.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes the header that stands before an entry's data; returns where it begins.
    pub(super) fn begin(&mut self, header: &Header<'_>) -> io::Result<u64> {
        let start = self.written;
        let mut bytes = b"PK\x03\x04".to_vec();
        header.append(&mut bytes)?;
        bytes.extend(0_u16.to_le_bytes());
        bytes.extend(header.name.as_bytes());
        self.write(&bytes)?;
        Ok(start)
    }

    /// Notes the entry that began at `start` for the directory. Its mode is known only now that its content
    /// has gone by.
    pub(super) fn end(&mut self, header: &Header<'_>, start: u64, mode: u32) -> io::Result<()> {
        let mut bytes = b"PK\x01\x02".to_vec();
        bytes.extend(VERSION_MADE_BY.to_le_bytes());
        header.append(&mut bytes)?;
        // No extra field, no comment, first disk, no internal attributes.
        bytes.extend([0; 8]);
        bytes.extend(((REGULAR | mode) << 16).to_le_bytes());
        bytes.extend(narrow(start)?.to_le_bytes());
        bytes.extend(header.name.as_bytes());
        self.directory.append(&mut bytes);
        // The largest number means that the count stands elsewhere, so it is not one.
        self.entries = self.entries.checked_add(1).filter(|&count| count < u16::MAX).ok_or_else(too_large)?;
        Ok(())
    }

    /// Writes the directory and its end record.
    pub(super) fn finish(mut self) -> io::Result<Finished> {
        let start = narrow(self.written)?;
        let mut directory = std::mem::take(&mut self.directory);
        let length = narrow(directory.len() as u64)?;
        directory.extend(b"PK\x05\x06\0\0\0\0");
        directory.extend(self.entries.to_le_bytes());
        directory.extend(self.entries.to_le_bytes());
        directory.extend(length.to_le_bytes());
        directory.extend(start.to_le_bytes());
        directory.extend(0_u16.to_le_bytes());
        self.write(&directory)?;
        self.to.flush()?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.finish().as_ref());
        Ok(Finished { sha256, size: self.written })
    }
}

impl Header<'_> {
    /// The fields that both headers have in common, up to the length of the name.
    fn append(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let method: u16 = if self.deflated { 8 } else { 0 };
        let flags = if self.name.is_ascii() { 0 } else { UTF8 };
        let name = u16::try_from(self.name.len()).map_err(|_| too_large())?;
        for field in [VERSION_NEEDED, flags, method, 0, DATE] {
            bytes.extend(field.to_le_bytes());
        }
        for field in [self.crc32, narrow(self.compressed_size)?, narrow(self.size)?] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(name.to_le_bytes());
        Ok(())
    }
}

/// A size or offset in 32 bits. The largest number means that it stands elsewhere, so it is not one.
fn narrow(number: u64) -> io::Result<u32> {
    u32::try_from(number).ok().filter(|&number| number < u32::MAX).ok_or_else(too_large)
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "a zip without the 64-bit extension cannot hold this much")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut output = Output::new(io::sink());
        let header = Header { name: "a", deflated: false, crc32: 0, compressed_size: 0, size: 0 };
        let large = Header { size: u64::from(u32::MAX), ..header.clone() };
        assert!(output.begin(&large).is_err());
        assert!(output.end(&header, u64::from(u32::MAX), 0o644).is_err());
        for _ in 0..65_534 {
            output.end(&header, 0, 0o644).unwrap();
        }
        assert!(output.end(&header, 0, 0o644).is_err());
    }
}
