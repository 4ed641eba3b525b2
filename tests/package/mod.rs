//! Packages as a whole: what is read, what is refused, and what comes out.

mod genuine;
mod headers;
mod hostile;
mod inspect;
mod mutations;
mod names;
mod pack;
mod properties;
mod read;
mod repack;
mod structure;
mod tar;
