//! `Format`: a number or a date by a .NET format string.

use jiff::ZonedDateTime;

use super::date::Moment;
use super::number::{decimal, double};
use super::number_format::{Value, show};
use super::{Filtered, date_format, int};

pub(super) fn format(input: &str, options: &[&str], now: &ZonedDateTime) -> Filtered {
    let (kind, format) = match options {
        // Without a type it is a decimal number if it can be one.
        [format] if decimal(input).is_some() => ("decimal", *format),
        [format] => ("datetimeoffset", *format),
        [kind, format] => (*kind, *format),
        _ => return Ok(None),
    };
    let number = match kind.to_ascii_lowercase().as_str() {
        "int" | "int32" => int(input).map(Value::Int),
        "double" => double(input).map(Value::Double),
        "decimal" => decimal(input).map(Value::Decimal),
        "date" | "datetime" => return Ok(show_date(Moment::of_date_time(input, now), format, now)),
        "datetimeoffset" => return Ok(show_date(Moment::of_date_time_offset(input, now), format, now)),
        _ => None,
    };
    number.map_or(Ok(None), |number| show(&number, format))
}

fn show_date(moment: Option<Moment>, format: &str, now: &ZonedDateTime) -> Option<String> {
    date_format::show(moment?, format, now.time_zone())
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn without_a_type_a_decimal_then_a_date() {
        check(&[
            ("Format|C", "23.4", Some("¤23.40")),
            ("Format|yyyy", "2030/05/22 09:05:00", Some("2030")),
            ("Format|K", "2030/05/22", None),
            ("Format|zzz", "2030/05/22", Some("+02:00")),
            ("Format|yyyy", "hello World", None),
            ("Format|yyyy", "", None),
            ("Format", "1", None),
            ("Format|Int|D|x", "1", None),
        ]);
    }

    #[test]
    fn the_type_decides_what_is_read() {
        check(&[
            ("Format|int|0", "1.5", None),
            ("Format|int|0", " 15 ", Some("15")),
            ("Format|int|0", "2147483648", None),
            ("Format|double|0.0", "1e1", Some("10.0")),
            ("Format|decimal|0.0", "1e1", None),
            ("Format|decimal|0.0", "1.05-", Some("-1.1")),
            ("Format|date|yyyy", "1.5", None),
            ("Format|DateTime|yyyy", "2030/05/22", Some("2030")),
            ("Format|datetimeoffset|yyyy", "x", None),
            ("Format|float|0", "1", None),
            ("Format||0", "1", None),
        ]);
    }
}
