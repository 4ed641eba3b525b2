//! What can be known to be wrong before any call: the SDK meets it too late, and with words of its own.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use super::AwsError;

/// The services that deployments and credentials need, by the names that their settings have.
const SERVICES: [&str; 5] = ["STS", "Lambda", "S3", "SSO", "SSO OIDC"];

/// The region, if a name can be that of one: AWS's own are letters, digits and single `-`.
pub(super) fn region(name: &str) -> Result<String, AwsError> {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
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
            return Err(AwsError::Endpoint { service, found });
        }
    }
    Ok(())
}

fn is_endpoint(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !host.is_empty()
        && host.split_once(':').is_none_or(|(name, _)| !name.is_empty())
        && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a request can carry these credentials in its headers.
pub(super) fn credentials(origin: &'static str, key: &str, secret: &str) -> Result<(), AwsError> {
    for (half, value) in [("access key id", key), ("secret access key", secret)] {
        let wrong = value.chars().enumerate().find(|(_, c)| !c.is_ascii_graphic());
        if let Some((at, c)) = wrong {
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
        for bad in
            ["", "EU-WEST-1", "../x", "eu west", "eu--west", "-eu", "eu_west_1", "eu.west", &"a".repeat(64)]
        {
            let error = region(bad).unwrap_err().to_string();
            assert_eq!(error, format!("`{bad}` is not an AWS region: expected a name like `eu-west-1`"));
        }
        for good in
            ["http://127.0.0.1:4566", "https://[::1]:1/path", "https://lambda.eu-west-1.amazonaws.com"]
        {
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
        ] {
            assert!(!is_endpoint(bad), "{bad:?}");
        }
    }

    #[test]
    fn credentials_that_no_header_can_carry_are_refused_without_being_shown() {
        assert!(credentials("here", "AKIA", "a/b+c=").is_ok());
        for (key, secret, expected) in [
            ("AK\nIA", "x", "the access key id of here holds a line end at character 3"),
            ("AKIA", "x y", "the secret access key of here holds a blank at character 2"),
            ("AKIA", "\u{1}", "the secret access key of here holds a control character at character 1"),
            ("ÄKIA", "x", "the access key id of here holds a character outside ASCII at character 1"),
        ] {
            let error = credentials("here", key, secret).unwrap_err().to_string();
            assert_eq!(error, format!("{expected}: expected visible ASCII characters alone"));
        }
    }
}
