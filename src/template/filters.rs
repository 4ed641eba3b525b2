//! The filters of the variable language, `#{Name | Filter option}`, as pure functions of text.
//!
//! They answer as .NET's own functions do under the invariant culture, since the values they work on were written
//! for those. No clock: the time is an argument.

mod date;
mod date_format;
mod date_parse;
mod encoding;
mod escape;
mod format;
mod hash;
mod markdown;
mod number;
mod number_format;
mod number_pattern;
mod regex;
mod text;
mod uri;
mod uri_parse;
mod version;

use jiff::ZonedDateTime;

/// How many bytes one filter may produce: more is a pattern or an option that multiplies its input.
const MAX_LENGTH: usize = 4 * 1024 * 1024;

/// What a filter answers: a text, nothing (an unknown filter, no input, or options it cannot use), or why the whole
/// evaluation must fail. An error never quotes the input, which may be a secret.
type Filtered = Result<Option<String>, String>;

/// Applies the filter called `name`, in any letter case. `now` and its time zone stand for the server's clock.
pub(super) fn apply(name: &str, input: Option<&str>, options: &[String], now: &ZonedDateTime) -> Filtered {
    let name = name.to_ascii_lowercase();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let output = match input {
        Some(input) => with_input(&name, input, &options, now)?,
        None => without_input(&name, &options, now),
    };
    match output {
        Some(text) if text.len() > MAX_LENGTH => Err(too_long()),
        output => Ok(output),
    }
}

fn without_input(name: &str, options: &[&str], now: &ZonedDateTime) -> Option<String> {
    match name {
        "append" | "prepend" => text::append("", options),
        "nowdate" => date::now(options, now),
        "nowdateutc" => date::now_utc(options, now),
        _ => None,
    }
}

fn with_input(name: &str, input: &str, options: &[&str], now: &ZonedDateTime) -> Filtered {
    Ok(match name {
        "toupper" => text::to_upper(input, options),
        "tolower" => text::to_lower(input, options),
        "append" => text::append(input, options),
        "prepend" => text::prepend(input, options),
        "startswith" => text::check(options, |text| input.starts_with(text)),
        "endswith" => text::check(options, |text| input.ends_with(text)),
        "contains" => text::check(options, |text| input.contains(text)),
        "substring" => text::substring(input, options),
        "truncate" => text::truncate(input, options),
        "trim" => text::trim(input, options),
        "indent" => return text::indent(input, options),
        "htmlescape" => escape::html(input, options),
        "xmlescape" => escape::xml(input, options),
        "jsonescape" => escape::json(input, options),
        "yamlsinglequoteescape" => escape::yaml_single_quote(input, options),
        "yamldoublequoteescape" => escape::yaml_double_quote(input, options),
        "propertieskeyescape" => escape::properties_key(input, options),
        "propertiesvalueescape" => escape::properties_value(input, options),
        "uriescape" => escape::uri(input, options),
        "uridataescape" => escape::uri_data(input, options),
        "markdown" | "markdowntohtml" => markdown::to_html(input, options),
        "tobase64" => encoding::to_base64(input, options),
        "frombase64" => return encoding::from_base64(input, options),
        "md5" => hash::digest(hash::Algorithm::Md5, input, options),
        "sha1" => hash::digest(hash::Algorithm::Sha1, input, options),
        "sha256" => hash::digest(hash::Algorithm::Sha256, input, options),
        "sha384" => hash::digest(hash::Algorithm::Sha384, input, options),
        "sha512" => hash::digest(hash::Algorithm::Sha512, input, options),
        "addhours" => date::add(date::Unit::Hours, input, options, now),
        "adddays" => date::add(date::Unit::Days, input, options, now),
        "format" => return format::format(input, options, now),
        "replace" => return regex::replace(input, options),
        "match" => return regex::is_match(input, options),
        "uripart" => uri::part(input, options),
        "versionmajor" => return version::part(version::Part::Major, input),
        "versionminor" => return version::part(version::Part::Minor, input),
        "versionpatch" => return version::part(version::Part::Patch, input),
        "versionrevision" => return version::part(version::Part::Revision, input),
        "versionprerelease" => return version::part(version::Part::PreRelease, input),
        "versionprereleaseprefix" => return version::part(version::Part::PreReleasePrefix, input),
        "versionprereleasecounter" => return version::part(version::Part::PreReleaseCounter, input),
        "versionmetadata" => return version::part(version::Part::Metadata, input),
        _ => None,
    })
}

fn too_long() -> String {
    format!("a filter's result grows over {MAX_LENGTH} bytes")
}

