//! A small zip writer for repacked functions: plain headers, one fixed time, Unix modes, and a digest of all
//! that is written. It never compresses: the entries come as they are.

use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};

/// How much is passed on at once.
const BLOCK: usize = 64 * 1024;
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
/// The length of the header before an entry's data, without the name.
const LOCAL_HEADER: usize = 30;

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
    /// What is not passed on yet.
    block: Vec<u8>,
    filled: usize,
    written: u64,
}

/// The finished zip.
pub(super) struct Finished {
    pub(super) sha256: [u8; 32],
    pub(super) size: u64,
}

impl<W: Write> Output<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, digest: Context::new(&SHA256), block: vec![0; BLOCK], filled: 0, written: 0 }
    }

    /// Passes on bytes of the entry whose header was begun, or of the directory.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let space = self.space()?;
            let (now, later) = bytes.split_at(space.len().min(bytes.len()));
            space[..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
        }
        Ok(())
    }

    /// Room for at least one more byte. Whoever puts bytes there says so by [`Self::fill`].
    pub(super) fn space(&mut self) -> io::Result<&mut [u8]> {
        if self.filled == self.block.len() {
            self.pass_on()?;
        }
        Ok(&mut self.block[self.filled..])
    }

    /// The first `length` bytes of the room are now filled.
    pub(super) fn fill(&mut self, length: usize) {
        self.filled += length;
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let bytes = &self.block[..self.filled];
        self.digest.update(bytes);
        self.to.write_all(bytes)?;
        self.written += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    /// Writes the header that stands before an entry's data.
    pub(super) fn begin(&mut self, header: &Header<'_>) -> io::Result<()> {
        let mut bytes = [0; LOCAL_HEADER];
        let mut fields = Fields(&mut bytes);
        fields.put(b"PK\x03\x04");
        header.put(&mut fields)?;
        self.write(&bytes)?;
        self.write(header.name.as_bytes())
    }

    /// Writes the directory of all entries that were begun, in their order, and its end record. Modes are known
    /// only now that every content has gone by.
    pub(super) fn finish<'a>(
        mut self,
        entries: impl Iterator<Item = (Header<'a>, u32)>,
    ) -> io::Result<Finished> {
        let directory = self.written + self.filled as u64;
        let mut start = 0;
        let mut length = 0;
        let mut count: u16 = 0;
        for (header, mode) in entries {
            let mut bytes = [0; 46];
            let mut fields = Fields(&mut bytes);
            fields.put(b"PK\x01\x02");
            fields.put(&VERSION_MADE_BY.to_le_bytes());
            header.put(&mut fields)?;
            // No extra field, no comment, first disk, no internal attributes.
            fields.put(&[0; 8]);
            fields.put(&((REGULAR | mode) << 16).to_le_bytes());
            fields.put(&narrow(start)?.to_le_bytes());
            self.write(&bytes)?;
            self.write(header.name.as_bytes())?;
            length += (bytes.len() + header.name.len()) as u64;
            start += (LOCAL_HEADER + header.name.len()) as u64 + header.compressed_size;
            // The largest number means that the count stands elsewhere, so it is not one.
            count = count.checked_add(1).filter(|&count| count < u16::MAX).ok_or_else(too_large)?;
        }
        let mut bytes = [0; 22];
        let mut fields = Fields(&mut bytes);
        fields.put(b"PK\x05\x06\0\0\0\0");
        fields.put(&count.to_le_bytes());
        fields.put(&count.to_le_bytes());
        fields.put(&narrow(length)?.to_le_bytes());
        fields.put(&narrow(directory)?.to_le_bytes());
        self.write(&bytes)?;
        self.pass_on()?;
        self.to.flush()?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.finish().as_ref());
        Ok(Finished { sha256, size: self.written })
    }
}

/// A record being put together, field by field.
struct Fields<'a>(&'a mut [u8]);

impl Fields<'_> {
    fn put(&mut self, field: &[u8]) {
        let (now, later) = std::mem::take(&mut self.0).split_at_mut(field.len());
        now.copy_from_slice(field);
        self.0 = later;
    }
}

impl Header<'_> {
    /// The fields that both headers have in common, up to the length of the name.
    fn put(&self, fields: &mut Fields<'_>) -> io::Result<()> {
        let method: u16 = if self.deflated { 8 } else { 0 };
        let flags = if self.name.is_ascii() { 0 } else { UTF8 };
        let name = u16::try_from(self.name.len()).map_err(|_| too_large())?;
        for field in [VERSION_NEEDED, flags, method, 0, DATE] {
            fields.put(&field.to_le_bytes());
        }
        for field in [self.crc32, narrow(self.compressed_size)?, narrow(self.size)?] {
            fields.put(&field.to_le_bytes());
        }
        fields.put(&name.to_le_bytes());
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

    const EMPTY: Header<'_> = Header { name: "a", deflated: false, crc32: 0, compressed_size: 0, size: 0 };

    #[test]
    fn what_does_not_fit_is_refused() {
        let large = Header { size: u64::from(u32::MAX), ..EMPTY };
        assert!(Output::new(io::sink()).begin(&large).is_err());
        // The second would begin where no offset reaches.
        let longest = Header { compressed_size: u64::from(u32::MAX) - 1, ..EMPTY };
        let finish = |entries: &[Header<'static>]| {
            Output::new(io::sink()).finish(entries.iter().map(|header| (header.clone(), 0o644)))
        };
        assert!(finish(std::slice::from_ref(&longest)).is_ok());
        assert!(finish(&[longest, EMPTY]).is_err());
        assert!(finish(&vec![EMPTY; 65_534]).is_ok());
        assert!(finish(&vec![EMPTY; 65_535]).is_err());
    }
}
