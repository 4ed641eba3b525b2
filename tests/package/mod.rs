//! Packages as a whole: what is read, what is refused, and what comes out.

mod genuine;
mod hostile;
mod inspect;
mod names;
mod pack;
mod properties;
mod read;
mod repack;
mod tar;
