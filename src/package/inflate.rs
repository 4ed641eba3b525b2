//! Reading one entry to its end and checking every byte: size, checksum, and nothing after it.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use fs_err::{File, os::unix::fs::FileExt};

use super::{EntryProblem, open::Stored};

/// Enough to keep the system calls few and the memory bounded.
const BUFFER: usize = 64 * 1024;
/// How much of the content tells an executable.
const HEAD: usize = 4;

/// Buffers that serve one entry after the other.
pub(super) struct Inflater {
    compressed: Vec<u8>,
    plain: Vec<u8>,
    stream: Decompress,
}

/// Why an entry could not be read to its end.
pub(super) enum Failure {
    /// The package could not be read.
    Read(io::Error),
    /// The bytes could not be passed on.
    Write(io::Error),
    /// What it holds is wrong.
    Entry(EntryProblem),
}

/// The content while it goes by.
struct Checked<'a> {
    size: u64,
    expected: u64,
    crc: crc32fast::Hasher,
    head: Vec<u8>,
    content: &'a mut dyn FnMut(&[u8]),
}

impl Checked<'_> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.size += bytes.len() as u64;
        if self.size > self.expected {
            return Err(Failure::Entry(EntryProblem::Longer(self.expected)));
        }
        self.crc.update(bytes);
        let missing = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..missing]);
        (self.content)(bytes);
        Ok(())
    }
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self { compressed: vec![0; BUFFER], plain: vec![0; BUFFER], stream: Decompress::new(false) }
    }

    /// Reads `entry` of `file` to its end. The bytes as they lie in the file go to `raw`, the content goes to
    /// `content`, both in order. Returns the first bytes of the content.
    ///
    /// At most one buffer more than the entry's stated size is ever inflated.
    pub(super) fn run(
        &mut self,
        file: &File,
        entry: &Stored,
        raw: &mut dyn FnMut(&[u8]) -> io::Result<()>,
        content: &mut dyn FnMut(&[u8]),
    ) -> Result<Vec<u8>, Failure> {
        let mut checked = Checked {
            size: 0,
            expected: entry.size,
            crc: crc32fast::Hasher::new(),
            head: Vec::with_capacity(HEAD),
            content,
        };
        let mut offset = entry.data_start;
        let mut left = entry.compressed_size;
        let mut ended = !entry.deflated;
        self.stream.reset(false);
        while left > 0 {
            let length = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
            let chunk = &mut self.compressed[..length];
            file.read_exact_at(chunk, offset).map_err(Failure::Read)?;
            offset += length as u64;
            left -= length as u64;
            raw(chunk).map_err(Failure::Write)?;
            if !entry.deflated {
                checked.take(chunk)?;
                continue;
            }
            let used = inflate(&mut self.stream, chunk, &mut self.plain, &mut checked, &mut ended)?;
            let after = (length - used) as u64 + left;
            if ended && after > 0 {
                return Err(Failure::Entry(EntryProblem::After(after)));
            }
        }
        let problem = if checked.size < entry.size {
            Some(EntryProblem::Shorter { found: checked.size, expected: entry.size })
        } else if !ended {
            Some(EntryProblem::Damaged)
        } else {
            let found = checked.crc.clone().finalize();
            (found != entry.crc32).then_some(EntryProblem::Crc { found, expected: entry.crc32 })
        };
        problem.map_or(Ok(checked.head), |problem| Err(Failure::Entry(problem)))
    }
}

/// Inflates one chunk; returns how much of it was used.
fn inflate(
    stream: &mut Decompress,
    chunk: &[u8],
    plain: &mut [u8],
    checked: &mut Checked<'_>,
    ended: &mut bool,
) -> Result<usize, Failure> {
    let mut used = 0;
    while !*ended {
        let (read, written) = (stream.total_in(), stream.total_out());
        let status = stream
            .decompress(&chunk[used..], plain, FlushDecompress::None)
            .map_err(|_| Failure::Entry(EntryProblem::Damaged))?;
        let read = step(read, stream.total_in());
        let written = step(written, stream.total_out());
        used += read;
        checked.take(&plain[..written])?;
        *ended = status == Status::StreamEnd;
        // A full output buffer may hide more output of the same input.
        if read == 0 && written == 0 || used == chunk.len() && written < plain.len() {
            break;
        }
    }
    Ok(used)
}

/// How far a counter went in one step, which the buffers bound.
fn step(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}
