//! Opening a package: its directory is read once, and every name, size and place in it is checked.

use std::{
    io::{BufReader, ErrorKind, Seek, SeekFrom},
    path::Path,
};

use fs_err::{File, os::unix::fs::FileExt};
use zip::{CompressionMethod, ZipArchive};

use super::{
    EntryProblem, Extension, FileName, Layout, NuspecProblem, PackageError, Structure,
    inflate::{Failure, Inflater},
    layout::ends_with_ignoring_case,
    names, nuspec,
};
use crate::version::SemanticVersion;

/// The file name extension decides how a package is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Percent-encoded names, a manifest, and parts that are not payload.
    Nupkg,
    /// All payload.
    Zip,
}

/// Id and version of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The id, as written; ids compare without regard to case.
    pub id: String,
    /// The version.
    pub version: SemanticVersion,
}

/// A file of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its checked name, `/` between the parts.
    pub name: String,
    /// Its size unzipped.
    pub size: u64,
    /// Its size in the package.
    pub compressed_size: u64,
    /// Its checksum, as the directory says.
    pub crc32: u32,
    /// Its Unix mode, where the producer wrote one.
    pub unix_mode: Option<u32>,
}

/// A file that is not payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Its checked name.
    pub name: String,
    /// Why it was dropped.
    pub reason: String,
}

/// Where an entry's bytes lie in the file, and what they should be.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) raw_name: Vec<u8>,
    pub(super) header_start: u64,
    pub(super) data_start: u64,
    pub(super) compressed_size: u64,
    pub(super) size: u64,
    pub(super) crc32: u32,
    pub(super) deflated: bool,
    has_descriptor: bool,
    mode: u32,
}

/// A package whose directory was read and found sound. The file stays open, so that what is repacked is what
/// was checked even when the file is replaced meanwhile.
#[derive(Debug)]
pub struct Package {
    pub(super) file: File,
    /// The file name, for messages.
    pub(super) shown: String,
    pub(super) layout: Layout,
    identity: Identity,
    dialect: Dialect,
    entries: Vec<Entry>,
    /// Side by side with `entries`.
    pub(super) payload: Vec<Stored>,
    dropped: Vec<Dropped>,
    /// Side by side with `dropped`, then folders: not payload, but checked with it.
    pub(super) rest: Vec<Stored>,
}

