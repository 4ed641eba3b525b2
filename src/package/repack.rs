//! From a package to the zip that Lambda gets: one folder of it, the same bytes every time.

use std::io::{BufWriter, Write};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Package, PackageError,
    inflate::Inflater,
    names,
    open::relative,
    output::{Header, Output},
};

/// Headers are small; without this each would be a system call.
const BUFFER: usize = 128 * 1024;
/// The first bytes of a Linux program.
const ELF: &[u8] = b"\x7fELF";
/// The first bytes of a script.
const SCRIPT: &[u8] = b"#!";

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

impl Repacked {
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
        let folder = folder.trim_end_matches('/');
        let mut chosen = Vec::new();
        let mut others: Vec<_> = self.rest.iter().collect();
        for (entry, stored) in self.entries().iter().zip(&self.payload) {
            match relative(&entry.name, folder) {
                Some(name) => chosen.push((name, stored)),
                None => others.push(stored),
            }
        }
        if chosen.is_empty() {
            return Err(self.empty(folder));
        }
        chosen.sort_unstable_by_key(|(name, _)| name.as_bytes());

        let doing = || format!("writing the function of `{}`", self.shown);
        let mut output = Output::new(BufWriter::with_capacity(BUFFER, to));
        let mut inflater = Inflater::new();
        let mut entries = Vec::with_capacity(chosen.len());
        for (name, stored) in chosen {
            let header = Header {
                name,
                deflated: stored.deflated,
                crc32: stored.crc32,
                compressed_size: stored.compressed_size,
                size: stored.size,
            };
            let start = output.begin(&header).map_err(PackageError::io(doing()))?;
            let head = inflater
                .run(&self.file, stored, &mut |raw| output.write(raw), &mut |_| {})
                .map_err(|failure| self.failed(failure, stored))?;
            let executable = stored.is_executable()
                || self.layout.is_executable(name)
                || head.starts_with(ELF)
                || head.starts_with(SCRIPT);
            let mode = if executable { 0o755 } else { 0o644 };
            output.end(&header, start, mode).map_err(PackageError::io(doing()))?;
            entries.push(RepackedEntry {
                name: name.to_owned(),
                mode,
                size: stored.size,
                crc32: stored.crc32,
            });
        }
        for stored in others {
            inflater
                .run(&self.file, stored, &mut |_| Ok(()), &mut |_| {})
                .map_err(|failure| self.failed(failure, stored))?;
        }
        let finished = output.finish().map_err(PackageError::io(doing()))?;
        let unzipped_size = entries.iter().map(|entry| entry.size).sum();
        Ok(Repacked { sha256: finished.sha256, size: finished.size, unzipped_size, entries })
    }

    fn empty(&self, folder: &str) -> PackageError {
        let folder = if folder.is_empty() { "the root".to_owned() } else { format!("`{folder}/`") };
        let holds = names::top_level(self.entries().iter().map(|entry| entry.name.as_str()));
        PackageError::Empty { package: self.shown.clone(), folder, holds }
    }
}
