//! Timestamps and durations between text and seconds with nanoseconds.
//!
//! The calendar is the proleptic Gregorian one of RFC 3339, in UTC; protobuf
//! bounds both types, and values out of bounds have no JSON form.

use std::fmt::Write as _;

/// Seconds of 0001-01-01T00:00:00Z since the Unix epoch.
const FIRST_SECOND: i64 = -62_135_596_800;
/// Seconds of 9999-12-31T23:59:59Z since the Unix epoch.
const LAST_SECOND: i64 = 253_402_300_799;
/// The longest duration, 10,000 years of 365.25 days, in seconds.
const LONGEST: i64 = 315_576_000_000;
const NANOS: i64 = 1_000_000_000;

/// Reads `2024-05-06T07:08:09.5Z` or with an offset such as `+02:00`.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, i32)> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| digits(bytes.get(from..to)?);
    let sign = |at: usize, accepted: &[u8]| accepted.contains(bytes.get(at)?).then_some(());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    sign(4, b"-")?;
    sign(7, b"-")?;
    sign(10, b"Tt")?;
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    sign(13, b":")?;
    sign(16, b":")?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = bytes.get(19..)?;
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = fraction
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        nanos = parse_nanos(fraction.get(..length)?)?;
        rest = fraction.get(length..)?;
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), hh @ .., b':', m1, m2] => {
            let (hours, minutes) = (digits(hh)?, digits(&[*m1, *m2])?);
            if hh.len() != 2 || hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    (FIRST_SECOND..=LAST_SECOND)
        .contains(&seconds)
        .then_some((seconds, nanos))
}

/// Appends RFC 3339 text in UTC with 0, 3, 6 or 9 digits of a second.
pub(crate) fn write_timestamp(seconds: i64, nanos: i32, out: &mut String) -> Option<()> {
    let in_range = (FIRST_SECOND..=LAST_SECOND).contains(&seconds);
    if !in_range || !(0..NANOS).contains(&i64::from(nanos)) {
        return None;
    }
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    )
    .ok()?;
    write_nanos(nanos.unsigned_abs(), out);
    out.push('Z');
    Some(())
}

/// Reads seconds with up to nine decimals and the suffix `s`, such as `-1.5s`.
pub(crate) fn parse_duration(text: &str) -> Option<(i64, i32)> {
    let text = text.strip_suffix('s')?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, nanos) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, parse_nanos(fraction.as_bytes())?),
        None => (text, 0),
    };
    if whole.len() > 12 {
        return None;
    }
    let seconds = digits(whole.as_bytes())?;
    if seconds > LONGEST {
        return None;
    }
    Some(if negative {
        (-seconds, -nanos)
    } else {
        (seconds, nanos)
    })
}

/// Appends seconds with 0, 3, 6 or 9 decimals and `s`.
pub(crate) fn write_duration(seconds: i64, nanos: i32, out: &mut String) -> Option<()> {
    let mixed = (seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0);
    if mixed || seconds.abs_diff(0) > LONGEST as u64 || i64::from(nanos).abs() >= NANOS {
        return None;
    }
    if seconds < 0 || nanos < 0 {
        out.push('-');
    }
    write!(out, "{}", seconds.unsigned_abs()).ok()?;
    write_nanos(nanos.unsigned_abs(), out);
    out.push('s');
    Some(())
}

fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 12 {
        return None;
    }
    text.iter().try_fold(0, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
}

fn parse_nanos(fraction: &[u8]) -> Option<i32> {
    if fraction.len() > 9 {
        return None;
    }
    let value = digits(fraction)?;
    i32::try_from(value * 10i64.pow(9 - fraction.len() as u32)).ok()
}

fn write_nanos(nanos: u32, out: &mut String) {
    let written = if nanos == 0 {
        Ok(())
    } else if nanos.is_multiple_of(1_000_000) {
        write!(out, ".{:03}", nanos / 1_000_000)
    } else if nanos.is_multiple_of(1_000) {
        write!(out, ".{:06}", nanos / 1_000)
    } else {
        write!(out, ".{nanos:09}")
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days before the given date since 1970-01-01. Years are counted from March,
/// so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn timestamp(seconds: i64, nanos: i32) -> String {
        let mut out = String::new();
        write_timestamp(seconds, nanos, &mut out).unwrap();
        out
    }

    #[test]
    fn every_day_of_the_calendar_comes_back() {
        let (first, last) = (FIRST_SECOND / 86_400, LAST_SECOND / 86_400);
        let mut before = (0, 12, 31);
        for days in first..=last {
            let date = civil_from_days(days);
            assert!(
                date > before && date.2 <= days_in_month(date.0, date.1),
                "{date:?}"
            );
            assert_eq!(days_from_civil(date.0, date.1, date.2), days);
            before = date;
        }
        assert_eq!(before, (9999, 12, 31));
    }

    #[test]
    fn timestamps_are_read_and_written_as_rfc_3339() {
        assert_eq!(timestamp(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(
            timestamp(951_782_400, 500_000_000),
            "2000-02-29T00:00:00.500Z"
        );
        assert_eq!(timestamp(-1, 1_000), "1969-12-31T23:59:59.000001Z");
        assert_eq!(
            parse_timestamp("1970-01-01T02:00:00.25+02:00"),
            Some((0, 250_000_000))
        );
        assert_eq!(
            parse_timestamp("9999-12-31T23:59:59Z"),
            Some((LAST_SECOND, 0))
        );
        for text in [
            "",
            "1970-01-01",
            "1970-02-30T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567890Z",
            "0000-01-01T00:00:00Z",
            "1970-01-01T00:00:00+1:00",
            "1970-01-01T00:00:00+01:60",
            "\u{e9}970-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
        assert_eq!(
            write_timestamp(LAST_SECOND + 1, 0, &mut String::new()),
            None
        );
    }

    #[test]
    fn durations_keep_their_sign_and_nanoseconds() {
        for (text, value) in [
            ("1.5s", (1, 500_000_000)),
            ("-0.000000001s", (0, -1)),
            ("0s", (0, 0)),
            ("-3s", (-3, 0)),
        ] {
            assert_eq!(parse_duration(text), Some(value));
        }
        let mut out = String::new();
        write_duration(-1, -250_000_000, &mut out).unwrap();
        assert_eq!(out, "-1.250s");
        for text in [
            "",
            "1",
            "s",
            "1.s",
            "--1s",
            "1e3s",
            "315576000001s",
            "9999999999999s",
            "+1s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(write_duration(1, -1, &mut String::new()), None);
        assert_eq!(write_duration(i64::MIN, 0, &mut String::new()), None);
    }
}
