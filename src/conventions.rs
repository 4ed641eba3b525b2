//! The agreed defaults of the folder `conventions/`, embedded, and an operator's folder over them.
//!
//! Data says *what*, this module says *how*: it reads the files into types once, at start.

use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;
use serde::Deserialize;

use crate::{
    model::Variable,
    package::Layout,
    template::{self, Unclean, Variables, render},
};

/// The version of the files that this octarm reads.
const VERSION: i64 = 1;

const FILES: [(&str, &str); 3] = [
    ("naming.toml", include_str!("../conventions/naming.toml")),
    ("variables.toml", include_str!("../conventions/variables.toml")),
    ("package.toml", include_str!("../conventions/package.toml")),
];

/// All conventions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conventions {
    naming: Naming,
    variables: Vec<WellKnown>,
    /// How packages are laid out.
    pub layout: Layout,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Naming {
    function: FunctionNaming,
    object: ObjectNaming,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionNaming {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectNaming {
    key: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct VariablesFile {
    variable: Vec<WellKnown>,
}

/// A variable that octarm gives a meaning to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WellKnown {
    /// Its name.
    pub name: String,
    /// What it means, in a line or two.
    pub meaning: String,
    /// The template it has when no one sets it.
    pub default: Option<String>,
    /// Whether its value must never be shown.
    #[serde(default)]
    pub sensitive: bool,
}

/// The conventions cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConventionsError {
    /// A file is there but cannot be read.
    #[error("reading the conventions")]
    Read(#[source] std::io::Error),
    /// The override folder does not exist.
    #[error("the conventions folder `{}` does not exist", .0.display())]
    NoFolder(PathBuf),
    /// A file is not what it should be.
    #[error("reading the conventions of `{origin}`")]
    Parse {
        /// Which file.
        origin: String,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A file is of another version.
    #[error("the conventions of `{origin}` are of version {found}, expected {VERSION}")]
    Version {
        /// Which file.
        origin: String,
        /// What it says.
        found: String,
    },
}

impl Conventions {
    /// The embedded conventions, overridden key by key by the files of the same names in `folder`.
    pub fn load(folder: Option<&Path>) -> Result<Self, ConventionsError> {
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(ConventionsError::NoFolder(folder.to_owned()));
        }
        let mut tables = Vec::new();
        for (name, embedded) in FILES {
            let mut table = parse(&format!("built-in {name}"), embedded)?;
            if let Some(path) = folder.map(|folder| folder.join(name)).filter(|path| path.exists()) {
                let text = fs_err::read_to_string(&path).map_err(ConventionsError::Read)?;
                merge(&mut table, parse(&path.display().to_string(), &text)?);
            }
            tables.push((name, table));
        }
        let mut tables = tables.into_iter();
        let mut next = || tables.next().unwrap_or_default();
        let naming: Naming = typed(next())?;
        let variables: VariablesFile = typed(next())?;
        let layout: Layout = typed(next())?;
        Ok(Self { naming, variables: variables.variable, layout })
    }

    /// The variables that octarm gives a meaning to.
    pub fn well_known(&self) -> &[WellKnown] {
        &self.variables
    }

    /// The defaults: the lowest priority of all sources of variables.
    pub fn defaults(&self) -> impl Iterator<Item = Variable> {
        self.variables.iter().filter_map(|known| {
            let value = known.default.clone()?;
            Some(Variable { name: known.name.clone(), value, sensitive: known.sensitive })
        })
    }

    /// Every template of the conventions.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        let defaults = self.variables.iter().filter_map(|known| known.default.as_deref());
        [self.naming.function.name.as_str(), &self.naming.object.key].into_iter().chain(defaults)
    }

    /// Whether the conventions call the variable sensitive.
    pub fn is_sensitive(&self, name: &str) -> bool {
        self.variables.iter().any(|known| known.sensitive && known.name.eq_ignore_ascii_case(name))
    }

    /// The template of function names.
    pub fn function_template(&self) -> &str {
        &self.naming.function.name
    }

    /// The name of the function that a deployment with these variables goes to, not yet checked against Lambda's
    /// rules, and what sensitive values became in it. `now` is the time when the deployment started.
    pub fn function_name(
        &self,
        variables: &Variables,
        now: &ZonedDateTime,
    ) -> Result<(String, Vec<String>), FunctionNameError> {
        for name in ["Octopus.Environment.Name", "Lambda.Function"] {
            let value = template::value(name, variables, now).map(template::Rendered::clean);
            if value.is_some_and(|value| value.is_ok_and(|value| value.trim().is_empty())) {
                return Err(FunctionNameError::Empty { name });
            }
        }
        let template = &self.naming.function.name;
        render(template, variables, now)
            .whole()
            .map_err(|source| FunctionNameError::Unclean { template: template.clone(), source })
    }

    /// The key of the S3 object of a zip with this SHA-256 (lower-case hex), not yet checked against S3's rules, and
    /// what sensitive values became in it.
    pub fn object_key(
        &self,
        variables: &Variables,
        sha256: &str,
        now: &ZonedDateTime,
    ) -> Result<(String, Vec<String>), ObjectKeyError> {
        let mut all = variables.clone();
        all.set(Variable::plain("Lambda.CodeSha256", sha256));
        let template = &self.naming.object.key;
        let (key, secrets) = render(template, &all, now)
            .whole()
            .map_err(|source| ObjectKeyError::Unclean { template: template.clone(), source })?;
        if key.contains(sha256) {
            Ok((key, secrets))
        } else {
            Err(ObjectKeyError::NoDigest { template: template.clone() })
        }
    }
}

/// The convention gives no key.
#[derive(Debug, thiserror::Error)]
pub enum ObjectKeyError {
    /// A variable is missing or wrong.
    #[error("naming the S3 object by the convention `{template}`")]
    Unclean {
        /// The convention.
        template: String,
        /// Why.
        #[source]
        source: Unclean,
    },
    /// Two zips could get the same key.
    #[error("naming the S3 object by the convention `{template}`: expected `#{{Lambda.CodeSha256}}` in it")]
    NoDigest {
        /// The convention.
        template: String,
    },
}

/// The convention gives no function name.
#[derive(Debug, thiserror::Error)]
pub enum FunctionNameError {
    /// A part that must be there is empty.
    #[error("naming the function: `{name}` is empty")]
    Empty {
        /// Which variable.
        name: &'static str,
    },
    /// A variable is missing or wrong.
    #[error("naming the function by the convention `{template}`")]
    Unclean {
        /// The convention.
        template: String,
        /// Why.
        #[source]
        source: Unclean,
    },
}

/// The name of a variable in the process environment: upper case, every other character turned to `_`.
pub fn environment_name(variable: &str) -> String {
    variable.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn parse(origin: &str, text: &str) -> Result<toml::Table, ConventionsError> {
    let mut table: toml::Table = text
        .parse()
        .map_err(|source| ConventionsError::Parse { origin: origin.to_owned(), source: Box::new(source) })?;
    match table.remove("version") {
        Some(toml::Value::Integer(VERSION)) => Ok(table),
        found => Err(ConventionsError::Version {
            origin: origin.to_owned(),
            found: found.map_or_else(|| "none".to_owned(), |found| found.to_string()),
        }),
    }
}

fn typed<T: serde::de::DeserializeOwned>((name, table): (&str, toml::Table)) -> Result<T, ConventionsError> {
    toml::Value::Table(table)
        .try_into()
        .map_err(|source| ConventionsError::Parse { origin: name.to_owned(), source: Box::new(source) })
}

/// Lays `over` on `under`: tables key by key, lists of named tables by `name`, everything else replaced.
fn merge(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => merge(under, over),
            (Some(toml::Value::Array(under)), toml::Value::Array(over))
                if is_named(under) && is_named(&over) =>
            {
                for item in over {
                    under.retain(|old| old.get("name") != item.get("name"));
                    under.push(item);
                }
            }
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn is_named(items: &[toml::Value]) -> bool {
    items.iter().all(|item| item.get("name").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_names_are_as_documented() {
        assert_eq!(environment_name("AWS.Deployment.Key"), "AWS_DEPLOYMENT_KEY");
        assert_eq!(environment_name("Octopus.Environment.Name"), "OCTOPUS_ENVIRONMENT_NAME");
    }

    #[test]
    fn an_operators_folder_overrides_key_by_key() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(
            folder.path().join("variables.toml"),
            "version = 1\n[[variable]]\nname = \"Lambda.Function\"\nmeaning = \"ours\"\ndefault = \"fixed\"\n",
        )
        .unwrap();
        let conventions = Conventions::load(Some(folder.path())).unwrap();
        let mut variables: Variables = conventions.defaults().collect();
        variables.set(Variable::plain("Octopus.Environment.Name", "CI"));
        assert_eq!(conventions.function_name(&variables, &ZonedDateTime::now()).unwrap().0, "CI-fixed");
        assert!(conventions.is_sensitive("aws.deployment.secret"), "the rest stays built in");
    }

    #[test]
    fn the_key_of_an_object_names_its_content() {
        let variables = [("Octopus.Project.Name", "Shop"), ("Lambda.Function", "Orders")];
        let variables: Variables =
            variables.into_iter().map(|(name, value)| Variable::plain(name, value)).collect();
        let (key, _) =
            Conventions::load(None).unwrap().object_key(&variables, "0a1b", &ZonedDateTime::now()).unwrap();
        assert_eq!(key, "octarm/Shop/Orders/0a1b.zip");

        let folder = tempfile::tempdir().unwrap();
        let text = "version = 1\n[object]\nkey = \"#{Lambda.Function}.zip\"";
        fs_err::write(folder.path().join("naming.toml"), text).unwrap();
        let conventions = Conventions::load(Some(folder.path())).unwrap();
        let error = conventions.object_key(&variables, "0a1b", &ZonedDateTime::now()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "naming the S3 object by the convention `#{Lambda.Function}.zip`: expected `#{Lambda.CodeSha256}` in it"
        );
    }

    #[test]
    fn wrong_files_name_file_and_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("naming.toml");
        for (text, expected) in [
            ("version = 2", "of version 2, expected 1"),
            (
                "version = 1\n[function]\nname = \"x\"\nnome = \"y\"",
                "reading the conventions of `naming.toml`",
            ),
            ("version = ", "naming.toml"),
        ] {
            fs_err::write(&file, text).unwrap();
            let error = Conventions::load(Some(folder.path())).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let missing = folder.path().join("missing");
        let error = Conventions::load(Some(&missing)).unwrap_err().to_string();
        assert!(error.contains("does not exist"), "{error}");
    }
}
