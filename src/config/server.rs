//! The server's settings.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ConfigError, Environment, Flags, LogConfig, Origin, Setting,
    daemon::{HealthConfig, TelemetryConfig},
    default_folder,
    origin::{hidden, traced},
    read,
    retention::{Retention, Section},
};

/// What the names of variables begin with.
const PREFIX: &str = "OCTARM_SERVER";

/// How connections are protected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// Plain HTTP for this machine alone, a certificate of our own making for everybody else.
    #[default]
    Automatic,
    /// Plain HTTP, whoever listens: a proxy in front of the server has TLS.
    Off,
    /// A certificate of our own making.
    SelfMade,
    /// These files: a chain of certificates and its key, in PEM.
    Files {
        /// The server's certificate, then those that vouch for it.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// A bucket for packages and finished logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobBucket {
    /// Its name.
    pub bucket: String,
    /// What the keys in it begin with; may be empty.
    pub prefix: String,
    /// Where it is answered for, where that is not AWS.
    pub endpoint: Option<String>,
    /// Its region, where the AWS settings of the machine name none or another.
    pub region: Option<String>,
}

/// The server's settings, whole.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where packages and keys are, and the database where it has no URL.
    pub data: PathBuf,
    /// The URL of a PostgreSQL.
    pub database_url: Option<SecretString>,
    /// The master key, where it is not in the data folder.
    pub master_key: Option<SecretString>,
    /// The bucket of packages and finished logs, where they are not in the data folder.
    pub blobs: Option<BlobBucket>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The address that people reach it at, where that is another one.
    pub public_url: Option<String>,
    /// How long a worker's lease lasts.
    pub lease: Duration,
    /// How long a silent worker's deployment waits for somebody to come back before it is `unknown`.
    pub unknown_after: Duration,
    /// How long the token of a worker's session is good.
    pub worker_session: Duration,
    /// How connections are protected.
    pub tls: Tls,
    /// What is kept, and for how long.
    pub retention: Retention,
    /// Where it tells how it is.
    pub health: HealthConfig,
    /// What operators read.
    pub log: LogConfig,
    /// Where its traces go.
    pub telemetry: TelemetryConfig,
}

// Not to be printed: it may hold a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    database_url: Option<String>,
    #[serde(rename = "database_url_file")]
    database_url_in: Option<PathBuf>,
    master_key: Option<String>,
    blobs: Option<String>,
    blobs_endpoint: Option<String>,
    blobs_region: Option<String>,
    #[serde(default = "default_listen")]
    listen: SocketAddr,
    public_url: Option<String>,
    #[serde(default = "default_lease")]
    lease_seconds: u32,
    #[serde(default = "default_unknown_after")]
    unknown_after_seconds: u32,
    #[serde(default = "default_worker_session")]
    worker_session_seconds: u32,
    tls: Option<Choice>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(default)]
    retention: Section,
    #[serde(default)]
    health: HealthConfig,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    telemetry: TelemetryConfig,
}

/// What can be chosen in a word.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    Auto,
    SelfMade,
    Off,
}

fn default_listen() -> SocketAddr {
    ([127, 0, 0, 1], 8060).into()
}

fn default_lease() -> u32 {
    60
}

fn default_unknown_after() -> u32 {
    15 * 60
}

fn default_worker_session() -> u32 {
    60 * 60
}

impl ServerConfig {
    /// The file that is read when none is named.
    pub const FILE: &str = "/etc/octarm/server.toml";

