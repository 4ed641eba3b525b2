//! Regular expressions as .NET knows them, on top of an engine that counts its steps.

mod pattern;
mod replacement;

use fancy_regex::{Captures, CompileError, Error, Regex, RegexBuilder, RuntimeError};

use super::{Filtered, MAX_LENGTH, too_long};
use replacement::Replacement;

/// How often one search may go back and try another way: first few times, and more often only when it must.
const TRIES: [usize; 4] = [64, 2_000, 50_000, 1_000_000];
/// How often all searches of one filter may together.
const ALL_TRIES: usize = 100_000_000;
/// How many bytes a compiled pattern may take, and how many instructions.
const MAX_PROGRAM: usize = 4 * 1024 * 1024;
const MAX_INSTRUCTIONS: usize = 100_000;
/// How long a pattern may be.
const MAX_PATTERN: usize = 64 * 1024;

pub(super) fn replace(input: &str, options: &[&str]) -> Filtered {
    let (pattern, replacement) = match options {
        [pattern] => (pattern, ""),
        [pattern, replacement] => (pattern, *replacement),
        _ => return Ok(None),
    };
    let mut search = Search::compile(pattern, input)?;
    let replacement = Replacement::parse(replacement, search.regex());
    let mut out = String::with_capacity(input.len());
    let mut copied = 0;
    let mut at = 0;
    while at <= input.len() {
        let Some(found) = search.next(input, at)? else { break };
        let Some(whole) = found.get(0) else { break };
        out.push_str(&input[copied..whole.start()]);
        replacement.append(&found, input, &mut out)?;
        copied = whole.end();
        // As .NET does: an empty match may follow a match at once, but not an empty one.
        at = whole.end();
        if whole.start() == whole.end() {
            at += input[at..].chars().next().map_or(1, char::len_utf8);
        }
        if out.len() > MAX_LENGTH {
            return Err(too_long());
        }
    }
    out.push_str(&input[copied..]);
    Ok(Some(out))
}

pub(super) fn is_match(input: &str, options: &[&str]) -> Filtered {
    let [pattern] = options else { return Ok(None) };
    let found = Search::compile(pattern, input)?.next(input, 0)?.is_some();
    Ok(Some(found.to_string()))
}

/// The searches of one filter. The engine counts how often it goes back, but only against a limit that is compiled
/// in, and does not tell the count. So each search starts under the lowest limit: what it takes is then known well
/// enough to be summed up, and neither one bad search nor a thousand of them run on and on.
struct Search {
    pattern: String,
    first: Regex,
    /// The same pattern under the higher limits, compiled when first needed.
    higher: Vec<Regex>,
    spent: usize,
}

impl Search {
    fn compile(pattern: &str, input: &str) -> Result<Self, String> {
        if pattern.len() > MAX_PATTERN {
            return Err(format!("a regular expression is over {MAX_PATTERN} bytes long"));
        }
        let refused = |problem| format!("`{pattern}` is not a regular expression: {problem}");
        let translated = pattern::translate(pattern, input).map_err(refused)?;
        let first = build(&translated, TRIES[0]).map_err(refused)?;
        Ok(Self { pattern: translated, first, higher: Vec::new(), spent: 0 })
    }

    fn regex(&self) -> &Regex {
        &self.first
    }

    /// The first match at or after the byte `at`.
    fn next<'t>(&mut self, input: &'t str, at: usize) -> Result<Option<Captures<'t, str>>, String> {
        for (level, tries) in TRIES.into_iter().enumerate() {
            self.spent += tries;
            if self.spent > ALL_TRIES {
                break;
            }
            match self.at_level(level)?.captures_from_pos(input, at) {
                Ok(found) => return Ok(found),
                Err(Error::RuntimeError(RuntimeError::BacktrackLimitExceeded)) => {}
                Err(_) => break,
            }
        }
        Err("a regular expression takes too many steps: write it so that it need not try so many ways"
            .to_owned())
    }

    fn at_level(&mut self, level: usize) -> Result<&Regex, String> {
        let Some(higher) = level.checked_sub(1) else { return Ok(&self.first) };
        while self.higher.len() <= higher {
            self.higher.push(build(&self.pattern, TRIES[self.higher.len() + 1])?);
        }
        Ok(&self.higher[higher])
    }
}

fn build(pattern: &str, tries: usize) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .backtrack_limit(tries)
        .delegate_size_limit(MAX_PROGRAM)
        .max_prog_size(MAX_INSTRUCTIONS)
        .build()
        .map_err(|error| match &error {
            Error::CompileError(inner) => match &**inner {
                CompileError::InnerError(inner) => innermost(inner),
                other => other.to_string(),
            },
            other => other.to_string(),
        })
}

