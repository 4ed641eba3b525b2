//! The `octarm` executable.

fn main() {}
