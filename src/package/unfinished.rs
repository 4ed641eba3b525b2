//! A file that gets its name when it is complete, and has none before: whatever kills the process, nothing is left.

use std::{
    fs::{File, Permissions},
    io::{self, Seek as _},
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, linkat, openat},
    io::Errno,
};
use tempfile::NamedTempFile;

/// Where a file cannot be without a name, or must take the place of another, its name begins so for a time.
pub(super) const PREFIX: &str = ".octarm-unfinished-";

/// A file under way.
pub(super) enum Unfinished {
    /// Without a name.
    Unnamed { file: File, folder: PathBuf },
    /// Where the file system knows no such files.
    Named(NamedTempFile),
}

impl Unfinished {
    /// A new file in a folder, with what the umask leaves of `mode`.
    pub(super) fn new_in(folder: &Path, mode: u32) -> io::Result<Self> {
        match unnamed(folder, mode) {
            Ok(file) if Path::new(&descriptor(&file)).symlink_metadata().is_ok() => {
                Ok(Self::Unnamed { file, folder: folder.to_owned() })
            }
            Err(error) if !is_unknown(&error) => Err(error),
            // Without such files, or without what could name them later.
            Ok(_) | Err(_) => {
                let mut builder = tempfile::Builder::new();
                builder.prefix(PREFIX).permissions(Permissions::from_mode(mode));
                builder.tempfile_in(folder).map(Self::Named)
            }
        }
    }

    pub(super) fn file(&mut self) -> &mut File {
        match self {
            Self::Unnamed { file, .. } => file,
            Self::Named(file) => file.as_file_mut(),
        }
    }

    /// Gives it its name, in place of what has it.
    pub(super) fn persist(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Unnamed { mut file, folder } => match link(&file, path) {
                // A link replaces nothing, a name does: the file has another for that moment.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let mut builder = tempfile::Builder::new();
                    let named = builder.prefix(PREFIX).make_in(folder, |name| link(&file, name))?;
                    named.persist(path).map(drop).map_err(|error| error.error)
                }
                Err(error) if !is_full(&error) => {
                    // Names can be given here, but not to a file that has none: some file systems and some rules of
                    // security have it so.
                    let mut named = tempfile::Builder::new().prefix(PREFIX).tempfile_in(&folder)?;
                    named.as_file().set_permissions(file.metadata()?.permissions())?;
                    file.rewind()?;
                    io::copy(&mut file, &mut named)?;
                    named.persist(path).map(drop).map_err(|error| error.error)
                }
                linked => linked,
            },
            Self::Named(file) => file.persist(path).map(drop).map_err(|error| error.error),
        }
    }
}

fn unnamed(folder: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(openat(CWD, folder, flags, Mode::from_raw_mode(mode))?.into())
}

/// Whether an error says that there are no such files here.
fn is_unknown(error: &io::Error) -> bool {
    [Errno::ISDIR, Errno::OPNOTSUPP, Errno::INVAL].contains(&Errno::from_io_error(error).unwrap_or(Errno::IO))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn descriptor(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn link(file: &File, path: &Path) -> io::Result<()> {
    Ok(linkat(CWD, descriptor(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}
