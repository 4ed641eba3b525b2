//! Making a backup, also while the server runs.

use std::{
    collections::{HashMap, HashSet},
    io::{self, BufWriter, Read, Write as _},
    path::{Path, PathBuf},
};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use jiff::Timestamp;

use super::{
    BackupError, DIGESTS, Engine, Entry, FOLDERS, FORMAT, HEAD, Head, OWNER,
    read::{self, Digesting},
    work::Work,
};
use crate::{
    blobs::Blobs,
    server::{
        ServerError, Settings,
        folder::{self, Folder},
    },
    store::{DatabaseCopy, Found, Place, StoreError},
};

/// What a backup came to.
#[derive(Debug)]
pub struct BackedUp {
    /// How many files are in it.
    pub files: usize,
    /// How long it is.
    pub size: u64,
    /// Whether the database is in it; else a dump of it must be kept beside.
    pub has_database: bool,
    /// Whether packages and finished logs are in it; else they are in a bucket.
    pub has_blobs: bool,
    /// The files that are secret and were left out.
    pub left_out: Vec<String>,
}

/// Writes what the server keeps into the file `output`, which appears whole or not at all. With `secrets` the master
/// key is in it, and what else of the folder is secret.
pub async fn backup(settings: &Settings, output: &Path, secrets: bool) -> Result<BackedUp, ServerError> {
    let folder = folder::look(&settings.data, settings.database.as_ref());
    if output.try_exists().map_err(BackupError::io("looking for the backup"))? {
        return Err(BackupError::Occupied(output.to_owned()).into());
    }
    if !settings.data.is_dir() {
        let missing = format!("`{}` does not exist", settings.data.display());
        return Err(ServerError::Folder(io::Error::new(io::ErrorKind::NotFound, missing)));
    }
    if Found::at(&folder.database, None).await? == Found::New {
        return Err(ServerError::NothingThere(folder.database.to_string()));
    }
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let work = Work::new_in(parent).map_err(BackupError::io("making a folder for the backup"))?;
    // Before the packages: all that it names is durable, and stays.
    let copy = copy_database(&folder, &work).await?;
    let mut files = Vec::new();
    if let Some((_, file)) = &copy {
        files.push((folder::DATABASE.to_owned(), file.clone()));
    }
    let key = if secrets { Some(own_key(settings, &folder, copy.as_ref(), &work).await?) } else { None };
    let mut left_out = Vec::new();
    for name in folder::SECRETS {
        let file = settings.data.join(name);
        match &key {
            Some(key) if name == folder::MASTER_KEY => files.push((name.to_owned(), key.clone())),
            Some(_) if file.exists() => files.push((name.to_owned(), file)),
            None if file.exists() => left_out.push(name.to_owned()),
            _ => {}
        }
    }
    let head = Head {
        format: FORMAT,
        octarm: env!("CARGO_PKG_VERSION").to_owned(),
        made: Timestamp::now(),
        database: if copy.is_some() { Engine::Sqlite } else { Engine::Postgresql },
        schema: copy.as_ref().map(|(copy, _)| copy.schema),
        left_out: left_out.clone(),
        in_bucket: settings.blobs.is_some(),
    };
    // What lies in a bucket stays there: the copy names it, and for a day nobody deletes what lost its name since.
    let has_blobs = settings.blobs.is_none();
    // Of a database that is not in it, what it names now: all of that is durable before the files are looked at.
    let named = match copy {
        Some((copy, _)) => copy.blobs,
        None => DatabaseCopy::at(&folder.database).await?.blobs,
    };
    let missing = if has_blobs { Vec::new() } else { missing_in_bucket(settings, &folder, &named).await? };
    let has_database = head.database == Engine::Sqlite;
    let writing = Writing { data: settings.data.clone(), output: output.to_owned(), work, head, files };
    let written = tokio::task::spawn_blocking(move || writing.run());
    let (entries, size) = written.await.map_err(|error| ServerError::Folder(io::Error::other(error)))??;
    let troubles = if has_blobs { troubles(&entries, &named) } else { missing };
    if !troubles.is_empty() {
        return Err(BackupError::Incomplete { file: output.to_owned(), troubles }.into());
    }
    // Without what the backup says of itself.
    Ok(BackedUp { files: entries.len() - 1, size, has_database, has_blobs, left_out })
}

/// What the database names and the bucket does not have.
async fn missing_in_bucket(
    settings: &Settings,
    folder: &Folder,
    named: &[String],
) -> Result<Vec<String>, ServerError> {
    let bucket = crate::server::bucket(settings).await?;
    let blobs = Blobs::look(&folder.packages, bucket);
    let there: HashSet<String> = blobs.list().await?.into_iter().map(|blob| blob.sha256).collect();
    let missing = named.iter().filter(|sha256| !there.contains(*sha256));
    Ok(missing.map(|sha256| format!("`{sha256}` is not in {blobs}")).collect())
}

async fn copy_database(folder: &Folder, work: &Work) -> Result<Option<(DatabaseCopy, PathBuf)>, ServerError> {
    let Place::File(file) = &folder.database else { return Ok(None) };
    let to = work.path().join(folder::DATABASE);
    folder::create_secret(&to, "").map_err(BackupError::io("making a copy of the database"))?;
    Ok(Some((DatabaseCopy::make(file, &to).await?, to)))
}

