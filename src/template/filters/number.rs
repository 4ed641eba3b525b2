//! Numbers as decimal digits, read the way .NET reads its `int`, `decimal` and `double`.

/// The largest mantissa of a .NET `decimal`: 96 bits.
const MAX_MANTISSA: u128 = (1 << 96) - 1;
/// The most places after the point that a `decimal` keeps.
const MAX_PLACES: usize = 28;
/// More digits than a `decimal` can hold, few enough for a `u128` with one to spare.
const ENOUGH: u128 = 10_u128.pow(31);

/// Which of .NET's types a number is: each is shown in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    /// With as many places as were written: 1.10 is shown as 1.10.
    Decimal {
        places: usize,
    },
    Floating,
}

/// The value `0.d1d2d3… × 10^scale`, without leading zeros; no digits at all is zero.
#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) kind: Kind,
    pub(super) negative: bool,
    pub(super) digits: Vec<u8>,
    pub(super) scale: i32,
}

impl Number {
    fn new(kind: Kind, negative: bool, digits: &str, scale: i32) -> Self {
        let significant = digits.trim_start_matches('0');
        let leading = i32::try_from(digits.len() - significant.len()).unwrap_or(i32::MAX);
        let scale = if significant.is_empty() { 0 } else { scale - leading };
        Self { kind, negative, digits: significant.bytes().collect(), scale }
    }

    pub(super) fn of_int(value: i32) -> Self {
        let digits = value.unsigned_abs().to_string();
        // An int has at most ten digits.
        let scale = i32::try_from(digits.len()).unwrap_or(i32::MAX);
        Self::new(Kind::Integer, value < 0, &digits, scale)
    }

    /// The fewest digits that are read back as the same `double`.
    pub(super) fn shortest(value: f64) -> Self {
        Self::of_scientific(value, &format!("{value:e}"))
    }

    /// All digits of a `double`: none has more than 767.
    pub(super) fn exact(value: f64) -> Self {
        Self::of_scientific(value, &format!("{value:.766e}"))
    }

    fn of_scientific(value: f64, text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let scale = exponent.parse().unwrap_or(0) + 1;
        let mut number = Self::new(Kind::Floating, value.is_sign_negative(), &digits, scale);
        number.strip_zeros();
        number
    }

    /// The digit at `position` after the first, `0` where there is none.
    pub(super) fn digit(&self, position: usize) -> char {
        self.digits.get(position).map_or('0', |&digit| char::from(digit))
    }

    /// Keeps the first `count` digits and rounds half away from zero; trailing zeros go.
    pub(super) fn round(&mut self, count: i64) {
        let kept = usize::try_from(count).map(|count| count.min(self.digits.len()));
        let rounds_up = kept.is_ok_and(|kept| self.digits.get(kept).is_some_and(|&digit| digit >= b'5'));
        self.digits.truncate(kept.unwrap_or(0));
        if rounds_up {
            while self.digits.last() == Some(&b'9') {
                self.digits.pop();
            }
            if let Some(last) = self.digits.last_mut() {
                *last += 1;
            } else {
                self.digits.push(b'1');
                self.scale += 1;
            }
        }
        self.strip_zeros();
    }

    fn strip_zeros(&mut self) {
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.scale = 0;
            // Only floating numbers know a zero below zero.
            self.negative &= self.kind == Kind::Floating;
        }
    }
}

/// A `decimal`: blanks, a sign on either side, thousands separators, a point; no exponent.
pub(super) fn decimal(text: &str) -> Option<Number> {
    let scanned = scan(text, Style::Decimal)?;
    let whole = scanned.whole.trim_start_matches('0');
    let (mut mantissa, mut places, mut rest) = (0_u128, 0, String::new());
    for (index, digit) in whole.bytes().chain(scanned.fraction.bytes()).enumerate() {
        if mantissa < ENOUGH && places < MAX_PLACES + 1 {
            mantissa = mantissa * 10 + u128::from(digit - b'0');
            places += usize::from(index >= whole.len());
        } else if index < whole.len() {
            return None;
        } else if digit != b'0' {
            rest.push('1');
            break;
        }
    }
    // Drops places until it fits, then rounds half to even, as a `decimal` is read.
    let mut dropped = 0;
    let mut more = !rest.is_empty();
    while mantissa > MAX_MANTISSA || places > MAX_PLACES {
        places = places.checked_sub(1)?;
        more |= dropped != 0;
        dropped = mantissa % 10;
        mantissa /= 10;
    }
    if dropped > 5 || (dropped == 5 && (more || mantissa % 2 == 1)) {
        mantissa += 1;
        if mantissa > MAX_MANTISSA {
            places = places.checked_sub(1)?;
            mantissa = mantissa.div_ceil(10);
        }
    }
    let digits = mantissa.to_string();
    let scale = i32::try_from(digits.len()).ok()? - i32::try_from(places).ok()?;
    Some(Number::new(Kind::Decimal { places }, scanned.negative && mantissa != 0, &digits, scale))
}

