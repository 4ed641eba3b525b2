//! Opening a package: what it is, what of it is payload, and how its parts are named.

use std::{fmt, path::Path};

use fs_err::File;
use serde::Serialize;

use super::{
    EntryProblem, Extension, FileName, Layout, NuspecProblem, PackageError,
    directory::{Directory, Member},
    inflate::{Failure, Inflater},
    layout::ends_with_ignoring_case,
    names, nuspec, tar,
};
use crate::version::SemanticVersion;

/// How a package is put together. The file name's extension says how it is read, what lies in it who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// A NuGet package with the parts that make it an OPC package, by NuGet or a tool that writes as it does.
    NuGet,
    /// The same by NuGet on Mono: names in UTF-8 that are not marked as such.
    Mono,
    /// A NuGet package with a manifest and files alone, by Octopus's packers.
    Octopus,
    /// A zip, all payload.
    Zip,
    /// All payload; read once and spooled.
    Tar,
    /// A tar in gzip.
    #[serde(rename = "tar.gz")]
    TarGz,
    /// A tar in bzip2.
    #[serde(rename = "tar.bz2")]
    TarBz2,
}

impl Dialect {
    /// Whether names are percent-encoded, a manifest says id and version, and some parts are not payload.
    pub(super) fn is_nupkg(self) -> bool {
        match self {
            Self::NuGet | Self::Mono | Self::Octopus => true,
            Self::Zip | Self::Tar | Self::TarGz | Self::TarBz2 => false,
        }
    }

    /// Who made a `.nupkg`. Mono cannot be told from NuGet where all names are ASCII.
    fn of_nupkg(members: &[Member]) -> Self {
        let is_opc = |member: &Member| {
            let name = member.name.text.as_str();
            name.eq_ignore_ascii_case("[Content_Types].xml") || name.eq_ignore_ascii_case("_rels/.rels")
        };
        if !members.iter().any(is_opc) {
            Self::Octopus
        } else if members.iter().any(Member::is_unmarked_utf8) {
            Self::Mono
        } else {
            Self::NuGet
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NuGet => "NuGet package",
            Self::Mono => "NuGet package written on Mono",
            Self::Octopus => "NuGet package without OPC parts, as Octopus packs it",
            Self::Zip => "zip",
            Self::Tar => "tar",
            Self::TarGz => "tar in gzip",
            Self::TarBz2 => "tar in bzip2",
        })
    }
}

/// How a package is read.
enum Format {
    Nupkg,
    Zip,
    Tar(Dialect),
}

impl Format {
    fn of(extension: Extension) -> Option<Self> {
        match extension {
            Extension::Nupkg => Some(Self::Nupkg),
            Extension::Zip => Some(Self::Zip),
            Extension::Tar => Some(Self::Tar(Dialect::Tar)),
            Extension::TarGz | Extension::Tgz => Some(Self::Tar(Dialect::TarGz)),
            Extension::TarBz2 => Some(Self::Tar(Dialect::TarBz2)),
            Extension::Jar => None,
        }
    }
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
    /// The name as it is stored, where the checked name is another: most packages would have each name twice.
    pub(super) raw_name: Option<Box<[u8]>>,
    pub(super) data_start: u64,
    pub(super) compressed_size: u64,
    pub(super) size: u64,
    pub(super) crc32: u32,
    pub(super) deflated: bool,
    pub(super) mode: u32,
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
    /// Whether packages with this extension are read.
    pub fn reads(extension: Extension) -> bool {
        Format::of(extension).is_some()
    }

