//! Bytes of a file by their place, read in pieces, so that neighbours cost one system call.

use std::io;

use fs_err::{File, os::unix::fs::FileExt};

/// Headers of small files lie close together and come with one read; between large files little is read in vain.
const PIECE: usize = 16 * 1024;

/// A piece of the part of a file that ends at `limit`.
pub(super) struct Window<'a> {
    file: &'a File,
    limit: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a File, limit: u64) -> Self {
        Self { file, limit, start: 0, bytes: Vec::new() }
    }

    /// Where it ends.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// `length` bytes from `offset` on; `None` where they do not all lie before the limit.
    pub(super) fn get(&mut self, offset: u64, length: usize) -> io::Result<Option<&[u8]>> {
        let available = self.limit.saturating_sub(offset);
        if length as u64 > available {
            return Ok(None);
        }
        if self.held(offset, length).is_none() {
            let piece = usize::try_from(available).map_or(PIECE, |available| available.min(PIECE));
            self.bytes.resize(length.max(piece), 0);
            self.start = offset;
            self.file.read_exact_at(&mut self.bytes, offset)?;
        }
        Ok(self.held(offset, length))
    }

    fn held(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(length)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_before_the_limit_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
        fs_err::write(&path, &bytes).unwrap();
        let file = File::open(&path).unwrap();
        let mut window = Window::new(&file, 90_000);
        for (offset, length) in [
            (0, 4),
            (16_380, 8),
            (10, 40_000),
            (89_999, 1),
            (0, 90_000),
            (5, 0),
            (90_000, 0),
            (70_000, 20_000),
        ] {
            let expected = &bytes[offset..offset + length];
            assert_eq!(window.get(offset as u64, length).unwrap(), Some(expected), "{offset} {length}");
        }
        for (offset, length) in [(90_000, 1), (89_999, 2), (u64::MAX, 1), (0, 90_001)] {
            assert_eq!(window.get(offset, length).unwrap(), None, "{offset} {length}");
        }
    }
}
