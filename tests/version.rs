//! Versions for any text at all: read or refused in plain words, shown as written, in one order.

use octarm::version::{NuGetVersion, OctopusVersion, SemanticVersion};
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
