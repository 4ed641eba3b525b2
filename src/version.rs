//! Versions: NuGet's, Octopus's "semver" of packages, and Octopus's release numbers; and ranges of them.
//!
//! All three keep the text as it was written (and show it, save for what NuGet itself shows otherwise) and compare
//! what it means: `1.0` equals `1.0.0.0`, a pre-release comes before its release, labels compare part by part
//! without regard to case, and build metadata does not count. Two versions of a kind are equal exactly when their normalised texts are,
//! up to the case of letters.

mod nuget;
mod octopus;
mod range;
mod semantic;

pub use nuget::NuGetVersion;
pub use octopus::OctopusVersion;
pub use range::{RangeError, VersionRange};
pub use semantic::SemanticVersion;

/// The largest number a version may hold: .NET's `int`, which every client that reads it back uses.
const LARGEST: u32 = i32::MAX.cast_unsigned();

/// A text is not a version of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {kind}: {problem}", shown(text))]
pub struct VersionError {
    text: String,
    kind: &'static str,
    problem: Problem,
}

impl VersionError {
    fn new(text: &str, kind: &'static str, problem: Problem) -> Self {
        Self { text: text.to_owned(), kind, problem }
    }

    /// Whether it would be a version if its numbers were smaller.
    pub(crate) fn is_overflow(&self) -> bool {
        matches!(self.problem, Problem::Overflow(_))
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self.problem {
            Problem::Number(_) | Problem::LeadingV => {
                Some("a version begins with a number, such as 1.2.3".to_owned())
            }
            _ => None,
        }
    }
}

/// What is wrong with a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("it is empty")]
    Empty,
    #[error("it begins with `v`")]
    LeadingV,
    #[error("`{}` stands where a number is expected", shown(.0))]
    Number(String),
    #[error("the number {} is over {LARGEST}", shown(.0))]
    Overflow(String),
    #[error("it has {0} numbers and may have at most 4")]
    Numbers(usize),
    #[error("it has an empty part after `{0}`")]
    EmptyPart(char),
    #[error("the part `{}` holds `{}`", shown(.0), shown(.1.encode_utf8(&mut [0; 4])))]
    Character(String, char),
    #[error("the number `{}` after `-` has a leading zero", shown(.0))]
    LeadingZero(String),
    #[error("its numbers `{}` are not three without leading zeros", shown(.0))]
    NotStrict(String),
}

/// How much of a text a message repeats: what is longer is not a version, and a log is no place for it.
const LONGEST_SHOWN: usize = 100;

/// A text for a message: on one line whatever it holds, and not longer than a version can reasonably be.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(LONGEST_SHOWN) {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if text.chars().nth(LONGEST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// What counts when versions are compared. `labels` is empty for a release.
#[derive(Debug, Clone)]
struct Parts {
    numbers: [u32; 4],
    labels: Vec<String>,
}

impl Parts {
    /// `a.b.c`, the fourth number when there is one, and the labels.
    fn normalised(&self, separator: &str) -> String {
        let [major, minor, patch, revision] = self.numbers;
        let mut text = format!("{major}.{minor}.{patch}");
        if revision > 0 {
            text.push('.');
            text.push_str(&revision.to_string());
        }
        if !self.labels.is_empty() {
            text.push('-');
            text.push_str(&self.labels.join(separator));
        }
        text
    }

    fn precedence(&self) -> Precedence {
        Precedence {
            numbers: self.numbers,
            release: self.labels.is_empty(),
            labels: self.labels.iter().map(|label| Label::of(label)).collect(),
        }
    }
}

/// The order of versions, by its fields from first to last.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Precedence {
    numbers: [u32; 4],
    release: bool,
    labels: Vec<Label>,
}

/// One part of a pre-release. Numbers of any length come before text; without leading zeros the longer
/// number is the larger one, so the fields compare in the right order as they stand.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Label {
    Number { length: usize, digits: String },
    Text(String),
}

