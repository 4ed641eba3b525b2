//! A range of package versions as NuGet writes it: `1.0`, `[1.0]`, `[1.0,2.0)`, `(,2.0]`.

use std::{fmt, str::FromStr};

use super::{SemanticVersion, VersionError, shown};

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    version: SemanticVersion,
    included: bool,
}

/// Which versions are allowed. A pre-release lies where its order puts it: `[1.0,2.0)` holds `2.0-beta` and not
/// `1.0-beta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    lowest: Option<End>,
    highest: Option<End>,
}

/// A text is not a range of versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It is not written as one.
    #[error("`{}` is not a range of versions: {why}", shown(text))]
    Form {
        /// What was found.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An end of it is not a version.
    #[error("`{}` is not a range of versions", shown(text))]
    End {
        /// What was found.
        text: String,
        /// Why.
        #[source]
        source: VersionError,
    },
}

impl VersionRange {
    /// Whether the version lies in it.
    pub fn contains(&self, version: &SemanticVersion) -> bool {
        let above = |end: &End| *version > end.version || (end.included && *version == end.version);
        let below = |end: &End| *version < end.version || (end.included && *version == end.version);
        self.lowest.as_ref().is_none_or(above) && self.highest.as_ref().is_none_or(below)
    }
}

impl FromStr for VersionRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let text = text.trim();
        let refused = |why| RangeError::Form { text: text.to_owned(), why };
        let version = |part: &str| {
            part.trim()
                .parse::<SemanticVersion>()
                .map_err(|source| RangeError::End { text: text.to_owned(), source })
        };
        if text.is_empty() {
            return Err(refused("it is empty"));
        }
        if !text.starts_with(['[', '(']) {
            // Without brackets it is the lowest version that will do.
            return Ok(Self { lowest: Some(End { version: version(text)?, included: true }), highest: None });
        }
        let inner = text[1..]
            .strip_suffix([']', ')'])
            .ok_or_else(|| refused("it begins with a bracket and does not end with one"))?;
        let (starts_with, ends_with) = (text.starts_with('['), text.ends_with(']'));
        let Some((lowest, highest)) = inner.split_once(',') else {
            if !(starts_with && ends_with) {
                return Err(refused("one version alone stands in square brackets, as in `[1.0]`"));
            }
            let end = End { version: version(inner)?, included: true };
            return Ok(Self { lowest: Some(end.clone()), highest: Some(end) });
        };
        if highest.contains(',') {
            return Err(refused("it has more than two ends"));
        }
        let end = |part: &str, included| {
            if part.trim().is_empty() {
                return Ok(None);
            }
            Ok(Some(End { version: version(part)?, included }))
        };
        let range = Self { lowest: end(lowest, starts_with)?, highest: end(highest, ends_with)? };
        match (&range.lowest, &range.highest) {
            (None, None) => Err(refused("it has no end")),
            (Some(lowest), Some(highest)) if lowest.version > highest.version => {
                Err(refused("its first version is above its second"))
            }
            (Some(lowest), Some(highest))
                if lowest.version == highest.version && !(lowest.included && highest.included) =>
            {
                Err(refused("no version lies in it"))
            }
            _ => Ok(range),
        }
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |end: &Option<End>| end.as_ref().map(|end| end.version.to_string()).unwrap_or_default();
        let included = |end: &Option<End>| end.as_ref().is_some_and(|end| end.included);
        let first = if included(&self.lowest) { '[' } else { '(' };
        let last = if included(&self.highest) { ']' } else { ')' };
        write!(f, "{first}{},{}{last}", text(&self.lowest), text(&self.highest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_nuget_says() {
        for (range, inside, outside) in [
            ("1.0", "1.0 1.0.1 7", "0.9 1.0-beta"),
            ("[1.0]", "1.0 1.0.0.0", "1.0.1 1.0-beta 0.9"),
            ("[1.0,2.0)", "1.0 1.9.9 2.0-beta", "2.0 1.0-beta"),
            ("[1.0, 2.0]", "1.0 2.0", "2.0.1"),
            ("(1.0,2.0)", "1.0.0.1 1.5", "1.0 2.0"),
            ("(,2.0)", "0.1 1.9", "2.0 2.0.1"),
            ("(, 2.0]", "0.1 2.0", "2.0.1"),
            (" [1.0,) ", "1.0 99", "0.9"),
            ("[2.0-rc.1,2.0-rc.9]", "2.0-rc.1 2.0-RC.5", "2.0 2.0-beta"),
        ] {
            let parsed: VersionRange = range.parse().unwrap();
            let holds = |version: &str| parsed.contains(&version.parse().unwrap());
            for version in inside.split(' ') {
                assert!(holds(version), "{version} in {range}");
            }
            for version in outside.split(' ') {
                assert!(!holds(version), "{version} in {range}");
            }
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let refusals =
            ["", "(1.0)", "[1.0)", "[1.0", "(,)", "[,]", "[1,2,3]", "[2.0,1.0]", "(1.0,1.0]", "[é,]"]
                .map(|text| text.parse::<VersionRange>().unwrap_err().to_string())
                .join("\n");
        insta::assert_snapshot!(refusals, @"
        `` is not a range of versions: it is empty
        `(1.0)` is not a range of versions: one version alone stands in square brackets, as in `[1.0]`
        `[1.0)` is not a range of versions: one version alone stands in square brackets, as in `[1.0]`
        `[1.0` is not a range of versions: it begins with a bracket and does not end with one
        `(,)` is not a range of versions: it has no end
        `[,]` is not a range of versions: it has no end
        `[1,2,3]` is not a range of versions: it has more than two ends
        `[2.0,1.0]` is not a range of versions: its first version is above its second
        `(1.0,1.0]` is not a range of versions: no version lies in it
        `[é,]` is not a range of versions
        ");
        let error = "1.*".parse::<VersionRange>().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "`1.*` is not a package version: `*` stands where a number is expected");
    }
}