impl Package {
    /// Opens and checks a package. Its format comes from `original_file_name`, or from `path` when the file
    /// still has its own name; id and version from the NuGet manifest, or from that name.
    pub fn open(
        path: &Path,
        original_file_name: Option<&str>,
        layout: &Layout,
    ) -> Result<Self, PackageError> {
        let shown = match original_file_name {
            Some(name) => name.to_owned(),
            None => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let dialect = match Extension::cut(&shown) {
            Some((_, Extension::Nupkg)) => Dialect::Nupkg,
            Some((_, Extension::Zip)) => Dialect::Zip,
            Some((_, extension)) => return Err(PackageError::Format { package: shown, extension }),
            None => return Err(super::FileNameError::Extension { name: shown }.into()),
        };
        let file = File::open(path).map_err(PackageError::io(format!("opening the package `{shown}`")))?;
        let directory = Directory { file: &file, shown: &shown, layout };
        let stored = directory.read()?;

        let identity = match dialect {
            Dialect::Nupkg => directory.nuspec_identity(&stored)?,
            Dialect::Zip => {
                let name: FileName = shown.parse()?;
                Identity { id: name.id().to_owned(), version: name.version().clone() }
            }
        };
        let mut package = Self {
            file,
            shown,
            layout: layout.clone(),
            identity,
            dialect,
            entries: Vec::new(),
            payload: Vec::new(),
            dropped: Vec::new(),
            rest: Vec::new(),
        };
        package.sort_out(stored)?;
        Ok(package)
    }

    /// Checks every name and parts payload from the rest.
    fn sort_out(&mut self, stored: Vec<Stored>) -> Result<(), PackageError> {
        let mut seen = Vec::with_capacity(stored.len());
        let mut folders = Vec::new();
        for stored in stored {
            let shown = names::shown(&stored.raw_name);
            let refused =
                |problem| PackageError::Entry { package: self.shown.clone(), entry: shown.clone(), problem };
            let name = names::read(&stored.raw_name, self.dialect == Dialect::Nupkg).map_err(refused)?;
            stored.check(name.as_ref().is_none_or(|name| name.is_folder)).map_err(refused)?;
            let Some(name) = name else {
                folders.push(stored);
                continue;
            };
            seen.push((name.clone(), shown));
            if name.is_folder {
                folders.push(stored);
                continue;
            }
            let dropped =
                if self.dialect == Dialect::Nupkg { self.layout.dropped_part(&name.text) } else { None };
            if let Some(dropped) = dropped {
                self.dropped.push(Dropped { name: name.text, reason: dropped.reason.clone() });
                self.rest.push(stored);
            } else {
                self.entries.push(Entry {
                    name: name.text,
                    size: stored.size,
                    compressed_size: stored.compressed_size,
                    crc32: stored.crc32,
                    unix_mode: stored.unix_mode(),
                });
                self.payload.push(stored);
            }
        }
        self.rest.append(&mut folders);
        names::find_clash(seen).map_err(|(entry, problem)| PackageError::Entry {
            package: self.shown.clone(),
            entry,
            problem,
        })
    }

    /// Id and version.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How it was read.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The files of the payload, in the order of the package's directory.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The files that are not payload.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// The folder that holds the function: `wanted` if any file lies under it, else the root (`""`).
    pub fn function_folder<'a>(&self, wanted: &'a str) -> &'a str {
        let wanted = wanted.trim_end_matches('/');
        let holds = |entry: &Entry| relative(&entry.name, wanted).is_some();
        if self.entries.iter().any(holds) { wanted } else { "" }
    }
}

/// The name below `folder`; the root is `""`.
pub(super) fn relative<'a>(name: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() {
        return Some(name);
    }
    name.strip_prefix(folder)?.strip_prefix('/')
}

impl Stored {
    /// The Unix mode is in the upper half of the attributes; zero means that the producer knew none.
    fn unix_mode(&self) -> Option<u32> {
        (self.mode != 0).then_some(self.mode)
    }

    /// Whether any x bit is set.
    pub(super) fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    fn check(&self, is_folder: bool) -> Result<(), EntryProblem> {
        match self.mode & 0o170_000 {
            // Some tools give folders the mode of a file. The name decides, and a folder has no content.
            0 | 0o100_000 => {}
            0o120_000 => return Err(EntryProblem::Symlink),
            0o040_000 if is_folder => {}
            0o040_000 => return Err(EntryProblem::FolderNamedAsFile),
            _ => return Err(EntryProblem::Special),
        }
        if is_folder && self.size > 0 {
            return Err(EntryProblem::FolderWithContent(self.size));
        }
        if !self.deflated && self.size != self.compressed_size {
            return Err(EntryProblem::StoredSizes { compressed: self.compressed_size, size: self.size });
        }
        Ok(())
    }
}

/// The directory of a zip while it is read.
struct Directory<'a> {
    file: &'a File,
    shown: &'a str,
    layout: &'a Layout,
}

/// A local header without its name and extra field.
const LOCAL_HEADER: usize = 30;
/// The sizes that the record after an entry's data can have, with and without signature and 64-bit sizes.
const DESCRIPTORS: [u64; 4] = [12, 16, 20, 24];

