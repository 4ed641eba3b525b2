//! The worker's folder: whose it is, who can read it, whether the disk takes what is written.

use std::{
    io::{ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{fs::statvfs, process::geteuid};

use super::{Check, said};
use crate::{
    deploy::bytes,
    worker::{Identity, StateFolder, observe},
};

/// Room for the largest package, its zip and the logs; and for the several of a busy worker.
const LEAST: u64 = 600 << 20;
const GOOD: u64 = 2 << 30;
/// A journal record waits for the disk twice in each deployment.
const SLOW: Duration = Duration::from_secs(1);

/// Also answers the registration, where there is one.
pub(super) fn examine(path: &Path) -> (Vec<Check>, Option<Identity>) {
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            return (vec![Check::failed("state folder", format!("`{}` is no folder", path.display()))], None);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let found = format!("`{}` does not exist", path.display());
            let hint = "register the worker, which makes the folder: `octarm worker register`; or say where it is: `--state`";
            return (vec![Check::failed("state folder", found).hint(hint.to_owned())], None);
        }
        Err(error) => return (vec![Check::failed("state folder", said(&error))], None),
    };
    let mut checks = vec![owner(path, &metadata)];
    let folder = StateFolder::existing(path);
    let identity = match folder.identity() {
        Ok(Some(identity)) => {
            checks.push(registration(path, &identity));
            Some(identity)
        }
        Ok(None) => {
            let found = format!("no worker is registered in `{}`", path.display());
            let hint = "register it: `octarm worker register`".to_owned();
            checks.push(Check::failed("registration", found).hint(hint));
            None
        }
        Err(error) => {
            checks.push(Check::failed("registration", said(&error)).hint(error.hint()));
            None
        }
    };
    checks.push(match observe(&folder) {
        Ok(observed) => Check::ok(
            "process",
            match observed.pid {
                Some(0) => "the worker runs, in another container".to_owned(),
                Some(pid) => format!("the worker runs as process {pid}"),
                None => "the worker does not run at the moment".to_owned(),
            },
        ),
        Err(error) => Check::unproven("process", said(&error)),
    });
    checks.push(space(path));
    checks.push(written(path));
    (checks, identity)
}

fn owner(path: &Path, metadata: &std::fs::Metadata) -> Check {
    let (owner, own, mode) = (metadata.uid(), geteuid().as_raw(), metadata.mode() & 0o777);
    let place = format!("`{}`, mode {mode:04o}, of user {owner}", path.display());
    if owner != own && own == 0 {
        let hint =
            format!("run this as user {owner}, who the worker runs as: root sees less of what it may not do");
        return Check::warning("state folder", format!("{place}; this is root")).hint(hint);
    }
    if owner != own {
        let hint = format!("run doctor and worker as user {owner}, or give the folder to user {own}");
        return Check::failed("state folder", format!("{place}; this is user {own}")).hint(hint);
    }
    if mode & 0o077 != 0 {
        let hint = format!("`chmod 700 {}`: a worker that starts does the same", path.display());
        return Check::warning("state folder", format!("{place}: others can look into it")).hint(hint);
    }
    Check::ok("state folder", place)
}

fn registration(path: &Path, identity: &Identity) -> Check {
    let found = format!(
        "{} ({}) of {} at {}",
        identity.name, identity.worker_id, identity.environment, identity.server
    );
    let file = path.join("identity.json");
    match fs_err::metadata(&file) {
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            let mode = metadata.mode() & 0o777;
            let hint = format!("`chmod 600 {}`, and register again: others may have read it", file.display());
            let found =
                format!("{found}; `{}`, which holds its credential, has mode {mode:04o}", file.display());
            Check::failed("registration", found).hint(hint)
        }
        Ok(_) => Check::ok("registration", found),
        Err(error) => Check::failed("registration", said(&error)),
    }
}

fn space(path: &Path) -> Check {
    let found = match statvfs(path) {
        Ok(found) => found,
        Err(error) => return Check::unproven("disk space", said(&std::io::Error::from(error))),
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let text = format!("{} are free in `{}`", bytes(free), path.display());
    let hint = format!("free some: {} are enough for one deployment of the largest package", bytes(LEAST));
    if found.f_files > 0 && found.f_favail == 0 {
        Check::failed("disk space", format!("{text}, but it holds no more files")).hint(hint)
    } else if free < LEAST {
        Check::failed("disk space", text).hint(hint)
    } else if free < GOOD {
        Check::warning("disk space", text).hint(hint)
    } else {
        Check::ok("disk space", text)
    }
}

/// What is written lies safely once that is answered, which the journal of each deployment waits for.
fn written(path: &Path) -> Check {
    let began = Instant::now();
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(path)?;
        file.write_all(&[0; 4096])?;
        file.as_file().sync_all()?;
        fs_err::File::open(path)?.sync_all()
    };
    let result: std::io::Result<()> = write();
    let took = began.elapsed();
    match result {
        Ok(()) if took > SLOW => {
            let found = format!("writing 4 KiB and waiting for the disk took {} ms", took.as_millis());
            Check::warning("disk write", found).hint("put `state` on a faster disk".to_owned())
        }
        Ok(()) => Check::ok("disk write", format!("4 KiB written and safe after {} ms", took.as_millis())),
        Err(error) => Check::failed("disk write", format!("`{}`: {}", path.display(), said(&error)))
            .hint("free some space, or correct the folder's permissions or its mount".to_owned()),
    }
}
