//! A log file that is put aside by its size or by the day.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use fs_err::{File, OpenOptions, os::unix::fs::OpenOptionsExt as _};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::config::{LogConfig, Rotation};

/// Operators read it, each for himself; what it says is nobody else's.
const MODE: u32 = 0o640;

/// The file that is written.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    size: u64,
    keep: u32,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
    /// Of its last line, by UTC: the day of the machine's own time has 25 hours now and then.
    day: Date,
}

impl LogFile {
    /// Opens it, to go on where it ends.
    pub(super) fn open(path: PathBuf, config: &LogConfig) -> io::Result<Self> {
        let open = Mutex::new(Open::at(&path)?);
        let size = u64::from(config.size_mib.get()) * 1024 * 1024;
        Ok(Self { path, rotation: config.rotation, size, keep: config.keep, open })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Goes on in the file that has the name now.
    pub(super) fn reopen(&self) -> io::Result<()> {
        let opened = Open::at(&self.path)?;
        *self.current() = opened;
        Ok(())
    }

    /// Writes a line, into a new file where it is time for one.
    fn append(&self, line: &[u8], today: Date) -> io::Result<()> {
        let mut open = self.current();
        let is_over = match self.rotation {
            Rotation::Size => open.length > 0 && open.length + line.len() as u64 > self.size,
            Rotation::Daily => open.length > 0 && open.day != today,
            Rotation::Never => false,
        };
        if is_over {
            self.put_aside()?;
            *open = Open::at(&self.path)?;
        }
        open.file.write_all(line)?;
        open.length += line.len() as u64;
        open.day = today;
        Ok(())
    }

    /// The newest is `.1`; what is older than so many goes.
    fn put_aside(&self) -> io::Result<()> {
        // Somebody took it away, or the one after it could not be made: nothing is to be moved.
        if !self.path.try_exists()? {
            return Ok(());
        }
        if self.keep == 0 {
            return fs_err::remove_file(&self.path);
        }
        for number in (1..self.keep).rev() {
            match fs_err::rename(self.aside(number), self.aside(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs_err::rename(&self.path, self.aside(1))
    }

    fn aside(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }

    fn current(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(MODE).open(path)?;
        let metadata = file.metadata()?;
        let day = Timestamp::try_from(metadata.modified()?).map_or_else(|_| today(), day_of);
        Ok(Self { length: metadata.len(), file, day })
    }
}

fn today() -> Date {
    day_of(Timestamp::now())
}

fn day_of(time: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(time).date()
}

/// A line at a time: tracing hands each over in one piece.
impl Write for &LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full disk or a lost folder must end nothing and hide nothing: the line goes where it would without a file.
        self.append(bytes, today()).or_else(|_| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, rotation: Rotation, keep: u32) -> LogFile {
        let config = LogConfig { rotation, keep, ..LogConfig::default() };
        let file = LogFile::open(folder.join("worker.log"), &config).unwrap();
        LogFile { size: 10, ..file }
    }

    /// The file, then those that were put aside, from the newest on.
    fn all(folder: &Path) -> Vec<String> {
        let names = ["worker.log", "worker.log.1", "worker.log.2", "worker.log.3"];
        names.iter().map_while(|name| fs_err::read_to_string(folder.join(name)).ok()).collect()
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), Rotation::Size, 2);
        for line in ["first-1\n", "second\n", "third-3\n", "4\n", "longer than a file\n"] {
            file.append(line.as_bytes(), today()).unwrap();
        }
        assert_eq!(all(folder.path()), ["longer than a file\n", "third-3\n4\n", "second\n"]);
    }

    #[test]
    fn a_file_that_somebody_took_away_is_made_again_and_the_older_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), Rotation::Size, 2);
        for line in ["first-1\n", "second\n", "third-3\n"] {
            file.append(line.as_bytes(), today()).unwrap();
        }
        fs_err::remove_file(folder.path().join("worker.log")).unwrap();
        file.append(b"fourth\n", today()).unwrap();
        assert_eq!(all(folder.path()), ["fourth\n", "second\n", "first-1\n"]);
    }

    #[test]
    fn without_any_to_keep_the_file_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), Rotation::Size, 0);
        for line in ["first-1\n", "second\n"] {
            file.append(line.as_bytes(), today()).unwrap();
        }
        assert_eq!(all(folder.path()), ["second\n"]);
    }

    #[test]
    fn a_day_is_put_aside_when_it_is_over_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let before = file(folder.path(), Rotation::Daily, 3);
        let tomorrow = today().tomorrow().unwrap();
        before.append(b"today, and longer than the size\n", today()).unwrap();
        before.append(b"too\n", today()).unwrap();
        let after = file(folder.path(), Rotation::Daily, 3);
        after.append(b"tomorrow\n", tomorrow).unwrap();
        assert_eq!(all(folder.path()), ["tomorrow\n", "today, and longer than the size\ntoo\n"]);
    }

    #[test]
    fn who_put_it_aside_himself_has_it_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), Rotation::Never, 3);
        file.append(b"before, and longer than the size\n", today()).unwrap();
        fs_err::rename(folder.path().join("worker.log"), folder.path().join("worker.log.1")).unwrap();
        file.append(b"still there\n", today()).unwrap();
        file.reopen().unwrap();
        file.append(b"after\n", today()).unwrap();
        assert_eq!(all(folder.path()), ["after\n", "before, and longer than the size\nstill there\n"]);
    }
}
