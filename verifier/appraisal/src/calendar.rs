//! Calendar time in UTC (proleptic Gregorian, RFC 3339) and seconds since 1970.

use toml::value::{Date, Datetime, Offset, Time};

const DAYS_PER_ERA: i64 = 146_097;
/// From 0000-03-01, where the years of this count begin, to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

/// Seconds since 1970 of an RFC 3339 time in UTC; `None` for a local time, another offset, or one before 1970.
pub(crate) fn to_unix(datetime: &Datetime) -> Option<u64> {
    let (Some(date), Some(time), Some(Offset::Z)) = (datetime.date, datetime.time, datetime.offset) else {
        return None;
    };
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let year = i64::from(date.year) - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = u64::try_from(era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970).ok()?;
    let seconds = u64::from(time.hour) * 3600 + u64::from(time.minute) * 60 + u64::from(time.second.unwrap_or(0));
    Some(days * 86_400 + seconds)
}

/// Seconds since 1970 as RFC 3339 writes them, for claims; `None` for years that it cannot.
pub(crate) fn rfc3339(seconds: impl TryInto<u64>) -> Option<String> {
    seconds.try_into().ok().and_then(from_unix).map(|time| time.to_string())
}

/// The same for people, who are told the number where there is no other way.
pub(crate) fn told(seconds: u64) -> String {
    rfc3339(seconds).unwrap_or_else(|| format!("{seconds} s after 1970"))
}

/// The reverse of [`to_unix`], for years that RFC 3339 can write.
pub(crate) fn from_unix(seconds: u64) -> Option<Datetime> {
    let (days, second_of_day) = (i64::try_from(seconds / 86_400).ok()? + DAYS_TO_1970, seconds % 86_400);
    let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = u8::try_from((shifted_month + 2) % 12 + 1).ok()?;
    let day = u8::try_from(day_of_year - (153 * shifted_month + 2) / 5 + 1).ok()?;
    let year = u16::try_from(year_of_era + era * 400 + i64::from(month <= 2)).ok().filter(|year| *year <= 9999)?;
    let of_day = |unit: u64, count: u64| u8::try_from(second_of_day / unit % count).ok();
    let time = Time { hour: of_day(3600, 24)?, minute: of_day(60, 60)?, second: Some(of_day(1, 60)?), nanosecond: None };
    Some(Datetime { date: Some(Date { year, month, day }), time: Some(time), offset: Some(Offset::Z) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn known_times_both_ways() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(to_unix(&text.parse().unwrap()), Some(seconds), "{text}");
            assert_eq!(from_unix(seconds).unwrap().to_string(), text);
        }
        assert_eq!(from_unix(253_402_300_800), None);
        assert_eq!(to_unix(&"2024-01-01T00:00:00+01:00".parse().unwrap()), None);
        assert_eq!(to_unix(&"2024-01-01".parse().unwrap()), None);
        assert_eq!(to_unix(&"1969-12-31T23:59:59Z".parse().unwrap()), None);
    }
}
