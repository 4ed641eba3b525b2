//! A part of the package file in memory: small entries that lie side by side are read together.

use std::{io, ops::Range};

use fs_err::{File, os::unix::fs::FileExt};

/// How much is read at once: enough to keep the system calls few, and little enough to stay in the processor's
/// cache until it is used.
pub(super) const LENGTH: usize = 64 * 1024;

/// The part that was read last.
pub(super) struct Excerpt {
    bytes: Vec<u8>,
    start: u64,
    length: usize,
}

impl Excerpt {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; LENGTH], start: 0, length: 0 }
    }

    /// Reads a part of the file, of which at most [`LENGTH`] bytes are kept.
    pub(super) fn load(&mut self, file: &File, range: Range<u64>) -> io::Result<()> {
        let wanted = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(LENGTH).min(LENGTH);
        // Nothing is held while the bytes are in between.
        self.length = 0;
        file.read_exact_at(&mut self.bytes[..wanted], range.start)?;
        self.start = range.start;
        self.length = wanted;
        Ok(())
    }

    /// The bytes from `offset` on, `length` of them or as many as are read at once; from memory if they are
    /// there.
    pub(super) fn get(&mut self, file: &File, offset: u64, length: u64) -> io::Result<&[u8]> {
        let wanted = usize::try_from(length).unwrap_or(LENGTH).min(LENGTH);
        if let Some(range) = self.place(offset, wanted) {
            return Ok(&self.bytes[range]);
        }
        self.load(file, offset..offset + wanted as u64)?;
        Ok(&self.bytes[..wanted])
    }

    /// Where in memory the bytes are, if they are.
    fn place(&self, offset: u64, length: usize) -> Option<Range<usize>> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let to = from.checked_add(length)?;
        (to <= self.length).then_some(from..to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_loaded_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs_err::write(&path, b"0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let mut excerpt = Excerpt::new();
        excerpt.load(&file, 2..8).unwrap();
        fs_err::write(&path, b"abcdefghij").unwrap();
        assert_eq!(excerpt.get(&file, 2, 6).unwrap(), b"234567");
        assert_eq!(excerpt.get(&file, 7, 1).unwrap(), b"7");
        // Not all of it is in memory.
        assert_eq!(excerpt.get(&file, 7, 2).unwrap(), b"hi");
        assert_eq!(excerpt.get(&file, 1, 1).unwrap(), b"b");
        assert!(excerpt.get(&file, 9, 2).is_err());
        // What failed has left nothing behind that could be taken for the file.
        assert_eq!(excerpt.get(&file, 1, 2).unwrap(), b"bc");
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LENGTH as u64 * 2).unwrap();
        let file = File::open(file.path()).unwrap();
        let mut excerpt = Excerpt::new();
        excerpt.load(&file, 0..LENGTH as u64 * 2).unwrap();
        assert_eq!(excerpt.get(&file, 1, u64::MAX).unwrap().len(), LENGTH);
    }
}