    /// Reads file, environment (`OCTARM_SERVER_DATA`, `OCTARM_SERVER_LISTEN` …) and flags.
    pub fn read(file: Option<&Path>, environment: &Environment, flags: Flags) -> Result<Self, ConfigError> {
        let given = flags.iter().find(|(name, _)| *name == "database_url");
        if given.is_some_and(|(_, url)| holds_password(url)) {
            return Err(wrong(
                "`--database-url` holds a password, which every user of this machine could read there: give the URL as \
                 OCTARM_SERVER_DATABASE_URL or in a file that `database_url_file` names, or the password in the file \
                 that PGPASSFILE names",
            ));
        }
        let file: File = read(file, Path::new(Self::FILE), PREFIX, environment, flags)?;
        if file.lease_seconds == 0 {
            return Err(wrong("`lease_seconds` is 0, expected at least 1"));
        }
        if file.worker_session_seconds == 0 {
            return Err(wrong("`worker_session_seconds` is 0, expected at least 1"));
        }
        // As it stands there: digits alone would have been read as a number.
        let master_key = environment.get("OCTARM_SERVER_MASTER_KEY").map(str::to_owned).or(file.master_key);
        let tls = match (file.tls, file.tls_cert, file.tls_key) {
            (None | Some(Choice::Auto), Some(certificate), Some(key)) => Tls::Files { certificate, key },
            (None | Some(Choice::Auto), None, None) => Tls::Automatic,
            (Some(Choice::SelfMade), None, None) => Tls::SelfMade,
            (Some(Choice::Off), None, None) => Tls::Off,
            (Some(_), ..) => {
                return Err(wrong(
                    "`tls` says one thing and `tls_cert` and `tls_key` another: leave one of the two out",
                ));
            }
            (None, ..) => {
                return Err(wrong("of `tls_cert` and `tls_key` only one is set, expected both"));
            }
        };
        Ok(Self {
            tls,
            data: file.data.map_or_else(|| default_folder("data", "server", environment), Ok)?,
            database_url: database_url(file.database_url, file.database_url_in.as_deref())?,
            master_key: master_key.map(Into::into),
            blobs: blob_bucket(file.blobs.as_deref(), file.blobs_endpoint, file.blobs_region)?,
            listen: file.listen,
            public_url: file.public_url.as_deref().map(public_url).transpose()?,
            lease: Duration::from_secs(file.lease_seconds.into()),
            unknown_after: Duration::from_secs(file.unknown_after_seconds.into()),
            worker_session: Duration::from_secs(file.worker_session_seconds.into()),
            retention: file.retention.read()?,
            health: file.health.checked()?,
            log: file.log,
            telemetry: file.telemetry.checked()?,
        })
    }
}

impl ServerConfig {
    /// The same, each with its origin.
    pub fn traced(
        file: Option<&Path>,
        environment: &Environment,
        flags: &Flags,
    ) -> Result<Vec<Setting>, ConfigError> {
        let settings = Self::read(file, environment, flags.clone())?.settings();
        let mut traced = traced(settings, file, Path::new(Self::FILE), PREFIX, environment, flags)?;
        // Of a URL that is in a file of its own that file is the origin.
        let by_file = traced.iter().find(|one| one.key == "database_url_file").map(|one| one.origin.clone());
        traced.retain(|one| one.key != "database_url_file");
        if let Some(url) = traced.iter_mut().find(|one| one.key == "database_url")
            && !url.value.is_null()
            && url.origin == Origin::Default
            && let Some(origin) = by_file
        {
            url.origin = origin;
        }
        Ok(traced)
    }

    /// By their names in the file, in its order.
    fn settings(self) -> Vec<(&'static str, Value)> {
        let Self {
            data,
            database_url,
            master_key,
            blobs,
            listen,
            public_url,
            lease,
            unknown_after,
            worker_session,
            tls,
            retention,
            health,
            log,
            telemetry,
        } = self;
        let Retention { releases, packages, logs_days } = retention;
        let url = match database_url.as_ref().map(ExposeSecret::expose_secret) {
            Some(url) if holds_password(url) => hidden(true),
            url => json!(url),
        };
        let (bucket, endpoint, region) = blobs.map_or((None, None, None), |blobs| {
            (Some(format!("s3://{}/{}", blobs.bucket, blobs.prefix)), blobs.endpoint, blobs.region)
        });
        let (choice, certificate, key) = match tls {
            Tls::Automatic => ("auto", None, None),
            Tls::Off => ("off", None, None),
            Tls::SelfMade => ("self-made", None, None),
            Tls::Files { certificate, key } => ("auto", Some(certificate), Some(key)),
        };
        let mut settings = vec![
            ("data", json!(data)),
            ("database_url", url),
            ("database_url_file", Value::Null),
            ("master_key", hidden(master_key.is_some())),
            ("blobs", json!(bucket)),
            ("blobs_endpoint", json!(endpoint)),
            ("blobs_region", json!(region)),
            ("listen", json!(listen)),
            ("public_url", json!(public_url)),
            ("tls", json!(choice)),
            ("tls_cert", json!(certificate)),
            ("tls_key", json!(key)),
            ("lease_seconds", json!(lease.as_secs())),
            ("unknown_after_seconds", json!(unknown_after.as_secs())),
            ("worker_session_seconds", json!(worker_session.as_secs())),
            ("retention.releases_keep_count", json!(releases.count)),
            ("retention.releases_keep_days", json!(releases.days)),
            ("retention.packages_keep_count", json!(packages.count)),
            ("retention.packages_keep_days", json!(packages.days)),
            ("retention.logs_days", json!(logs_days)),
        ];
        settings.extend(log.settings());
        settings.extend(health.settings());
        settings.extend(telemetry.settings());
        settings
    }
}

fn wrong(reason: impl Into<String>) -> ConfigError {
    ConfigError::Wrong { origin: None, reason: reason.into() }
}

