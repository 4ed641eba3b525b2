//! The directory of a zip, read field by field and held against every header in the file.
//!
//! A zip says most things more than once, and readers differ in which saying they believe. What is taken here is
//! said the same everywhere, so that every reader sees the same files, and each byte of the file has one meaning:
//! the entries follow one another from the first byte to the directory, the directory ends where the end record
//! begins, and the end record ends the file.

mod end;
mod fields;
mod local;
mod window;

use std::io;

use fs_err::File;

use self::{
    end::{End, Failure},
    fields::{Fields, Plain, read_extra, widen},
    window::Window,
};
use super::{
    EntryProblem, Layout, PackageError, Structure,
    names::{self, Name},
    open::Stored,
    tar::Spooled,
};

const RECORD: &[u8; 4] = b"PK\x01\x02";
/// A record of the directory without its name, extra fields and comment.
const RECORD_LENGTH: usize = 46;
const LOCAL: &[u8; 4] = b"PK\x03\x04";
/// A local header without its name and extra fields.
const LOCAL_LENGTH: usize = 30;
/// How much of the directory an entry may take on average. Names of a hundred characters take a fifth of it.
const RECORD_AVERAGE: u64 = 1024;

const ENCRYPTED_FLAG: u16 = 1;
const DESCRIPTOR_FLAG: u16 = 1 << 3;
const PATCH_FLAG: u16 = 1 << 5;
const STRONG_FLAG: u16 = 1 << 6;
const UTF8_FLAG: u16 = 1 << 11;
const MASKED_FLAG: u16 = 1 << 13;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The bit of a folder among the DOS attributes.
const DOS_FOLDER: u32 = 0x10;

/// A file or folder as it is listed: by the directory of a zip, or by a tar.
pub(super) struct Member {
    /// Its checked name; that of the root is empty.
    pub(super) name: Name,
    pub(super) stored: Stored,
    header: u64,
    flags: u16,
    method: u16,
}

impl Member {
    /// One of a tar, with its content in a spool: no header of a zip speaks of it.
    pub(super) fn spooled(name: Name, raw_name: &[u8], mode: u32, spooled: &Spooled) -> Self {
        let stored = Stored {
            raw_name: (raw_name != name.text.as_bytes()).then(|| raw_name.into()),
            data_start: spooled.start,
            compressed_size: spooled.compressed_size,
            size: spooled.size,
            crc32: spooled.crc32,
            deflated: spooled.deflated,
            mode: mode | if name.is_folder { 0o040_000 } else { 0o100_000 },
        };
        Self { name, stored, header: spooled.start, flags: UTF8_FLAG, method: DEFLATED }
    }

    /// Whether the name is UTF-8 beyond ASCII without the flag that says so.
    pub(super) fn is_unmarked_utf8(&self) -> bool {
        self.flags & UTF8_FLAG == 0 && !self.raw_name().is_ascii()
    }

    /// The name as it is stored, for messages.
    pub(super) fn shown(&self) -> String {
        names::shown(self.raw_name())
    }

    fn raw_name(&self) -> &[u8] {
        self.stored.raw_name.as_deref().unwrap_or(self.name.text.as_bytes())
    }

    fn is_stored_as(&self, raw: &[u8]) -> bool {
        self.raw_name() == raw
    }
}

/// The fields that a record of the directory and a local header have in common.
#[derive(Clone, Copy)]
struct Common {
    flags: u16,
    method: u16,
    crc32: u32,
    compressed_size: u32,
    size: u32,
    name: u16,
    extra: u16,
}

impl Common {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let _version_needed = fields.u16()?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        let _time = fields.u32()?;
        Some(Self {
            flags,
            method,
            crc32: fields.u32()?,
            compressed_size: fields.u32()?,
            size: fields.u32()?,
            name: fields.u16()?,
            extra: fields.u16()?,
        })
    }

    fn check(&self) -> Result<(), EntryProblem> {
        for (flag, problem) in [
            (STRONG_FLAG, EntryProblem::StronglyEncrypted),
            (MASKED_FLAG, EntryProblem::Masked),
            (ENCRYPTED_FLAG, EntryProblem::Encrypted),
            (PATCH_FLAG, EntryProblem::Patch),
        ] {
            if self.flags & flag != 0 {
                return Err(problem);
            }
        }
        if !matches!(self.method, STORED | DEFLATED) {
            return Err(EntryProblem::Method(self.method));
        }
        Ok(())
    }
}

