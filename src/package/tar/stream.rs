//! The bytes of a tar, uncompressed as they go by and never more of them than a sound one can have.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use fs_err::File;

use super::{
    super::{Dialect, Limits, PackageError},
    TarProblem,
    header::BLOCK,
};

/// Enough to keep the system calls few.
const BUFFER: usize = 64 * 1024;
/// What the headers of one entry and the padding after its content may take. Beginning a member of a
/// compressed file counts as much: many empty ones would cost time without giving a byte.
const OVERHEAD: u64 = 4096;
/// How long the padding at the end may be.
const END: u64 = 1024 * 1024;

/// A tar, read from its beginning to its end.
pub(super) struct Stream<'a> {
    decoder: Decoder,
    shown: &'a str,
    offset: u64,
    limit: u64,
    /// What of the limit is not used up.
    left: u64,
}

/// A compressed file is one or more members, one after the other; each has a decoder of its own.
enum Decoder {
    Plain(BufReader<File>),
    Gzip(Box<GzDecoder<BufReader<File>>>),
    Bzip2(BzDecoder<BufReader<File>>),
    Ended,
}

impl Decoder {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(to),
            Self::Gzip(decoder) => decoder.read(to),
            Self::Bzip2(decoder) => decoder.read(to),
            Self::Ended => Ok(0),
        }
    }

    /// The compression, where damage to it shows.
    fn format(&self) -> Option<&'static str> {
        match self {
            Self::Gzip(_) => Some("gzip"),
            Self::Bzip2(_) => Some("bzip2"),
            Self::Plain(_) | Self::Ended => None,
        }
    }
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        file: File,
        dialect: Dialect,
        shown: &'a str,
        limits: &Limits,
    ) -> Result<Self, PackageError> {
        let mut file = BufReader::with_capacity(BUFFER, file);
        let head = file.fill_buf().map_err(PackageError::io(reading(shown)))?;
        let found = format_of(head);
        let (expected, decoder): (_, fn(_) -> _) = match dialect {
            Dialect::TarGz => ("gzip", |file| Decoder::Gzip(Box::new(GzDecoder::new(file)))),
            Dialect::TarBz2 => ("bzip2", |file| Decoder::Bzip2(BzDecoder::new(file))),
            _ => ("uncompressed", Decoder::Plain),
        };
        if found != expected {
            let problem = TarProblem::OtherFormat { found, expected };
            return Err(PackageError::Tar { package: shown.to_owned(), problem });
        }
        let headers = (limits.entries as u64).saturating_mul(OVERHEAD);
        let limit = limits.unzipped_size.saturating_add(headers).saturating_add(END);
        Ok(Self { decoder: decoder(file), shown, offset: 0, limit, left: limit })
    }

    /// How much was read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Fills `to`; returns how far, which is less only at the end.
    pub(super) fn fill(&mut self, to: &mut [u8]) -> Result<usize, PackageError> {
        let mut filled = 0;
        while filled < to.len() {
            match self.decoder.read(&mut to[filled..]) {
                Ok(0) => {
                    if !self.begin_member()? {
                        break;
                    }
                }
                Ok(read) => {
                    filled += read;
                    self.offset += read as u64;
                    self.use_up(read as u64)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(filled)
    }

    /// Fills all of `to` with bytes of `what`.
    pub(super) fn fill_whole(&mut self, to: &mut [u8], what: &str) -> Result<(), PackageError> {
        if self.fill(to)? == to.len() {
            return Ok(());
        }
        Err(self.unsound(TarProblem::Cut { what: what.to_owned() }))
    }

    /// Skips what fills the last block of a content of `size` bytes.
    pub(super) fn skip_padding(&mut self, size: u64, what: &str) -> Result<(), PackageError> {
        let block = BLOCK as u64;
        let length = usize::try_from((block - size % block) % block).unwrap_or_default();
        self.fill_whole(&mut [0; BLOCK][..length], what)
    }

    /// Reads on to the end, as far as the limit goes, and tells if the compressed file is damaged.
    pub(super) fn find_damage(&mut self) -> Option<PackageError> {
        let mut rest = vec![0; BUFFER];
        loop {
            match self.fill(&mut rest) {
                Ok(BUFFER) => {}
                Err(damage @ PackageError::Compressed { .. }) => return Some(damage),
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// Goes on with the next member of a compressed file; `false` at the end.
    fn begin_member(&mut self) -> Result<bool, PackageError> {
        let format = self.decoder.format();
        let (mut file, magic, decoder): (_, _, fn(_) -> _) =
            match std::mem::replace(&mut self.decoder, Decoder::Ended) {
                Decoder::Plain(_) | Decoder::Ended => return Ok(false),
                Decoder::Gzip(ended) => {
                    ((*ended).into_inner(), 0x1f, |file| Decoder::Gzip(Box::new(GzDecoder::new(file))))
                }
                Decoder::Bzip2(ended) => {
                    (ended.into_inner(), b'B', |file| Decoder::Bzip2(BzDecoder::new(file)))
                }
            };
        let next = file.fill_buf().map_err(PackageError::io(reading(self.shown)))?.first();
        match next {
            None => Ok(false),
            Some(&first) if first == magic => {
                self.decoder = decoder(file);
                self.use_up(OVERHEAD)?;
                Ok(true)
            }
            Some(_) => {
                let format = format.unwrap_or_default();
                Err(self.unsound(TarProblem::AfterCompressed { format }))
            }
        }
    }

    fn use_up(&mut self, length: u64) -> Result<(), PackageError> {
        match self.left.checked_sub(length) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.unsound(TarProblem::Endless { limit: self.limit })),
        }
    }

    /// Decoders report damage by these kinds; others are trouble with the disk.
    fn failed(&self, source: io::Error) -> PackageError {
        let is_damage = matches!(
            source.kind(),
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof
        );
        match self.decoder.format() {
            Some(format) if is_damage => {
                PackageError::Compressed { package: self.shown.to_owned(), format, source }
            }
            _ => PackageError::io(reading(self.shown))(source),
        }
    }

    fn unsound(&self, problem: TarProblem) -> PackageError {
        PackageError::Tar { package: self.shown.to_owned(), problem }
    }
}

fn reading(shown: &str) -> String {
    format!("reading `{shown}`")
}

/// What the first bytes of a file tell. Those of bzip2 alone could be a name too, but not with what follows.
fn format_of(head: &[u8]) -> &'static str {
    match head {
        [0x1f, 0x8b, ..] => "gzip",
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y', ..] => "bzip2",
        [b'P', b'K', 3, 4, ..] => "zip",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "xz",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        _ => "uncompressed",
    }
}