impl Label {
    fn of(text: &str) -> Self {
        if is_number(text) {
            let digits = without_zeros(text).to_owned();
            Self::Number { length: digits.len(), digits }
        } else {
            Self::Text(text.to_ascii_lowercase())
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number without its leading zeros; any other text as it is.
fn without_zeros(text: &str) -> &str {
    if !is_number(text) {
        return text;
    }
    let digits = text.trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }
}

/// Reads one number, which may have leading zeros.
fn number(text: &str) -> Result<u32, Problem> {
    if !is_number(text) {
        return Err(Problem::Number(text.to_owned()));
    }
    without_zeros(text)
        .parse()
        .ok()
        .filter(|&number| number <= LARGEST)
        .ok_or_else(|| Problem::Overflow(text.to_owned()))
}

/// Reads one to four numbers with dots between them.
fn numbers(text: &str) -> Result<[u32; 4], Problem> {
    let count = text.split('.').count();
    let mut numbers = [0; 4];
    if count > numbers.len() {
        return Err(Problem::Numbers(count));
    }
    for (slot, part) in numbers.iter_mut().zip(text.split('.')) {
        *slot = number(part)?;
    }
    Ok(numbers)
}

/// Cuts `text` into its numbers, its labels (after the first `-`) and its metadata (after the first `+`).
fn cut(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, metadata) = match text.split_once('+') {
        Some((rest, metadata)) => (rest, Some(metadata)),
        None => (text, None),
    };
    match rest.split_once('-') {
        Some((numbers, labels)) => (numbers, Some(labels), metadata),
        None => (rest, None, metadata),
    }
}

/// The dotted parts of labels or metadata: none empty, letters, digits and hyphens only.
fn dotted(text: &str, after: char) -> Result<Vec<&str>, Problem> {
    text.split('.')
        .map(|part| {
            let bad = part.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-'));
            match bad {
                Some(bad) => Err(Problem::Character(part.to_owned(), bad)),
                None if part.is_empty() => Err(Problem::EmptyPart(after)),
                None => Ok(part),
            }
        })
        .collect()
}

/// The traits that every kind of version has in common: shown as its field says, compared by what counts.
macro_rules! version_traits {
    ($name:ident, $separator:literal, $shown:ident) => {
        impl $name {
            /// The shortest text with the same meaning: three numbers, or four when the fourth is not
            /// zero, then the pre-release; build metadata is left out and letters keep their case.
            pub fn normalised(&self) -> String {
                self.parts.normalised($separator)
            }

            /// Whether it comes before the release with the same numbers.
            pub fn is_prerelease(&self) -> bool {
                !self.parts.labels.is_empty()
            }

            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.text
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.$shown)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.parts.precedence().cmp(&other.parts.precedence())
            }
        }

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.parts.precedence().hash(state);
            }
        }
    };
}
use version_traits;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_compare_as_numbers() {
        assert!(Label::of("9") < Label::of("10"));
        assert!(Label::of("00099") < Label::of("100"));
        assert!(Label::of("99999999999999999999") < Label::of("100000000000000000000"));
        assert!(Label::of("100000000000000000000") < Label::of("a"));
        assert!(Label::of("007") == Label::of("7"));
        assert!(Label::of("") < Label::of("a"));
    }

    #[test]
    fn what_is_shown_is_short_and_on_one_line() {
        assert_eq!(shown("1.0\n\u{1b}[31m"), "1.0\\n\\u{1b}[31m");
        assert_eq!(shown(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(shown(&"é".repeat(101)), "é".repeat(100) + "…");
        let error = "1.0-\r\n".repeat(1_000).parse::<NuGetVersion>().unwrap_err().to_string();
        assert!(error.len() < 1_000 && !error.contains(char::is_control), "{error}");
    }

    #[test]
    fn the_first_plus_ends_the_labels() {
        assert_eq!(cut("1.0-a+b-c"), ("1.0", Some("a"), Some("b-c")));
        assert_eq!(cut("1.0+b-c"), ("1.0", None, Some("b-c")));
        assert_eq!(cut("1.0-a-b"), ("1.0", Some("a-b"), None));
    }
}
