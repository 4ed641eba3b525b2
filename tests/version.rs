//! Versions for any text at all: read or refused in plain words, shown as written, in one order.

use octarm::version::{NuGetVersion, OctopusVersion, SemanticVersion, VersionRange};
use proptest::prelude::*;

use crate::corpus::checks::total_order;

/// Texts that are nearly versions, which random characters hardly ever are. Few different ones, so that two are often
/// equal or differ in one place.
fn nearly() -> impl Strategy<Value = String> {
    let number = prop::sample::select(vec!["0", "1", "01", "2", "10", "2147483647", "2147483648", ""]);
    let label = prop::sample::select(vec![
        "0",
        "1",
        "01",
        "2",
        "10",
        "99999999999999999999",
        "a",
        "A",
        "b",
        "alpha",
        "ALPHA",
        "-",
        "",
        "É",
        "a1",
    ]);
    let numbers = prop::collection::vec(number, 1..5).prop_map(|numbers| numbers.join("."));
    let labels = |start: &'static str, separators: Vec<&'static str>| {
        (prop::collection::vec(label.clone(), 0..4), prop::sample::select(separators)).prop_map(
            move |(labels, separator)| {
                if labels.is_empty() { String::new() } else { format!("{start}{}", labels.join(separator)) }
            },
        )
    };
    let shaped = (
        prop::sample::select(vec!["", "", "", "v", "V", " "]),
        numbers,
        prop_oneof![labels("-", vec!["."]), labels(".", vec![".", "-", "_", "\\"])],
        labels("+", vec![".", "+"]),
    )
        .prop_map(|(before, numbers, labels, metadata)| format!("{before}{numbers}{labels}{metadata}"));
    prop_oneof![8 => shaped, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_kind_has_one_order(texts in prop::collection::vec(nearly(), 3)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        total_order::<NuGetVersion>(&texts);
        total_order::<SemanticVersion>(&texts);
        total_order::<OctopusVersion>(&texts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_range_holds_what_lies_between_its_ends(
        ends in (nearly(), nearly()), brackets in (any::<bool>(), any::<bool>()), asked in nearly(),
    ) {
        let (first, last) = (if brackets.0 { '[' } else { '(' }, if brackets.1 { ']' } else { ')' });
        let text = format!("{first}{},{}{last}", ends.0, ends.1);
        let read = |end: &str| (!end.trim().is_empty()).then(|| end.parse::<SemanticVersion>());
        let (low, high) = (read(&ends.0).transpose(), read(&ends.1).transpose());
        let range = text.parse::<VersionRange>();
        let (Ok(low), Ok(high)) = (low, high) else {
            prop_assert!(range.is_err(), "{text}");
            return Ok(());
        };
        let is_empty = match (&low, &high) {
            (None, None) => true,
            (Some(low), Some(high)) => low > high || (low == high && brackets != (true, true)),
            _ => false,
        };
        prop_assert_eq!(range.is_err(), is_empty, "{}", text);
        let (Ok(range), Ok(asked)) = (range, asked.parse::<SemanticVersion>()) else { return Ok(()) };
        let above = low.is_none_or(|low| if brackets.0 { asked >= low } else { asked > low });
        let below = high.is_none_or(|high| if brackets.1 { asked <= high } else { asked < high });
        prop_assert_eq!(range.contains(&asked), above && below, "{} in {}", asked, text);
        prop_assert_eq!(range.to_string().parse::<VersionRange>(), Ok(range));
    }

    #[test]
    fn any_text_is_a_range_or_refused_on_one_line(text in any::<String>()) {
        if let Err(error) = text.parse::<VersionRange>() {
            prop_assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }
}