    /// Opens and checks a package. Its format comes from `original_file_name`, or from `path` when the file
    /// still has its own name; id and version from the NuGet manifest, or from that name. A tar is read whole;
    /// what it holds goes to an unnamed file in the folder `work`.
    pub fn open(
        path: &Path,
        original_file_name: Option<&str>,
        layout: &Layout,
        work: &Path,
    ) -> Result<Self, PackageError> {
        let shown = match original_file_name {
            Some(name) => name.to_owned(),
            None => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let Some((_, extension)) = Extension::cut(&shown) else {
            return Err(super::FileNameError::Extension { name: shown }.into());
        };
        let Some(format) = Format::of(extension) else {
            return Err(PackageError::Format { package: shown, extension });
        };
        let doing = || PackageError::io(format!("opening the package `{shown}`"));
        // Before it is opened: opening a pipe waits for somebody to write to it.
        let kind = fs_err::metadata(path).map_err(doing())?.file_type();
        if !kind.is_file() {
            let found = if kind.is_dir() { "a folder" } else { "a device, pipe or socket" };
            return Err(PackageError::NoFile { package: shown, found });
        }
        let file = File::open(path).map_err(doing())?;
        let (file, dialect, identity, members) = match format {
            Format::Nupkg => {
                let members =
                    Directory { file: &file, shown: &shown, layout, percent_decode: true }.read()?;
                check_clashes(&shown, &members)?;
                let identity = Manifest { file: &file, shown: &shown, layout }.identity(&members)?;
                (file, Dialect::of_nupkg(&members), identity, members)
            }
            Format::Zip => {
                let members =
                    Directory { file: &file, shown: &shown, layout, percent_decode: false }.read()?;
                check_clashes(&shown, &members)?;
                (file, Dialect::Zip, named(&shown)?, members)
            }
            Format::Tar(dialect) => {
                let identity = named(&shown)?;
                let (spool, members) = tar::read(file, dialect, &shown, layout, work)?;
                check_clashes(&shown, &members)?;
                (spool, dialect, identity, members)
            }
        };
        let mut package = Self {
            file,
            shown,
            layout: layout.clone(),
            identity,
            dialect,
            entries: Vec::with_capacity(members.len()),
            payload: Vec::with_capacity(members.len()),
            dropped: Vec::new(),
            rest: Vec::new(),
        };
        package.sort_out(members);
        Ok(package)
    }

    /// Parts payload from the rest.
    fn sort_out(&mut self, members: Vec<Member>) {
        let mut folders = Vec::new();
        for Member { name, stored, .. } in members {
            if name.is_folder {
                folders.push(stored);
                continue;
            }
            let dropped = if self.dialect.is_nupkg() { self.layout.dropped_part(&name.text) } else { None };
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

    /// How many folders it lists; what lies in them is listed by itself.
    pub fn folders(&self) -> usize {
        self.rest.len() - self.dropped.len()
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

/// Id and version as the file name says.
fn named(shown: &str) -> Result<Identity, PackageError> {
    let name: FileName = shown.parse()?;
    Ok(Identity { id: name.id().to_owned(), version: name.version().clone() })
}

impl Package {
    /// The error of an entry that could not be read to its end.
    pub(super) fn failed(&self, failure: Failure, stored: &Stored) -> PackageError {
        failed(failure, &self.shown, self.stored_name(stored))
    }

    /// The name as it is stored, for a message.
    fn stored_name(&self, stored: &Stored) -> String {
        let payload = self.payload.iter().zip(self.entries.iter().map(|entry| &entry.name));
        let rest = self.rest.iter().zip(self.dropped.iter().map(|dropped| &dropped.name));
        let checked = payload.chain(rest).find(|(one, _)| std::ptr::eq(*one, stored)).map(|(_, name)| name);
        let raw = stored.raw_name.as_deref().or(checked.map(String::as_bytes));
        names::shown(raw.unwrap_or_default())
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

    pub(super) fn check(&self, is_folder: bool) -> Result<(), EntryProblem> {
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

/// Refuses names that cannot all be.
fn check_clashes(package: &str, members: &[Member]) -> Result<(), PackageError> {
    let Some(clash) = names::find_clash(members, |member| &member.name) else { return Ok(()) };
    let (first, second) = (&members[clash.first], &members[clash.second]);
    let shorter = if first.name.text.len() < second.name.text.len() { first } else { second };
    let problem = if clash.same {
        EntryProblem::Duplicate { other: first.shown() }
    } else {
        EntryProblem::FileAndFolder { name: shorter.name.text.clone() }
    };
    Err(PackageError::Entry { package: package.to_owned(), entry: second.shown(), problem })
}

/// The manifest of a `.nupkg` while it is looked for and read.
struct Manifest<'a> {
    file: &'a File,
    shown: &'a str,
    layout: &'a Layout,
}

impl Manifest<'_> {
    /// Id and version of the one manifest at the root, which the file name may not contradict.
    fn identity(&self, members: &[Member]) -> Result<Identity, PackageError> {
        let wrong = |problem| PackageError::Nuspec { package: self.shown.to_owned(), problem };
        let mut manifests = members.iter().filter(|member| {
            let name = &member.name;
            let at_root = !name.is_folder && !name.text.contains('/');
            at_root && ends_with_ignoring_case(&name.text, ".nuspec")
        });
        let member = manifests.next().ok_or_else(|| wrong(NuspecProblem::Missing))?;
        if let Some(other) = manifests.next() {
            return Err(wrong(NuspecProblem::Two(member.name.text.clone(), other.name.text.clone())));
        }
        let manifest = &member.stored;
        let limit = self.layout.limits.nuspec_size;
        if manifest.size > limit {
            return Err(wrong(NuspecProblem::TooLarge { found: manifest.size, limit }));
        }
        let mut bytes = Vec::new();
        Inflater::new()
            .run(self.file, manifest, |content| bytes.extend_from_slice(content))
            .map_err(|failure| failed(failure, self.shown, member.shown()))?;
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

/// The error of an entry that could not be read to its end.
fn failed(failure: Failure, package: &str, entry: String) -> PackageError {
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