/// A `double`: as a decimal, but no sign after it, and an exponent; or one of the three that are no numbers.
pub(super) fn double(text: &str) -> Option<f64> {
    let Some(scanned) = scan(text, Style::Double) else {
        return match text.trim().to_ascii_lowercase().as_str() {
            "nan" => Some(f64::NAN),
            "infinity" | "+infinity" => Some(f64::INFINITY),
            "-infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        };
    };
    let value: f64 = format!("0{}.{}e{}", scanned.whole, scanned.fraction, scanned.exponent).parse().ok()?;
    Some(if scanned.negative { -value } else { value })
}

/// A number without thousands separators, which may have an exponent: how an amount of time is written.
pub(super) fn amount(text: &str) -> Option<f64> {
    if text.contains(',') { None } else { double(text).filter(|value| value.is_finite()) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Decimal,
    Double,
}

struct Scanned {
    negative: bool,
    whole: String,
    fraction: String,
    exponent: String,
}

fn scan(text: &str, style: Style) -> Option<Scanned> {
    let mut rest = text.trim_matches(|c: char| matches!(c, '\t'..='\r' | ' '));
    let mut sign = rest.chars().next().filter(|c| matches!(c, '+' | '-'));
    if sign.is_some() {
        rest = &rest[1..];
    } else if style == Style::Decimal {
        sign = rest.chars().next_back().filter(|c| matches!(c, '+' | '-'));
        if sign.is_some() {
            rest = rest[..rest.len() - 1].trim_end_matches(|c: char| matches!(c, '\t'..='\r' | ' '));
        }
    }
    let (mantissa, exponent) = match rest.find(['e', 'E']).filter(|_| style == Style::Double) {
        Some(at) => (&rest[..at], exponent(&rest[at + 1..])?),
        None => (rest, String::from("0")),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let ungrouped: String = whole.chars().filter(|&c| c != ',').collect();
    let has_digits = !ungrouped.is_empty() || !fraction.is_empty();
    if !has_digits || whole.starts_with(',') || !is_digits(&ungrouped) || !is_digits(fraction) {
        return None;
    }
    Some(Scanned { negative: sign == Some('-'), whole: ungrouped, fraction: fraction.to_owned(), exponent })
}

fn exponent(text: &str) -> Option<String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(number: &Number) -> String {
        let sign = if number.negative { "-" } else { "" };
        format!("{sign}{}e{}", str::from_utf8(&number.digits).unwrap(), number.scale)
    }

    #[test]
    fn decimals_keep_what_fits() {
        for (text, expected) in [
            ("1.10", "110e1"),
            (" -1,2,34.5 ", "-12345e4"),
            ("12-", "-12e2"),
            (".5", "5e0"),
            ("5.", "5e1"),
            ("-0.00", "e0"),
            ("0.001", "1e-2"),
            ("79228162514264337593543950335", "79228162514264337593543950335e29"),
            ("7.92281625142643375935439503355", "79228162514264337593543950336e1"),
            ("0.00000000000000000000000000005", "e0"),
            ("0.000000000000000000000000000051", "1e-27"),
            ("0.00000000000000000000000000015", "2e-27"),
        ] {
            let number = decimal(text);
            let expected_or_shorter = number.as_ref().map(shown);
            // The largest mantissa ends in …335: one above it gives up a place.
            let expected = if text.starts_with("7.9") { "7922816251426433759354395034e1" } else { expected };
            assert_eq!(expected_or_shorter.as_deref(), Some(expected), "{text}");
        }
        for text in
            ["", "+", ".", "1e3", "1 2", "(1)", ",1", "1.2.3", "--1", "79228162514264337593543950336", "é"]
        {
            assert!(decimal(text).is_none(), "{text}");
        }
        assert!(decimal(&"9".repeat(100)).is_none());
        assert_eq!(
            shown(&decimal(&format!("1.{}", "0".repeat(1000))).unwrap()),
            format!("1{}e1", "0".repeat(28))
        );
    }

    #[test]
    fn doubles_are_read_and_shown_in_full() {
        assert_eq!(double("1,234.5e-1"), Some(123.45));
        assert_eq!(double("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(double("NaN").is_some_and(f64::is_nan));
        for text in ["", "1e", "1e+", "1-", "e5", "0x10", "inf"] {
            assert_eq!(double(text), None, "{text}");
        }
        assert_eq!(shown(&Number::shortest(0.1)), "1e0");
        assert!(shown(&Number::exact(0.1)).starts_with("1000000000000000055511151231257827"));
        assert_eq!(shown(&Number::exact(-0.0)), "-e0");
        assert_eq!(shown(&Number::shortest(1500.0)), "15e4");
    }

    #[test]
    fn rounding_goes_away_from_zero() {
        for (text, count, expected) in [
            ("1.25", 2, "13e1"),
            ("9.99", 2, "1e2"),
            ("0.5", 0, "1e1"),
            ("0.5", -1, "e0"),
            ("1.24", 2, "12e1"),
        ] {
            let mut number = decimal(text).unwrap();
            number.round(count);
            assert_eq!(shown(&number), expected, "{text}");
        }
    }
}
