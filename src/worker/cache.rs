//! Packages that this worker has fetched, by their SHA-256: what ten functions of one package need comes once.
//!
//! A package is linked into its deployment's folder and never read by its name here, so that whoever removes it takes
//! nothing away from a deployment that runs. Nothing here is needed: what cannot be kept is fetched again.

use std::{
    fs::DirBuilder,
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use aws_lc_rs::digest::{Context, SHA256};
use tracing::{info, warn};

use super::disk::Disk;
use crate::{
    deploy::{Lane, Lanes, bytes},
    protocol::PackageReference,
};

/// Where packages are kept.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// How many bytes are kept at most; 0 keeps nothing.
    limit: u64,
    disk: Disk,
    /// Of each package one download at a time.
    lanes: Lanes,
    /// Held by whoever adds one: the room that is made is for one.
    adding: Mutex<()>,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The package, which is now where it was wanted.
    Whole,
    /// Something else under its name, which was removed.
    Damaged,
    /// Nothing.
    Absent,
}

struct Kept {
    path: PathBuf,
    size: u64,
    used: SystemTime,
    /// A deployment has it too: to remove it here frees nothing.
    is_in_use: bool,
}

impl Cache {
    /// Opens the cache, and removes what is no package and what is too much.
    pub(super) fn open(folder: PathBuf, limit: u64, disk: Disk) -> Self {
        if limit > 0
            && let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(&folder)
        {
            warn!(folder = %folder.display(), error = %error, "packages cannot be kept for later deployments");
        }
        let cache = Self { folder, limit, disk, lanes: Lanes::default(), adding: Mutex::default() };
        for path in cache.paths().filter(|path| !is_package(path)) {
            remove(&path);
        }
        cache.shrink_to(limit);
        cache
    }

    /// Waits until nobody else fetches the package.
    pub(super) async fn enter(&self, package: &PackageReference) -> Lane {
        self.lanes.enter(&package.sha256).await
    }

    /// The same, if there is nobody.
    pub(super) fn try_enter(&self, package: &PackageReference) -> Option<Lane> {
        self.lanes.try_enter(&package.sha256)
    }

    /// Links the package to where it is wanted, if it is here and every byte of it is right.
    pub(super) async fn take(&self, package: &PackageReference, to: &Path) -> Taken {
        let Some(path) = self.path_of(package) else { return Taken::Absent };
        // What is there may be a link to something that is kept, which must not be written through.
        let linked = gone(fs_err::remove_file(to)).and_then(|()| fs_err::hard_link(&path, to));
        if let Err(error) = linked {
            if error.kind() != io::ErrorKind::NotFound {
                warn!(error = %error, "a package that is kept could not be used");
            }
            return Taken::Absent;
        }
        let (wanted, linked) = (package.clone(), to.to_owned());
        let checked = tokio::task::spawn_blocking(move || is_whole(&linked, &wanted)).await;
        match checked.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(true) => {
                let used = fs_err::File::options().append(true).open(&path);
                if let Err(error) = used.and_then(|file| file.file().set_modified(SystemTime::now())) {
                    warn!(error = %error, "that a kept package was used could not be noted");
                }
                Taken::Whole
            }
            found => {
                warn!(path = %path.display(), error = ?found.err(), "a kept package was damaged: it is removed");
                remove(&path);
                remove(to);
                Taken::Damaged
            }
        }
    }

    /// Keeps the package, which was fetched and checked; others go for it that were used longest ago.
    pub(super) fn keep(&self, package: &PackageReference, from: &Path) {
        let Some(path) = self.path_of(package).filter(|_| package.size <= self.limit) else { return };
        let _one = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        self.shrink_to(self.limit - package.size);
        match fs_err::hard_link(from, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                warn!(error = %error, "a package could not be kept for later deployments");
            }
            _ => {}
        }
    }

    /// Removes packages, those first that were used longest ago, until the disk has room for this and for what is to stay
    /// free. To remove something needs no space.
    pub(super) fn make_room(&self, size: u64) {
        for kept in self.kept().into_iter().filter(|kept| !kept.is_in_use) {
            if !self.disk.lacks(size) {
                return;
            }
            info!(path = %kept.path.display(), size = bytes(kept.size), "removed a kept package: the disk is short of space");
            remove(&kept.path);
        }
    }

    fn shrink_to(&self, limit: u64) {
        let kept = self.kept();
        let mut total: u64 = kept.iter().map(|kept| kept.size).sum();
        for kept in kept {
            if total <= limit {
                return;
            }
            total -= kept.size;
            remove(&kept.path);
        }
    }

    /// Where the package is, or would be. A digest that is none names no file.
    fn path_of(&self, package: &PackageReference) -> Option<PathBuf> {
        let path = self.folder.join(&package.sha256);
        (self.limit > 0 && is_package(&path)).then_some(path)
    }

    /// All packages, the one first that was used longest ago.
    fn kept(&self) -> Vec<Kept> {
        let of = |path: PathBuf| {
            let metadata = fs_err::metadata(&path).ok()?;
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            Some(Kept { path, size: metadata.len(), used, is_in_use: metadata.nlink() > 1 })
        };
        let mut kept: Vec<Kept> = self.paths().filter_map(of).collect();
        kept.sort_by(|one, other| (one.used, &one.path).cmp(&(other.used, &other.path)));
        kept
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> + use<> {
        fs_err::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path())
    }
}

