//! What can be known to be wrong before any call: the SDK meets it too late, and with words of its own.

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_types::service_config::ServiceConfigKey;

use super::AwsError;

/// The services that deployments and credentials need, by the names that their settings have.
const SERVICES: [&str; 5] = ["STS", "Lambda", "S3", "SSO", "SSO OIDC"];

/// The region, if a name can be that of one: AWS's own are letters, digits and single `-`.
pub(super) fn region(name: &str) -> Result<String, AwsError> {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if name.is_empty() {
        return Err(AwsError::NoRegion);
    }
    if name.len() <= 63 && name.split('-').all(is_part) {
        Ok(name.to_owned())
    } else {
        Err(AwsError::Region { found: name.to_owned() })
    }
}

/// Whether every endpoint that is set is one: for all services, and for each.
pub(super) fn endpoints(config: &SdkConfig) -> Result<(), AwsError> {
    for service in SERVICES {
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let own = key.ok().and_then(|key| config.service_config()?.load_config(key));
        let found = own.or_else(|| config.endpoint_url().map(str::to_owned));
        if let Some(found) = found.filter(|found| !is_endpoint(found)) {
            return Err(AwsError::Endpoint { service, found: shown(&found) });
        }
    }
    Ok(())
}

/// Scheme, host, port and path as any client reads them; no user, whose password would be shown.
fn is_endpoint(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let is_scheme = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        }
    };
    is_scheme && is_host && is_port && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An endpoint as it may be shown.
fn shown(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => url.to_owned(),
    }
}

/// Whether requests can be made with these credentials: key id and token go into headers, the secret signs.
pub(super) fn credentials(origin: &'static str, found: &Credentials) -> Result<(), AwsError> {
    let halves = [
        ("access key id", found.access_key_id()),
        ("secret access key", found.secret_access_key()),
        ("session token", found.session_token().unwrap_or_default()),
    ];
    for (half, value) in halves {
        let signs = half == "secret access key";
        let last = value.chars().count().saturating_sub(1);
        let is_wrong = |&(at, c): &(usize, char)| {
            c.is_control()
                || if signs { c.is_whitespace() && (at == 0 || at == last) } else { !c.is_ascii_graphic() }
        };
        if let Some((at, c)) = value.chars().enumerate().find(is_wrong) {
            let found = match c {
                '\r' | '\n' => "a line end",
                c if c.is_whitespace() => "a blank",
                c if c.is_control() => "a control character",
                _ => "a character outside ASCII",
            };
            return Err(AwsError::Malformed { half, origin, found, position: at + 1 });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_and_endpoints_are_told_from_what_is_none() {
        for good in ["eu-west-1", "us-gov-east-1", "local", "eusc-de-east-1"] {
            assert_eq!(region(good).unwrap(), good);
        }
        assert!(matches!(region(""), Err(AwsError::NoRegion)));
        for bad in
            ["EU-WEST-1", "../x", "eu west", "eu--west", "-eu", "eu_west_1", "eu.west", &"a".repeat(64)]
        {
            let error = region(bad).unwrap_err().to_string();
            assert_eq!(error, format!("`{bad}` is not an AWS region: expected a name like `eu-west-1`"));
        }
        for good in
            ["http://127.0.0.1:4566", "https://[::1]:1/path", "https://lambda.eu-west-1.amazonaws.com"]
        {
            assert!(is_endpoint(good), "{good}");
        }
        for good in ["HTTP://a", "https://a_b.c:1/d?e=f#g", "http://[::1]"] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "localhost:4566",
            "http://",
            "https:///x",
            "http://:80",
            "http://a b",
            "ftp://a",
            "http://a\n",
            "http://a:99999",
            "http://a:b",
            "http://[::1",
            "http://a:b:1",
            "http://@",
            "http://u:p@a",
            "http://a{b}",
        ] {
            assert!(!is_endpoint(bad), "{bad:?}");
        }
    }

    #[test]
    fn credentials_that_no_header_can_carry_are_refused_without_being_shown() {
        let check = |key: &str, secret: &str, token: &str| {
            let token = Some(token.to_owned()).filter(|token| !token.is_empty());
            credentials("here", &Credentials::new(key, secret, token, None, "test"))
        };
        assert!(check("AKIA", "a/b+ c=é", "a==").is_ok());
        for (key, secret, token, expected) in [
            ("AK\nIA", "x", "", "the access key id of here holds a line end at character 3"),
            ("AKIA", "x ", "", "the secret access key of here holds a blank at character 2"),
            ("AKIA", "x", "a\nb", "the session token of here holds a line end at character 2"),
            ("AKIA", "\u{1}", "", "the secret access key of here holds a control character at character 1"),
            ("ÄKIA", "x", "", "the access key id of here holds a character outside ASCII at character 1"),
        ] {
            let error = check(key, secret, token).unwrap_err().to_string();
            assert_eq!(error, format!("{expected}: no request can be made with it"));
        }
    }
}
