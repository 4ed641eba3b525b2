//! Reading dates as .NET does under the invariant culture: ISO 8601, `MM/dd/yyyy`, RFC 1123, month names.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::Offset;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// By the number of days since Sunday.
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// Two digits up to this mean this century.
const LAST_SHORT_YEAR: i16 = 49;
/// No place on earth is further from UTC, and .NET knows none.
const MAX_OFFSET_MINUTES: i32 = 14 * 60;

/// What a text says about its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Nothing,
    /// `Z` or `GMT`.
    Utc,
    Offset(Offset),
}

/// Reads a date, a time or both; a time alone is one of `today`.
pub(super) fn read(text: &str, today: Date) -> Option<(DateTime, Written)> {
    let mut cursor = Cursor { rest: text.trim() };
    let time_first = cursor.digits_then(':');
    let date = if time_first { today } else { date(&mut cursor)? };
    let mut time = Time::midnight();
    let mut written = Written::Nothing;
    if !cursor.rest.is_empty() {
        if !time_first && !cursor.take_ignoring_case("T") {
            cursor.take(',');
            cursor.blanks().then_some(())?;
        }
        time = self::time(&mut cursor)?;
        written = offset(&mut cursor)?;
    }
    cursor.rest.is_empty().then_some((date.to_datetime(time), written))
}

fn date(cursor: &mut Cursor<'_>) -> Option<Date> {
    let weekday = cursor.name(&DAYS);
    if weekday.is_some() {
        cursor.take(',');
        cursor.blanks();
    }
    let date = if let Some(month) = cursor.name(&MONTHS) {
        // May 22, 2030
        cursor.blanks();
        let (day, _) = cursor.number(1, 2)?;
        cursor.take(',');
        cursor.blanks();
        let year = cursor.year()?;
        new_date(year, month, day)?
    } else if let Some((year, _)) = cursor.number(4, 4) {
        // 2030-05-22, 2030/05/22
        let separator = cursor.separator()?;
        let (month, _) = cursor.number(1, 2)?;
        cursor.take(separator).then_some(())?;
        let (day, _) = cursor.number(1, 2)?;
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?
    } else {
        let (first, _) = cursor.number(1, 2)?;
        let separated = cursor.separator();
        if separated.is_none() {
            cursor.blanks().then_some(())?;
        }
        if let Some(month) = cursor.name(&MONTHS) {
            // 22 May 2030, 22-May-2030
            if separated.is_none_or(|separator| !cursor.take(separator)) {
                cursor.blanks().then_some(())?;
            }
            let year = cursor.year()?;
            new_date(year, month, first)?
        } else {
            // 05/22/2030
            let (day, _) = cursor.number(1, 2)?;
            cursor.take(separated?).then_some(())?;
            let year = cursor.year()?;
            Date::new(year, i8::try_from(first).ok()?, i8::try_from(day).ok()?).ok()?
        }
    };
    let matches = weekday.is_none_or(|weekday| date.weekday() == weekday_of(weekday));
    (matches && date.year() >= 1).then_some(date)
}

fn weekday_of(days_since_sunday: usize) -> Weekday {
    Weekday::Sunday.wrapping_add(i64::try_from(days_since_sunday).unwrap_or(0))
}

/// `month` counts from 0, as in [`MONTHS`].
fn new_date(year: i16, month: usize, day: i16) -> Option<Date> {
    Date::new(year, i8::try_from(month + 1).ok()?, i8::try_from(day).ok()?).ok()
}

fn time(cursor: &mut Cursor<'_>) -> Option<Time> {
    let (mut hour, _) = cursor.number(1, 2)?;
    cursor.take(':').then_some(())?;
    let (minute, _) = cursor.number(1, 2)?;
    let (mut second, mut nanosecond) = (0, 0);
    if cursor.take(':') {
        second = cursor.number(1, 2)?.0;
        if cursor.take('.') || cursor.take(',') {
            nanosecond = cursor.fraction()?;
        }
    }
    let mut after = *cursor;
    after.blanks();
    if after.take_ignoring_case("AM") || after.take_ignoring_case("PM") {
        let is_afternoon = cursor.rest.trim_start().starts_with(['P', 'p']);
        (1..=12).contains(&hour).then_some(())?;
        hour = hour % 12 + if is_afternoon { 12 } else { 0 };
        *cursor = after;
    }
    let time = Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, 0)
        .ok()?;
    // A fraction that rounds up to a whole second carries over; past midnight it is cut off.
    time.checked_add(jiff::SignedDuration::from_nanos(nanosecond)).ok().or(Some(time))
}

fn offset(cursor: &mut Cursor<'_>) -> Option<Written> {
    cursor.blanks();
    if cursor.rest.is_empty() {
        return Some(Written::Nothing);
    }
    if cursor.take_ignoring_case("GMT") || cursor.take_ignoring_case("Z") {
        return Some(Written::Utc);
    }
    let sign = if cursor.take('+') {
        1
    } else if cursor.take('-') {
        -1
    } else {
        return None;
    };
    let (number, length) = cursor.number(1, 4)?;
    let (hours, minutes) = match length {
        1 | 2 if cursor.take(':') => (number, cursor.number(2, 2)?.0),
        1 | 2 => (number, 0),
        _ => (number / 100, number % 100),
    };
    let total = i32::from(hours) * 60 + i32::from(minutes);
    (minutes < 60 && total <= MAX_OFFSET_MINUTES).then_some(())?;
    Offset::from_seconds(sign * total * 60).ok().map(Written::Offset)
}