/// The address in links. It may stand in logs, so it holds no password.
fn public_url(url: &str) -> Result<String, ConfigError> {
    let url = url.trim().trim_end_matches('/').to_owned();
    let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let is_plain = |rest: &str| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty()
            && !host.contains('@')
            && !rest.contains(|c: char| c.is_whitespace() || "?#".contains(c))
    };
    if rest.is_some_and(is_plain) {
        return Ok(url);
    }
    Err(wrong(
        "`public_url` cannot be used, expected https://HOST or http://HOST, without user, query or fragment",
    ))
}

/// The bucket that the URL names; none for the data folder.
fn blob_bucket(
    url: Option<&str>,
    endpoint: Option<String>,
    region: Option<String>,
) -> Result<Option<BlobBucket>, ConfigError> {
    let Some(url) = url else {
        return if endpoint.is_none() && region.is_none() {
            Ok(None)
        } else {
            Err(wrong("`blobs_endpoint` or `blobs_region` is set and `blobs` is not: expected both or none"))
        };
    };
    let rest = url.strip_prefix("s3://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let rest = rest.ok_or_else(|| wrong(format!("`blobs` is `{url}`, expected s3://BUCKET/PREFIX")))?;
    let is_url = |url: &str| ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    if let Some(odd) = endpoint.as_deref().filter(|url| !is_url(url)) {
        return Err(wrong(format!("`blobs_endpoint` is `{odd}`, expected the URL of a server")));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    Ok(Some(BlobBucket { bucket: bucket.to_owned(), prefix: prefix.to_owned(), endpoint, region }))
}

/// The URL itself, or what is in the file. No error repeats it.
fn database_url(url: Option<String>, file: Option<&Path>) -> Result<Option<SecretString>, ConfigError> {
    let (url, name) = match (url, file) {
        (Some(_), Some(_)) => {
            return Err(wrong("`database_url` and `database_url_file` are both given, expected one of them"));
        }
        (Some(url), None) => (url, "`database_url`".to_owned()),
        (None, Some(file)) => {
            let text = fs_err::read_to_string(file)
                .map_err(|error| wrong(format!("`database_url_file` cannot be read: {error}")))?;
            (text, format!("`{}`", file.display()))
        }
        (None, None) => return Ok(None),
    };
    let url = url.trim();
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(wrong(format!(
            "{name} is not the URL of a PostgreSQL, expected postgres://USER@HOST/DATABASE"
        )));
    }
    // One that the driver does not know it would only warn of, with its value; and a misspelt `sslmode` protects nothing.
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters).split('&');
    let names = parameters
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    if let Some(odd) = names.into_iter().find(|name| !PARAMETERS.contains(name)) {
        return Err(wrong(format!(
            "{name} has the parameter `{odd}`, expected one of: {}",
            PARAMETERS.join(", ")
        )));
    }
    Ok(Some(url.into()))
}

/// What a database URL may say behind its question mark.
const PARAMETERS: [&str; 11] = [
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
];

