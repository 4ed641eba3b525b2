//! Packages: open and check them, repack the function for Lambda, pack a folder.
//!
//! A package is either taken whole or refused with the reason: every name and size is checked when it is
//! opened, every byte when it is repacked. A tar is read whole when it is opened.

mod copy;
mod directory;
mod error;
mod excerpt;
mod filename;
mod inflate;
mod layout;
mod names;
mod nuspec;
mod opc;
mod open;
mod output;
mod pack;
mod repack;
mod save;
mod tar;
mod unfinished;
mod verification;
mod verify;

pub use error::{EntryProblem, PackageError, Structure};
pub use filename::{Extension, FileName, FileNameError, is_valid_id};
pub use layout::{DroppedPart, Layout, Limits};
pub use nuspec::NuspecProblem;
pub use open::{Dialect, Dropped, Entry, Identity, Package};
pub use pack::{Format, Packed, pack};
pub use repack::{Repacked, RepackedEntry, Written};
pub use tar::TarProblem;
pub use verification::{Remembered, Verification};
