//! `octarm package inspect`: what a package is, and what each function in it would be, every byte checked.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use fs_err::File;
use serde_json::{Value, json};

use super::super::{CliError, Output};
use crate::{
    aws::DIRECT_LIMIT,
    conventions::Conventions,
    deploy::{bytes, files},
    exit::Exit,
    package::{Package, Repacked},
};

/// A package of a web tool chain has thousands of files: people see the first.
const SHOWN_FILES: usize = 50;
/// Every candidate costs a reading of the whole package, so a package cannot have us make too many.
const MOST_CANDIDATES: usize = 20;

pub(super) fn run(file: PathBuf, conventions: Option<&Path>, output: Output) -> Result<Exit, CliError> {
    let conventions = Conventions::load(conventions)?;
    if !file.is_file() {
        return Err(CliError::NoPackage(file));
    }
    let work = std::env::temp_dir();
    let package = Package::open(&file, None, &conventions.layout, &work)?;
    let payload = package.repack("", io::sink())?;
    let wanted = &conventions.layout.function_folder;
    let deployed = package.function_folder(wanted);
    let mut candidates = neighbours(&package, wanted);
    candidates.remove(deployed);
    let folders = std::iter::once(deployed).chain(candidates.iter().copied().take(MOST_CANDIDATES));
    let functions = folders
        .map(|folder| Function::read(&package, folder, folder == deployed, &payload))
        .collect::<Result<Vec<_>, _>>()?;
    let (sha256, size) = digest(&file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let found = Found {
        name: &name,
        sha256: &sha256,
        size,
        package: &package,
        payload: &payload,
        functions: &functions,
        not_read: candidates.len().saturating_sub(MOST_CANDIDATES),
        unzipped_limit: conventions.layout.limits.unzipped_size,
    };
    let shown = if output.is_verbose() { usize::MAX } else { SHOWN_FILES };
    output.result(found.text(shown), &found.json());
    Ok(Exit::Done)
}

/// A folder that is deployed, or a neighbour of it, which is not unless it is named.
struct Function {
    folder: String,
    is_deployed: bool,
    repacked: Repacked,
}

impl Function {
    fn read(
        package: &Package,
        folder: &str,
        is_deployed: bool,
        payload: &Repacked,
    ) -> Result<Self, CliError> {
        let repacked =
            if folder.is_empty() { payload.clone() } else { package.repack(folder, io::sink())? };
        Ok(Self { folder: folder.to_owned(), is_deployed, repacked })
    }
}

/// The folders with files beside the wanted one.
fn neighbours<'a>(package: &'a Package, wanted: &str) -> BTreeSet<&'a str> {
    let parent = wanted.rsplit_once('/').map_or(0, |(parent, _)| parent.len() + 1);
    let entries = package.entries().iter().map(|entry| entry.name.as_str());
    entries
        .filter(|name| name.starts_with(&wanted[..parent]))
        .filter_map(|name| Some(&name[..parent + name[parent..].find('/')?]))
        .collect()
}

/// Digest and size of the file.
fn digest(path: &Path) -> Result<(String, u64), CliError> {
    let mut context = Context::new(&SHA256);
    let read = File::open(path).and_then(|mut file| io::copy(&mut file, &mut Digesting(&mut context)));
    let size =
        read.map_err(|source| CliError::Reading { act: format!("reading {}", path.display()), source })?;
    Ok((hex::encode(context.finish()), size))
}

struct Digesting<'a>(&'a mut Context);

impl io::Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All that is said of a package.
struct Found<'a> {
    name: &'a str,
    sha256: &'a str,
    size: u64,
    package: &'a Package,
    payload: &'a Repacked,
    functions: &'a [Function],
    /// Candidates beyond the most that are read.
    not_read: usize,
    unzipped_limit: u64,
}

