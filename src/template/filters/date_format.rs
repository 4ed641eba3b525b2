//! Dates by .NET's format strings, standard and custom, under the invariant culture.

use std::fmt::Write as _;

use jiff::tz::{Offset, TimeZone};

use super::date::{Moment, Zone, offset_at};
use super::date_parse::{DAYS, MONTHS};

/// .NET shows at most this many digits of a second.
const FRACTION_DIGITS: usize = 7;

/// Shows `moment` by `format`; nothing when .NET refuses the format.
pub(super) fn show(moment: Moment, format: &str, local: &TimeZone) -> Option<String> {
    let is_offset = matches!(moment.zone, Zone::Offset(_));
    // A `DateTimeOffset` is shown at UTC where the format names UTC; a `DateTime` is taken to be there already.
    let utc = || if is_offset { moment.to_utc(local) } else { Some(moment) };
    let (moment, pattern) = match format {
        "" if is_offset => (moment, "MM/dd/yyyy HH:mm:ss zzz"),
        "" | "G" => (moment, "MM/dd/yyyy HH:mm:ss"),
        "d" => (moment, "MM/dd/yyyy"),
        "D" => (moment, "dddd, dd MMMM yyyy"),
        "f" => (moment, "dddd, dd MMMM yyyy HH:mm"),
        "F" => (moment, "dddd, dd MMMM yyyy HH:mm:ss"),
        "g" => (moment, "MM/dd/yyyy HH:mm"),
        "m" | "M" => (moment, "MMMM dd"),
        "o" | "O" => (moment, "yyyy'-'MM'-'dd'T'HH':'mm':'ss.fffffffK"),
        "r" | "R" => (utc()?, "ddd, dd MMM yyyy HH':'mm':'ss 'GMT'"),
        "s" => (moment, "yyyy'-'MM'-'dd'T'HH':'mm':'ss"),
        "t" => (moment, "HH:mm"),
        "T" => (moment, "HH:mm:ss"),
        "u" => (utc()?, "yyyy'-'MM'-'dd HH':'mm':'ss'Z'"),
        "U" if !is_offset => (moment.to_utc(local)?, "dddd, dd MMMM yyyy HH:mm:ss"),
        "y" | "Y" => (moment, "yyyy MMMM"),
        format if format.chars().nth(1).is_none() => return None,
        format => (moment, format),
    };
    let pattern: Vec<char> = pattern.chars().collect();
    custom(moment, &pattern, local)
}

fn custom(moment: Moment, pattern: &[char], local: &TimeZone) -> Option<String> {
    let mut out = String::new();
    let mut at = 0;
    while let Some(&c) = pattern.get(at) {
        let run = pattern[at..].iter().take_while(|&&next| next == c).count();
        match c {
            '\'' | '"' => {
                at = quoted(pattern, at + 1, c, &mut out)?;
                continue;
            }
            '\\' => {
                out.push(*pattern.get(at + 1)?);
                at += 2;
                continue;
            }
            '%' => {
                // One token of one letter, which alone would be a standard format.
                let next = pattern.get(at + 1).filter(|&&next| next != '%')?;
                out.push_str(&custom(moment, &[*next], local)?);
                at += 2;
                continue;
            }
            c => token(moment, c, run, local, &mut out)?,
        }
        at += run;
    }
    Some(out)
}

/// Copies up to the closing quote, which must be there; a backslash keeps the next character as it is.
fn quoted(pattern: &[char], mut at: usize, quote: char, out: &mut String) -> Option<usize> {
    loop {
        match *pattern.get(at)? {
            c if c == quote => return Some(at + 1),
            '\\' => {
                out.push(*pattern.get(at + 1)?);
                at += 2;
            }
            c => {
                out.push(c);
                at += 1;
            }
        }
    }
}

fn token(moment: Moment, letter: char, run: usize, local: &TimeZone, out: &mut String) -> Option<()> {
    let wall = moment.wall;
    // Writing to a String cannot fail.
    let mut number = |value: i16, width: usize| {
        let _ = write!(out, "{value:0>width$}");
    };
    let two = run.min(2);
    match letter {
        'd' if run <= 2 => number(wall.day().into(), run),
        'd' => out.push_str(short(DAYS[usize::try_from(wall.weekday().to_sunday_zero_offset()).ok()?], run)),
        'M' if run <= 2 => number(wall.month().into(), run),
        'M' => out.push_str(short(MONTHS[usize::try_from(wall.month() - 1).ok()?], run)),
        'y' if run <= 2 => number(wall.year() % 100, run),
        'y' => number(wall.year(), run),
        'H' => number(wall.hour().into(), two),
        'h' => number(((wall.hour() + 11) % 12 + 1).into(), two),
        'm' => number(wall.minute().into(), two),
        's' => number(wall.second().into(), two),
        't' => out.push_str(if wall.hour() < 12 { &"AM"[..two] } else { &"PM"[..two] }),
        'f' | 'F' => {
            let digits = format!("{:09}", wall.subsec_nanosecond());
            let digits = digits.get(..run).filter(|_| run <= FRACTION_DIGITS)?;
            let shown = if letter == 'f' { digits } else { digits.trim_end_matches('0') };
            // `F` takes the point before it away when nothing follows.
            if shown.is_empty() && out.ends_with('.') {
                out.pop();
            }
            out.push_str(shown);
        }
        'g' => out.push_str("A.D."),
        'z' => {
            let offset = match moment.zone {
                Zone::Unspecified => offset_at(local, wall)?,
                Zone::Utc => Offset::UTC,
                Zone::Local(offset) | Zone::Offset(offset) => offset,
            };
            out.push_str(&offset_text(offset, run));
        }
        'K' => {
            for _ in 0..run {
                match moment.zone {
                    Zone::Unspecified => {}
                    Zone::Utc => out.push('Z'),
                    Zone::Local(offset) | Zone::Offset(offset) => out.push_str(&offset_text(offset, 3)),
                }
            }
        }
        c => out.extend(std::iter::repeat_n(c, run)),
    }
    Some(())
}

