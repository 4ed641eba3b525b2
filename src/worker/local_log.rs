//! The worker's own copy of what its deployments said: readable when the server is away.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use serde::{Deserialize, Serialize};

use crate::model::{DeploymentId, LogLine};

/// When the file is put aside; one older file is kept.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A line and the deployment it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalLine {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The line.
    pub line: LogLine,
}

/// Appends to the local log.
#[derive(Debug)]
pub struct LocalLog {
    path: PathBuf,
    file: Mutex<Option<fs_err::File>>,
}

impl LocalLog {
    /// The log of the worker with this folder.
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join("log.jsonl"), file: Mutex::default() }
    }

    /// Appends a line. A disk that is full must not end a deployment: the server gets the line all the same.
    pub fn append(&self, line: &LocalLine) {
        let Ok(text) = serde_json::to_vec(line) else { return };
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // After an error the file may end in half a line: the next one begins on a line of its own.
        let mut bytes = if file.is_none() { b"\n".to_vec() } else { Vec::new() };
        bytes.extend(text);
        bytes.push(b'\n');
        if let Err(error) = self.write(&mut file, &bytes) {
            *file = None;
            tracing::warn!(error = %error, "the local log could not be written");
        }
    }

    fn write(&self, file: &mut Option<fs_err::File>, bytes: &[u8]) -> std::io::Result<()> {
        if file
            .as_ref()
            .map(fs_err::File::metadata)
            .transpose()?
            .is_some_and(|metadata| metadata.len() > MAX_BYTES)
        {
            fs_err::rename(&self.path, self.path.with_extension("1.jsonl"))?;
            *file = None;
        }
        let file = match file {
            Some(file) => file,
            None => file.insert(fs_err::OpenOptions::new().create(true).append(true).open(&self.path)?),
        };
        file.write_all(bytes)
    }
}

/// Reads the local log, and goes on where it was.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    file: Option<BufReader<fs_err::File>>,
    partial: Vec<u8>,
}

impl LogReader {
    /// Of the worker with this folder, from the first line of the older file on.
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join("log.jsonl"), file: None, partial: Vec::new() }
    }

    /// The lines of the file that was put aside. To be asked for first: what comes from then on is the next call's, also
    /// where the files change in between.
    pub fn older(&mut self) -> std::io::Result<Vec<LocalLine>> {
        self.open()?;
        let mut older = match fs_err::File::open(self.path.with_extension("1.jsonl")) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // It was put aside since it was opened.
        if let Some(file) = &self.file
            && file.get_ref().metadata()?.ino() == older.metadata()?.ino()
        {
            return Ok(Vec::new());
        }
        let mut text = Vec::new();
        older.read_to_end(&mut text)?;
        Ok(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// The lines since the last call. A file that was put aside meanwhile is read to its end first.
    pub fn next_lines(&mut self) -> std::io::Result<Vec<LocalLine>> {
        let mut lines = Vec::new();
        self.read_open(&mut lines)?;
        if self.is_replaced()? {
            // Lines may have come between the last look and the change of files.
            self.read_open(&mut lines)?;
            self.file = None;
            self.partial.clear();
            self.read_open(&mut lines)?;
        }
        Ok(lines)
    }

    fn read_open(&mut self, lines: &mut Vec<LocalLine>) -> std::io::Result<()> {
        self.open()?;
        let Some(file) = &mut self.file else { return Ok(()) };
        while file.read_until(b'\n', &mut self.partial)? > 0 {
            if self.partial.ends_with(b"\n") {
                // A line that a full disk or a crash cut off is no line.
                lines.extend(serde_json::from_slice::<LocalLine>(&self.partial).ok());
                self.partial.clear();
            }
        }
        Ok(())
    }

    fn open(&mut self) -> std::io::Result<()> {
        if self.file.is_none() {
            self.file = match fs_err::File::open(&self.path) {
                Ok(file) => Some(BufReader::new(file)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    fn is_replaced(&self) -> std::io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        match fs_err::metadata(&self.path) {
            Ok(now) => Ok(now.ino() != file.get_ref().metadata()?.ino()),
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::Level;

    fn line(text: &str) -> LocalLine {
        let line = LogLine { time: Timestamp::UNIX_EPOCH, level: Level::Info, text: text.to_owned() };
        LocalLine { deployment: DeploymentId(1), line }
    }

    #[test]
    fn a_reader_follows_over_a_change_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let log = LocalLog::new(folder.path());
        let mut reader = LogReader::new(folder.path());
        assert!(reader.next_lines().unwrap().is_empty());
        log.append(&line("one"));
        assert_eq!(reader.next_lines().unwrap(), [line("one")]);
        log.append(&line("two"));
        log.append(&line(&"x".repeat(usize::try_from(MAX_BYTES).unwrap())));
        log.append(&line("three"));
        let texts: Vec<_> =
            reader.next_lines().unwrap().into_iter().map(|line| line.line.text.len()).collect();
        assert_eq!(texts, [3, usize::try_from(MAX_BYTES).unwrap(), 5]);
        assert_eq!(LogReader::new(folder.path()).older().unwrap().len(), 3);
    }

    #[test]
    fn nothing_is_missed_or_told_twice_when_the_files_change_while_reading_begins() {
        let folder = tempfile::tempdir().unwrap();
        let log = LocalLog::new(folder.path());
        log.append(&line("one"));
        let mut reader = LogReader::new(folder.path());
        reader.open().unwrap();
        log.append(&line(&"x".repeat(usize::try_from(MAX_BYTES).unwrap())));
        log.append(&line("two"));
        assert!(reader.older().unwrap().is_empty(), "it is the one that is open");
        assert_eq!(reader.next_lines().unwrap().len(), 3);
    }
}