#[derive(Clone, Copy)]
struct Cursor<'t> {
    rest: &'t str,
}

impl Cursor<'_> {
    fn take(&mut self, c: char) -> bool {
        let after = self.rest.strip_prefix(c);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn take_ignoring_case(&mut self, word: &str) -> bool {
        let matches = self.rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if matches {
            self.rest = &self.rest[word.len()..];
        }
        matches
    }

    fn blanks(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start();
        self.rest.len() < before
    }

    fn separator(&mut self) -> Option<char> {
        ['-', '/', '.'].into_iter().find(|&separator| self.take(separator))
    }

    fn digit_count(&self) -> usize {
        self.rest.bytes().take_while(u8::is_ascii_digit).count()
    }

    fn digits_then(&self, c: char) -> bool {
        let count = self.digit_count();
        count > 0 && self.rest[count..].starts_with(c)
    }

    /// A number of so many digits, and how many it has.
    fn number(&mut self, least: usize, most: usize) -> Option<(i16, usize)> {
        let count = self.digit_count();
        (least..=most).contains(&count).then_some(())?;
        let number = self.rest[..count].parse().ok()?;
        self.rest = &self.rest[count..];
        Some((number, count))
    }

    fn year(&mut self) -> Option<i16> {
        match self.number(2, 4)? {
            (year, 2) if year <= LAST_SHORT_YEAR => Some(2000 + year),
            (year, 2) => Some(1900 + year),
            (year, 4) => Some(year),
            _ => None,
        }
    }

    /// Nanoseconds, rounded to .NET's ticks.
    fn fraction(&mut self) -> Option<i64> {
        let count = self.digit_count();
        (count > 0).then_some(())?;
        let digits: String = self.rest[..count].chars().chain("00000000".chars()).take(8).collect();
        self.rest = &self.rest[count..];
        let hundredths_of_micro: i64 = digits.parse().ok()?;
        Some((hundredths_of_micro + 5) / 10 * 100)
    }

    /// A whole name or its first three letters; its place in the list.
    fn name(&mut self, names: &[&str]) -> Option<usize> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        let place = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(word) || name[..3].eq_ignore_ascii_case(word))?;
        self.rest = &self.rest[end..];
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn every_way_of_writing_a_date() {
        for text in [
            "2030-05-22T09:05:00",
            "2030-05-22t09:05",
            " 2030-05-22 09:05:00.0000000 ",
            "2030/05/22 9:05:00",
            "2030.5.22 9:5",
            "05/22/2030 09:05",
            "5/22/30 9:05 AM",
            "5-22-2030 9:05am",
            "22 May 2030 09:05",
            "22-may-2030 09:05",
            "May 22, 2030 09:05",
            "Wednesday, 22 May 2030 09:05:00",
            "Wed 22 May 2030, 09:05:00",
            "09:05",
        ] {
            let expected = date(2030, 5, 22).at(9, 5, 0, 0);
            assert_eq!(read(text, date(2030, 5, 22)), Some((expected, Written::Nothing)), "{text}");
        }
        let midnight = (date(1999, 12, 31).at(0, 0, 0, 0), Written::Nothing);
        assert_eq!(read("12/31/99", date(2030, 5, 22)), Some(midnight));
    }

    #[test]
    fn offsets_and_fractions() {
        let wall = date(2030, 5, 22).at(21, 5, 0, 123_456_800);
        for (end, written) in [
            ("Z", Written::Utc),
            (" GMT", Written::Utc),
            ("+02:00", Written::Offset(Offset::constant(2))),
            (" -0700", Written::Offset(Offset::constant(-7))),
            ("+5", Written::Offset(Offset::constant(5))),
        ] {
            let text = format!("2030-05-22T21:05:00.12345678{end}");
            assert_eq!(read(&text, date(2000, 1, 1)), Some((wall, written)), "{text}");
        }
        let noon = date(2030, 5, 22).at(12, 0, 1, 0);
        let text = "2030-05-22 12:00:00.99999999 PM";
        assert_eq!(read(text, date(2000, 1, 1)), Some((noon, Written::Nothing)));
        let (midnight, _) = read("2030-05-22 12:30 AM", date(2000, 1, 1)).unwrap();
        assert_eq!(midnight, date(2030, 5, 22).at(0, 30, 0, 0));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "hello World",
            "2030",
            "2030-05",
            "2030-13-01",
            "2030-02-30",
            "0000-01-01",
            "22/05/2030",
            "2030-05-22T",
            "2030-05-22T25:00",
            "2030-05-22T13:00 PM",
            "2030-05-22T09:05:00+15:00",
            "2030-05-22T09:05:00 +1:99",
            "2030-05-22T09:05:00 CET",
            "2030-05-22x",
            "Thu, 22 May 2030 09:05:00 GMT",
            "22 Foo 2030",
            "5/22/030",
            "é",
        ] {
            assert_eq!(read(text, date(2000, 1, 1)), None, "{text}");
        }
    }
}
