//! Every way in which a package can be wrong, in words.

mod structure;

use std::{io, path::PathBuf};

pub use self::structure::Structure;

use super::{Extension, FileNameError, NuspecProblem, TarProblem};
use crate::version::VersionError;

/// Why a package could not be opened, repacked or packed.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A file could not be read or written. The source names it.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file name does not say what is needed of it.
    #[error(transparent)]
    FileName(#[from] FileNameError),
    /// Nothing that can be read from any place, and again.
    #[error("opening the package `{package}`: it is {found}, expected a regular file")]
    NoFile {
        /// The package's file name.
        package: String,
        /// What it is.
        found: &'static str,
    },
    /// The format has no reader.
    #[error("`{package}` is a {extension} package: expected .nupkg, .zip, .tar, .tar.gz, .tgz or .tar.bz2")]
    Format {
        /// The package's file name.
        package: String,
        /// Its extension.
        extension: Extension,
    },
    /// No end record was found.
    #[error(
        "reading the zip directory of `{package}`: no end record was found, so it is no zip or not all of one"
    )]
    NotZip {
        /// The package's file name.
        package: String,
    },
    /// The zip as a whole is not put together as it should be.
    #[error("`{package}` is not a sound zip: {problem}")]
    Structure {
        /// The package's file name.
        package: String,
        /// What is wrong.
        problem: Structure,
    },
    /// One file or folder in it is wrong.
    #[error("`{package}` holds `{entry}`: {problem}")]
    Entry {
        /// The package's file name.
        package: String,
        /// The name as it is stored.
        entry: String,
        /// What is wrong.
        problem: EntryProblem,
    },
    /// More files and folders than allowed.
    #[error("`{package}` holds {found} files and folders: at most {limit} are allowed")]
    TooManyEntries {
        /// The package's file name.
        package: String,
        /// How many it holds.
        found: usize,
        /// How many it may hold.
        limit: usize,
    },
    /// More bytes than allowed.
    #[error("`{package}` holds {found} bytes unzipped: at most {limit} are allowed")]
    TooLarge {
        /// The package's file name.
        package: String,
        /// How many it says it holds.
        found: u64,
        /// How many it may hold.
        limit: u64,
    },
    /// The NuGet manifest does not give id and version.
    #[error("reading the NuGet manifest of `{package}`: {problem}")]
    Nuspec {
        /// The package's file name.
        package: String,
        /// What is wrong.
        problem: NuspecProblem,
    },
    /// The NuGet manifest's version cannot be compared.
    #[error("reading the version in the NuGet manifest of `{package}`")]
    Version {
        /// The package's file name.
        package: String,
        /// What is wrong with it.
        source: VersionError,
    },
    /// File name and NuGet manifest name different packages.
    #[error("the file name `{package}` says {file_name}, but the NuGet manifest in it says {nuspec}")]
    Disagree {
        /// The package's file name.
        package: String,
        /// Id and version of the file name.
        file_name: String,
        /// Id and version of the manifest.
        nuspec: String,
    },
    /// Nothing is left to deploy.
    #[error("no file lies under {folder} of `{package}`: it holds {holds}")]
    Empty {
        /// The package's file name.
        package: String,
        /// The folder that was wanted.
        folder: String,
        /// What the package holds instead.
        holds: String,
    },
    /// What is remembered was not learnt from this package, or not by these rules.
    #[error("what is remembered of `{package}` was learnt from {remembered}, but it is {found}")]
    NotRemembered {
        /// The package's file name.
        package: String,
        /// Which package, by which rules, the verification is of.
        remembered: String,
        /// Which this is.
        found: String,
    },
    /// There is something in the output's place that must not be replaced.
    #[error("writing `{}`: {found} is there: expected nothing, or a regular file to replace", path.display())]
    Occupied {
        /// The output.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The folder holds something that cannot be packed.
    #[error("packing `{}`: {problem}", path.display())]
    Unpackable {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        problem: EntryProblem,
    },
    /// The tar as a whole is not put together as it should be.
    #[error("`{package}` is not a sound tar: {problem}")]
    Tar {
        /// The package's file name.
        package: String,
        /// What is wrong.
        problem: TarProblem,
    },
    /// What compresses the package as a whole is damaged.
    #[error("the {format} data of `{package}` is damaged")]
    Compressed {
        /// The package's file name.
        package: String,
        /// The compression.
        format: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// What is wrong with one file or folder of a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// The name is not text.
    #[error("its name is neither ASCII nor UTF-8")]
    NotUtf8,
    /// The name is an absolute path.
    #[error("its name is an absolute path")]
    Absolute,
    /// A part of the name is empty.
    #[error("its name has an empty part")]
    EmptyPart,
    /// A part of the name is `.` or `..`.
    #[error("its name has the part `{0}`, which leads out of the package or nowhere")]
    DotPart(&'static str),
    /// The name holds a character that is not allowed.
    #[error("its name holds the character {0:?}")]
    Character(char),
    /// A part of the name is too long for a file system.
    #[error("a part of its name is {0} bytes long: at most 255 are allowed")]
    LongPart(usize),
    /// Another entry has the same name once decoded.
    #[error("the package holds that name twice, as `{other}` and as this")]
    Duplicate {
        /// The stored name of the other.
        other: String,
    },
    /// The name is a file here and a folder elsewhere.
    #[error("`{name}` is both a file and a folder")]
    FileAndFolder {
        /// The name.
        name: String,
    },
    /// A symbolic link.
    #[error("it is a symbolic link: only files and folders are taken")]
    Symlink,
    /// Neither file nor folder.
    #[error("it is neither a file nor a folder")]
    Special,
    /// The mode of a folder on a name without the `/` at its end.
    #[error("its mode is that of a folder, but its name does not end in `/`")]
    FolderNamedAsFile,
    /// A folder with content.
    #[error("it is a folder with {0} bytes of content")]
    FolderWithContent(u64),
    /// Encrypted.
    #[error("it is encrypted")]
    Encrypted,
    /// Encrypted by a method with headers of its own.
    #[error("it is encrypted by the strong method")]
    StronglyEncrypted,
    /// What its header says is hidden.
    #[error("its header is masked by encryption of the directory")]
    Masked,
    /// A patch.
    #[error("it is a patch for another file")]
    Patch,
    /// In another part of an archive of several files.
    #[error("it lies in part {0} of several: only zips of one file are taken")]
    Disk(u64),
    /// The header before the data names another file.
    #[error("its local header names it `{found}`")]
    LocalName {
        /// The name there.
        found: String,
    },
    /// The directory and another record say different things.
    #[error("its {place} gives its {field} as {found}, but the directory as {expected}")]
    Differs {
        /// Which record.
        place: &'static str,
        /// What about.
        field: &'static str,
        /// What the record says.
        found: String,
        /// What the directory says.
        expected: String,
    },
    /// No sizes after the data, where the flags announce them.
    #[error("its flags announce a data descriptor, but none follows its data")]
    NoDescriptor,
    /// An extra field is longer than what is there.
    #[error("its extra field {id:#06x} of {length} bytes is cut off")]
    ExtraCut {
        /// Its number.
        id: u16,
        /// Its length, as it says.
        length: u16,
    },
    /// Bytes after the extra fields.
    #[error("its extra fields end in {0} bytes that are no field")]
    ExtraTail(usize),
    /// An extra field comes twice.
    #[error("its extra field {0:#06x} comes twice")]
    ExtraTwice(u16),
    /// The 64-bit field has not the numbers that it should.
    #[error("its 64-bit extra field is {found} bytes long, where {expected} are called for")]
    Zip64Length {
        /// How long it is.
        found: usize,
        /// What the numbers that it stands in for take.
        expected: usize,
    },
    /// The 64-bit field differs from a number that it does not stand in for.
    #[error("its {field} is {plain}, but its 64-bit extra field says {wide}")]
    Zip64Value {
        /// Which number.
        field: &'static str,
        /// The number itself.
        plain: u64,
        /// In the extra field.
        wide: u64,
    },
    /// The field with the name in UTF-8 is none.
    #[error("its extra field with the name in UTF-8 cannot be read")]
    UnicodePathForm,
    /// The field with the name in UTF-8 has another name.
    #[error("its extra field with the name in UTF-8 names it `{other}`")]
    UnicodePath {
        /// The name there.
        other: String,
    },
    /// The field with the name in UTF-8 was made for another name.
    #[error("its extra field with the name in UTF-8 has the checksum of another name")]
    UnicodePathCrc,
    /// Another compression method.
    #[error("it is compressed by method {0}: only stored (0) and deflate (8) are taken")]
    Method(u16),
    /// A stored entry with two different sizes.
    #[error("it is stored as it is, but its sizes {compressed} and {size} differ")]
    StoredSizes {
        /// Size in the zip.
        compressed: u64,
        /// Size unzipped.
        size: u64,
    },
    /// The compressed data is damaged.
    #[error("its compressed data is damaged")]
    Damaged,
    /// Unzips to more than it says.
    #[error("it unzips to more than the {0} bytes it says")]
    Longer(u64),
    /// Unzips to less than it says.
    #[error("it unzips to {found} bytes, but says {expected}")]
    Shorter {
        /// What came out.
        found: u64,
        /// What it says.
        expected: u64,
    },
    /// Data after the end of the compressed stream.
    #[error("{0} bytes follow the end of its compressed data")]
    After(u64),
    /// The checksum does not fit.
    #[error("its content has the CRC-32 {found:08x}, but says {expected:08x}")]
    Crc {
        /// Of the content.
        found: u32,
        /// What it says.
        expected: u32,
    },
    /// A `.nupkg` keeps the name for itself.
    #[error("a .nupkg keeps that name for itself ({reason})")]
    Reserved {
        /// What the name is for.
        reason: String,
    },
    /// A second name of another file.
    #[error("it is a hard link: only files and folders are taken")]
    HardLink,
    /// A device.
    #[error("it is a device: only files and folders are taken")]
    Device,
    /// A named pipe.
    #[error("it is a named pipe: only files and folders are taken")]
    Pipe,
    /// A file with holes that are not stored.
    #[error("it is a sparse file: only whole files are taken")]
    Sparse,
    /// What a tar calls otherwise.
    #[error("it is of the tar type {0:?}: only files and folders are taken")]
    TarType(char),
}

impl PackageError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::FileName(error) => return error.hint(),
            Self::Version { source, .. } => return source.hint(),
            Self::Format { .. } => "pack it as a .zip, for example with `octarm package pack`",
            Self::NotZip { .. } | Self::Compressed { .. } => {
                "the file is damaged or was not fully copied: compare it with its source"
            }
            Self::Structure { problem, .. } => return problem.hint(),
            Self::Entry { problem, .. } | Self::Unpackable { problem, .. } => return problem.hint(),
            Self::Tar { problem, .. } => return problem.hint(),
            Self::TooManyEntries { .. } | Self::TooLarge { .. } => {
                "leave out what the function does not need, or deploy it as a container image"
            }
            Self::Disagree { .. } => "rename the file, or build the package again under one id and version",
            Self::Empty { .. } => "pack the folder that holds the function's files",
            Self::Occupied { .. } => "name another file with `--output`",
            Self::NoFile { .. } => "copy it into a file first",
            Self::Io { .. } | Self::Nuspec { .. } | Self::NotRemembered { .. } => return None,
        };
        Some(hint.to_owned())
    }

    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

impl EntryProblem {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotUtf8 => "pack again with a tool that writes UTF-8 names",
            Self::Symlink => "put the file itself in its place",
            Self::Encrypted | Self::StronglyEncrypted | Self::Masked => "pack again without a password",
            Self::Method(_) => "pack again with deflate",
            Self::Damaged | Self::Crc { .. } | Self::Longer(_) | Self::Shorter { .. } => {
                "the package is damaged or was tampered with: compare it with its source"
            }
            Self::Differs { .. } | Self::LocalName { .. } => {
                "readers would differ on what it is: the package was tampered with, or pack again with another tool"
            }
            Self::Reserved { .. } => "leave it out, or pack as .zip",
            Self::HardLink => "pack again with `tar --hard-dereference`",
            Self::Sparse => "pack again without `--sparse`",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
