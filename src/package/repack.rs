//! From a package to the zip that Lambda gets: one folder of it, the same bytes every time.
//!
//! One thread copies and hashes, and helps the others, which inflate and check, when it is done. What was
//! written before the last of them is done is worth nothing.

use std::{borrow::Cow, io::Write, thread};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Package, PackageError, Verification,
    copy::{Chosen, copy},
    inflate::Failure,
    names,
    open::{Stored, relative},
    output::{Finished, Output},
    verify::Verifier,
};

/// More threads than this only wait for the one that copies.
const THREADS: usize = 4;

/// A zip ready for Lambda. It depends only on names, contents as compressed, and what makes a file
/// executable: not on times, order or the tool that made the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repacked {
    /// Digest of the zip.
    pub sha256: [u8; 32],
    /// Size of the zip.
    pub size: u64,
    /// Size of all its files.
    pub unzipped_size: u64,
    /// Its files, in order.
    pub entries: Vec<RepackedEntry>,
}

/// A file of a repacked zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepackedEntry {
    /// Its name below the function folder.
    pub name: String,
    /// 0o644, or 0o755 for executables.
    pub mode: u32,
    /// Its size unzipped.
    pub size: u64,
    /// Its checksum.
    pub crc32: u32,
}

/// How it is known that every entry is what the directory says.
#[derive(Clone, Copy)]
enum Trust<'a> {
    /// By looking, on so many threads.
    Verify { threads: usize },
    /// It was looked at before: where the data of programs and scripts begins.
    Remember(&'a [u64]),
}

/// A zip that was written, without a list of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Digest of the zip.
    pub sha256: [u8; 32],
    /// Size of the zip.
    pub size: u64,
    /// Size of all its files.
    pub unzipped_size: u64,
    /// How many files it holds.
    pub files: usize,
}

impl Repacked {
    /// The digest as Lambda writes it in `CodeSha256`.
    pub fn code_sha256(&self) -> String {
        STANDARD.encode(self.sha256)
    }
}

impl Written {
    /// The digest as Lambda writes it in `CodeSha256`.
    pub fn code_sha256(&self) -> String {
        STANDARD.encode(self.sha256)
    }
}

impl Package {
    /// Writes the files under `folder` (`""` is the root) as one zip. Every entry of the package, written or
    /// not, is inflated and compared with its stated size and checksum; what was written is worth nothing
    /// unless this returns `Ok`.
    pub fn repack(&self, folder: &str, to: impl Write) -> Result<Repacked, PackageError> {
        self.write(folder, to, Trust::Verify { threads: threads() }).map(|(repacked, _)| repacked)
    }

    /// The same, and returns what was learnt, so that the next repack of the same package need not look at
    /// every byte again. `sha256` is that of the package file, in hexadecimal.
    pub fn repack_verified(
        &self,
        folder: &str,
        sha256: &str,
        to: impl Write,
    ) -> Result<(Repacked, Verification), PackageError> {
        let (repacked, programs) = self.write(folder, to, Trust::Verify { threads: threads() })?;
        Ok((repacked, Verification::new(sha256, programs.into_owned())))
    }

    /// The same bytes for a package that was verified before, without inflating anything. `sha256` is that of
    /// this package file, as it was just computed: what was learnt from another is refused.
    pub fn repack_remembered(
        &self,
        folder: &str,
        sha256: &str,
        verification: &Verification,
        to: impl Write,
    ) -> Result<Repacked, PackageError> {
        let programs = verification.programs_of(sha256).map_err(|(remembered, found)| {
            PackageError::NotRemembered { package: self.shown.clone(), remembered, found }
        })?;
        self.write(folder, to, Trust::Remember(programs)).map(|(repacked, _)| repacked)
    }

