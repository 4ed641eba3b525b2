//! The version of a package as Octopus reads it: NuGet's order, but the text is kept as it was written.

use std::str::FromStr;

use super::{Parts, Problem, VersionError, cut, dotted, numbers, version_traits, without_zeros};

const KIND: &str = "a package version";

/// One to four numbers, labels after `-`, metadata after `+`. Leading zeros are allowed everywhere and kept
/// in the text: `1.01` is shown as `1.01` and equals `1.1`.
#[derive(Debug, Clone)]
pub struct SemanticVersion {
    text: String,
    parts: Parts,
}

version_traits!(SemanticVersion, ".", text);

impl FromStr for SemanticVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let text = text.trim();
        parse(text)
            .map(|parts| Self { text: text.to_owned(), parts })
            .map_err(|problem| VersionError::new(text, KIND, problem))
    }
}

impl SemanticVersion {
    /// The pre-release, its parts with dots between; empty for a release.
    pub fn prerelease(&self) -> String {
        self.parts.labels.join(".")
    }
}

fn parse(text: &str) -> Result<Parts, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    let (number_part, labels, metadata) = cut(text.strip_prefix('v').unwrap_or(text));
    let numbers = numbers(number_part)?;
    let labels = labels.map_or(Ok(Vec::new()), |labels| dotted(labels, '-'))?;
    metadata.map_or(Ok(Vec::new()), |metadata| dotted(metadata, '+'))?;
    Ok(Parts { numbers, labels: labels.into_iter().map(|label| without_zeros(label).to_owned()).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> SemanticVersion {
        text.parse().unwrap()
    }

    #[test]
    fn kept_as_written_and_compared_normalised() {
        for (text, normalised) in [
            ("1.001.002", "1.1.2"),
            ("1.2.3.0", "1.2.3"),
            ("1", "1.0.0"),
            ("v1.2", "1.2.0"),
            ("1.0-beta.01", "1.0.0-beta.1"),
            ("2024.01.05.7-Feature-X+build.1", "2024.1.5.7-Feature-X"),
        ] {
            assert_eq!(version(text).to_string(), text);
            assert_eq!(version(text).normalised(), normalised);
            assert_eq!(version(text), version(normalised));
        }
    }

    #[test]
    fn releases_come_after_their_prereleases() {
        assert!(version("1.0.0-rc.2") < version("1.0.0-rc.10"));
        assert!(version("1.0.0-rc.10") < version("1"));
        assert!(version("1.0-1").is_prerelease());
        assert!(!version("1.0+1").is_prerelease());
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let refusals =
            ["", "V1.0", "vv1", "latest", "1.0.", "1.2.3.4.5", "1.0-", "1.0-é", "1 .0", "99999999999"]
                .map(|text| text.parse::<SemanticVersion>().unwrap_err().to_string())
                .join("\n");
        insta::assert_snapshot!(refusals, @"
        `` is not a package version: it is empty
        `V1.0` is not a package version: `V1` stands where a number is expected
        `vv1` is not a package version: `v1` stands where a number is expected
        `latest` is not a package version: `latest` stands where a number is expected
        `1.0.` is not a package version: `` stands where a number is expected
        `1.2.3.4.5` is not a package version: it has 5 numbers and may have at most 4
        `1.0-` is not a package version: it has an empty part after `-`
        `1.0-é` is not a package version: the part `é` holds `é`
        `1 .0` is not a package version: `1 ` stands where a number is expected
        `99999999999` is not a package version: the number 99999999999 is over 2147483647
        ");
    }
}