/// The cause of the causes, which names what is wrong, in the last line of its drawing.
fn innermost(error: &dyn std::error::Error) -> String {
    if let Some(source) = error.source() {
        return innermost(source);
    }
    let words = error.to_string();
    words.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::tests::{check, filter};

    #[test]
    fn matches_are_replaced() {
        check(&[
            ("Replace|abc|def", "abc", Some("def")),
            ("Replace|a", "abca", Some("bc")),
            ("Replace|abc|def", "ABC", Some("ABC")),
            ("Replace|[a-z]+|1", "a'b", Some("1'1")),
            ("Replace|a\\(b|d(e", "a(b", Some("d(e")),
            ("Replace|o(.+)o([a-z]*)s|o$2o$1s", "opuocts", Some("octopus")),
            ("Replace|^a|x", "ababa", Some("xbaba")),
            ("Replace|a$|x", "ababa", Some("ababx")),
            ("Replace|x*|-", "abc", Some("-a-b-c-")),
            ("Replace|a*|-", "baac", Some("-b--c-")),
            ("Replace|", "äb", Some("äb")),
            ("Replace||-", "ä", Some("-ä-")),
            ("Replace|(?<=a)b(?!c)|x", "abc ab", Some("abc ax")),
            ("Replace|(a)\\1|x", "aab", Some("xb")),
            ("Replace", "abc", None),
            ("Replace|a|b|c", "abc", None),
        ]);
    }

    #[test]
    fn replacements_name_groups() {
        check(&[
            ("Replace|(?<y>\\d+)-(?<m>\\d+)|${m}/${y}", "2030-05", Some("05/2030")),
            ("Replace|(?'y'\\d+)-(\\d+)|$1/$2", "2030-05", Some("05/2030")),
            ("Replace|b|[$&]$$", "abc", Some("a[b]$c")),
            ("Replace|b|<$`,$',$_>", "abc", Some("a<a,c,abc>c")),
            ("Replace|(a)(b)?(c)?|$+", "abx", Some("x")),
            ("Replace|(a)(b)?|[$2]", "ac", Some("[]c")),
            ("Replace|(a)|$2${x}$ $", "a", Some("$2${x}$ $")),
            ("Replace|(a)|$10${1}0", "a", Some("$10a0")),
            ("Replace|(?<a_1>a)|${A_1}${a_1}", "a", Some("${A_1}a")),
            ("Replace|a|$0$0", "a", Some("aa")),
        ]);
    }

    #[test]
    fn patterns_are_read_as_dot_net_does() {
        check(&[
            ("Match|abc", "abc def", Some("true")),
            ("Match|cba", "abc def", Some("false")),
            ("Match|ABC", "abc def", Some("false")),
            ("Match|(?i)ABC", "abc def", Some("true")),
            ("Match|^def$", "abc\ndef\n", Some("false")),
            ("Match|(?m)^def$", "abc\ndef\n", Some("true")),
            ("Match|^abc$", "abc\n", Some("true")),
            ("Match|^abc\\z", "abc\n", Some("false")),
            ("Match|^[a-z-[aeiou]]+$", "bcd", Some("true")),
            ("Match|^[a-z-[aeiou]]+$", "bad", Some("false")),
            ("Match|^[[&~]+$", "[&~", Some("true")),
            ("Match|^[a&&b]+$", "&b", Some("true")),
            ("Match|^{a}{1,2}{,3}$", "{a}}{,3}", Some("true")),
            ("Match|^a{2}$", "aa", Some("true")),
            ("Match|\\<b\\>", "a<b>", Some("true")),
            ("Match|^\\cA\\x41\\u0042\\e\\é$", "\u{1}AB\u{1b}é", Some("true")),
            ("Match|^[\\cA\\]]+$", "\u{1}]", Some("true")),
            ("Match|(?#comment)a(?=b)", "ab", Some("true")),
            ("Match|^(?<a>x)\\k<a>$", "xx", Some("true")),
            ("Match|^(?>a+)b", "aab", Some("true")),
            ("Match|\\p{Lu}", "É", Some("true")),
            ("Match|", "", Some("true")),
            ("Match", "abc", None),
            ("Match|a|b", "abc", None),
        ]);
    }

    #[test]
    fn what_is_no_pattern_fails() {
        for pattern in [
            "(",
            "[",
            "a)",
            "*",
            "\\",
            "\\h",
            "\\K",
            "(?<a>",
            "(?<a-b>x)",
            "[z-a]",
            "(?P<a>x)",
            "\\c",
            "\\u12",
        ] {
            let error = filter(&format!("Match|{pattern}"), Some("a")).expect_err(pattern);
            assert!(error.starts_with(&format!("`{pattern}` is not a regular expression: ")), "{error}");
            assert!(!error.contains('\n'), "{error}");
            assert_eq!(filter(&format!("Replace|{pattern}|x"), Some("a")), Err(error));
        }
    }

    #[test]
    fn no_pattern_runs_on_and_on() {
        let start = Instant::now();
        // The end that every pattern looks for is there, so that no engine can rule it out at a glance.
        let long = "a".repeat(2000) + "!b";
        for pattern in [r"(a+)+\1b", r"^(a|aa)+\1$", r"^(a|a)+(?<!b)$", r"(?=a)(a+)*\1c?!c?$"] {
            let error = super::replace(&long, &[pattern, "x"]).expect_err(pattern);
            assert!(error.starts_with("a regular expression takes too many steps"), "{pattern} {error}");
        }
        // Linear for an engine that does not go back.
        assert_eq!(filter("Match|(a+)+b", Some(&long)), Ok(Some("false".to_owned())));
        let nested = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
        for pattern in ["((a{1000}){1000}){1000}", &nested, &"a".repeat(100_000)] {
            assert!(filter(&format!("Match|{pattern}"), Some("a")).is_err(), "{}", pattern.len());
        }
        assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
    }
}