/// The master key that opens what is backed up, as a file.
async fn own_key(
    settings: &Settings,
    folder: &Folder,
    copy: Option<&(DatabaseCopy, PathBuf)>,
    work: &Work,
) -> Result<PathBuf, ServerError> {
    let keys = folder.keys(settings.master_key.as_ref())?;
    if keys.is_empty() {
        return Err(folder.key_missing());
    }
    let place = copy.map_or_else(|| folder.database.clone(), |(_, file)| Place::File(file.clone()));
    let own = folder::own(&keys, &place).await?.ok_or(StoreError::WrongKey)?;
    let file = work.path().join(folder::MASTER_KEY);
    folder::create_secret(&file, &hex::encode(own.bytes))
        .map_err(BackupError::io("taking the master key"))?;
    Ok(file)
}

/// What is wrong with the packages: those that the database names, of which there must be the bytes that it means.
fn troubles(entries: &[Entry], named: &[String]) -> Vec<String> {
    let found: HashMap<&str, &str> =
        entries.iter().map(|entry| (entry.path.as_str(), entry.sha256.as_str())).collect();
    let trouble = |sha256: &String| {
        let path = format!("{}/{sha256}", folder::PACKAGES);
        match found.get(path.as_str()) {
            None => Some(format!("`{path}` does not exist")),
            Some(found) if found != sha256 => Some(format!("`{path}` is damaged")),
            Some(_) => None,
        }
    };
    named.iter().filter_map(trouble).collect()
}

struct Writing {
    data: PathBuf,
    output: PathBuf,
    /// Holds the unfinished backup, and what was made for it.
    work: Work,
    head: Head,
    files: Vec<(String, PathBuf)>,
}

impl Writing {
    /// Answers the files that are in the backup, and how long it is.
    fn run(mut self) -> Result<(Vec<Entry>, u64), BackupError> {
        let failed = || BackupError::io(format!("writing the backup `{}`", self.output.display()));
        let unfinished = self.work.path().join("unfinished");
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let mut archive = tar::Builder::new(BufWriter::with_capacity(128 * 1024, file.map_err(failed())?));
        let head = serde_json::to_vec(&self.head).map_err(|error| failed()(error.into()))?;
        let mut entries = vec![append(&mut archive, HEAD, head.len() as u64, &head[..]).map_err(failed())?];
        let kept = kept(&self.data).map_err(BackupError::io("looking for the server's files"))?;
        self.files.extend(kept);
        for (path, file) in &self.files {
            let opened = match fs::File::open(file) {
                // Deleted since it was seen; whether it is missing, its absence tells.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(BackupError::io(format!("reading `{path}`")))?,
            };
            let size = opened.metadata().map_err(BackupError::io(format!("reading `{path}`")))?.len();
            let failed = BackupError::io(format!("writing `{path}` into the backup"));
            entries.push(append(&mut archive, path, size, opened).map_err(failed)?);
        }
        let digests = serde_json::to_vec(&entries).map_err(|error| failed()(error.into()))?;
        append(&mut archive, DIGESTS, digests.len() as u64, &digests[..]).map_err(failed())?;
        let mut buffer = archive.into_inner().map_err(failed())?;
        buffer.flush().map_err(failed())?;
        let file = buffer.get_ref();
        file.sync_all().map_err(failed())?;
        let size = file.metadata().map_err(failed())?.len();
        // What a disk does not keep is found out now, and not on the day it is needed.
        read::read(&unfinished, |_, _| Ok(()))?;
        // A second name, since a rename would replace what has come there meanwhile.
        match fs::hard_link(&unfinished, &self.output) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::Occupied(self.output));
            }
            linked => linked.map_err(failed())?,
        }
        let folder = self.work.path().parent().unwrap_or(Path::new("."));
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed())?;
        Ok((entries, size))
    }
}

/// The files in the folders that are taken, without those that are not finished.
fn kept(data: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut kept = Vec::new();
    for folder in FOLDERS {
        let entries = match fs::read_dir(data.join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            let is_unfinished = path.extension().is_some_and(|extension| extension == "part");
            if let Some(name) = path.file_name().and_then(|name| name.to_str())
                && !is_unfinished
                && path.is_file()
            {
                let name = format!("{folder}/{name}");
                // Whose they are says each server beside its own: what is restored belongs to another.
                if name != OWNER && read::is_ours(&name) {
                    kept.push((name, path));
                }
            }
        }
    }
    kept.sort();
    Ok(kept)
}

fn append<W: io::Write>(
    archive: &mut tar::Builder<W>,
    path: &str,
    size: u64,
    content: impl Read,
) -> io::Result<Entry> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(Timestamp::now().as_second()).unwrap_or(0));
    let mut content = Digesting::new(content.take(size));
    archive.append_data(&mut header, path, &mut content)?;
    let entry = content.entry(path);
    if entry.size != size {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("`{path}` became shorter meanwhile"),
        ));
    }
    Ok(entry)
}