/// A record of the directory without what follows it.
struct Record {
    common: Common,
    comment: u16,
    disk: u16,
    attributes: u32,
    header: u32,
}

impl Record {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.strip_prefix(RECORD)?);
        let _made_by = fields.u16()?;
        let common = Common::read(&mut fields)?;
        let (comment, disk) = (fields.u16()?, fields.u16()?);
        let _internal_attributes = fields.u16()?;
        Some(Self { common, comment, disk, attributes: fields.u32()?, header: fields.u32()? })
    }
}

/// A zip while its directory is read.
pub(super) struct Directory<'a> {
    pub(super) file: &'a File,
    pub(super) shown: &'a str,
    pub(super) layout: &'a Layout,
    /// Whether names are percent-encoded.
    pub(super) percent_decode: bool,
}

impl Directory<'_> {
    /// All entries, in the order of the directory.
    pub(super) fn read(&self) -> Result<Vec<Member>, PackageError> {
        let length = self.file.metadata().map_err(|error| self.unreadable(error))?.len();
        let end = end::read(self.file, length).map_err(|failure| match failure {
            Failure::Read(error) => self.unreadable(error),
            Failure::NoEnd => PackageError::NotZip { package: self.shown.to_owned() },
            Failure::Unsound(problem) => self.unsound(problem),
        })?;
        // Before anything is read or allocated at the word of the end record.
        let limit = self.layout.limits.entries;
        names::check_limits(self.shown, self.layout, usize::try_from(end.entries).unwrap_or(usize::MAX), 0)?;
        let largest = RECORD_AVERAGE.saturating_mul(limit as u64);
        if end.size > largest {
            return Err(self.unsound(Structure::DirectorySize { found: end.size, limit: largest }));
        }
        let mut members = self.records(&end)?;
        let size = members.iter().fold(0_u64, |sum, member| sum.saturating_add(member.stored.size));
        names::check_limits(self.shown, self.layout, members.len(), size)?;
        self.check_tiling(&mut members, end.start)?;
        Ok(members)
    }

    fn unreadable(&self, error: io::Error) -> PackageError {
        PackageError::io(format!("reading `{}`", self.shown))(error)
    }

    fn unsound(&self, problem: Structure) -> PackageError {
        PackageError::Structure { package: self.shown.to_owned(), problem }
    }

    fn refused(&self, raw_name: &[u8], problem: EntryProblem) -> PackageError {
        PackageError::Entry { package: self.shown.to_owned(), entry: names::shown(raw_name), problem }
    }

    /// The records of the directory, which fill it.
    fn records(&self, end: &End) -> Result<Vec<Member>, PackageError> {
        let limit = end.start + end.size;
        let mut window = Window::new(self.file, limit);
        let mut at = end.start;
        let fit = usize::try_from(end.size).unwrap_or(usize::MAX) / RECORD_LENGTH;
        let mut members = Vec::with_capacity(usize::try_from(end.entries).unwrap_or(usize::MAX).min(fit));
        for number in 1..=end.entries {
            let none = || self.unsound(Structure::NoRecord { number, entries: end.entries, offset: at });
            let bytes = window.get(at, RECORD_LENGTH).map_err(|error| self.unreadable(error))?;
            let record = bytes.and_then(Record::read).ok_or_else(none)?;
            let (name, extra) = (usize::from(record.common.name), usize::from(record.common.extra));
            let length = RECORD_LENGTH + name + extra + usize::from(record.comment);
            let bytes = window.get(at, length).map_err(|error| self.unreadable(error))?.ok_or_else(none)?;
            let name = &bytes[RECORD_LENGTH..][..name];
            let extra = &bytes[RECORD_LENGTH + name.len()..][..extra];
            let member = self.member(&record, name, extra).map_err(|problem| self.refused(name, problem))?;
            members.push(member);
            at += length as u64;
        }
        match limit - at {
            0 => Ok(members),
            length => Err(self.unsound(Structure::DirectoryRest { entries: end.entries, length })),
        }
    }

    fn member(&self, record: &Record, raw_name: &[u8], extra: &[u8]) -> Result<Member, EntryProblem> {
        let common = &record.common;
        common.check()?;
        let plain = [
            Plain::long("size", common.size),
            Plain::long("compressed size", common.compressed_size),
            Plain::long("offset", record.header),
            Plain::disk(record.disk),
        ];
        let [size, compressed_size, header, disk] = widen(plain, read_extra(extra, raw_name)?)?;
        if disk != 0 {
            return Err(EntryProblem::Disk(disk));
        }
        let name = names::read(raw_name, self.percent_decode)?
            .unwrap_or_else(|| Name { text: String::new(), is_folder: true });
        let stored = Stored {
            raw_name: (raw_name != name.text.as_bytes()).then(|| raw_name.into()),
            data_start: header,
            compressed_size,
            size,
            crc32: common.crc32,
            // Octopus's packer writes folders and empty files as deflated, with no data at all. Taken as stored,
            // they are what they say, and are written so that every unzipper takes them.
            deflated: common.method == DEFLATED && (compressed_size > 0 || size > 0),
            mode: record.attributes >> 16,
        };
        stored.check(name.is_folder)?;
        if stored.mode == 0 && record.attributes & DOS_FOLDER != 0 && !name.is_folder {
            return Err(EntryProblem::FolderNamedAsFile);
        }
        Ok(Member { name, stored, header, flags: common.flags, method: common.method })
    }

    /// The entries, one after the other, are all that stands before the directory, and each begins with a header
    /// that says what the directory says. That alone refuses bombs whose entries share data, entries that are in
    /// no directory, and data put before or between them.
    fn check_tiling(&self, members: &mut [Member], directory: u64) -> Result<(), PackageError> {
        // Half the memory of indices as they usually are; no directory in a file has more records than 32 bits count.
        let mut order: Vec<u32> = (0_u32..).take(members.len()).collect();
        order.sort_unstable_by_key(|&index| (members[index as usize].header, index));
        let mut window = Window::new(self.file, directory);
        let mut end = 0;
        for (place, &index) in order.iter().enumerate() {
            let next = order.get(place + 1).map_or(directory, |&next| members[next as usize].header);
            let member = &mut members[index as usize];
            if member.header < end {
                let (entry, offset) = (member.shown(), member.header);
                return Err(self.unsound(Structure::Overlap { entry, offset }));
            }
            self.check_gap(end, member.header)?;
            end = self.check_entry(member, &mut window, next)?;
        }
        self.check_gap(end, directory)
    }

    fn check_gap(&self, end: u64, start: u64) -> Result<(), PackageError> {
        match start.saturating_sub(end) {
            0 => Ok(()),
            length => Err(self.unsound(Structure::Gap { offset: end, length })),
        }
    }

    /// Checks the header before an entry's data and the record after it, finds out where the data begins, and
    /// returns where the entry ends. `next` is where the next one, or the directory, begins.
    fn check_entry(
        &self,
        member: &mut Member,
        window: &mut Window<'_>,
        next: u64,
    ) -> Result<u64, PackageError> {
        let start = member.header;
        let refused = |member: &Member, problem| self.refused(member.raw_name(), problem);
        let local = window
            .get(start, LOCAL_LENGTH)
            .map_err(|error| self.unreadable(error))?
            .and_then(|bytes| bytes.strip_prefix(LOCAL))
            .and_then(|bytes| Common::read(&mut Fields(bytes)))
            .ok_or_else(|| self.unsound(Structure::NoHeader { entry: member.shown(), offset: start }))?;
        let names_start = start + LOCAL_LENGTH as u64;
        let length = usize::from(local.name) + usize::from(local.extra);
        let names = window
            .get(names_start, length)
            .map_err(|error| self.unreadable(error))?
            .ok_or_else(|| self.unsound(Structure::PastEnd { entry: member.shown() }))?;
        let (name, extra) = names.split_at(usize::from(local.name));
        let says_all =
            local::check_header(member, &local, name, extra).map_err(|problem| refused(member, problem))?;

        member.stored.data_start = names_start + length as u64;
        let end = member.stored.data_start.saturating_add(member.stored.compressed_size);
        if end > window.limit() {
            return Err(self.unsound(Structure::PastEnd { entry: member.shown() }));
        }
        if member.flags & DESCRIPTOR_FLAG == 0 {
            return Ok(end);
        }
        let after = next.checked_sub(end);
        match after.and_then(local::descriptor_length) {
            Some(length) => {
                let descriptor = window.get(end, length).map_err(|error| self.unreadable(error))?;
                local::check_descriptor(member, descriptor.unwrap_or_default())
                    .map_err(|problem| refused(member, problem))?;
                Ok(next)
            }
            // Some tools leave the record out where the header says all that it would.
            None if after == Some(0) && !says_all => Err(refused(member, EntryProblem::NoDescriptor)),
            None => Ok(end),
        }
    }
}
