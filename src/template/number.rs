//! Numbers as .NET reads and writes them under the invariant culture: the language was made with its `double`.

/// The shortest text that reads back as the same number.
pub(super) fn text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    // Rust's exponent form has the same shortest digits; only the layout differs.
    let shortest = format!("{:e}", number.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let longest = digits.len().max(15);
    if exponent < -5 + 1 || usize::try_from(exponent).is_ok_and(|exponent| exponent >= longest) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{point}{rest}E{exponent_sign}{:02}", exponent.abs());
    }
    format!("{sign}{}", number.abs())
}

/// Reads what `double.TryParse` reads: blanks around, a sign, commas between digits, a fraction, an exponent.
pub(super) fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.eq_ignore_ascii_case("infinity") || unsigned.eq_ignore_ascii_case("nan") {
        return text.parse().ok();
    }
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or_default();
    let whole = mantissa.split('.').next().unwrap_or_default();
    // A comma must follow a digit, wherever that is.
    if whole.starts_with(',') || unsigned[whole.len()..].contains(',') {
        return None;
    }
    if !unsigned.bytes().all(|b| b.is_ascii_digit() || b"+-.,eE".contains(&b)) {
        return None;
    }
    text.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_dotnet_writes_them() {
        for (number, expected) in [
            (0.5, "0.5"),
            (-12.0, "-12"),
            (-0.0, "-0"),
            (1e14, "100000000000000"),
            (1e15, "1E+15"),
            (1_234_567_890_123_456.0, "1234567890123456"),
            (1.5e20, "1.5E+20"),
            (0.0001, "0.0001"),
            (0.000_01, "1E-05"),
            (2.0 / 7.0, "0.2857142857142857"),
            (f64::INFINITY, "Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(number), expected);
        }
    }

    #[test]
    fn numbers_are_read_as_dotnet_reads_them() {
        for (given, expected) in [
            (" 12 ", Some(12.0)),
            ("1,234.5", Some(1234.5)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("-1e2", Some(-100.0)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("", None),
            ("x", None),
            (",1", None),
            ("1.2,3", None),
            ("inf", None),
            ("1 2", None),
            ("0x10", None),
        ] {
            assert_eq!(parse(given), expected, "{given}");
        }
    }
}
