//! The one integration test binary: every module drives octarm through a public door.
#![cfg(test)]

mod package;
mod support;
