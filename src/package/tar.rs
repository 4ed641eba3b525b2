//! Reading a tar once, from its beginning to its end: its files then lie in a spool, deflated as in a zip.
//!
//! What two readers of a tar could take for two different things is refused: sizes and checksums that lie,
//! names given twice, data after the end.

mod header;
mod problem;
mod spool;
mod stream;

use std::path::Path;

use fs_err::File;

use self::{
    header::{BLOCK, Extended, Header, Kind},
    spool::Spool,
    stream::Stream,
};
use super::{
    Dialect, EntryProblem, Layout, PackageError,
    directory::Member,
    names::{self, Name},
};

pub use problem::TarProblem;
pub(super) use spool::Spooled;

/// The longest name or set of records before an entry: they are read into memory.
const LONGEST_EXTENDED: u64 = 1024 * 1024;

/// Reads a whole tar. Its files are in the spool, an unnamed file in the folder `work`; folders are listed
/// with them.
pub(super) fn read(
    file: File,
    dialect: Dialect,
    shown: &str,
    layout: &Layout,
    work: &Path,
) -> Result<(File, Vec<Member>), PackageError> {
    let spool = Spool::new(shown, work)?;
    let stream = Stream::new(file, dialect, shown, &layout.limits)?;
    let mut reader = Reader { stream, spool, shown, layout, members: Vec::new(), total: 0 };
    if let Err(error) = reader.read() {
        // Damage to the compressed file shows in its checksum, which comes after the bytes that it spoilt.
        let damage = matches!(error, PackageError::Tar { .. }).then(|| reader.stream.find_damage());
        return Err(damage.flatten().unwrap_or(error));
    }
    Ok((reader.spool.finish()?, reader.members))
}

/// A tar being read.
struct Reader<'a> {
    stream: Stream<'a>,
    spool: Spool<'a>,
    shown: &'a str,
    layout: &'a Layout,
    members: Vec<Member>,
    /// Bytes of all files.
    total: u64,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), PackageError> {
        let mut extended = Extended::default();
        loop {
            let offset = self.stream.offset();
            let mut block = [0; BLOCK];
            match self.stream.fill(&mut block)? {
                BLOCK => {}
                0 => return Err(self.unsound(TarProblem::NoEnd)),
                _ => return Err(self.cut(&format!("the header at offset {offset}"))),
            }
            if block == [0; BLOCK] {
                if !extended.is_empty() {
                    return Err(self.unsound(TarProblem::NoEntry { offset }));
                }
                return self.read_end();
            }
            let header = Header::read(&block, offset).map_err(|problem| self.unsound(problem))?;
            match header.kind {
                Kind::File | Kind::Folder | Kind::Refused(_) => {
                    self.read_entry(header, std::mem::take(&mut extended))?;
                }
                Kind::LongName => {
                    let name = self.read_extended(&header, offset)?;
                    extended.set_long_name(name, offset).map_err(|problem| self.unsound(problem))?;
                }
                // The target of a link, which is refused when it comes.
                Kind::LongLink => drop(self.read_extended(&header, offset)?),
                Kind::Records => {
                    let records = self.read_extended(&header, offset)?;
                    extended.set_records(&records, offset).map_err(|problem| self.unsound(problem))?;
                }
                Kind::GlobalRecords => {
                    let records = self.read_extended(&header, offset)?;
                    header::check_global(&records, offset).map_err(|problem| self.unsound(problem))?;
                }
            }
        }
    }

    /// A file goes to the spool. Limits are checked before its first byte is written.
    fn read_entry(&mut self, header: Header, extended: Extended) -> Result<(), PackageError> {
        let size = extended.size.unwrap_or(header.size);
        let mut raw_name = extended.name.unwrap_or(header.raw_name);
        let entry = names::shown(&raw_name);
        let refused = |problem| {
            Err(PackageError::Entry { package: self.shown.to_owned(), entry: entry.clone(), problem })
        };
        let is_folder = match header.kind {
            Kind::Refused(problem) => return refused(problem),
            _ if extended.is_sparse => return refused(EntryProblem::Sparse),
            Kind::Folder if size > 0 => return refused(EntryProblem::FolderWithContent(size)),
            Kind::Folder => true,
            _ => false,
        };
        self.total = self.total.saturating_add(size);
        names::check_limits(self.shown, self.layout, self.members.len() + 1, self.total)?;
        if is_folder {
            // Python lists the root as a folder whose name, empty, has the `/` of all folders.
            if raw_name == b"/" {
                raw_name = b"./".to_vec();
            }
            if !raw_name.ends_with(b"/") {
                raw_name.push(b'/');
            }
        }
        let name = match names::read(&raw_name, false) {
            Ok(name) => name.unwrap_or_else(|| Name { text: String::new(), is_folder: true }),
            Err(problem) => return refused(problem),
        };
        // Old tars know no type for folders: the name says it.
        if name.is_folder && size > 0 {
            return refused(EntryProblem::FolderWithContent(size));
        }
        let spooled = if name.is_folder {
            Spooled::default()
        } else {
            let what = format!("`{entry}`");
            let stream = &mut self.stream;
            let spooled = self.spool.add(size, &mut |chunk| stream.fill_whole(chunk, &what))?;
            self.stream.skip_padding(size, &what)?;
            spooled
        };
        self.members.push(Member::spooled(name, &raw_name, header.mode, &spooled));
        Ok(())
    }

    /// The content of a header that extends the next one.
    fn read_extended(&mut self, header: &Header, offset: u64) -> Result<Vec<u8>, PackageError> {
        let size = header.size;
        let length = usize::try_from(size).ok().filter(|_| size <= LONGEST_EXTENDED).ok_or_else(|| {
            self.unsound(TarProblem::LongExtended { offset, size, limit: LONGEST_EXTENDED })
        })?;
        let what = format!("the extended header at offset {offset}");
        let mut content = vec![0; length];
        self.stream.fill_whole(&mut content, &what)?;
        self.stream.skip_padding(size, &what)?;
        Ok(content)
    }

    /// After the first block of zeros nothing but zeros follows. Two blocks end a tar, but one alone leaves no
    /// doubt either, and padding to a record may be of any length.
    fn read_end(&mut self) -> Result<(), PackageError> {
        let mut rest = [0; 16 * BLOCK];
        loop {
            let offset = self.stream.offset();
            let length = self.stream.fill(&mut rest)?;
            if let Some(place) = rest[..length].iter().position(|&byte| byte != 0) {
                return Err(self.unsound(TarProblem::AfterEnd { offset: offset + place as u64 }));
            }
            if length < rest.len() {
                return Ok(());
            }
        }
    }

    fn cut(&self, what: &str) -> PackageError {
        self.unsound(TarProblem::Cut { what: what.to_owned() })
    }

    fn unsound(&self, problem: TarProblem) -> PackageError {
        PackageError::Tar { package: self.shown.to_owned(), problem }
    }
}
