//! Points in time, as .NET's `DateTime` and `DateTimeOffset` keep them; the filters that make and move them.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, ZonedDateTime};

use super::date_parse::{self, Written};
use super::{date_format, number};

/// A .NET clock ticks every 100 nanoseconds.
const TICKS_PER_SECOND: i64 = 10_000_000;

/// What a point in time knows about its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// Nothing: the time on some wall.
    Unspecified,
    Utc,
    /// A `DateTime` of this computer, whose offset this is.
    Local(Offset),
    /// A `DateTimeOffset`.
    Offset(Offset),
}

/// A time on a wall, and where the wall is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) wall: DateTime,
    pub(super) zone: Zone,
}

impl Moment {
    /// Reads a `DateTime`: a text with an offset becomes the time of `local`.
    pub(super) fn of_date_time(text: &str, now: &ZonedDateTime) -> Option<Self> {
        let (wall, written) = date_parse::read(text, now.date())?;
        let offset = match written {
            Written::Nothing => return Some(Self { wall, zone: Zone::Unspecified }),
            Written::Utc => Offset::UTC,
            Written::Offset(offset) => offset,
        };
        let timestamp = offset.to_timestamp(wall).ok()?;
        let local = now.time_zone().to_offset(timestamp);
        in_range(Self { wall: local.to_datetime(timestamp), zone: Zone::Local(local) })
    }

    /// Reads a `DateTimeOffset`: a text without an offset is a time of `local`.
    pub(super) fn of_date_time_offset(text: &str, now: &ZonedDateTime) -> Option<Self> {
        let (wall, written) = date_parse::read(text, now.date())?;
        let offset = match written {
            Written::Nothing => offset_at(now.time_zone(), wall)?,
            Written::Utc => Offset::UTC,
            Written::Offset(offset) => offset,
        };
        Some(Self { wall, zone: Zone::Offset(offset) })
    }

    /// The same point in time on a wall at UTC; a time without a place is one of `local`.
    pub(super) fn to_utc(self, local: &TimeZone) -> Option<Self> {
        let offset = match self.zone {
            Zone::Utc => return Some(self),
            Zone::Unspecified => offset_at(local, self.wall)?,
            Zone::Local(offset) | Zone::Offset(offset) => offset,
        };
        let timestamp = offset.to_timestamp(self.wall).ok()?;
        in_range(Self { wall: Offset::UTC.to_datetime(timestamp), zone: Zone::Utc })
    }
}

/// The offset of a place at a time on its walls.
pub(super) fn offset_at(zone: &TimeZone, wall: DateTime) -> Option<Offset> {
    Some(zone.to_offset(zone.to_timestamp(wall).ok()?))
}

/// .NET's calendar runs from year 1 to 9999.
fn in_range(moment: Moment) -> Option<Moment> {
    (moment.wall.year() >= 1).then_some(moment)
}

pub(super) fn now(options: &[&str], now: &ZonedDateTime) -> Option<String> {
    show_now(Moment { wall: now.datetime(), zone: Zone::Unspecified }, options, now)
}

pub(super) fn now_utc(options: &[&str], now: &ZonedDateTime) -> Option<String> {
    let wall = Offset::UTC.to_datetime(now.timestamp());
    show_now(Moment { wall, zone: Zone::Utc }, options, now)
}

fn show_now(moment: Moment, options: &[&str], now: &ZonedDateTime) -> Option<String> {
    match options {
        [] => date_format::show(moment, "O", now.time_zone()),
        [format] => date_format::show(moment, format, now.time_zone()),
        _ => None,
    }
}

/// The unit of an amount of time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    Hours,
    Days,
}

/// Moves a date; one without an offset stays without, any other keeps its own.
pub(super) fn add(unit: Unit, input: &str, options: &[&str], now: &ZonedDateTime) -> Option<String> {
    let [amount] = options else { return None };
    let duration = duration(number::amount(amount)?, unit)?;
    let (wall, written) = date_parse::read(input, now.date())?;
    let zone = match written {
        Written::Nothing => Zone::Unspecified,
        Written::Utc => Zone::Utc,
        Written::Offset(offset) => Zone::Offset(offset),
    };
    let moment = in_range(Moment { wall: wall.checked_add(duration).ok()?, zone })?;
    date_format::show(moment, "O", now.time_zone())
}

/// Whole ticks, what is below cut off.
fn duration(amount: f64, unit: Unit) -> Option<SignedDuration> {
    let hours = match unit {
        Unit::Hours => amount,
        Unit::Days => amount * 24.0,
    };
    let seconds = hours * 3600.0;
    // More than .NET's whole calendar.
    if seconds.abs() > 4e11 {
        return None;
    }
    let duration = SignedDuration::try_from_secs_f64(seconds).ok()?;
    let tick = 1_000_000_000 / TICKS_PER_SECOND;
    let below = i64::from(duration.subsec_nanos()) % tick;
    duration.checked_sub(SignedDuration::from_nanos(below))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, filter};

    #[test]
    fn now_is_what_it_is_told() {
        for (call, expected) in [
            ("NowDate", Some("2024-02-29T23:05:09.1234567")),
            ("NowDateUtc", Some("2024-02-29T21:05:09.1234567Z")),
            ("NowDate|yyyy-MM-dd", Some("2024-02-29")),
            ("NowDate|zzz", Some("+02:00")),
            ("NowDateUtc|HH:mm zzz", Some("21:05 +00:00")),
            ("NowDate|q", None),
            ("NowDate|d|d", None),
            ("NowDateUtc|d|d", None),
        ] {
            assert_eq!(filter(call, None), Ok(expected.map(str::to_owned)), "{call}");
        }
        assert_eq!(filter("NowDate", Some("")), Ok(None));
        assert_eq!(filter("NowDateUtc|d", Some("x")), Ok(None));
    }

    #[test]
    fn dates_move_and_keep_their_place() {
        check(&[
            ("AddHours|1", "2024-02-29T23:30:00", Some("2024-03-01T00:30:00.0000000")),
            ("AddHours|-1.5", "2024-02-29T23:30:00Z", Some("2024-02-29T22:00:00.0000000Z")),
            ("AddHours| 1e1 ", "2024-02-29T23:30:00-07:00", Some("2024-03-01T09:30:00.0000000-07:00")),
            ("AddDays|366", "02/29/2024", Some("2025-03-01T00:00:00.0000000")),
            ("AddDays|0.5", "2024-02-29 12:00:00.1234567", Some("2024-03-01T00:00:00.1234567")),
            ("AddDays|-1", "0001-01-01", None),
            ("AddDays|1", "9999-12-31", None),
            ("AddDays|1e300", "2024-02-29", None),
            ("AddDays|NaN", "2024-02-29", None),
            ("AddDays|1,000", "2024-02-29", None),
            ("AddDays|x", "2024-02-29", None),
            ("AddDays", "2024-02-29", None),
            ("AddDays|1|2", "2024-02-29", None),
            ("AddHours|1", "hello", None),
            ("AddHours|1", "", None),
        ]);
    }
}
