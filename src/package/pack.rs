//! From a folder to a package: the same bytes for the same files, complete or not there at all.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use fs_err::File;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use super::{
    EntryProblem, Extension, FileName, Layout, PackageError, names, opc,
    unfinished::{self, Unfinished},
};
use crate::version::SemanticVersion;

const BUFFER: usize = 128 * 1024;

/// What to pack a folder as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A NuGet package.
    Nupkg,
    /// A plain zip.
    Zip,
}

/// A package that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Where it is.
    pub path: PathBuf,
    /// How many files of the folder it holds.
    pub entries: usize,
    /// Its size.
    pub size: u64,
    /// Digest of the file.
    pub sha256: [u8; 32],
    /// Packages of the same id, found where this one was written, that were left out of it.
    pub left_out: Vec<PathBuf>,
}

/// A file of the folder.
struct Source {
    path: PathBuf,
    mode: u32,
}

/// Packs all files of `folder` as `Id.Version.extension` into the folder `to`, replacing a package of that
/// name. Where `to` lies inside `folder`, earlier packages of the same id in it are left out.
pub fn pack(
    folder: &Path,
    id: &str,
    version: &SemanticVersion,
    format: Format,
    to: &Path,
    layout: &Layout,
) -> Result<Packed, PackageError> {
    let extension = match format {
        Format::Nupkg => Extension::Nupkg,
        Format::Zip => Extension::Zip,
    };
    let name = FileName::new(id, version, extension)?.to_string();
    let doing = || PackageError::io(format!("packing `{name}`"));
    let folder = fs_err::canonicalize(folder).map_err(doing())?;
    fs_err::create_dir_all(to).map_err(doing())?;

    let mut walk = Walk {
        output: fs_err::canonicalize(to).map_err(doing())?,
        id,
        files: BTreeMap::new(),
        left_out: Vec::new(),
        size: 0,
    };
    walk.folder(&folder, "", &doing)?;
    walk.left_out.sort_unstable();
    if walk.files.is_empty() {
        let folder = format!("`{}`", folder.display());
        return Err(PackageError::Empty { package: name, folder, holds: "no files".to_owned() });
    }
    let parts = match format {
        Format::Nupkg => {
            walk.refuse_reserved(layout)?;
            opc::parts(id, version.as_str(), walk.files.keys().map(String::as_str))
        }
        Format::Zip => Vec::new(),
    };
    names::check_limits(&name, layout, walk.files.len() + parts.len(), walk.size)?;

    let mut unfinished = Unfinished::new_in(to, 0o644).map_err(doing())?;
    let mut writer = ZipWriter::new(BufWriter::with_capacity(BUFFER, unfinished.file()));
    for (part, text) in &parts {
        writer.start_file(part, options(0o644)).map_err(io::Error::from).map_err(doing())?;
        writer.write_all(text.as_bytes()).map_err(doing())?;
    }
    for (file, source) in &walk.files {
        let stored = match format {
            Format::Nupkg => opc::part_name(file),
            Format::Zip => file.clone(),
        };
        writer.start_file(stored, options(source.mode)).map_err(io::Error::from).map_err(doing())?;
        let mut content = BufReader::with_capacity(BUFFER, File::open(&source.path).map_err(doing())?);
        io::copy(&mut content, &mut writer).map_err(doing())?;
    }
    let buffered = writer.finish().map_err(io::Error::from).map_err(doing())?;
    buffered.into_inner().map_err(io::IntoInnerError::into_error).map_err(doing())?;
    unfinished.file().sync_all().map_err(doing())?;
    let (sha256, size) = digest(unfinished.file()).map_err(doing())?;

    let path = to.join(&name);
    unfinished.persist(&path).map_err(doing())?;
    // The name is safe only when the folder that holds it is.
    File::open(to).and_then(|folder| folder.sync_all()).map_err(doing())?;
    Ok(Packed { path, entries: walk.files.len(), size, sha256, left_out: walk.left_out })
}

/// One time for all files: the same folder packs to the same bytes.
fn options(mode: u32) -> SimpleFileOptions {
    SimpleFileOptions::DEFAULT
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(mode)
}

fn digest(file: &mut std::fs::File) -> io::Result<([u8; 32], u64)> {
    file.rewind()?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(&buffer[..read]);
        size += read as u64;
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(context.finish().as_ref());
    Ok((sha256, size))
}

/// The files of a folder, by their names in the package.
struct Walk<'a> {
    output: PathBuf,
    id: &'a str,
    files: BTreeMap<String, Source>,
    left_out: Vec<PathBuf>,
    size: u64,
}

impl Walk<'_> {
    fn folder<E>(&mut self, folder: &Path, prefix: &str, doing: &impl Fn() -> E) -> Result<(), PackageError>
    where
        E: FnOnce(io::Error) -> PackageError,
    {
        for item in fs_err::read_dir(folder).map_err(doing())? {
            let item = item.map_err(doing())?;
            let path = item.path();
            let unpackable = |problem| PackageError::Unpackable { path: path.clone(), problem };
            let base = item.file_name();
            let base = base.to_str().ok_or_else(|| unpackable(EntryProblem::NotUtf8))?;
            let name = format!("{prefix}{base}");
            names::check(&name).map_err(unpackable)?;
            // Not followed: a link is refused, never packed as what it points to.
            let metadata = fs_err::symlink_metadata(&path).map_err(doing())?;
            let kind = metadata.file_type();
            if kind.is_symlink() {
                return Err(unpackable(EntryProblem::Symlink));
            }
            if kind.is_dir() {
                self.folder(&path, &format!("{name}/"), doing)?;
            } else if !kind.is_file() {
                return Err(unpackable(EntryProblem::Special));
            } else if folder == self.output && self.is_output(base) {
                self.left_out.push(path);
            } else {
                self.size = self.size.saturating_add(metadata.len());
                let mode = metadata.permissions().mode() & 0o777;
                self.files.insert(name, Source { path, mode });
            }
        }
        Ok(())
    }

    /// Whether a file in the output folder is a package that was packed there before, or was being packed.
    fn is_output(&self, base: &str) -> bool {
        base.starts_with(unfinished::PREFIX)
            || base.parse::<FileName>().is_ok_and(|name| name.id().to_lowercase() == self.id.to_lowercase())
    }

    /// Refuses files that a reader of the package would take for NuGet's own and drop.
    fn refuse_reserved(&self, layout: &Layout) -> Result<(), PackageError> {
        for (name, source) in &self.files {
            if let Some(dropped) = layout.dropped_part(name) {
                let reason = dropped.reason.clone();
                let problem = EntryProblem::Reserved { reason };
                return Err(PackageError::Unpackable { path: source.path.clone(), problem });
            }
        }
        Ok(())
    }
}
