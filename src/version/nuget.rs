//! The version of a NuGet package, by NuGet's own rules.

use std::str::FromStr;

use super::{Parts, Problem, VersionError, cut, dotted, is_number, numbers, version_traits, without_zeros};

const KIND: &str = "a NuGet version";

/// One to four numbers, labels after `-`, metadata after `+`; `1.0` equals `1.0.0.0`. It is shown as it was written,
/// but normalised when it has more than one label or metadata: those came with SemVer 2, and so did NuGet's habit of
/// normalising.
#[derive(Debug, Clone)]
pub struct NuGetVersion {
    text: String,
    shown: String,
    metadata: Option<String>,
    parts: Parts,
}

version_traits!(NuGetVersion, ".", shown);

impl FromStr for NuGetVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let text = text.trim();
        parse(text).map_err(|problem| VersionError::new(text, KIND, problem))
    }
}

impl NuGetVersion {
    /// Reads a version as SemVer 2 has it: exactly three numbers, without leading zeros and without spaces.
    pub fn parse_strict(text: &str) -> Result<Self, VersionError> {
        let version: Self = text.parse()?;
        let numbers = cut(text).0;
        let is_strict = numbers.split('.').count() == 3
            && numbers.split('.').all(|number| is_number(number) && without_zeros(number) == number);
        if is_strict {
            return Ok(version);
        }
        Err(VersionError::new(text, KIND, Problem::NotStrict(numbers.to_owned())))
    }

    /// The build metadata after `+`.
    pub fn metadata(&self) -> Option<&str> {
        self.metadata.as_deref()
    }

    /// The normalised text with the build metadata.
    pub fn full(&self) -> String {
        match &self.metadata {
            Some(metadata) => format!("{}+{metadata}", self.normalised()),
            None => self.normalised(),
        }
    }
}

fn parse(text: &str) -> Result<NuGetVersion, Problem> {
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
    if let Some(label) = labels.iter().find(|label| without_zeros(label) != **label) {
        return Err(Problem::LeadingZero((*label).to_owned()));
    }
    metadata.map_or(Ok(Vec::new()), |metadata| dotted(metadata, '+'))?;
    let parts = Parts { numbers, labels: labels.into_iter().map(str::to_owned).collect() };
    let is_semver2 = parts.labels.len() > 1 || metadata.is_some();
    Ok(NuGetVersion {
        shown: if is_semver2 { parts.normalised(".") } else { text.to_owned() },
        text: text.to_owned(),
        metadata: metadata.map(str::to_owned),
        parts,
    })
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
    fn shown_as_written_unless_it_is_of_semver_2() {
        for (text, shown, full) in [
            (" 1.01.1 ", "1.01.1", "1.1.1"),
            ("1.0", "1.0", "1.0.0"),
            ("1.2.3.0-Beta", "1.2.3.0-Beta", "1.2.3-Beta"),
            ("1.0-beta.1", "1.0.0-beta.1", "1.0.0-beta.1"),
            ("1.02+Sha.05", "1.2.0", "1.2.0+Sha.05"),
            ("1.0.0.1-a.b+c", "1.0.0.1-a.b", "1.0.0.1-a.b+c"),
        ] {
            let version = version(text);
            assert_eq!((version.to_string().as_str(), version.full().as_str()), (shown, full), "{text}");
            assert_eq!(version.as_str(), text.trim());
        }
        assert_eq!(version("1.0+a.b").metadata(), Some("a.b"));
        assert_eq!(version("1.0").metadata(), None);
    }

    #[test]
    fn strict_is_three_numbers() {
        for text in ["1.2.3", "0.0.0-alpha", "1.2.3-a.1+x.01", "10.20.30+0"] {
            assert_eq!(NuGetVersion::parse_strict(text).unwrap(), version(text));
        }
        for text in ["1", "1.2", "1.2.3.0", "1.02.3", " 1.2.3", "1. 2.3", "1.2.3-01", "v1.2.3", ""] {
            assert!(NuGetVersion::parse_strict(text).is_err(), "{text}");
        }
        let error = NuGetVersion::parse_strict("1.2").unwrap_err();
        insta::assert_snapshot!(error, @"`1.2` is not a NuGet version: its numbers `1.2` are not three without leading zeros");
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
