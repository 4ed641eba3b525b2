//! The spool: an unnamed file that holds the contents of a tar one after the other, deflated.

use std::{
    io::{BufWriter, Write},
    path::Path,
};

use flate2::{Compress, Compression, FlushCompress, Status};
use fs_err::File;

use super::super::PackageError;

/// Contents are compressed in pieces of this size. What deflate makes may depend on how it is fed, so it is
/// always fed alike: what comes out depends on the content alone.
const CHUNK: usize = 64 * 1024;
/// Part of what comes out: another level makes another `CodeSha256` of the same files.
const LEVEL: u32 = 6;

/// Where a content lies in the spool.
#[derive(Default)]
pub(in crate::package) struct Spooled {
    pub(in crate::package) start: u64,
    pub(in crate::package) compressed_size: u64,
    pub(in crate::package) size: u64,
    pub(in crate::package) crc32: u32,
    pub(in crate::package) deflated: bool,
}

/// A spool being written.
pub(super) struct Spool<'a> {
    to: BufWriter<File>,
    shown: &'a str,
    position: u64,
    compress: Compress,
    plain: Vec<u8>,
    packed: Vec<u8>,
    window: Vec<u8>,
}

impl<'a> Spool<'a> {
    /// A spool in the folder `work`, for the package that is shown as `shown`. It has no name: nothing stays
    /// behind, whatever happens.
    pub(super) fn new(shown: &'a str, work: &Path) -> Result<Self, PackageError> {
        let file = tempfile::tempfile_in(work).map_err(PackageError::io(doing(shown)))?;
        Ok(Self {
            to: BufWriter::with_capacity(CHUNK, File::from_parts(file, work)),
            shown,
            position: 0,
            compress: Compress::new(Compression::new(LEVEL), false),
            plain: vec![0; CHUNK],
            packed: Vec::new(),
            window: vec![0; CHUNK],
        })
    }

    /// Takes in a content of `size` bytes, which `fill` gives piece by piece.
    ///
    /// A content of one piece that deflate does not make smaller is stored as it is. A larger one is deflated
    /// in any case: at worst that costs one byte in a thousand.
    pub(super) fn add(
        &mut self,
        size: u64,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<(), PackageError>,
    ) -> Result<Spooled, PackageError> {
        let start = self.position;
        let mut crc = crc32fast::Hasher::new();
        let mut left = size;
        let mut deflated = size > 0;
        self.compress.reset();
        while left > 0 {
            let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let chunk = &mut self.plain[..length];
            fill(chunk)?;
            crc.update(chunk);
            left -= length as u64;
            self.packed.clear();
            let flush = if left == 0 { FlushCompress::Finish } else { FlushCompress::None };
            deflate(&mut self.compress, chunk, &mut self.window, &mut self.packed, flush)
                .map_err(PackageError::io(doing(self.shown)))?;
            deflated = size > CHUNK as u64 || self.packed.len() < length;
            let written = if deflated { &self.packed[..] } else { chunk };
            self.to.write_all(written).map_err(PackageError::io(doing(self.shown)))?;
            self.position += written.len() as u64;
        }
        let compressed_size = self.position - start;
        Ok(Spooled { start, compressed_size, size, crc32: crc.finalize(), deflated })
    }

    /// The finished spool.
    pub(super) fn finish(self) -> Result<File, PackageError> {
        self.to.into_inner().map_err(|error| PackageError::io(doing(self.shown))(error.into_error()))
    }
}

fn doing(shown: &str) -> String {
    format!("writing the files of `{shown}` to a temporary file")
}

/// Compresses one piece and appends what comes out.
fn deflate(
    compress: &mut Compress,
    mut piece: &[u8],
    window: &mut [u8],
    packed: &mut Vec<u8>,
    flush: FlushCompress,
) -> std::io::Result<()> {
    loop {
        let (read, written) = (compress.total_in(), compress.total_out());
        let status = compress.compress(piece, window, flush)?;
        let read = usize::try_from(compress.total_in() - read).unwrap_or(piece.len());
        let written = usize::try_from(compress.total_out() - written).unwrap_or(window.len());
        piece = &piece[read..];
        packed.extend_from_slice(&window[..written]);
        let is_done = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            // A full window may hide more output.
            _ => piece.is_empty() && written < window.len(),
        };
        if is_done {
            return Ok(());
        }
    }
}