impl Directory<'_> {
    fn read(&self) -> Result<Vec<Stored>, PackageError> {
        let not_zip = |source: zip::result::ZipError| PackageError::NotZip {
            package: self.shown.to_owned(),
            source: source.into(),
        };
        let archive = ZipArchive::new(BufReader::new(self.file)).map_err(not_zip)?;
        if archive.offset() > 0 {
            return Err(self.unsound(Structure::Gap { offset: 0, length: archive.offset() }));
        }
        if archive.has_duplicate_names() {
            return Err(self.unsound(Structure::SameName));
        }
        names::check_limits(self.shown, self.layout, archive.len(), 0)?;
        self.check_end(archive.comment().len())?;

        let mut stored = Vec::with_capacity(archive.len());
        let mut total = 0_u64;
        for index in 0..archive.len() {
            let entry = archive.by_index_data(index).map_err(not_zip)?;
            let refused = |problem| PackageError::Entry {
                package: self.shown.to_owned(),
                entry: names::shown(entry.name_raw()),
                problem,
            };
            if entry.encrypted() {
                return Err(refused(EntryProblem::Encrypted));
            }
            let deflated = match entry.compression() {
                CompressionMethod::Stored => false,
                CompressionMethod::Deflated => true,
                other => return Err(refused(EntryProblem::Method(number_of(other)))),
            };
            // Octopus's packer writes folders and empty files as deflated, with no data at all. Taken as stored,
            // they are what they say, and are written so that every unzipper takes them.
            let deflated = deflated && (entry.compressed_size() > 0 || entry.size() > 0);
            total = total.saturating_add(entry.size());
            stored.push(Stored {
                raw_name: entry.name_raw().to_vec(),
                header_start: entry.header_start(),
                data_start: self.data_start(entry.header_start(), entry.name_raw())?,
                compressed_size: entry.compressed_size(),
                size: entry.size(),
                crc32: entry.crc32(),
                deflated,
                has_descriptor: entry.flags().is_using_data_descriptor(),
                mode: entry.external_attributes() >> 16,
            });
        }
        names::check_limits(self.shown, self.layout, stored.len(), total)?;
        self.check_tiling(&stored, archive.central_directory_start())?;
        Ok(stored)
    }

    fn unsound(&self, problem: Structure) -> PackageError {
        PackageError::Structure { package: self.shown.to_owned(), problem }
    }

    /// The end record, with its comment, is the end of the file: nothing can hide behind it.
    fn check_end(&self, comment: usize) -> Result<(), PackageError> {
        let doing = || PackageError::io(format!("reading the end of `{}`", self.shown));
        let mut file = self.file;
        let length = file.seek(SeekFrom::End(0)).map_err(doing())?;
        let mut signature = [0; 4];
        let record = length.checked_sub(22 + comment as u64);
        let found = match record {
            Some(record) => {
                self.file.read_exact_at(&mut signature, record).map_err(doing())?;
                signature == *b"PK\x05\x06"
            }
            None => false,
        };
        if found { Ok(()) } else { Err(self.unsound(Structure::Trailing)) }
    }

    /// Where the data of the entry with its header at `offset` begins.
    fn data_start(&self, offset: u64, raw_name: &[u8]) -> Result<u64, PackageError> {
        let mut header = [0; LOCAL_HEADER];
        let no_header = || self.unsound(Structure::NoHeader { entry: names::shown(raw_name), offset });
        self.file.read_exact_at(&mut header, offset).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => no_header(),
            _ => PackageError::io(format!("reading `{}`", self.shown))(error),
        })?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(no_header());
        }
        let [.., name_low, name_high, extra_low, extra_high] = header;
        let name = u64::from(u16::from_le_bytes([name_low, name_high]));
        let extra = u64::from(u16::from_le_bytes([extra_low, extra_high]));
        Ok(offset + header.len() as u64 + name + extra)
    }

    /// The entries, one after the other, are all that stands before the directory. That alone refuses bombs
    /// whose entries share data, entries that are in no directory, and data put before or between them.
    fn check_tiling(&self, stored: &[Stored], directory_start: u64) -> Result<(), PackageError> {
        let mut in_order: Vec<&Stored> = stored.iter().collect();
        in_order.sort_unstable_by_key(|stored| stored.header_start);
        let mut end = 0;
        let mut descriptor = false;
        for stored in in_order {
            let start = stored.header_start;
            self.check_gap(end, start, descriptor, &stored.raw_name)?;
            end = stored.data_start.saturating_add(stored.compressed_size);
            descriptor = stored.has_descriptor;
            if end > directory_start {
                let entry = names::shown(&stored.raw_name);
                return Err(self.unsound(Structure::PastEnd { entry, limit: directory_start }));
            }
        }
        self.check_gap(end, directory_start, descriptor, b"")
    }

    fn check_gap(&self, end: u64, start: u64, descriptor: bool, next: &[u8]) -> Result<(), PackageError> {
        match start.checked_sub(end) {
            None => Err(self.unsound(Structure::Overlap { entry: names::shown(next), offset: start })),
            Some(0) => Ok(()),
            Some(gap) if descriptor && DESCRIPTORS.contains(&gap) => Ok(()),
            Some(length) => Err(self.unsound(Structure::Gap { offset: end, length })),
        }
    }

    /// Id and version of the one manifest at the root, which the file name may not contradict.
    fn nuspec_identity(&self, stored: &[Stored]) -> Result<Identity, PackageError> {
        let wrong = |problem| PackageError::Nuspec { package: self.shown.to_owned(), problem };
        let mut manifests = stored.iter().filter_map(|stored| {
            let name = names::read(&stored.raw_name, true).ok()??;
            let at_root = !name.is_folder && !name.text.contains('/');
            (at_root && ends_with_ignoring_case(&name.text, ".nuspec")).then_some((name.text, stored))
        });
        let (name, manifest) = manifests.next().ok_or_else(|| wrong(NuspecProblem::Missing))?;
        if let Some((other, _)) = manifests.next() {
            return Err(wrong(NuspecProblem::Two(name, other)));
        }
        let limit = self.layout.limits.nuspec_size;
        if manifest.size > limit {
            return Err(wrong(NuspecProblem::TooLarge { found: manifest.size, limit }));
        }
        let mut bytes = Vec::new();
        Inflater::new()
            .run(self.file, manifest, |content| bytes.extend_from_slice(content))
            .map_err(|failure| failed(failure, self.shown, &manifest.raw_name))?;
        let (id, version) = nuspec::read(&bytes).map_err(wrong)?;
        let version = version
            .parse()
            .map_err(|source| PackageError::Version { package: self.shown.to_owned(), source })?;
        let identity = Identity { id, version };
        self.check_agreement(&identity)?;
        Ok(identity)
    }

    /// A file name that names no version says nothing and so contradicts nothing. The manifest's id is looked
    /// for in the name, because the name alone does not tell where an id such as `Acme.2` ends.
    fn check_agreement(&self, identity: &Identity) -> Result<(), PackageError> {
        let Ok(name) = self.shown.parse::<FileName>() else { return Ok(()) };
        let stem = Extension::cut(self.shown).map_or(self.shown, |(stem, _)| stem);
        let agrees = stem.match_indices('.').any(|(dot, _)| {
            stem[..dot].to_lowercase() == identity.id.to_lowercase()
                && stem[dot + 1..].parse::<SemanticVersion>().is_ok_and(|version| version == identity.version)
        });
        if agrees {
            return Ok(());
        }
        Err(PackageError::Disagree {
            package: self.shown.to_owned(),
            file_name: format!("{} {}", name.id(), name.version()),
            nuspec: format!("{} {}", identity.id, identity.version),
        })
    }
}

/// The number that stands for a compression method in a zip.
#[expect(deprecated, reason = "the crate has no other way to the number, which the message shows")]
fn number_of(method: CompressionMethod) -> u16 {
    method.to_u16()
}

/// The error of an entry that could not be read to its end.
pub(super) fn failed(failure: Failure, package: &str, raw_name: &[u8]) -> PackageError {
    let entry = names::shown(raw_name);
    match failure {
        Failure::Read(source) => {
            PackageError::Io { doing: format!("reading `{entry}` of `{package}`"), source }
        }
        Failure::Write(source) => {
            PackageError::Io { doing: format!("writing the function of `{package}`"), source }
        }
        Failure::Entry(problem) => PackageError::Entry { package: package.to_owned(), entry, problem },
    }
}
