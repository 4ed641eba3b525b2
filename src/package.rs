//! Packages: open, check, repack, pack.
