//! Numbers by .NET's standard format strings: `C`, `D`, `E`, `F`, `G`, `N`, `P`, `R` and `X` with a precision.
//!
//! Under the invariant culture: `¤` is the currency sign, `,` groups thousands, and a negative amount of money stands
//! in parentheses.

use super::number::{Kind, Number};
use super::number_pattern;
use super::{Filtered, MAX_LENGTH, too_long};

/// How many digits a `double` is good for when no precision is asked for.
const DOUBLE_DIGITS: usize = 15;
/// The largest precision that .NET's format strings can name.
const MAX_PRECISION: usize = 999_999_999;

/// A number to be shown, of one of three .NET types.
pub(super) enum Value {
    Int(i32),
    Decimal(Number),
    Double(f64),
}

/// Shows `value` by `format`; nothing when .NET refuses the format for the type.
pub(super) fn show(value: &Value, format: &str) -> Filtered {
    if let Value::Double(value) = value
        && !value.is_finite()
    {
        let symbol = if value.is_nan() {
            "NaN"
        } else if *value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        return Ok(Some(symbol.to_owned()));
    }
    match specifier(format) {
        Some((letter, precision)) => standard(value, letter, precision),
        None => Ok(Some(number_pattern::show(for_pattern(value), format))),
    }
}

/// The letter and the precision of a standard format; an empty format is `G`.
fn specifier(format: &str) -> Option<(char, Option<usize>)> {
    let Some(letter) = format.chars().next() else {
        return Some(('G', None));
    };
    let digits = format.strip_prefix(|c: char| c.is_ascii_alphabetic())?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((letter, (!digits.is_empty()).then(|| digits.parse().unwrap_or(usize::MAX))))
}

/// A pattern shows fifteen digits of a `double`.
fn for_pattern(value: &Value) -> Number {
    let mut number = exact(value);
    if number.kind == Kind::Floating {
        number.round(15);
    }
    number
}

fn exact(value: &Value) -> Number {
    match value {
        Value::Int(value) => Number::of_int(*value),
        Value::Decimal(number) => number.clone(),
        Value::Double(value) => Number::exact(*value),
    }
}

fn standard(value: &Value, letter: char, precision: Option<usize>) -> Filtered {
    match precision {
        Some(precision) if precision > MAX_PRECISION => return Ok(None),
        Some(precision) if precision > MAX_LENGTH => return Err(too_long()),
        _ => {}
    }
    let number = exact(value);
    Ok(Some(match (letter.to_ascii_uppercase(), value) {
        ('C', _) => currency(number, precision.unwrap_or(2)),
        ('F', _) => signed(&number, precision, |number, places| fixed(number, places, false)),
        ('N', _) => signed(&number, precision, |number, places| fixed(number, places, true)),
        ('P', _) => percent(number, precision),
        ('E', _) => scientific(number, letter, precision.unwrap_or(6)),
        ('G', _) => general(value, letter, precision.filter(|&precision| precision > 0)),
        ('R', Value::Double(_)) => general(value, if letter == 'R' { 'G' } else { 'g' }, None),
        ('D', Value::Int(value)) => {
            let sign = if *value < 0 { "-" } else { "" };
            format!("{sign}{:0>width$}", value.unsigned_abs(), width = precision.unwrap_or(1))
        }
        ('X', Value::Int(value)) => {
            let digits = if letter == 'X' { format!("{value:X}") } else { format!("{value:x}") };
            format!("{digits:0>width$}", width = precision.unwrap_or(1))
        }
        _ => return Ok(None),
    }))
}

fn wide(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Rounded to two places or to `precision`, with its sign in front.
fn signed(number: &Number, precision: Option<usize>, show: impl FnOnce(&Number, usize) -> String) -> String {
    let places = precision.unwrap_or(2);
    let number = rounded(number.clone(), places);
    format!("{}{}", sign(&number), show(&number, places))
}

fn rounded(mut number: Number, places: usize) -> Number {
    number.round(i64::from(number.scale) + wide(places));
    number
}

fn sign(number: &Number) -> &'static str {
    if number.negative { "-" } else { "" }
}

fn currency(number: Number, places: usize) -> String {
    let number = rounded(number, places);
    let amount = fixed(&number, places, true);
    if number.negative { format!("(¤{amount})") } else { format!("¤{amount}") }
}

fn percent(mut number: Number, precision: Option<usize>) -> String {
    if !number.digits.is_empty() {
        number.scale += 2;
    }
    signed(&number, precision, |number, places| fixed(number, places, true)) + " %"
}

/// The number without its sign, with `places` digits after the point.
fn fixed(number: &Number, places: usize, grouped: bool) -> String {
    let whole = usize::try_from(number.scale).unwrap_or(0);
    let mut out = String::with_capacity(whole * 4 / 3 + places + 2);
    for position in 0..whole {
        if grouped && position > 0 && (whole - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(number.digit(position));
    }
    if whole == 0 {
        out.push('0');
    }
    if places > 0 {
        out.push('.');
        let zeros = usize::try_from(-number.scale).unwrap_or(0).min(places);
        out.extend(std::iter::repeat_n('0', zeros));
        out.extend((whole..).take(places - zeros).map(|position| number.digit(position)));
    }
    out
}

fn scientific(mut number: Number, letter: char, places: usize) -> String {
    number.round(wide(places).saturating_add(1));
    let mut out = format!("{}{}", sign(&number), number.digit(0));
    if places > 0 {
        out.push('.');
        out.extend((1..=places).map(|position| number.digit(position)));
    }
    let exponent = if number.digits.is_empty() { 0 } else { number.scale - 1 };
    out + &exponent_text(exponent, letter, 3)
}

/// `E+05`: the letter, a sign and at least `width` digits.
fn exponent_text(exponent: i32, letter: char, width: usize) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{letter}{sign}{:0>width$}", exponent.unsigned_abs())
}