/// A whole number as .NET's `int.TryParse` reads it: blanks around it and a sign are allowed.
fn int(text: &str) -> Option<i32> {
    text.trim_matches(|c: char| matches!(c, '\t'..='\r' | ' ')).parse().ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::{Offset, TimeZone};
    use proptest::prelude::*;

    use super::*;

    /// The time of the tests: a place two hours ahead of UTC.
    pub(super) fn now() -> ZonedDateTime {
        let zone = TimeZone::fixed(Offset::constant(2));
        date(2024, 2, 29).at(23, 5, 9, 123_456_789).to_zoned_datetime(zone).unwrap()
    }

    /// Applies a filter written as in a template, its options separated by `|`.
    pub(super) fn filter(call: &str, input: Option<&str>) -> Filtered {
        let mut words = call.split('|').map(str::to_owned);
        let name = words.next().unwrap();
        let options: Vec<_> = words.collect();
        apply(&name, input, &options, &now())
    }

    /// Checks a table of (filter and options, input, expected); `None` stands for "echoed as missing".
    pub(super) fn check(table: &[(&str, &str, Option<&str>)]) {
        for (call, input, expected) in table {
            let output = filter(call, Some(input));
            assert_eq!(output.as_ref().map(Option::as_deref), Ok(*expected), "{input:?} | {call}");
        }
    }

    /// Every filter there is.
    const NAMES: [&str; 46] = [
        "ToUpper",
        "ToLower",
        "Append",
        "Prepend",
        "StartsWith",
        "EndsWith",
        "Contains",
        "Substring",
        "Truncate",
        "Trim",
        "Indent",
        "HtmlEscape",
        "XmlEscape",
        "JsonEscape",
        "YamlSingleQuoteEscape",
        "YamlDoubleQuoteEscape",
        "PropertiesKeyEscape",
        "PropertiesValueEscape",
        "UriEscape",
        "UriDataEscape",
        "Markdown",
        "MarkdownToHtml",
        "ToBase64",
        "FromBase64",
        "Md5",
        "Sha1",
        "Sha256",
        "Sha384",
        "Sha512",
        "NowDate",
        "NowDateUtc",
        "AddHours",
        "AddDays",
        "Format",
        "Replace",
        "Match",
        "UriPart",
        "VersionMajor",
        "VersionMinor",
        "VersionPatch",
        "VersionRevision",
        "VersionPreRelease",
        "VersionPreReleasePrefix",
        "VersionPreReleaseCounter",
        "VersionMetadata",
        "null",
    ];

    #[test]
    fn names_ignore_case_and_unknown_filters_are_missing() {
        for name in ["toupper", "TOUPPER", "ToUpper"] {
            assert_eq!(filter(name, Some("a")), Ok(Some("A".to_owned())), "{name}");
        }
        for name in ["", "ToBazooka", "null", "To Upper", "bcrypt"] {
            assert_eq!(filter(name, Some("a")), Ok(None), "{name}");
        }
    }

    #[test]
    fn only_the_filters_that_make_something_work_without_input() {
        let without: Vec<_> =
            NAMES.into_iter().filter(|name| filter(&format!("{name}|d"), None) != Ok(None)).collect();
        assert_eq!(without, ["Append", "Prepend", "NowDate", "NowDateUtc"]);
        let empty: Vec<_> = NAMES.into_iter().filter(|name| filter(name, Some("")) == Ok(None)).collect();
        assert_eq!(
            empty,
            [
                "Append",
                "Prepend",
                "StartsWith",
                "EndsWith",
                "Contains",
                "Substring",
                "Truncate",
                "NowDate",
                "NowDateUtc",
                "AddHours",
                "AddDays",
                "Format",
                "Replace",
                "Match",
                "null",
            ]
        );
    }

    #[test]
    fn no_filter_multiplies_its_input_without_end() {
        let lines = "\n".repeat(100_000);
        let long = "x".repeat(100_000);
        let error = Err("a filter's result grows over 4194304 bytes".to_owned());
        for (call, input) in [
            (format!("Indent|{long}"), lines.as_str()),
            ("Indent|255".to_owned(), &lines),
            (format!("Replace||{long}"), &lines),
            ("Replace|^|$_$_$_$_".to_owned(), &"x".repeat(2 << 20)),
            ("Format|F999999999".to_owned(), "1"),
            ("Format|Int|D999999999".to_owned(), "1"),
            ("Format|Double|E99999999".to_owned(), "1"),
            ("HtmlEscape".to_owned(), &"'".repeat(1 << 20)),
            (format!("Append|{}", "x".repeat(4 << 20)), "x"),
        ] {
            assert!(filter(&call, Some(input)) == error, "{}", &call[..20.min(call.len())]);
        }
    }

    fn words() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~\\n\u{e9}\u{20ac}\u{10348}]{0,12}",
            "[0-9,.;#%EeCDFGNPRX+-]{0,8}",
            "[dfFgHhmMstyzK:/'\"%\\\\]{1,6}",
            "[0-9]{1,4}[-/][0-9]{1,2}[-/][0-9]{1,4}[T ]?([0-9]{1,2}:[0-9]{2})?[Z+]?",
            "(http|file|mailto|urn)?:?/{0,3}[a-z@:.\\[\\]0-9%]{0,12}[/?#a-z]{0,6}",
            prop::sample::select(vec![
                "int",
                "double",
                "decimal",
                "date",
                "datetimeoffset",
                "base64",
                "unicode"
            ])
            .prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn applying_never_panics(
            name in prop::sample::select(NAMES.to_vec()),
            input in prop::option::of(words()),
            options in prop::collection::vec(words(), 0..4),
        ) {
            let _ = apply(name, input.as_deref(), &options, &now());
        }
    }
}
