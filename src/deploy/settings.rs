//! What the variables mean for this deployment, settled before anything is asked of AWS.

use std::time::Duration;

use jiff::ZonedDateTime;

use super::{
    plan::{Desired, Way},
    redact::hidden_in,
};
use crate::{
    aws::{BucketName, BucketNameError, Credentials, FunctionName, FunctionNameError, ObjectKeyError, Place},
    conventions::{self, Conventions},
    model::Variable,
    package::{Identity, Repacked},
    template::{self, Unclean, Variables},
};

/// A variable cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Its value is missing a part or is wrong.
    #[error("reading the variable `{name}`")]
    Unclean {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        source: Unclean,
    },
    /// Only one half of the credentials.
    #[error("`{present}` is set but `{absent}` is {found}: static credentials are whole or absent")]
    HalfCredentials {
        /// The half that is there.
        present: &'static str,
        /// The half that is not.
        absent: &'static str,
        /// `missing` or `empty`.
        found: &'static str,
    },
    /// Both halves are there but empty.
    #[error(
        "`AWS.Deployment.Key` and `AWS.Deployment.Secret` are set but empty: static credentials are whole or absent"
    )]
    EmptyCredentials,
    /// Not a number of seconds.
    #[error("`{name}` is `{found}`, expected a whole number of seconds from 1 to 3600")]
    Seconds {
        /// Which.
        name: &'static str,
        /// Its value.
        found: String,
    },
    /// Not twelve digits.
    #[error("`AWS.Deployment.Account` is `{found}`, expected twelve digits")]
    Account {
        /// Its value.
        found: String,
    },
    /// The convention gives no name.
    #[error(transparent)]
    Naming(#[from] conventions::FunctionNameError),
    /// Lambda would refuse the name.
    #[error(transparent)]
    Function(#[from] FunctionNameError),
    /// No bucket has this name.
    #[error("reading the variable `AWS.Deployment.Bucket`")]
    Bucket(#[from] BucketNameError),
    /// The convention gives no key.
    #[error(transparent)]
    Key(#[from] conventions::ObjectKeyError),
    /// S3 would refuse the key.
    #[error(transparent)]
    Object(#[from] ObjectKeyError),
}

impl SettingsError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::HalfCredentials { .. } | Self::EmptyCredentials => {
                "set both, or neither to use the AWS default credential chain"
            }
            Self::Naming(conventions::FunctionNameError::Unclean {
                source: Unclean::Missing(names), ..
            }) if names.iter().any(|name| name == "#{Octopus.Environment.Name}") => {
                "say which environment: `--environment`"
            }
            Self::Naming(_) | Self::Function(_) => "set the variable `Lambda.Function` to the name you want",
            Self::Unclean { .. } => "set the missing variable, or correct the value",
            Self::Bucket(_) => "say the bucket's name alone, without `s3://` and without a path",
            Self::Key(_) | Self::Object(_) => {
                "correct `key` of `[object]` in `naming.toml`, or the variables in it"
            }
            Self::Seconds { .. } | Self::Account { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// What of AWS deployments with these variables use.
#[derive(Debug)]
pub struct Access {
    /// Static credentials; none for those of the default chain.
    pub credentials: Option<Credentials>,
    /// The region; none for that of the default chain.
    pub region: Option<String>,
    /// The account that it must be.
    pub account: Option<String>,
    /// The bucket of large zips.
    pub bucket: Option<BucketName>,
}

/// Reads that alone.
pub fn access(variables: &Variables, now: &ZonedDateTime) -> Result<Access, SettingsError> {
    let mut reader = Reader { variables, now, hidden: &mut Vec::new() };
    let account = reader.value("AWS.Deployment.Account")?;
    check_account(account.as_ref())?;
    Ok(Access {
        credentials: reader.credentials()?,
        region: reader.value("AWS.Deployment.Region")?,
        account,
        bucket: reader.value("AWS.Deployment.Bucket")?.map(|name| name.parse()).transpose()?,
    })
}

fn check_account(account: Option<&String>) -> Result<(), SettingsError> {
    match account.filter(|id| id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit())) {
        Some(found) => Err(SettingsError::Account { found: found.clone() }),
        None => Ok(()),
    }
}

/// What a deployment needs to know.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) function: FunctionName,
    pub(super) credentials: Option<Credentials>,
    pub(super) region: Option<String>,
    pub(super) account: Option<String>,
    pub(super) bucket: Option<BucketName>,
    pub(super) update_timeout: Duration,
    environment: String,
    release: Option<String>,
    variables: Variables,
    /// What templates take for the present.
    started: ZonedDateTime,
}

/// Reads the variables; the conventions' defaults lie under them, what the package says over them. What of it must be
/// hidden wherever it is shown goes to `hidden`, also when it cannot be used.
pub(super) fn resolve(
    variables: &Variables,
    conventions: &Conventions,
    package: &str,
    version: &str,
    now: &ZonedDateTime,
    hidden: &mut Vec<String>,
) -> Result<Settings, SettingsError> {
    let mut all: Variables = conventions.defaults().collect();
    all.extend(variables.iter().cloned());
    all.set(Variable::plain("Octopus.Action.Package.PackageId", package));
    all.set(Variable::plain("Octopus.Action.Package.PackageVersion", version));

    let (function, secrets) = conventions.function_name(&all, now)?;
    hidden.extend(hidden_in(&function, secrets));
    let function = function.parse()?;
    let mut reader = Reader { variables: &all, now, hidden };
    let account = reader.value("AWS.Deployment.Account")?;
    check_account(account.as_ref())?;
    Ok(Settings {
        function,
        credentials: reader.credentials()?,
        region: reader.value("AWS.Deployment.Region")?,
        account,
        bucket: reader.value("AWS.Deployment.Bucket")?.map(|name| name.parse()).transpose()?,
        update_timeout: reader.seconds("Lambda.UpdateTimeout")?,
        environment: reader.value("Octopus.Environment.Name")?.unwrap_or_default(),
        release: reader.value("Octopus.Release.Number")?,
        variables: all,
        started: now.clone(),
    })
}

impl Settings {
    /// Where a zip goes in S3; none without a bucket. What of its key must be hidden goes to `hidden`.
    pub(super) fn place(
        &self,
        conventions: &Conventions,
        code: &Repacked,
        hidden: &mut Vec<String>,
    ) -> Result<Option<Place>, SettingsError> {
        let Some(bucket) = self.bucket.clone() else { return Ok(None) };
        let (key, secrets) =
            conventions.object_key(&self.variables, &hex::encode(code.sha256), &self.started)?;
        hidden.extend(hidden_in(&key, secrets));
        Ok(Some(Place { bucket, key: key.parse()? }))
    }

    pub(super) fn desired(
        &self,
        region: &str,
        account: &str,
        package: &Identity,
        code: &Repacked,
        way: Way,
    ) -> Desired {
        Desired {
            function: self.function.clone(),
            region: region.to_owned(),
            account: account.to_owned(),
            environment: self.environment.clone(),
            release: self.release.clone(),
            package: format!("{} {}", package.id, package.version.as_str()),
            code_sha256: code.code_sha256(),
            zip_bytes: code.size,
            unzipped_bytes: code.unzipped_size,
            files: code.entries.len(),
            way,
        }
    }
}

/// Reads single variables.
struct Reader<'r> {
    variables: &'r Variables,
    now: &'r ZonedDateTime,
    hidden: &'r mut Vec<String>,
}

impl Reader<'_> {
    /// The rendered value; none when the variable is absent or empty.
    fn value(&mut self, name: &'static str) -> Result<Option<String>, SettingsError> {
        Ok(self.present(name)?.filter(|value| !value.is_empty()))
    }

    /// The rendered value; none only when the variable is absent.
    fn present(&mut self, name: &'static str) -> Result<Option<String>, SettingsError> {
        let Some(rendered) = template::value(name, self.variables, self.now) else { return Ok(None) };
        let (value, secrets) = rendered.whole().map_err(|source| SettingsError::Unclean { name, source })?;
        self.hidden.extend(hidden_in(&value, secrets));
        Ok(Some(value.trim().to_owned()))
    }

    fn credentials(&mut self) -> Result<Option<Credentials>, SettingsError> {
        const KEY: &str = "AWS.Deployment.Key";
        const SECRET: &str = "AWS.Deployment.Secret";
        let half = |present, absent, other: Option<String>| SettingsError::HalfCredentials {
            present,
            absent,
            found: if other.is_some() { "empty" } else { "missing" },
        };
        match (self.present(KEY)?, self.present(SECRET)?) {
            (None, None) => Ok(None),
            (Some(key), Some(secret)) if !key.is_empty() && !secret.is_empty() => {
                Ok(Some(Credentials { key: key.into(), secret: secret.into() }))
            }
            (Some(key), other) if !key.is_empty() => Err(half(KEY, SECRET, other)),
            (other, Some(secret)) if !secret.is_empty() => Err(half(SECRET, KEY, other)),
            (Some(_), None) => Err(half(KEY, SECRET, None)),
            (None, Some(_)) => Err(half(SECRET, KEY, None)),
            (Some(_), Some(_)) => Err(SettingsError::EmptyCredentials),
        }
    }

    fn seconds(&mut self, name: &'static str) -> Result<Duration, SettingsError> {
        let found = self.value(name)?.unwrap_or_default();
        match found.parse() {
            Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
            _ => Err(SettingsError::Seconds { name, found }),
        }
    }
}
