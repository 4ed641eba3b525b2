//! Where each setting comes from. The sources are asked once more, each for itself: put together, they tell it of none.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Environment, Flags, read_path};

/// Shown in place of what is secret.
const HIDDEN: &str = "********";

/// A setting as it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the file, with its section.
    pub key: &'static str,
    /// Its value; null where it has none. What is secret is hidden.
    pub value: Value,
    /// Who says so.
    pub origin: Origin,
}

/// Who says what a setting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag(String),
    /// A variable of the environment.
    Variable(String),
    /// The file.
    File {
        /// Which.
        path: PathBuf,
        /// In which line.
        line: Option<usize>,
    },
    /// Nobody.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File { path, line: Some(line) } => write!(f, "{} line {line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Says where each of these comes from.
pub(super) fn traced(
    settings: Vec<(&'static str, Value)>,
    file: Option<&Path>,
    fallback: &Path,
    prefix: &str,
    environment: &Environment,
    flags: &Flags,
) -> Result<Vec<Setting>, ConfigError> {
    let path = read_path(file, fallback)?;
    let text = path.and_then(|path| fs_err::read_to_string(path).ok()).unwrap_or_default();
    // It was read and understood before.
    let table = DeTable::parse(&text).ok();
    let origin = |key: &'static str| {
        if flags.iter().any(|(name, _)| *name == key) {
            return Origin::Flag(flag_name(key));
        }
        if let Some(name) = environment.spelled(&format!("{prefix}_{}", key.replace('.', "__"))) {
            return Origin::Variable(name.to_owned());
        }
        let place = table.as_ref().and_then(|table| find(table.get_ref(), key));
        match (path, place) {
            (Some(path), Some(at)) => {
                let line = text.get(..at).map(|before| before.matches('\n').count() + 1);
                Origin::File { path: path.to_owned(), line }
            }
            _ => Origin::Default,
        }
    };
    Ok(settings.into_iter().map(|(key, value)| Setting { key, value, origin: origin(key) }).collect())
}

/// The value of a secret, or that there is none.
pub(super) fn hidden(is_set: bool) -> Value {
    if is_set { HIDDEN.into() } else { Value::Null }
}

/// Flags are called as their settings are, without the section.
fn flag_name(key: &str) -> String {
    format!("--{}", key.rsplit('.').next().unwrap_or(key).replace('_', "-"))
}

/// Where in the text a key stands.
fn find(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let (name, rest) = key.split_once('.').map_or((key, None), |(name, rest)| (name, Some(rest)));
    let (found, value) = table.iter().find(|(known, _)| known.get_ref() == name)?;
    match (rest, value.get_ref()) {
        (None, _) => Some(found.span().start),
        (Some(rest), DeValue::Table(inner)) => find(inner, rest),
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_however_its_table_is_written() {
        let text = "# x\nstate = 'a'\nlog.level = 'b'\n[variables]\n\nfrom_environment = [\n]\n";
        let table = DeTable::parse(text).unwrap();
        let line = |key| find(table.get_ref(), key).map(|at| text[..at].matches('\n').count() + 1);
        assert_eq!(line("state"), Some(2));
        assert_eq!(line("log.level"), Some(3));
        assert_eq!(line("variables.from_environment"), Some(6));
        assert_eq!(line("log.format"), None);
        assert_eq!(line("state.x"), None);
    }
}
