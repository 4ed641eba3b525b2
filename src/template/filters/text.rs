//! Filters that cut, join, compare and indent text.
//!
//! .NET counts a text in UTF-16 units, which differs from characters outside the basic plane only. A cut through the
//! middle of such a character leaves U+FFFD in the place of the half, as .NET writes it in UTF-8.

use super::{Filtered, MAX_LENGTH, int, too_long};

/// The most blanks that a number can ask for; a larger number is a text to indent with.
const MAX_INDENT: u16 = 255;

pub(super) fn to_upper(input: &str, options: &[&str]) -> Option<String> {
    // The dotless i is left alone by the invariant culture: its capital is the capital of another letter.
    options
        .is_empty()
        .then(|| input.chars().map(|c| if c == 'ı' { c } else { single(c, c.to_uppercase()) }).collect())
}

pub(super) fn to_lower(input: &str, options: &[&str]) -> Option<String> {
    options.is_empty().then(|| input.chars().map(|c| single(c, c.to_lowercase())).collect())
}

/// .NET maps letter to letter: one whose other case takes several letters (`ß`) stays as it is.
fn single(c: char, mut other: impl Iterator<Item = char>) -> char {
    match (other.next(), other.next()) {
        (Some(other), None) => other,
        _ => c,
    }
}

pub(super) fn append(input: &str, options: &[&str]) -> Option<String> {
    (!options.is_empty()).then(|| format!("{input}{}", options.concat()))
}

pub(super) fn prepend(input: &str, options: &[&str]) -> Option<String> {
    (!options.is_empty()).then(|| format!("{}{input}", options.concat()))
}

/// "true" or "false", as the one option has it.
pub(super) fn check(options: &[&str], holds: impl FnOnce(&str) -> bool) -> Option<String> {
    match options {
        [option] => Some(holds(option).to_string()),
        _ => None,
    }
}

pub(super) fn substring(input: &str, options: &[&str]) -> Option<String> {
    let (start, length) = match options {
        [length] => (0, natural(length)?),
        [start, length] => (natural(start)?, natural(length)?),
        _ => return None,
    };
    let units: Vec<u16> = input.encode_utf16().collect();
    let rest = units.get(start..)?;
    Some(String::from_utf16_lossy(&rest[..length.min(rest.len())]))
}

pub(super) fn truncate(input: &str, options: &[&str]) -> Option<String> {
    let (length, suffix) = match options {
        [length] => (natural(length)?, "..."),
        [length, suffix] => (natural(length)?, *suffix),
        _ => return None,
    };
    let units: Vec<u16> = input.encode_utf16().collect();
    Some(match units.get(..length) {
        Some(kept) if length < units.len() => String::from_utf16_lossy(kept) + suffix,
        _ => input.to_owned(),
    })
}

fn natural(text: &str) -> Option<usize> {
    int(text)?.try_into().ok()
}

pub(super) fn trim(input: &str, options: &[&str]) -> Option<String> {
    let trimmed = match options {
        [] => input.trim(),
        [side] if side.eq_ignore_ascii_case("start") => input.trim_start(),
        [side] if side.eq_ignore_ascii_case("end") => input.trim_end(),
        _ => return None,
    };
    Some(trimmed.to_owned())
}

pub(super) fn indent(input: &str, options: &[&str]) -> Filtered {
    if input.is_empty() {
        return Ok(Some(String::new()));
    }
    let (first, later) = match options {
        [] => (" ".repeat(4), " ".repeat(4)),
        [option] => sizes(option).unwrap_or_else(|| (String::from(*option), String::from(*option))),
        [first, later] => (String::from(*first), String::from(*later)),
        _ => return Ok(None),
    };
    let lines = input.bytes().filter(|&byte| byte == b'\n').count();
    if lines.saturating_mul(later.len()) > MAX_LENGTH {
        return Err(too_long());
    }
    Ok(Some(first + &input.replace('\n', &format!("\n{later}"))))
}

/// The blanks that `n`, `n/m` or `/m` asks for, before the first line and before the later ones.
fn sizes(option: &str) -> Option<(String, String)> {
    let (first, later) = match option.split_once('/') {
        Some(("", later)) => (0, size(later)?),
        Some((first, later)) => (size(first)?, size(later)?),
        None => (size(option)?, size(option)?),
    };
    Some((" ".repeat(first), " ".repeat(later)))
}