    /// Writes the zip and lists what is in it. Returns with that where the data of programs and scripts begins,
    /// in the whole package.
    fn write<'a>(
        &self,
        folder: &str,
        to: impl Write,
        trust: Trust<'a>,
    ) -> Result<(Repacked, Cow<'a, [u64]>), PackageError> {
        let chosen = self.choose(folder)?;
        let (written, programs) = self.write_chosen(&chosen, to, trust)?;
        let entries = chosen
            .iter()
            .map(|entry| RepackedEntry {
                name: entry.name.to_owned(),
                mode: self.mode(entry, &programs),
                size: entry.stored.size,
                crc32: entry.stored.crc32,
            })
            .collect();
        let Written { sha256, size, unzipped_size, .. } = written;
        Ok((Repacked { sha256, size, unzipped_size, entries }, programs))
    }

    /// Writes the zip, checking every byte, and lists nothing: a list would take as much memory as the package.
    pub(super) fn write_verified(&self, folder: &str, to: impl Write) -> Result<Written, PackageError> {
        let trust = Trust::Verify { threads: threads() };
        Ok(self.write_chosen(&self.choose(folder)?, to, trust)?.0)
    }

    fn write_chosen<'a>(
        &self,
        chosen: &[Chosen<'_>],
        to: impl Write,
        trust: Trust<'a>,
    ) -> Result<(Written, Cow<'a, [u64]>), PackageError> {
        let mut output = Output::new(to);
        let programs = match trust {
            Trust::Verify { threads } => self.copy_and_verify(chosen, &mut output, threads).map(Cow::Owned),
            Trust::Remember(programs) => {
                copy(&self.file, chosen, &mut output, || false).map(|()| Cow::Borrowed(programs))
            }
        };
        let programs = programs.map_err(|(failure, stored)| self.failed(failure, stored))?;
        let Finished { sha256, size } = output
            .finish(chosen.iter().map(|entry| (entry.header(), self.mode(entry, &programs))))
            .map_err(PackageError::io(format!("writing the function of `{}`", self.shown)))?;
        let unzipped_size = chosen.iter().map(|entry| entry.stored.size).sum();
        Ok((Written { sha256, size, unzipped_size, files: chosen.len() }, programs))
    }

    fn mode(&self, entry: &Chosen<'_>, programs: &[u64]) -> u32 {
        // An empty file may begin where the next one does.
        let is_program = entry.stored.size > 0 && programs.binary_search(&entry.stored.data_start).is_ok();
        let is_executable =
            is_program || entry.stored.is_executable() || self.layout.is_executable(entry.name);
        if is_executable { 0o755 } else { 0o644 }
    }

    /// The entries under `folder`, in the order of their names there.
    fn choose(&self, folder: &str) -> Result<Vec<Chosen<'_>>, PackageError> {
        let folder = folder.trim_end_matches('/');
        let mut chosen: Vec<_> = self
            .entries()
            .iter()
            .zip(&self.payload)
            .filter_map(|(entry, stored)| Some(Chosen { name: relative(&entry.name, folder)?, stored }))
            .collect();
        if chosen.is_empty() {
            return Err(self.empty(folder));
        }
        chosen.sort_unstable_by_key(|entry| entry.name.as_bytes());
        Ok(chosen)
    }

    fn copy_and_verify<'a, W: Write>(
        &'a self,
        chosen: &[Chosen<'a>],
        output: &mut Output<W>,
        threads: usize,
    ) -> Result<Vec<u64>, (Failure, &'a Stored)> {
        let verifier = Verifier::new(&self.file, self.payload.iter().chain(&self.rest));
        let copied = thread::scope(|scope| {
            for _ in 1..threads.min(verifier.batches() + 1) {
                // Without it this thread does all the work.
                let _ = thread::Builder::new().spawn_scoped(scope, || verifier.work());
            }
            let copied = copy(&self.file, chosen, output, || verifier.has_failed());
            if copied.is_err() {
                verifier.give_up();
            }
            verifier.work();
            copied
        });
        copied.and(verifier.verdict())
    }

    fn empty(&self, folder: &str) -> PackageError {
        let folder = if folder.is_empty() { "the root".to_owned() } else { format!("`{folder}/`") };
        let holds = names::top_level(self.entries().iter().map(|entry| entry.name.as_str()));
        PackageError::Empty { package: self.shown.clone(), folder, holds }
    }
}

/// How many threads the machine lets us use well.
fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(THREADS)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;
    use crate::conventions::Conventions;

    #[test]
    fn the_same_bytes_on_any_number_of_threads() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        // Smaller and larger than all buffers, in no order.
        for (number, size) in [0, 300_000, 1, 131_072, 32_768, 2_000_000, 7, 9].into_iter().enumerate() {
            for copy in 0..20 {
                let name = format!("{}-{number}", (copy * 7) % 20);
                writer.start_file(name, SimpleFileOptions::DEFAULT).unwrap();
                let content: Vec<u8> =
                    (0..size).map(|place: u32| place.wrapping_mul(copy).to_le_bytes()[1]).collect();
                writer.write_all(if copy == 3 { b"#!/bin/sh" } else { &content }).unwrap();
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("A.1.0.zip");
        fs_err::write(&path, writer.finish().unwrap().into_inner()).unwrap();
        let package =
            Package::open(&path, None, &Conventions::load(None).unwrap().layout, folder.path()).unwrap();
        let on = |threads| {
            let mut bytes = Vec::new();
            let (repacked, programs) = package.write("", &mut bytes, Trust::Verify { threads }).unwrap();
            assert_eq!(programs.len(), 8);
            (repacked, bytes)
        };
        let alone = on(1);
        assert_eq!(alone.0.entries.len(), 160);
        for threads in [2, 3, 7, 1000] {
            assert_eq!(on(threads), alone);
        }
    }
}
