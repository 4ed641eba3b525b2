//! Every way in which a package can be wrong, in words.

use std::{io, path::PathBuf};

use super::{Extension, FileNameError, NuspecProblem};
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
    /// The format has no reader.
    #[error("`{package}` is a {extension} package: expected .nupkg or .zip")]
    Format {
        /// The package's file name.
        package: String,
        /// Its extension.
        extension: Extension,
    },
    /// No zip directory was found or it cannot be read.
    #[error("reading the zip directory of `{package}`")]
    NotZip {
        /// The package's file name.
        package: String,
        /// The cause.
        #[source]
        source: io::Error,
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
}

/// What is wrong with a zip as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Structure {
    /// Data that belongs to no entry.
    #[error("{length} bytes at offset {offset} belong to no entry")]
    Gap {
        /// Where they begin.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// Two entries share bytes, or an entry runs into the directory.
    #[error("the entry `{entry}` at offset {offset} overlaps what comes before it")]
    Overlap {
        /// The stored name.
        entry: String,
        /// Where it begins.
        offset: u64,
    },
    /// The last entry runs into the directory or past the end.
    #[error("the entry `{entry}` runs past offset {limit}, where the directory begins")]
    PastEnd {
        /// The stored name.
        entry: String,
        /// Where the directory begins.
        limit: u64,
    },
    /// No entry where the directory says one is.
    #[error("the entry `{entry}` has no header at offset {offset}")]
    NoHeader {
        /// The stored name.
        entry: String,
        /// Where it was looked for.
        offset: u64,
    },
    /// The end record is not the end of the file.
    #[error("the file goes on after the end of the zip")]
    Trailing,
    /// Two directory records with one name.
    #[error("two entries have the same stored name")]
    SameName,
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
}

impl PackageError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::FileName(error) => return error.hint(),
            Self::Version { source, .. } => return source.hint(),
            Self::Format { .. } => "pack it as a .zip, for example with `octarm pack`",
            Self::NotZip { .. } => "the file is damaged or was not fully copied: compare it with its source",
            Self::Structure { problem: Structure::Gap { .. } | Structure::Trailing, .. } => {
                "self-extracting and concatenated zips are not taken: pack the files again"
            }
            Self::Entry { problem, .. } | Self::Unpackable { problem, .. } => return problem.hint(),
            Self::TooManyEntries { .. } | Self::TooLarge { .. } => {
                "leave out what the function does not need, or deploy it as a container image"
            }
            Self::Disagree { .. } => "rename the file, or build the package again under one id and version",
            Self::Empty { .. } => "pack the folder that holds the function's files",
            Self::Occupied { .. } => "name another file with `--output`",
            Self::Io { .. } | Self::Structure { .. } | Self::Nuspec { .. } | Self::NotRemembered { .. } => {
                return None;
            }
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
            Self::Encrypted => "pack again without a password",
            Self::Method(_) => "pack again with deflate",
            Self::Damaged | Self::Crc { .. } | Self::Longer(_) | Self::Shorter { .. } => {
                "the package is damaged or was tampered with: compare it with its source"
            }
            Self::Reserved { .. } => "leave it out, or pack as .zip",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
