//! The one integration test binary: every module drives octarm through a public door.

#[cfg(test)]
mod support;

#[cfg(test)]
mod fake;
