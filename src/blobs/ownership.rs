//! Whose files are that an administrator makes in a folder of the server's user.

use std::{io, os::fd::AsFd, os::unix::fs::MetadataExt as _, path::Path};

use fs_err as fs;
use rustix::{
    fs::{Gid, Uid, fchown},
    process::geteuid,
};

/// Gives a file that was just made, or a folder, to whom the folder belongs that it is in. Only root can, and only root
/// needs to: a server that runs as another user could not read what is root's.
pub fn give_to_owner_of(folder: &Path, file: impl AsFd) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let found = fs::metadata(folder)?;
    if found.uid() != 0 || found.gid() != 0 {
        fchown(file, Some(Uid::from_raw(found.uid())), Some(Gid::from_raw(found.gid())))?;
    }
    Ok(())
}