fn is_package(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.len() == 64 && name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_whole(path: &Path, wanted: &PackageReference) -> io::Result<bool> {
    // To open a pipe would wait for whoever writes into it.
    if !fs_err::symlink_metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut file = fs_err::File::open(path)?;
    let (mut size, mut digest, mut block) = (0, Context::new(&SHA256), vec![0; 128 * 1024]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(size == wanted.size && hex::encode(digest.finish()) == wanted.sha256),
            read => {
                digest.update(&block[..read]);
                size += read as u64;
            }
        }
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn remove(path: &Path) {
    if let Err(error) = gone(fs_err::remove_file(path)) {
        warn!(error = %error, "a file of the package cache could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lc_rs::digest::digest;

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        cache: Cache,
    }

    fn place(limit: u64, minimum: u64) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path(), minimum);
        let cache = Cache::open(folder.path().join("cache"), limit, disk);
        Place { folder, cache }
    }

    impl Place {
        /// Fetches a package of these bytes and ends its deployment.
        fn fetch(&self, content: &[u8]) -> PackageReference {
            let path = self.folder.path().join("package");
            fs_err::write(&path, content).unwrap();
            let package = PackageReference {
                id: "Orders".to_owned(),
                version: "1.0.0".to_owned(),
                file_name: "Orders.1.0.0.zip".to_owned(),
                sha256: hex::encode(digest(&SHA256, content)),
                size: content.len() as u64,
            };
            self.cache.keep(&package, &path);
            fs_err::remove_file(path).unwrap();
            package
        }

        /// As if it had been used so long ago.
        fn used_before(&self, package: &PackageReference, seconds: u64) {
            let file =
                fs_err::File::options().append(true).open(self.cache.path_of(package).unwrap()).unwrap();
            file.file().set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        }

        async fn take(&self, package: &PackageReference) -> Taken {
            self.cache.take(package, &self.folder.path().join("taken")).await
        }
    }

    #[tokio::test]
    async fn what_was_used_longest_ago_goes_first() {
        let place = place(8, 0);
        let (one, two) = (place.fetch(b"one"), place.fetch(b"two"));
        place.used_before(&one, 100);
        place.used_before(&two, 50);
        assert_eq!(place.take(&one).await, Taken::Whole);
        let four = place.fetch(b"four");
        for (package, expected) in [(&one, Taken::Whole), (&two, Taken::Absent), (&four, Taken::Whole)] {
            assert_eq!(place.take(package).await, expected, "{package:?}");
        }
        let large = place.fetch(b"too large");
        assert_eq!(place.take(&large).await, Taken::Absent);
        assert_eq!(place.take(&one).await, Taken::Whole, "nothing went for what is not kept");
    }

    #[test]
    fn two_that_are_kept_at_once_are_not_more_than_one_after_the_other() {
        let place = place(8, 0);
        let both = std::sync::Barrier::new(2);
        for number in 0..200 {
            std::thread::scope(|scope| {
                for name in ["one", "two"] {
                    let (place, both) = (&place, &both);
                    scope.spawn(move || {
                        let path = place.folder.path().join(name);
                        let content = format!("{name}{number:03}");
                        fs_err::write(&path, &content).unwrap();
                        let package = PackageReference {
                            id: "Orders".to_owned(),
                            version: "1.0.0".to_owned(),
                            file_name: "Orders.1.0.0.zip".to_owned(),
                            sha256: hex::encode(digest(&SHA256, content.as_bytes())),
                            size: content.len() as u64,
                        };
                        both.wait();
                        place.cache.keep(&package, &path);
                        fs_err::remove_file(path).unwrap();
                    });
                }
            });
            assert_eq!(place.cache.kept().len(), 1, "{number}");
        }
    }

    #[tokio::test]
    async fn what_is_damaged_is_removed_and_what_is_taken_stays() {
        let place = place(100, 0);
        let (one, two) = (place.fetch(b"one"), place.fetch(b"two"));
        fs_err::write(place.cache.path_of(&one).unwrap(), "eno").unwrap();
        assert_eq!(place.take(&one).await, Taken::Damaged);
        assert!(!place.folder.path().join("taken").exists());
        assert_eq!(place.take(&one).await, Taken::Absent);
        let three = place.fetch(b"three");
        let kept = place.cache.path_of(&three).unwrap();
        fs_err::remove_file(&kept).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &kept, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(place.take(&three).await, Taken::Damaged, "nobody waits for a pipe");
        assert_eq!(place.take(&two).await, Taken::Whole);
        place.cache.shrink_to(0);
        assert_eq!(fs_err::read(place.folder.path().join("taken")).unwrap(), b"two");
        assert_eq!(place.take(&two).await, Taken::Absent);
        assert!(!place.folder.path().join("taken").exists(), "what was there before is not written through");
    }

    #[tokio::test]
    async fn a_disk_that_is_short_of_space_is_given_what_nobody_uses() {
        let place = place(100, u64::MAX);
        let (one, two) = (place.fetch(b"one"), place.fetch(b"two"));
        assert_eq!(place.take(&two).await, Taken::Whole);
        place.cache.make_room(1);
        assert_eq!(place.take(&one).await, Taken::Absent);
        // Its only other name was "taken", which the line above removed.
        assert!(place.cache.path_of(&two).unwrap().exists());
    }

    #[tokio::test]
    async fn a_start_removes_what_is_no_package_and_what_is_too_much() {
        let place = place(100, 0);
        let (one, two) = (place.fetch(b"one"), place.fetch(b"two"));
        place.used_before(&one, 100);
        let folder = place.folder.path().join("cache");
        fs_err::write(folder.join("half of one"), "o").unwrap();
        let again = Cache::open(folder.clone(), 5, Disk::new(&folder, 0));
        let left: Vec<_> = again.paths().collect();
        assert_eq!(left, [again.path_of(&two).unwrap()]);
        assert!(Cache::open(folder.clone(), 0, Disk::new(&folder, 0)).paths().next().is_none());
    }

    #[tokio::test]
    async fn a_cache_that_cannot_be_written_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs_err::write(&file, "no folder").unwrap();
        let cache = Cache::open(file.join("cache"), 100, Disk::new(folder.path(), 0));
        let place = Place { folder, cache };
        let one = place.fetch(b"one");
        assert_eq!(place.take(&one).await, Taken::Absent);
    }
}