fn size(text: &str) -> Option<usize> {
    let is_number = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let size: u16 = if is_number { text.parse().ok()? } else { return None };
    (size <= MAX_INDENT).then_some(usize::from(size))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, filter};

    #[test]
    fn letters_change_case_one_by_one() {
        check(&[
            ("ToUpper", "aBc éß ı", Some("ABC Éß ı")),
            ("ToLower", "AbC ÉΣ İ", Some("abc éσ İ")),
            ("ToUpper", "", Some("")),
            ("ToUpper|x", "a", None),
            ("ToLower|x", "a", None),
        ]);
    }

    #[test]
    fn texts_are_joined_and_compared() {
        check(&[
            ("Append|x| |y", "a", Some("ax y")),
            ("Prepend|x| |y", "a", Some("x ya")),
            ("Append", "a", None),
            ("Prepend", "a", None),
            ("StartsWith|ab", "abc", Some("true")),
            ("StartsWith|AB", "abc", Some("false")),
            ("EndsWith|bc", "abc", Some("true")),
            ("EndsWith|ab", "abc", Some("false")),
            ("Contains|b", "abc", Some("true")),
            ("Contains|B", "abc", Some("false")),
            ("Contains|", "abc", Some("true")),
            ("Contains", "abc", None),
            ("StartsWith|a|b", "abc", None),
            ("EndsWith", "abc", None),
        ]);
        assert_eq!(filter("Append|a|b", None), Ok(Some("ab".to_owned())));
        assert_eq!(filter("Prepend|a|b", None), Ok(Some("ab".to_owned())));
        assert_eq!(filter("Append", None), Ok(None));
    }

    #[test]
    fn texts_are_cut_in_utf16_units() {
        check(&[
            ("Substring|7", "Octopus Deploy", Some("Octopus")),
            ("Substring|8|6", "Octopus Deploy", Some("Deploy")),
            ("Substring| 8 |+70", "Octopus Deploy", Some("Deploy")),
            ("Substring|20", "Octopus Deploy", Some("Octopus Deploy")),
            ("Substring|14|1", "Octopus Deploy", Some("")),
            ("Substring|15|1", "Octopus Deploy", None),
            ("Substring|a", "Octopus", None),
            ("Substring|0|a", "Octopus", None),
            ("Substring|-1", "Octopus", None),
            ("Substring|0|-1", "Octopus", None),
            ("Substring|99999999999", "Octopus", None),
            ("Substring", "Octopus", None),
            ("Substring|1|2|3", "Octopus", None),
            ("Substring|2|2", "äö𐍈ü", Some("𐍈")),
            ("Substring|3", "äö𐍈ü", Some("äö\u{fffd}")),
            ("Truncate|7", "Octopus Deploy", Some("Octopus...")),
            ("Truncate|7|", "Octopus Deploy", Some("Octopus")),
            ("Truncate|7|!", "Octopus Deploy", Some("Octopus!")),
            ("Truncate|14|!", "Octopus Deploy", Some("Octopus Deploy")),
            ("Truncate|0", "Octopus", Some("...")),
            ("Truncate|a", "Octopus", None),
            ("Truncate|-1", "Octopus", None),
            ("Truncate|1|2|3", "Octopus", None),
            ("Truncate", "Octopus", None),
            ("Trim", " \u{a0}a b\r\n", Some("a b")),
            ("Trim|start", " a ", Some("a ")),
            ("Trim|End", " a ", Some(" a")),
            ("Trim|both", " a ", None),
            ("Trim|start|end", " a ", None),
        ]);
    }

    #[test]
    fn lines_are_indented() {
        let two = "a\nb";
        check(&[
            ("Indent", two, Some("    a\n    b")),
            ("Indent", "a\r\nb\n", Some("    a\r\n    b\n    ")),
            ("Indent", "", Some("")),
            ("Indent|2", two, Some("  a\n  b")),
            ("Indent|3/1", two, Some("   a\n b")),
            ("Indent|/3", two, Some("a\n   b")),
            ("Indent|//", two, Some("//a\n//b")),
            ("Indent|3/", two, Some("3/a\n3/b")),
            ("Indent|256", two, Some("256a\n256b")),
            ("Indent|/256", two, Some("/256a\n/256b")),
            ("Indent|0001", two, Some("0001a\n0001b")),
            ("Indent|+1", two, Some("+1a\n+1b")),
            ("Indent|/* | * ", two, Some("/* a\n * b")),
            ("Indent|1|2", two, Some("1a\n2b")),
            ("Indent|1|2|3", two, None),
        ]);
        let most = filter("Indent|255", Some("a")).unwrap().unwrap();
        assert_eq!(most.len(), 256);
    }
}