/// Whether a password stands in the URL, before the host or as a parameter.
fn holds_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    // In a password a slash or an `@` may stand by mistake: better to refuse too much.
    let user = place.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || parameters.split('&').any(|parameter| parameter.starts_with("password="))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(variables: &[(&str, &str)], flag: Option<&str>) -> Result<ServerConfig, ConfigError> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut flags = vec![("data", "/x".to_owned())];
        flags.extend(flag.map(|url| ("database_url", url.to_owned())));
        ServerConfig::read(None, &environment.collect(), flags)
    }

    #[test]
    fn a_password_on_the_command_line_is_refused_and_not_repeated() {
        for url in
            ["postgres://u:s3cret@h/d", "postgres://h/d?a=b&password=s3cret", "postgresql://:s3cr/et@h"]
        {
            let error = read(&[], Some(url)).unwrap_err().to_string();
            assert!(error.contains("PGPASSFILE") && !error.contains("s3cr"), "{error}");
        }
        for url in
            ["postgres://u@h:5432/d", "postgres:///d?host=/run/postgresql&user=u", "postgres://[::1]:1/d"]
        {
            let config = read(&[("OCTARM_SERVER_DATABASE_URL", "postgres://other")], Some(url)).unwrap();
            assert_eq!(config.database_url.unwrap().expose_secret(), url);
        }
    }

    #[test]
    fn the_public_address_is_one_that_a_link_can_begin_with() {
        let read = |url: &str| {
            read(&[("OCTARM_SERVER_PUBLIC_URL", url)], None).map(|config| config.public_url.unwrap())
        };
        assert_eq!(read("https://deploy.example.com/").unwrap(), "https://deploy.example.com");
        assert_eq!(read("http://h:8060/octarm").unwrap(), "http://h:8060/octarm");
        for url in [
            "deploy.example.com",
            "https://",
            "ftp://h",
            "https://u:s3cret@h",
            "https://h?x=1",
            "https://h x",
        ] {
            let error = read(url).unwrap_err().to_string();
            assert!(error.contains("`public_url` cannot be used") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_bucket_has_a_name_and_perhaps_a_prefix() {
        let bucket = |url: &str, more: &[(&str, &str)]| {
            read(&[&[("OCTARM_SERVER_BLOBS", url)], more].concat(), None).map(|config| config.blobs.unwrap())
        };
        let place = |bucket: &str, prefix: &str| (bucket.to_owned(), prefix.to_owned());
        for (url, expected) in
            [("s3://b", place("b", "")), ("s3://b/", place("b", "")), ("s3://b/c/d/", place("b", "c/d/"))]
        {
            let found = bucket(url, &[]).unwrap();
            assert_eq!((found.bucket, found.prefix), expected);
        }
        let region = [("OCTARM_SERVER_BLOBS_REGION", "eu-west-1")];
        assert_eq!(bucket("s3://b", &region).unwrap().region.as_deref(), Some("eu-west-1"));
        assert_eq!(read(&[], None).unwrap().blobs, None);
        for bad in ["b/c", "s3:///c", "s3://", "https://b"] {
            let error = bucket(bad, &[]).unwrap_err().to_string();
            assert!(error.contains(&format!("`blobs` is `{bad}`, expected s3://BUCKET/PREFIX")), "{error}");
        }
        let error = bucket("s3://b", &[("OCTARM_SERVER_BLOBS_ENDPOINT", "minio:9000")]).unwrap_err();
        assert!(error.to_string().contains("expected the URL of a server"), "{error}");
        let error = read(&region, None).unwrap_err().to_string();
        assert!(error.contains("`blobs` is not"), "{error}");
    }

    #[test]
    fn everything_is_kept_unless_a_limit_is_set() {
        assert_eq!(read(&[], None).unwrap().retention, Retention::default());
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        fs_err::write(file.path(), "data = '/x'\n[retention]\nreleases_keep_count = 3\nlogs_days = 9")
            .unwrap();
        let environment = [("OCTARM_SERVER_RETENTION__LOGS_DAYS".to_owned(), "7".to_owned())];
        let flags = vec![("retention.packages_keep_days", "5".to_owned())];
        let config = ServerConfig::read(Some(file.path()), &environment.into_iter().collect(), flags);
        let Retention { releases, packages, logs_days } = config.unwrap().retention;
        assert_eq!((releases.count, releases.days, logs_days), (Some(3), None, Some(7)));
        assert_eq!((packages.count, packages.days), (None, Some(5)));
        let zero = read(&[("OCTARM_SERVER_RETENTION__RELEASES_KEEP_DAYS", "0")], None).unwrap_err();
        assert!(zero.to_string().contains("`retention.releases_keep_days` is 0"), "{zero}");
    }

    #[test]
    fn the_url_comes_from_the_environment_or_a_file_and_is_shown_nowhere() {
        let url = "postgres://u:s3cret@h/d";
        let config = read(&[("OCTARM_SERVER_DATABASE_URL", url), ("OCTARM_SERVER_MASTER_KEY", "0012")], None);
        let config = config.unwrap();
        assert_eq!(config.database_url.as_ref().unwrap().expose_secret(), url);
        assert_eq!(config.master_key.as_ref().unwrap().expose_secret(), "0012");
        let shown = format!("{config:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("0012"), "{shown}");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), format!("{url}\n")).unwrap();
        let path = file.path().to_str().unwrap();
        let config = read(&[("OCTARM_SERVER_DATABASE_URL_FILE", path)], None).unwrap();
        assert_eq!(config.database_url.unwrap().expose_secret(), url);
        let both = read(&[("OCTARM_SERVER_DATABASE_URL_FILE", path)], Some("postgres://h")).unwrap_err();
        assert!(both.to_string().contains("both given"), "{both}");
        let odd =
            read(&[("OCTARM_SERVER_DATABASE_URL", "postgres://h/d?sslmod=verify-full")], None).unwrap_err();
        assert!(odd.to_string().contains("has the parameter `sslmod`, expected one of: host"), "{odd}");
        let odd =
            read(&[("OCTARM_SERVER_DATABASE_URL", "mysql://u:s3cret@h")], None).unwrap_err().to_string();
        assert!(odd.contains("is not the URL of a PostgreSQL") && !odd.contains("s3cret"), "{odd}");
    }
}
