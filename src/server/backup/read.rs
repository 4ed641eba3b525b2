//! Reading a backup: every byte goes through its digest, and nothing counts before all are found right.

use std::{
    collections::{BTreeSet, HashSet},
    io::{self, BufReader, Read},
    path::Path,
};

use aws_lc_rs::digest::{Context, SHA256};
use fs_err as fs;
use serde::de::DeserializeOwned;

use super::{BackupError, DIGESTS, Entry, FOLDERS, FORMAT, HEAD, Head};
use crate::{server::folder, store::DatabaseCopy};

/// The longest a backup may say what it is.
const HEAD_LIMIT: u64 = 64 * 1024;
/// The longest that the list of digests may say of one file, and what is around them all.
const LINE_LIMIT: u64 = 1024;
/// The most files: each of them is remembered until the list of digests is read.
const MOST_FILES: u64 = 2_000_000;

/// A reader that makes the digest of what goes through it.
pub(super) struct Digesting<R> {
    inner: R,
    context: Context,
    size: u64,
}

impl<R: Read> Digesting<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, context: Context::new(&SHA256), size: 0 }
    }

    pub(super) fn entry(self, path: &str) -> Entry {
        Entry { path: path.to_owned(), size: self.size, sha256: hex::encode(self.context.finish()) }
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.context.update(&buffer[..read]);
        self.size += read as u64;
        Ok(read)
    }
}

/// Reads the whole backup and gives each file to `place`, which need not read it to its end. Success says that all that
/// was given is what was once written.
pub(super) fn read(
    file: &Path,
    mut place: impl FnMut(&str, &mut dyn Read) -> Result<(), BackupError>,
) -> Result<Head, BackupError> {
    let damaged = |reason: String| BackupError::Damaged { file: file.to_owned(), reason };
    let unreadable = |source: io::Error| damaged(format!("it cannot be read as one: {source}"));
    let opened = fs::File::open(file).map_err(BackupError::Reading)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(128 * 1024, opened));
    let mut head: Option<Head> = None;
    let (mut found, mut paths) = (BTreeSet::new(), HashSet::new());
    let mut count = 0;
    // As they are: the library would read names and attributes of other entries into memory, however long they are.
    for entry in archive.entries().map_err(unreadable)?.raw(true) {
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path().map_err(unreadable)?.to_string_lossy().into_owned();
        let kind = entry.header().entry_type();
        if kind != tar::EntryType::Regular {
            let kind = kind_of(kind);
            return Err(damaged(format!("it holds `{path}`, which is {kind}, expected a regular file")));
        }
        if count > MOST_FILES {
            return Err(damaged(format!("it holds more than {MOST_FILES} files")));
        }
        count += 1;
        if !paths.insert(path.clone()) {
            return Err(damaged(format!("it holds `{path}` twice")));
        }
        let mut reader = Digesting::new(&mut entry);
        match &head {
            None if path == HEAD => {
                head = Some(fitting(file, json(&mut reader, HEAD_LIMIT).map_err(damaged)?)?);
            }
            None => return Err(damaged(format!("it begins with `{path}`, expected `{HEAD}`"))),
            Some(head) if path == DIGESTS => {
                let listed: BTreeSet<Entry> = json(&mut reader, LINE_LIMIT * count).map_err(damaged)?;
                if let Some(odd) = listed.symmetric_difference(&found).next() {
                    return Err(damaged(format!("`{}` is not what was written", odd.path)));
                }
                return Ok(head.clone());
            }
            Some(_) if !is_ours(&path) => {
                return Err(damaged(format!("it holds `{path}`, expected no such file")));
            }
            Some(_) => {
                place(&path, &mut reader)?;
                io::copy(&mut reader, &mut io::sink()).map_err(unreadable)?;
            }
        }
        found.insert(reader.entry(&path));
    }
    Err(damaged(format!("it ends without `{DIGESTS}`")))
}

fn json<T: DeserializeOwned>(reader: &mut impl Read, limit: u64) -> Result<T, String> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("what it says of itself is longer than {limit} bytes"));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("what it says of itself cannot be read: {error}"))
}

/// What an entry is that is no file.
fn kind_of(kind: tar::EntryType) -> &'static str {
    use tar::EntryType as E;
    match kind {
        E::Link => "a hard link",
        E::Symlink => "a symbolic link",
        E::Directory => "a folder",
        E::Char | E::Block => "a device",
        E::Fifo => "a pipe",
        E::GNULongName | E::GNULongLink => "a long name for what follows",
        E::GNUSparse => "a file with holes",
        E::XHeader | E::XGlobalHeader => "a list of attributes for what follows",
        _ => "of no known kind",
    }
}

/// Refuses what a newer octarm wrote before a byte of it is taken.
fn fitting(file: &Path, head: Head) -> Result<Head, BackupError> {
    let newer = |what, found, known| BackupError::Newer {
        file: file.to_owned(),
        octarm: head.octarm.clone(),
        what,
        found,
        known,
    };
    if head.format > FORMAT {
        return Err(newer("form of backups", head.format.into(), FORMAT.into()));
    }
    let known = DatabaseCopy::newest_schema();
    match head.schema {
        Some(schema) if schema > known => Err(newer("form of tables", schema, known)),
        _ => Ok(head),
    }
}

/// Whether a server keeps a file of that name in its folder: nothing is written to any other place.
pub(super) fn is_ours(path: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    match path.split_once('/') {
        // What is longer no entry has room for, and no file of a server is called so.
        _ if path.len() > 100 => false,
        None => path == folder::DATABASE || folder::SECRETS.contains(&path),
        Some((folder, name)) => FOLDERS.contains(&folder) && is_name(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_server_keeps_is_taken() {
        for path in ["octarm.db", "master-key", "tls-key.pem", "packages/ab", "logs/1"] {
            assert!(is_ours(path), "{path}");
        }
        for path in [
            "",
            "lock",
            "other",
            "packages",
            "packages/",
            "packages/..",
            "packages/a/b",
            "/etc/passwd",
            "../x",
        ] {
            assert!(!is_ours(path), "{path}");
        }
    }
}