impl Found<'_> {
    fn json(&self) -> Value {
        let identity = self.package.identity();
        let functions: Vec<_> = self.functions.iter().map(|function| self.function_json(function)).collect();
        let files = self.payload.entries.iter();
        let files: Vec<_> = files
            .map(|entry| json!({ "name": entry.name, "mode": mode(entry.mode), "size": entry.size }))
            .collect();
        let dropped = self.package.dropped().iter();
        let dropped: Vec<_> =
            dropped.map(|dropped| json!({ "name": dropped.name, "reason": dropped.reason })).collect();
        json!({
            "file": self.name,
            "size": self.size,
            "sha256": self.sha256,
            "id": identity.id,
            "version": identity.version.to_string(),
            "dialect": self.package.dialect(),
            "entries": self.entries(),
            "folders": self.package.folders(),
            "functions": functions,
            "candidates_not_read": self.not_read,
            "files": files,
            "dropped": dropped,
        })
    }

    fn function_json(&self, function: &Function) -> Value {
        let repacked = &function.repacked;
        json!({
            "folder": function.folder,
            "deployed": function.is_deployed,
            "files": repacked.entries.len(),
            "code_sha256": repacked.code_sha256(),
            "zip_size": repacked.size,
            "base64_size": base64_size(repacked.size),
            "direct_limit": DIRECT_LIMIT,
            "needs_bucket": repacked.size > DIRECT_LIMIT,
            "unzipped_size": repacked.unzipped_size,
            "unzipped_limit": self.unzipped_limit,
        })
    }

    /// Files, dropped or not, and folders.
    fn entries(&self) -> usize {
        self.package.entries().len() + self.package.dropped().len() + self.package.folders()
    }

    fn text(&self, shown: usize) -> String {
        let identity = self.package.identity();
        let dropped = self.package.dropped();
        let mut text = format!("{} {}\n", identity.id, identity.version);
        let folders = match self.package.folders() {
            1 => "1 folder".to_owned(),
            count => format!("{count} folders"),
        };
        for (label, value) in [
            ("file", format!("{}, {}", self.name, bytes(self.size))),
            ("dialect", self.package.dialect().to_string()),
            ("SHA-256", self.sha256.to_owned()),
            (
                "entries",
                format!(
                    "{}: {}, {folders}, {} dropped",
                    self.entries(),
                    files(self.payload.entries.len()),
                    dropped.len()
                ),
            ),
        ] {
            line(&mut text, label, &value);
        }
        for function in self.functions {
            self.function_text(&mut text, function);
        }
        if self.not_read > 0 {
            let _ = writeln!(text, "\nand {} more folders that could be candidates", self.not_read);
        }
        self.files_text(&mut text, shown);
        if !dropped.is_empty() {
            text.push_str("\ndropped\n");
            let width = dropped.iter().map(|dropped| dropped.name.chars().count()).max().unwrap_or(0);
            for dropped in dropped {
                let _ = writeln!(text, "  {:width$}  {}", dropped.name, dropped.reason);
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn function_text(&self, text: &mut String, function: &Function) {
        let repacked = &function.repacked;
        let place = if function.folder.is_empty() { "the package's root" } else { &function.folder };
        let heading = if function.is_deployed { "function" } else { "candidate" };
        let _ = writeln!(text, "\n{heading} {place}");
        let way = if repacked.size > DIRECT_LIMIT {
            "too large for the direct way, needs `AWS.Deployment.Bucket`"
        } else {
            "goes the direct way"
        };
        let zip = format!("{}, {} in base64: {way}", bytes(repacked.size), bytes(base64_size(repacked.size)));
        let unzipped = format!(
            "{} in {}, {} of {}",
            bytes(repacked.unzipped_size),
            files(repacked.entries.len()),
            percent(repacked.unzipped_size, self.unzipped_limit),
            bytes(self.unzipped_limit)
        );
        line(text, "CodeSha256", &repacked.code_sha256());
        line(text, "zip", &zip);
        line(text, "unzipped", &unzipped);
    }

    fn files_text(&self, text: &mut String, shown: usize) {
        let entries = &self.payload.entries;
        let listed = &entries[..entries.len().min(shown)];
        let width = listed.iter().map(|entry| entry.size.to_string().len()).max().unwrap_or(0);
        text.push_str("\nfiles\n");
        for entry in listed {
            let _ = writeln!(text, "  {}  {:>width$}  {}", mode(entry.mode), entry.size, entry.name);
        }
        if let more @ 1.. = entries.len() - listed.len() {
            let _ = writeln!(text, "  and {more} more: --verbose lists all");
        }
    }
}

fn line(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "  {label:<10}  {value}");
}

fn mode(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}

/// What a zip takes in the request that carries it.
fn base64_size(size: u64) -> u64 {
    size.div_ceil(3) * 4
}

/// A part of a whole, rounded up: what is there is never shown as nothing.
fn percent(part: u64, whole: u64) -> String {
    let tenths = part.saturating_mul(1000).div_ceil(whole.max(1));
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!([0, 1, 3, 4, 52_428_800].map(base64_size), [0, 4, 4, 8, 69_905_068]);
        let whole = 262_144_000;
        assert_eq!(
            [0, 1, 262_144, 262_145, whole / 2, whole].map(|part| percent(part, whole)),
            ["0.0 %", "0.1 %", "0.1 %", "0.2 %", "50.0 %", "100.0 %"]
        );
    }
}