/// As short as it goes: plain, or with an exponent when it has more whole digits than it is good for.
fn general(value: &Value, letter: char, precision: Option<usize>) -> String {
    let (mut number, most) = match (value, precision) {
        (Value::Double(value), None) => {
            let number = Number::shortest(*value);
            let most = number.digits.len().max(DOUBLE_DIGITS);
            (number, most)
        }
        (value, Some(precision)) => (exact(value), precision),
        (value, None) => (exact(value), usize::MAX),
    };
    if let (Kind::Decimal { places }, None) = (number.kind, precision) {
        return format!("{}{}", sign(&number), fixed(&number, places, false));
    }
    number.round(wide(most));
    let is_scientific = most < usize::MAX && (i64::from(number.scale) > wide(most) || number.scale < -3);
    let exponent = number.scale - 1;
    if is_scientific {
        number.scale = 1;
    }
    let places = i64::try_from(number.digits.len()).unwrap_or(i64::MAX) - i64::from(number.scale);
    let text = fixed(&number, usize::try_from(places).unwrap_or(0), false);
    let tail = if is_scientific {
        // `G` and `g` lend their case to the exponent's letter.
        exponent_text(exponent, if letter.is_ascii_uppercase() { 'E' } else { 'e' }, 2)
    } else {
        String::new()
    };
    format!("{}{text}{tail}", sign(&number))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn money_and_shares() {
        check(&[
            ("Format|C", "23.4", Some("¤23.40")),
            ("Format|Double|C", "23.4", Some("¤23.40")),
            ("Format|c0", "-1234567.5", Some("(¤1,234,568)")),
            ("Format|C", "-0.001", Some("¤0.00")),
            ("Format|P", "0.4567", Some("45.67 %")),
            ("Format|P1", "-12.3456", Some("-1,234.6 %")),
            ("Format|p0", "0", Some("0 %")),
            ("Format|Double|P", "0.005", Some("0.50 %")),
        ]);
    }

    #[test]
    fn places_and_groups() {
        check(&[
            ("Format|F", "1234.567", Some("1234.57")),
            ("Format|F0", "2.5", Some("3")),
            ("Format|F3", "-0.0005", Some("-0.001")),
            ("Format|F2", "-0.001", Some("0.00")),
            ("Format|Double|F2", "-0.001", Some("-0.00")),
            ("Format|f5", "0.00012", Some("0.00012")),
            ("Format|F1", "0.00012", Some("0.0")),
            ("Format|Double|F20", "0.1", Some("0.10000000000000000555")),
            ("Format|F2", "999.999", Some("1000.00")),
            ("Format|N", "1234567.891", Some("1,234,567.89")),
            ("Format|N0", "999", Some("999")),
            ("Format|n1", "-1000", Some("-1,000.0")),
            ("Format|Int|N", "1000000", Some("1,000,000.00")),
            ("Format|Double|F0", "1e22", Some("10000000000000000000000")),
        ]);
    }

    #[test]
    fn exponents() {
        check(&[
            ("Format|E", "12345.678", Some("1.234568E+004")),
            ("Format|e2", "-0.00012", Some("-1.20e-004")),
            ("Format|E0", "95", Some("1E+002")),
            ("Format|E2", "0", Some("0.00E+000")),
            ("Format|Double|E3", "1e-300", Some("1.000E-300")),
        ]);
    }

    #[test]
    fn general_is_short() {
        check(&[
            ("Format|G", "1.10", Some("1.10")),
            ("Format|G", "0.00", Some("0.00")),
            ("Format|", "-1.10", Some("-1.10")),
            ("Format|G3", "1.10", Some("1.1")),
            ("Format|G2", "1234.5", Some("1.2E+03")),
            ("Format|g2", "0.000012", Some("1.2e-05")),
            ("Format|G2", "0.00012", Some("0.00012")),
            ("Format|G0", "1.10", Some("1.10")),
            ("Format|Double|G", "1e15", Some("1E+15")),
            ("Format|Double|G", "1e14", Some("100000000000000")),
            ("Format|Double|G", "1234567890123456", Some("1234567890123456")),
            ("Format|Double|g", "0.0001", Some("0.0001")),
            ("Format|Double|g", "0.00001", Some("1e-05")),
            ("Format|Double|R", "0.1", Some("0.1")),
            ("Format|Double|r", "-1.5e300", Some("-1.5e+300")),
            ("Format|Double|G", "-0", Some("-0")),
            ("Format|Double|G17", "0.1", Some("0.10000000000000001")),
            ("Format|Int|G", "1000000000", Some("1000000000")),
            ("Format|Int|G2", "1234", Some("1.2E+03")),
            ("Format|Double|F", "NaN", Some("NaN")),
            ("Format|Double|F", "1e999", Some("Infinity")),
            ("Format|Double|0.0", "-Infinity", Some("-Infinity")),
        ]);
    }

    #[test]
    fn whole_numbers_only() {
        check(&[
            ("Format|Int|D5", "-42", Some("-00042")),
            ("Format|int32|d", "+42", Some("42")),
            ("Format|INT|X", "255", Some("FF")),
            ("Format|Int|x4", "255", Some("00ff")),
            ("Format|Int|X", "-1", Some("FFFFFFFF")),
            ("Format|Int|C", "5", Some("¤5.00")),
            ("Format|D", "42", None),
            ("Format|X", "42", None),
            ("Format|R", "42", None),
            ("Format|Int|R", "42", None),
            ("Format|Double|D", "42", None),
            ("Format|Y", "42", None),
            ("Format|F1000000000", "42", None),
        ]);
    }
}
