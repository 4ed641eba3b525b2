//! A stretch of a log: in a file, or in memory.

use std::{io, sync::Arc};

use fs_err::{File, os::unix::fs::FileExt};

/// Bytes of a log that follow each other.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    File { file: Arc<File>, from: u64, length: u64 },
    Text(Vec<u8>),
}

impl Piece {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::File { length, .. } => *length,
            Self::Text(text) => text.len() as u64,
        }
    }

    /// Its bytes from one place to another, if there are any.
    pub(super) fn cut(&self, from: u64, to: u64) -> Option<Self> {
        let (from, to) = (from.min(self.length()), to.min(self.length()));
        if from >= to {
            return None;
        }
        Some(match self {
            Self::File { file, from: start, .. } => {
                Self::File { file: Arc::clone(file), from: start + from, length: to - from }
            }
            Self::Text(text) => Self::Text(text[index(from)..index(to)].to_vec()),
        })
    }

    /// Adds its bytes from this place on, at most so many.
    pub(super) fn read(&self, from: u64, most: usize, to: &mut Vec<u8>) -> io::Result<()> {
        let rest = self.length().saturating_sub(from);
        let length = index(rest).min(most);
        match self {
            Self::File { file, from: start, .. } => {
                let begin = to.len();
                to.resize(begin + length, 0);
                file.read_exact_at(&mut to[begin..], start + from)
            }
            Self::Text(text) => {
                let from = index(from).min(text.len());
                to.extend_from_slice(&text[from..from + length]);
                Ok(())
            }
        }
    }
}

/// These pieces' bytes from one place to another.
pub(super) fn cut(pieces: &[Piece], from: u64, to: u64) -> Vec<Piece> {
    let mut start = 0;
    let mut part = Vec::new();
    for piece in pieces {
        part.extend(piece.cut(from.saturating_sub(start), to.saturating_sub(start)));
        start += piece.length();
    }
    part
}

/// These pieces' bytes from this place on, at most so many.
pub(super) fn read(pieces: &[Piece], from: u64, most: usize) -> io::Result<Vec<u8>> {
    let (mut start, mut bytes) = (0, Vec::new());
    for piece in pieces {
        let end = start + piece.length();
        let at = from + bytes.len() as u64;
        if at < end && bytes.len() < most {
            piece.read(at - start, most - bytes.len(), &mut bytes)?;
        }
        start = end;
    }
    Ok(bytes)
}

/// A length on a machine whose memory is smaller than its disk.
fn index(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_and_cut_at_any_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), "-cdefg-").unwrap();
        let file = Arc::new(File::open(file.path()).unwrap());
        let pieces = [
            Piece::Text(b"ab".to_vec()),
            Piece::File { file, from: 1, length: 5 },
            Piece::Text(b"hij".to_vec()),
        ];
        let all = "abcdefghij";
        for from in 0..=all.len() {
            for to in from..=all.len() {
                let part = cut(&pieces, from as u64, to as u64);
                assert_eq!(read(&part, 0, 99).unwrap(), all.as_bytes()[from..to], "{from} to {to}");
                assert_eq!(read(&pieces, from as u64, to - from).unwrap(), all.as_bytes()[from..to]);
            }
        }
    }
}
