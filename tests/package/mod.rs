//! Packages as a whole: what is read, what is refused, and what comes out.

mod hostile;
mod names;
mod pack;
mod properties;
mod read;
mod repack;
mod repack_command;
