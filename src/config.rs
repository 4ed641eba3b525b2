//! Settings of the two daemons: defaults, then the file, then the environment, then flags. An unknown key is
//! refused, and an error names the key and where it came from.

mod daemon;
mod origin;
mod retention;
mod server;
mod size;
mod worker;

use std::{
    collections::HashMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

pub use daemon::{HealthConfig, LogConfig, LogFormat, Rotation, TelemetryConfig};
pub use origin::{Origin, Setting};
pub use retention::{Keep, Retention};
pub use server::{BlobBucket, ServerConfig, Tls};
pub use worker::WorkerConfig;

/// The process environment as it was at the start. Nothing else reads it.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// Of this process. Names and values that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        Self(std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect())
    }

    /// A value; empty ones too.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The name of a variable as it is written here, where the case of letters does not count.
    fn spelled(&self, name: &str) -> Option<&str> {
        self.0.keys().find(|known| known.eq_ignore_ascii_case(name)).map(String::as_str)
    }

    fn with_prefix(&self, prefix: &str) -> HashMap<String, String> {
        self.0
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was asked for is not there.
    #[error("the configuration file `{}` does not exist", .0.display())]
    NoFile(PathBuf),
    /// A value or key is wrong.
    #[error("reading the configuration{}: {reason}", place(origin.as_ref()))]
    Wrong {
        /// The file or the environment variable.
        origin: Option<String>,
        /// What is wrong.
        reason: String,
    },
    /// No folder was given and there is no home to make one from.
    #[error("no {what} folder: neither `--{what}`, nor the configuration, nor HOME says where")]
    NoHome {
        /// `state` or `data`.
        what: &'static str,
    },
}

fn place(origin: Option<&String>) -> String {
    origin.map(|origin| format!(" of {origin}")).unwrap_or_default()
}

/// What the command line says over everything else.
pub type Flags = Vec<(&'static str, String)>;

/// Reads one daemon's settings. `fallback` is read when it exists and no file was asked for.
fn read<T: DeserializeOwned>(
    file: Option<&Path>,
    fallback: &Path,
    prefix: &str,
    environment: &Environment,
    flags: Flags,
) -> Result<T, ConfigError> {
    let path = read_path(file, fallback)?;
    let mut builder = config::Config::builder();
    if let Some(path) = path {
        builder = builder.add_source(config::File::from(path).format(config::FileFormat::Toml));
    }
    let source = config::Environment::with_prefix(prefix)
        .prefix_separator("_")
        .separator("__")
        .list_separator(",")
        .with_list_parse_key("variables.from_environment")
        .try_parsing(true)
        .source(Some(environment.with_prefix(&format!("{prefix}_"))));
    builder = builder.add_source(source);
    for (key, value) in flags {
        builder = builder.set_override(key, value).map_err(|error| wrong(path, &error))?;
    }
    let settings = builder.build().map_err(|error| wrong(path, &error))?;
    settings.try_deserialize().map_err(|error| wrong(path, &error))
}

/// The file to read: what was asked for, else the fallback where there is one.
fn read_path<'p>(file: Option<&'p Path>, fallback: &'p Path) -> Result<Option<&'p Path>, ConfigError> {
    let path = match file {
        Some(path) if !path.exists() => return Err(ConfigError::NoFile(path.to_owned())),
        Some(path) => path,
        None if fallback.exists() => fallback,
        None => return Ok(None),
    };
    match unfit(path) {
        Some(reason) => {
            let origin = Some(format!("`{}`", path.display()));
            Err(ConfigError::Wrong { origin, reason: reason.to_owned() })
        }
        None => Ok(Some(path)),
    }
}

/// Why this cannot be a configuration, where the reader's own words would not say it, or would not come.
fn unfit(path: &Path) -> Option<&'static str> {
    let kind = fs_err::metadata(path).ok()?.file_type();
    if kind.is_dir() {
        return Some("it is a folder, expected a file");
    }
    // What was read from a pipe is not there when the settings are read again, and to open one waits for whoever writes.
    if !kind.is_file() {
        return Some("it is a pipe or a device, expected a file");
    }
    let mut begin = Vec::new();
    fs_err::File::open(path).ok()?.take(2).read_to_end(&mut begin).ok()?;
    matches!(begin[..], [0xff, 0xfe] | [0xfe, 0xff]).then_some("it is written in UTF-16, expected UTF-8")
}

fn wrong(path: Option<&Path>, error: &config::ConfigError) -> ConfigError {
    let mut reason = error.to_string();
    if let Some(name) = nearest(&reason) {
        reason = format!("{reason}; did you mean `{name}`?");
    }
    // The crate names the origin itself where it knows it; a key nobody knows could be in either place.
    let origin = path
        .map(|path| format!("`{}`", path.display()))
        .filter(|origin| !reason.contains(origin.trim_matches('`')));
    ConfigError::Wrong { origin, reason }
}

/// Of the names that serde lists after an unknown one, the one that was most likely meant. Only the text holds them: by
/// the time that the crate hands the error over, serde's own is gone.
fn nearest(reason: &str) -> Option<&str> {
    let (unknown, rest) = reason.split_once("unknown field `")?.1.split_once('`')?;
    let known = rest.split_once("expected ")?.1.split('`').skip(1).step_by(2);
    let scored = known.map(|name| (strsim::damerau_levenshtein(unknown, name), name));
    let (distance, name) = scored.min()?;
    // More than a third of it mistyped is another word.
    (distance * 3 <= name.len().max(3)).then_some(name)
}

