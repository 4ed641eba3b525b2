//! Copying entries as they are compressed, in the order of their names.

use std::io::Write;

use fs_err::{File, os::unix::fs::FileExt};

use super::{
    excerpt::{self, Excerpt},
    inflate::Failure,
    open::Stored,
    output::{Header, Output},
};

/// Entries up to this size are worth copying in memory, if one read serves several of them.
const SMALL: u64 = 32 * 1024;

/// An entry and its name in the output.
#[derive(Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub(super) name: &'a str,
    pub(super) stored: &'a Stored,
}

impl<'a> Chosen<'a> {
    pub(super) fn header(&self) -> Header<'a> {
        let Stored { deflated, crc32, compressed_size, size, .. } = *self.stored;
        Header { name: self.name, deflated, crc32, compressed_size, size }
    }

    fn end(&self) -> u64 {
        self.stored.data_start + self.stored.compressed_size
    }
}

/// Writes the headers and the data of all entries. Leaves off early once `is_futile` says so.
pub(super) fn copy<'a, W: Write>(
    file: &File,
    entries: &[Chosen<'a>],
    output: &mut Output<W>,
    is_futile: impl Fn() -> bool,
) -> Result<(), (Failure, &'a Stored)> {
    let mut excerpt = Excerpt::new();
    // Up to here, the entries are in the excerpt.
    let mut loaded = 0;
    for (place, entry) in entries.iter().enumerate() {
        if is_futile() {
            return Ok(());
        }
        if loaded <= place {
            let together = neighbours(&entries[place..]);
            if together > 1 {
                let range = entry.stored.data_start..entries[place + together - 1].end();
                excerpt.load(file, range).map_err(|error| (Failure::Read(error), entry.stored))?;
            }
            loaded = place + together;
        }
        output.begin(&entry.header()).map_err(|error| (Failure::Write(error), entry.stored))?;
        // What is alone is read to where it is needed.
        let copied = if entry.stored.compressed_size <= SMALL {
            small(file, entry.stored, &mut excerpt, output)
        } else {
            large(file, entry.stored, output, &is_futile)
        };
        copied.map_err(|failure| (failure, entry.stored))?;
    }
    Ok(())
}

/// How many of the first entries lie one after the other in the file, so that one read serves them all.
fn neighbours(entries: &[Chosen<'_>]) -> usize {
    let start = entries[0].stored.data_start;
    let mut end = start;
    entries
        .iter()
        .take_while(|entry| {
            let follows = entry.stored.data_start >= end;
            end = entry.end();
            follows && entry.stored.compressed_size <= SMALL && end - start <= excerpt::LENGTH as u64
        })
        .count()
        .max(1)
}

fn small<W: Write>(
    file: &File,
    entry: &Stored,
    excerpt: &mut Excerpt,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    if entry.compressed_size == 0 {
        return Ok(());
    }
    let bytes = excerpt.get(file, entry.data_start, entry.compressed_size).map_err(Failure::Read)?;
    output.write(bytes).map_err(Failure::Write)
}

fn large<W: Write>(
    file: &File,
    entry: &Stored,
    output: &mut Output<W>,
    is_futile: impl Fn() -> bool,
) -> Result<(), Failure> {
    let mut offset = entry.data_start;
    let mut left = entry.compressed_size;
    while left > 0 && !is_futile() {
        let space = output.space().map_err(Failure::Write)?;
        let length = usize::try_from(left).map_or(space.len(), |left| left.min(space.len()));
        file.read_exact_at(&mut space[..length], offset).map_err(Failure::Read)?;
        output.fill(length);
        offset += length as u64;
        left -= length as u64;
    }
    Ok(())
}
