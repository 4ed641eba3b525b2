//! Reading one entry to its end and checking every byte: size, checksum, and nothing after it.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use fs_err::File;

use super::{EntryProblem, excerpt::Excerpt, open::Stored};

/// How much is inflated at once. Between two steps the stream copies what later bytes may refer to, which is
/// the smaller a share of the work the larger the steps are, as long as they stay in the processor's cache.
const STEP: usize = 128 * 1024;
/// The first bytes of a Linux program.
const ELF: &[u8] = b"\x7fELF";
/// The first bytes of a script.
const SCRIPT: &[u8] = b"#!";

/// Buffers that serve one entry after the other.
pub(super) struct Inflater {
    /// What was read of the package.
    pub(super) excerpt: Excerpt,
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
struct Checked<F> {
    size: u64,
    expected: u64,
    crc: crc32fast::Hasher,
    head: [u8; ELF.len()],
    content: F,
}

impl<F: FnMut(&[u8])> Checked<F> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let before = usize::try_from(self.size).unwrap_or(usize::MAX);
        self.size += bytes.len() as u64;
        if self.size > self.expected {
            return Err(Failure::Entry(EntryProblem::Longer(self.expected)));
        }
        self.crc.update(bytes);
        for (place, byte) in self.head.iter_mut().skip(before).zip(bytes) {
            *place = *byte;
        }
        (self.content)(bytes);
        Ok(())
    }

    /// Whether the content begins as a program or a script does. Neither beginning holds a zero, which is what
    /// stands where there is no content.
    fn is_program(&self) -> bool {
        self.head.starts_with(ELF) || self.head.starts_with(SCRIPT)
    }
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self { excerpt: Excerpt::new(), plain: vec![0; STEP], stream: Decompress::new(false) }
    }

    /// Reads `entry` of `file` to its end, and passes its content to `content` in order. Returns whether it
    /// begins as a program or a script does.
    ///
    /// At most one step more than the entry's stated size is ever inflated.
    pub(super) fn run(
        &mut self,
        file: &File,
        entry: &Stored,
        content: impl FnMut(&[u8]),
    ) -> Result<bool, Failure> {
        let mut checked = Checked {
            size: 0,
            expected: entry.size,
            crc: crc32fast::Hasher::new(),
            head: [0; ELF.len()],
            content,
        };
        let mut offset = entry.data_start;
        let mut left = entry.compressed_size;
        let mut ended = !entry.deflated;
        if entry.deflated {
            self.stream.reset(false);
        }
        while left > 0 {
            let chunk = self.excerpt.get(file, offset, left).map_err(Failure::Read)?;
            offset += chunk.len() as u64;
            left -= chunk.len() as u64;
            if !entry.deflated {
                checked.take(chunk)?;
                continue;
            }
            // A stream that fits into one step need not remember what it has passed on.
            let at_once = left == 0 && entry.size < STEP as u64;
            let flush = if at_once { FlushDecompress::Finish } else { FlushDecompress::None };
            let used = inflate(&mut self.stream, chunk, &mut self.plain, flush, &mut checked, &mut ended)?;
            let after = (chunk.len() - used) as u64 + left;
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
        problem.map_or(Ok(checked.is_program()), |problem| Err(Failure::Entry(problem)))
    }
}

/// Inflates one chunk; returns how much of it was used.
fn inflate(
    stream: &mut Decompress,
    chunk: &[u8],
    plain: &mut [u8],
    flush: FlushDecompress,
    checked: &mut Checked<impl FnMut(&[u8])>,
    ended: &mut bool,
) -> Result<usize, Failure> {
    let mut used = 0;
    while !*ended {
        let (read, written) = (stream.total_in(), stream.total_out());
        let status = stream
            .decompress(&chunk[used..], plain, flush)
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
