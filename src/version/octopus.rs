//! Octopus's release numbers, where nearly any word is a version.

use std::str::FromStr;

use super::{Parts, Problem, VersionError, number, version_traits, without_zeros};

const KIND: &str = "a release number";

/// Up to four numbers, all of them optional, then a pre-release in which `.`, `-`, `_` and `\` all separate,
/// then metadata after `+`. `latest` is the pre-release `latest` of 0.0.0.
#[derive(Debug, Clone)]
pub struct OctopusVersion {
    text: String,
    parts: Parts,
    prerelease: String,
    metadata: String,
}

impl OctopusVersion {
    /// Major, minor, patch and revision; 0 where none is written.
    pub fn numbers(&self) -> [u32; 4] {
        self.parts.numbers
    }

    /// The pre-release as it was written, without the separator before it; empty for a release.
    pub fn prerelease(&self) -> &str {
        &self.prerelease
    }

    /// What was written after `+`, or nothing.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }
}

version_traits!(OctopusVersion, "-", text);

impl FromStr for OctopusVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let text = text.trim();
        parse(text).map_err(|problem| VersionError::new(text, KIND, problem))
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | '-' | '_' | '\\')
}

fn parse(text: &str) -> Result<OctopusVersion, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    let (rest, metadata) = match text.split_once('+') {
        Some((rest, metadata)) => (rest, metadata),
        None => (text, ""),
    };
    let (numbers, rest) = leading_numbers(rest)?;
    let prerelease = rest.strip_prefix(is_separator).unwrap_or(rest);
    let allowed = |c: char| c.is_ascii_alphanumeric() || is_separator(c);
    if let Some(bad) = prerelease.chars().find(|&c| !allowed(c)) {
        return Err(Problem::Character(prerelease.to_owned(), bad));
    }
    if let Some(bad) = metadata.chars().find(|&c| !(allowed(c) || c == '+')) {
        return Err(Problem::Character(metadata.to_owned(), bad));
    }
    let labels = if prerelease.is_empty() {
        Vec::new()
    } else {
        prerelease.split(is_separator).map(|label| without_zeros(label).to_owned()).collect()
    };
    Ok(OctopusVersion {
        text: text.to_owned(),
        parts: Parts { numbers, labels },
        prerelease: prerelease.to_owned(),
        metadata: metadata.to_owned(),
    })
}

/// Up to four numbers at the start, a `v` before them and spaces round each allowed; and what follows them.
fn leading_numbers(text: &str) -> Result<([u32; 4], &str), Problem> {
    let mut numbers = [0; 4];
    let mut rest = text;
    for (index, slot) in numbers.iter_mut().enumerate() {
        let start = if index == 0 { rest.strip_prefix(['v', 'V']) } else { rest.strip_prefix('.') };
        let start = match start {
            Some(start) => start.trim_start(),
            None if index == 0 => rest,
            None => break,
        };
        let digits = start.find(|c: char| !c.is_ascii_digit()).unwrap_or(start.len());
        if digits == 0 {
            break;
        }
        *slot = number(&start[..digits])?;
        rest = start[digits..].trim_start();
    }
    Ok((numbers, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> OctopusVersion {
        text.parse().unwrap()
    }

    #[test]
    fn normalises() {
        for (text, normalised) in [
            ("1.2.3", "1.2.3"),
            ("V1 . 2", "1.2.0"),
            ("0.0.01", "0.0.1"),
            ("1.2.3.4.5", "1.2.3.4-5"),
            ("1.2.3-beta.1", "1.2.3-beta-1"),
            ("1.2beta", "1.2.0-beta"),
            ("1.2_beta_01", "1.2.0-beta-1"),
            ("latest", "0.0.0-latest"),
            ("version2", "0.0.0-version2"),
            ("1.0-", "1.0.0"),
            ("1.0--x", "1.0.0--x"),
            ("1.0+sha+more", "1.0.0"),
        ] {
            assert_eq!(version(text).normalised(), normalised, "{text}");
            assert_eq!(version(text).to_string(), text);
            assert_eq!(version(text), version(normalised), "{text}");
        }
    }

    #[test]
    fn ordered_as_octopus_does() {
        let ordered =
            ["latest", "0.0.1", "1.0-2", "1.0-10", "1.0-a", "1.0-a.1", "1.0-B", "1.0", "1.0.0.1", "2"];
        for pair in ordered.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert_eq!(version("1.0-beta.1"), version("v1.0.0_BETA-1+x"));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let refusals = ["", " ", "1.0 beta!", "1.99999999999", "1.0+a b", "é"]
            .map(|text| text.parse::<OctopusVersion>().unwrap_err().to_string())
            .join("\n");
        insta::assert_snapshot!(refusals, @"
        `` is not a release number: it is empty
        `` is not a release number: it is empty
        `1.0 beta!` is not a release number: the part `beta!` holds `!`
        `1.99999999999` is not a release number: the number 99999999999 is over 2147483647
        `1.0+a b` is not a release number: the part `a b` holds ` `
        `é` is not a release number: the part `é` holds `é`
        ");
    }
}