/// `/var/lib/octarm/NAME` for root, else below the user's state folder.
fn default_folder(what: &'static str, name: &str, environment: &Environment) -> Result<PathBuf, ConfigError> {
    if rustix::process::geteuid().is_root() {
        return Ok(Path::new("/var/lib/octarm").join(name));
    }
    let absolute = |name| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    Ok(state.ok_or(ConfigError::NoHome { what })?.join("octarm").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        fs_err::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn what_can_be_no_configuration_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let utf16 = folder.path().join("utf16.toml");
        let text = "state = '/x'\n";
        let wide: Vec<u8> =
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        fs_err::write(&utf16, wide).unwrap();
        for (path, expected) in [
            (folder.path(), "it is a folder, expected a file"),
            (&pipe, "it is a pipe or a device, expected a file"),
            (&utf16, "it is written in UTF-16, expected UTF-8"),
        ] {
            let error = WorkerConfig::read(Some(path), &environment(&[]), Vec::new()).unwrap_err();
            let text = format!("reading the configuration of `{}`: {expected}", path.display());
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn flags_beat_the_environment_beats_the_file() {
        let file = file("state = '/file'\nconventions = '/file'\n[log]\nlevel = 'debug'\nformat = 'json'");
        let environment = environment(&[
            ("OCTARM_WORKER_CONVENTIONS", "/environment"),
            ("OCTARM_WORKER_LOG__LEVEL", "warn"),
            ("OTHER", "x"),
        ]);
        let config =
            WorkerConfig::read(Some(file.path()), &environment, vec![("state", "/flag".to_owned())]).unwrap();
        assert_eq!(config.state, Path::new("/flag"));
        assert_eq!(config.conventions.as_deref(), Some(Path::new("/environment")));
        assert_eq!(
            config.log,
            LogConfig { format: LogFormat::Json, level: "warn".to_owned(), ..LogConfig::default() }
        );
        assert_eq!(
            config.from_environment,
            ["AWS.Deployment.Key", "AWS.Deployment.Secret", "AWS.Deployment.Region"]
        );
    }

    #[test]
    fn unknown_keys_are_refused_wherever_they_come_from() {
        let file = file("state = '/x'\n[log]\nlevl = 'debug'");
        let none = environment(&[]);
        let error = WorkerConfig::read(Some(file.path()), &none, Vec::new()).unwrap_err().to_string();
        assert!(error.contains("levl") && error.contains("expected"), "{error}");
        let odd = environment(&[("OCTARM_WORKER_STAET", "/x"), ("HOME", "/home/x")]);
        let error = WorkerConfig::read(None, &odd, Vec::new()).unwrap_err().to_string();
        assert!(error.contains("staet") && error.contains("expected"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_one() {
        let server = |text| {
            let file = file(text);
            ServerConfig::read(Some(file.path()), &environment(&[]), Vec::new()).unwrap_err().to_string()
        };
        assert!(server("lisen = '127.0.0.1:1'").contains("did you mean `listen`?"));
        assert!(!server("colour = 'red'").contains("did you mean"));
        let odd = environment(&[("OCTARM_WORKER_STAET", "/x"), ("HOME", "/home/x")]);
        let error = WorkerConfig::read(None, &odd, Vec::new()).unwrap_err().to_string();
        assert!(error.contains("did you mean `state`?"), "{error}");
        let nested = file("state = '/x'\n[log]\nlevl = 'debug'");
        let error = WorkerConfig::read(Some(nested.path()), &environment(&[]), Vec::new()).unwrap_err();
        assert!(error.to_string().contains("did you mean `level`?"), "{error}");
    }

    #[test]
    fn other_machines_see_how_a_daemon_is_only_where_that_is_said() {
        let read = |text: &str| {
            let file = file(&format!("state = '/x'\n[health]\n{text}"));
            WorkerConfig::read(Some(file.path()), &environment(&[]), Vec::new())
        };
        assert_eq!(read("").unwrap().health.listen, None);
        assert_eq!(read("listen = '[::1]:0'").unwrap().health.listen, Some("[::1]:0".parse().unwrap()));
        let error = read("listen = '0.0.0.0:9464'").unwrap_err().to_string();
        assert!(error.contains("`health.listen` is `0.0.0.0:9464`"), "{error}");
        assert!(error.contains("allow_remote"), "{error}");
        assert!(read("listen = '0.0.0.0:9464'\nallow_remote = true").unwrap().health.listen.is_some());
    }

    #[test]
    fn a_missing_file_that_was_asked_for_is_an_error() {
        let error = ServerConfig::read(Some(Path::new("/nowhere/x.toml")), &environment(&[]), Vec::new())
            .unwrap_err();
        assert_eq!(error.to_string(), "the configuration file `/nowhere/x.toml` does not exist");
    }

    #[test]
    fn lists_come_from_the_environment_too() {
        let environment = environment(&[
            ("OCTARM_WORKER_VARIABLES__FROM_ENVIRONMENT", "AWS.Deployment.Key,Team.Token"),
            ("HOME", "/h"),
        ]);
        let config = WorkerConfig::read(None, &environment, vec![("state", "/s".to_owned())]).unwrap();
        assert_eq!(config.from_environment, ["AWS.Deployment.Key", "Team.Token"]);
    }
}
