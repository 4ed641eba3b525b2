//! Packages as a whole: what is read, what is refused, and what comes out.

mod names;
