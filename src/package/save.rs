//! Repacking into a file: complete under its name, or not there at all.

use std::{
    fs::Permissions,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use super::{Package, PackageError, Written, unfinished::Unfinished};

/// What the process's umask leaves of this is the file's mode, as of any file that a program writes.
const MODE: u32 = 0o666;

impl Package {
    /// Repacks, as [`Self::repack`] does, into the file `path`, which is replaced only when all is done and
    /// well. The package itself, and whatever is no regular file, is never replaced.
    ///
    /// The file is not forced to the disk: it can be made again from the package at any time, and its digest
    /// tells whether it is whole.
    pub fn repack_to_file(&self, folder: &str, path: &Path) -> Result<Written, PackageError> {
        let doing = || PackageError::io(format!("writing `{}`", path.display()));
        let mode = self.check_place(path)?;
        // Beside it, so that it can take the name in one step.
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut unfinished = Unfinished::new_in(parent, MODE).map_err(doing())?;
        if let Some(mode) = mode {
            unfinished.file().set_permissions(Permissions::from_mode(mode)).map_err(doing())?;
        }
        let written = self.write_verified(folder, unfinished.file())?;
        unfinished.persist(path).map_err(doing())?;
        Ok(written)
    }

    /// The mode of the file that will be replaced: whoever kept it from others wants that of the new one too.
    fn check_place(&self, path: &Path) -> Result<Option<u32>, PackageError> {
        let doing = || PackageError::io(format!("writing `{}`", path.display()));
        // Not followed: to replace a link is not to replace what it points to.
        let there = match fs_err::symlink_metadata(path) {
            Ok(there) => there,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(doing()(error)),
        };
        let package = self.file.metadata().map_err(doing())?;
        let kind = there.file_type();
        let found = if (there.dev(), there.ino()) == (package.dev(), package.ino()) {
            "the package itself"
        } else if kind.is_dir() {
            "a folder"
        } else if kind.is_symlink() {
            "a symbolic link"
        } else if !kind.is_file() {
            "a device, pipe or socket"
        } else {
            return Ok(Some(there.mode() & 0o777));
        };
        Err(PackageError::Occupied { path: path.to_owned(), found })
    }
}
