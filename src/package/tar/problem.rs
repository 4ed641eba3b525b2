//! Every way in which a tar as a whole can be wrong, in words.

/// What is wrong with a tar as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TarProblem {
    /// The file is of another format than its extension says.
    #[error("it holds {found} data where its name promises {expected} data")]
    OtherFormat {
        /// What its first bytes are.
        found: &'static str,
        /// What the extension says.
        expected: &'static str,
    },
    /// Data that belongs to no member of the compressed file.
    #[error("the file goes on after the end of its {format} data")]
    AfterCompressed {
        /// The compression.
        format: &'static str,
    },
    /// The file ends too early.
    #[error("it ends in the middle of {what}")]
    Cut {
        /// What is cut.
        what: String,
    },
    /// The file may end too early.
    #[error("it ends without the block of zeros that ends a tar")]
    NoEnd,
    /// Data after the end.
    #[error("it goes on with data at offset {offset}, after the block of zeros that ends a tar")]
    AfterEnd {
        /// Where the data begins, in the uncompressed tar.
        offset: u64,
    },
    /// More than all that is allowed can take.
    #[error("it goes on past {limit} bytes, more than all files and headers that are allowed can take")]
    Endless {
        /// The most that is read.
        limit: u64,
    },
    /// No header where one should be.
    #[error("there is no tar header at offset {offset}")]
    NoHeader {
        /// Where it was looked for.
        offset: u64,
    },
    /// A header is damaged.
    #[error("the header at offset {offset} has the checksum {found}, but says {expected}")]
    Checksum {
        /// Where the header begins.
        offset: u64,
        /// Of its bytes.
        found: u64,
        /// What it says.
        expected: u64,
    },
    /// A field that should be a number.
    #[error("the {field} in the header at offset {offset} is not a number below 2^64")]
    Number {
        /// Which field.
        field: &'static str,
        /// Where the header begins.
        offset: u64,
    },
    /// A field that should not be negative.
    #[error("the {field} in the header at offset {offset} is negative")]
    Negative {
        /// Which field.
        field: &'static str,
        /// Where the header begins.
        offset: u64,
    },
    /// A long name or pax records without bounds.
    #[error("the extended header at offset {offset} has {size} bytes: at most {limit} are allowed")]
    LongExtended {
        /// Where the header begins.
        offset: u64,
        /// What it says.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// Pax records that cannot be read.
    #[error("the extended header at offset {offset} holds what is not a pax record `LENGTH KEY=VALUE`")]
    Record {
        /// Where the header begins.
        offset: u64,
    },
    /// Two extended headers say the same of one entry.
    #[error("the extended header at offset {offset} gives the {field} of the next entry a second time")]
    Twice {
        /// What they say.
        field: &'static str,
        /// Where the second begins.
        offset: u64,
    },
    /// A global header gives all entries one name or size.
    #[error("the global header at offset {offset} gives the {field} of all entries after it")]
    Global {
        /// What it gives.
        field: &'static str,
        /// Where it begins.
        offset: u64,
    },
    /// An extended header at the end.
    #[error("an extended header stands before the end at offset {offset} instead of before an entry")]
    NoEntry {
        /// Where the end begins.
        offset: u64,
    },
}

impl TarProblem {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::OtherFormat { .. } => "name the file for what it holds, or pack it again",
            Self::Cut { .. } | Self::NoEnd | Self::NoHeader { .. } | Self::Checksum { .. } => {
                "the file is damaged or was not fully copied: compare it with its source"
            }
            Self::AfterCompressed { .. } | Self::AfterEnd { .. } => {
                "concatenated tars are not taken: pack the files again"
            }
            Self::Endless { .. } => {
                "leave out what the function does not need, or deploy it as a container image"
            }
            Self::LongExtended { .. } => "pack again without extended attributes, as with `tar --no-xattrs`",
            Self::Number { .. }
            | Self::Negative { .. }
            | Self::Record { .. }
            | Self::Twice { .. }
            | Self::Global { .. }
            | Self::NoEntry { .. } => "pack the files again, with GNU tar or bsdtar",
        };
        Some(hint.to_owned())
    }
}
