//! The version of a NuGet package, by NuGet's own rules.

use std::str::FromStr;

use super::{Parts, Problem, VersionError, cut, dotted, numbers, version_traits};

const KIND: &str = "a NuGet version";

/// One to four numbers, labels after `-`, metadata after `+`; `1.0` equals `1.0.0.0`.
#[derive(Debug, Clone)]
pub struct NuGetVersion {
    text: String,
    parts: Parts,
}

version_traits!(NuGetVersion, ".");

impl FromStr for NuGetVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let text = text.trim();
        parse(text)
            .map(|parts| Self { text: text.to_owned(), parts })
            .map_err(|problem| VersionError::new(text, KIND, problem))
    }
}

fn parse(text: &str) -> Result<Parts, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if text.starts_with(['v', 'V']) {
        return Err(Problem::LeadingV);
    }
    let (number_part, labels, metadata) = cut(text);
    // NuGet tolerates spaces round the numbers: packages with `1. 0` exist.
    let compact = number_part.split('.').map(str::trim).collect::<Vec<_>>().join(".");
    let numbers = numbers(&compact)?;
    let labels = labels.map_or(Ok(Vec::new()), |labels| dotted(labels, '-'))?;
    if let Some(label) = labels.iter().find(|label| super::without_zeros(label) != **label) {
        return Err(Problem::LeadingZero((*label).to_owned()));
    }
    metadata.map_or(Ok(Vec::new()), |metadata| dotted(metadata, '+'))?;
    Ok(Parts { numbers, labels: labels.into_iter().map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> NuGetVersion {
        text.parse().unwrap()
    }

    #[test]
    fn normalises() {
        for (text, normalised) in [
            ("1", "1.0.0"),
            ("1.0", "1.0.0"),
            (" 1.01.1 ", "1.1.1"),
            ("1.0.0.0", "1.0.0"),
            ("1.0.0.5", "1.0.0.5"),
            ("1. 2 .3", "1.2.3"),
            ("1.0-Beta.1+sha.0005", "1.0.0-Beta.1"),
            ("1.0+a-b", "1.0.0"),
            ("2147483647.0.0", "2147483647.0.0"),
        ] {
            assert_eq!(version(text).normalised(), normalised, "{text}");
        }
    }

    #[test]
    fn shown_as_written() {
        assert_eq!(version(" 1.01.1 ").to_string(), "1.01.1");
    }

    #[test]
    fn ordered_as_nuget_does() {
        let ordered = [
            "0.9",
            "1.0-0",
            "1.0-2",
            "1.0-10",
            "1.0-ALPHA",
            "1.0-alpha.1",
            "1.0-beta",
            "1.0-rc",
            "1.0",
            "1.0.0.1",
            "1.0.1-a",
            "1.0.1",
        ];
        for pair in ordered.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert_eq!(version("1.0-Alpha+x"), version("1.0.0.0-aLPHA+y"));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let refusals = [
            "",
            "  ",
            "v1.0",
            "1..0",
            "1.0.0.0.0",
            "1.0-",
            "1.0-a..b",
            "1.0-01",
            "1.0-a_b",
            "1.0+",
            "2147483648",
            "a.b",
        ]
        .map(|text| text.parse::<NuGetVersion>().unwrap_err().to_string())
        .join("\n");
        insta::assert_snapshot!(refusals, @"
        `` is not a NuGet version: it is empty
        `` is not a NuGet version: it is empty
        `v1.0` is not a NuGet version: it begins with `v`
        `1..0` is not a NuGet version: `` stands where a number is expected
        `1.0.0.0.0` is not a NuGet version: it has 5 numbers and may have at most 4
        `1.0-` is not a NuGet version: it has an empty part after `-`
        `1.0-a..b` is not a NuGet version: it has an empty part after `-`
        `1.0-01` is not a NuGet version: the number `01` after `-` has a leading zero
        `1.0-a_b` is not a NuGet version: the part `a_b` holds `_`
        `1.0+` is not a NuGet version: it has an empty part after `+`
        `2147483648` is not a NuGet version: the number 2147483648 is over 2147483647
        `a.b` is not a NuGet version: `a` stands where a number is expected
        ");
    }
}
