//! The one integration test binary: every module drives octarm through a public door.

mod package;
