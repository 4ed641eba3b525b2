//! Packages: open, check, repack, pack.

pub mod filename;

pub use filename::{Extension, FileName, FileNameError, is_valid_id};
