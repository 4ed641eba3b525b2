//! Every way in which a zip as a whole can be wrong, in words.

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
    /// An entry runs into the directory or past the end.
    #[error("the entry `{entry}` runs into the directory")]
    PastEnd {
        /// The stored name.
        entry: String,
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
    /// The comment of the end record holds another one.
    #[error("it has two end records, so which files it holds is open")]
    TwoEnds,
    /// The directory does not end where the end record begins.
    #[error("its directory is said to end at offset {found}, but the end record begins at {expected}")]
    DirectoryEnd {
        /// What the end record says.
        found: u64,
        /// Where the first of the end records begins.
        expected: u64,
    },
    /// The directory is too large for what may be in it.
    #[error("its directory is {found} bytes long: at most {limit} are allowed")]
    DirectorySize {
        /// Its size, as the end record says.
        found: u64,
        /// The largest allowed.
        limit: u64,
    },
    /// No directory record where the next one should be.
    #[error(
        "entry {number} of the {entries} that the end record counts has no whole record at offset {offset}"
    )]
    NoRecord {
        /// Which one was looked for, from one.
        number: u64,
        /// How many there should be.
        entries: u64,
        /// Where it was looked for.
        offset: u64,
    },
    /// The directory goes on after its last record.
    #[error("{length} bytes of the directory follow the {entries} entries that the end record counts")]
    DirectoryRest {
        /// How many there should be.
        entries: u64,
        /// How many bytes follow.
        length: u64,
    },
    /// A part of an archive of several files.
    #[error("it is one of several parts: only zips of one file are taken")]
    Disks,
    /// Two different numbers of entries.
    #[error("the end record counts {here} entries in this file, but {entries} in all")]
    CountsHere {
        /// In this file.
        here: u64,
        /// In all.
        entries: u64,
    },
    /// The 64-bit end record is not where its locator says, directly before it.
    #[error("its 64-bit end record is not a whole one directly before its locator")]
    WideEnd,
    /// The two end records differ.
    #[error("the end record says that the {field} is {plain}, but the 64-bit one says {wide}")]
    WideValue {
        /// Which number.
        field: &'static str,
        /// In the end record.
        plain: u64,
        /// In the 64-bit one.
        wide: u64,
    },
}

impl Structure {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Trailing => {
                "pack the files again; bsdtar adds zeros when it writes a zip to a pipe, so name the file with `-f`"
            }
            Self::Gap { .. } | Self::TwoEnds => {
                "self-extracting and concatenated zips are not taken: pack the files again"
            }
            Self::Overlap { .. } => "no tool for packing writes such a zip: do not trust where it comes from",
            Self::Disks | Self::CountsHere { .. } => "pack the files again as one file",
            Self::DirectorySize { .. } => "pack the files again without comments and extra fields",
            Self::PastEnd { .. }
            | Self::NoHeader { .. }
            | Self::DirectoryEnd { .. }
            | Self::NoRecord { .. }
            | Self::DirectoryRest { .. }
            | Self::WideEnd
            | Self::WideValue { .. } => {
                "the file is damaged or was tampered with: compare it with its source"
            }
        };
        Some(hint.to_owned())
    }
}
