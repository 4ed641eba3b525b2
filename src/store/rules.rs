//! What a rule of a channel says about a version: where it must lie, and what its pre-release must look like.

use fancy_regex::{Regex, RegexBuilder};

use crate::version::{SemanticVersion, VersionRange};

/// How many steps back an expression may take on one version: labels are short, and a rule is asked with every release.
const BACKTRACK_LIMIT: usize = 100_000;

/// A rule that can be asked.
#[derive(Debug)]
pub struct ReadRule {
    range: Option<VersionRange>,
    tag: Option<Regex>,
}

/// What a rule says about a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it lies in the range.
    pub range: bool,
    /// Whether its pre-release matches.
    pub tag: bool,
}

impl ReadRule {
    /// What the rule says about the version. Pre-releases are compared without regard to case, as versions are.
    pub fn test(&self, version: &SemanticVersion) -> Verdict {
        Verdict {
            range: self.range.as_ref().is_none_or(|range| range.contains(version)),
            // An expression that does not come to an end does not match.
            tag: self.tag.as_ref().is_none_or(|tag| tag.is_match(&version.prerelease()).unwrap_or(false)),
        }
    }
}

/// Reads a rule, or says all that is wrong with it.
pub fn read(range: Option<&str>, tag: Option<&str>) -> Result<ReadRule, Vec<String>> {
    fn given(text: Option<&str>) -> Option<&str> {
        text.map(str::trim).filter(|text| !text.is_empty())
    }
    let range = given(range).map(str::parse::<VersionRange>).transpose();
    let tag = given(tag)
        .map(|tag| {
            let mut builder = RegexBuilder::new(tag);
            builder.case_insensitive(true).backtrack_limit(BACKTRACK_LIMIT);
            builder.build().map_err(|error| {
                format!(
                    "the expression for the pre-release, `{}`, cannot be read: {error}",
                    tag.escape_debug()
                )
            })
        })
        .transpose();
    match (range, tag) {
        (Ok(range), Ok(tag)) => Ok(ReadRule { range, tag }),
        (range, tag) => {
            let range = range.err().map(|error| crate::model::chain(&error));
            Err(range.into_iter().chain(tag.err()).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(range: &str, tag: &str, version: &str) -> (bool, bool) {
        let Verdict { range, tag } = read(Some(range), Some(tag)).unwrap().test(&version.parse().unwrap());
        (range, tag)
    }

    #[test]
    fn range_and_pre_release_are_judged_apart() {
        assert_eq!(verdict("[1.0,2.0)", "^$", "1.5"), (true, true));
        assert_eq!(verdict("[1.0,2.0)", "^$", "1.5-beta.2"), (true, false));
        assert_eq!(verdict("[1.0,2.0)", "^beta", "2.5-BETA.2"), (false, true));
        assert_eq!(verdict("", "", "0.1-x"), (true, true));
        assert_eq!(verdict("", r"^beta\.\d+$", "1.0-beta.12+build"), (true, true));
        assert_eq!(verdict("", "^(?!beta)", "1.0-alpha"), (true, true));
    }

    #[test]
    fn all_that_cannot_be_read_is_told() {
        let errors = read(Some("[1.0"), Some("(")).unwrap_err();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].contains("does not end with one"), "{errors:?}");
        assert!(errors[1].contains("`(`, cannot be read"), "{errors:?}");
    }
}