fn short(name: &'static str, run: usize) -> &'static str {
    if run == 3 { &name[..3] } else { name }
}

fn offset_text(offset: Offset, run: usize) -> String {
    let sign = if offset.is_negative() { '-' } else { '+' };
    let minutes = offset.seconds().abs() / 60;
    match run {
        1 => format!("{sign}{}", minutes / 60),
        2 => format!("{sign}{:02}", minutes / 60),
        _ => format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    const DATE: &str = "2030-05-02T09:05:07.1200000";
    const EAST: &str = "2030-05-02T09:05:07.12+05:30";

    #[test]
    fn standard_formats() {
        for (format, date, offset) in [
            ("", "05/02/2030 09:05:07", Some("05/02/2030 09:05:07 +05:30")),
            ("d", "05/02/2030", Some("05/02/2030")),
            ("D", "Thursday, 02 May 2030", Some("Thursday, 02 May 2030")),
            ("f", "Thursday, 02 May 2030 09:05", Some("Thursday, 02 May 2030 09:05")),
            ("F", "Thursday, 02 May 2030 09:05:07", Some("Thursday, 02 May 2030 09:05:07")),
            ("g", "05/02/2030 09:05", Some("05/02/2030 09:05")),
            ("G", "05/02/2030 09:05:07", Some("05/02/2030 09:05:07")),
            ("m", "May 02", Some("May 02")),
            ("M", "May 02", Some("May 02")),
            ("o", "2030-05-02T09:05:07.1200000", Some("2030-05-02T09:05:07.1200000+05:30")),
            ("O", "2030-05-02T09:05:07.1200000", Some("2030-05-02T09:05:07.1200000+05:30")),
            ("r", "Thu, 02 May 2030 09:05:07 GMT", Some("Thu, 02 May 2030 03:35:07 GMT")),
            ("R", "Thu, 02 May 2030 09:05:07 GMT", Some("Thu, 02 May 2030 03:35:07 GMT")),
            ("s", "2030-05-02T09:05:07", Some("2030-05-02T09:05:07")),
            ("t", "09:05", Some("09:05")),
            ("T", "09:05:07", Some("09:05:07")),
            ("u", "2030-05-02 09:05:07Z", Some("2030-05-02 03:35:07Z")),
            ("U", "Thursday, 02 May 2030 07:05:07", None),
            ("y", "2030 May", Some("2030 May")),
            ("Y", "2030 May", Some("2030 May")),
        ] {
            check(&[
                (&format!("Format|Date|{format}"), DATE, Some(date)),
                (&format!("Format|DateTimeOffset|{format}"), EAST, offset),
            ]);
        }
        check(&[
            ("Format|Date|q", DATE, None),
            ("Format|Date|%", DATE, None),
            ("Format|Date|'", DATE, None),
            ("Format|Date|z", DATE, None),
        ]);
    }

    #[test]
    fn custom_formats() {
        check(&[
            ("Format|Date|HH dd-MMM-yyy", "2030/05/22 09:05:00", Some("09 22-May-2030")),
            ("Format|Date|d/M/y h:m:s t", DATE, Some("2/5/30 9:5:7 A")),
            ("Format|Date|ddd dddd ddddd", DATE, Some("Thu Thursday Thursday")),
            ("Format|Date|MM MMM MMMM", DATE, Some("05 May May")),
            ("Format|Date|yy yyy yyyy yyyyyy", DATE, Some("30 2030 2030 002030")),
            ("Format|Date|HHH hh mm ss tt", "2030-05-02 00:05:07", Some("00 12 05 07 AM")),
            ("Format|Date|%H %h %t", "2030-05-02 15:05:07", Some("15 3 P")),
            ("Format|Date|f ff fff fffffff", DATE, Some("1 12 120 1200000")),
            ("Format|Date|ss.FFF", DATE, Some("07.12")),
            ("Format|Date|ss.FFF!", "2030-05-02 15:05:07", Some("07!")),
            ("Format|Date|ffffffff", DATE, None),
            ("Format|Date|yyyy g", DATE, Some("2030 A.D.")),
            ("Format|Date|'d'\"M\"\\y 'a\\'b'", DATE, Some("dMy a'b")),
            ("Format|Date|yyyy'", DATE, None),
            ("Format|Date|yyyy\\", DATE, None),
            ("Format|Date|yyyy%", DATE, None),
            ("Format|Date|%%d", DATE, None),
            ("Format|Date|'yyyy", DATE, None),
            ("Format|Date|Uhr: é", DATE, Some("U9r: é")),
        ]);
    }

    #[test]
    fn places() {
        check(&[
            ("Format|DateTimeOffset|%z zz zzz K", EAST, Some("+5 +05 +05:30 +05:30")),
            ("Format|DateTimeOffset|zzz", "2030-05-02 09:05:07-07:00", Some("-07:00")),
            ("Format|DateTimeOffset|zzz K", "2030-05-02 09:05:07Z", Some("+00:00 +00:00")),
            // Without an offset it is a time of this place, with one it becomes a `DateTime` of this place.
            ("Format|DateTimeOffset|HH zzz", DATE, Some("09 +02:00")),
            ("Format|Date|HH zzz K", DATE, Some("09 +02:00 ")),
            ("Format|Date|HH:mm zzz K", EAST, Some("05:35 +02:00 +02:00")),
            ("Format|Date|O", "2030-05-02T09:05:07Z", Some("2030-05-02T11:05:07.0000000+02:00")),
        ]);
    }
}
