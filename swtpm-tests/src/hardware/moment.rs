//! Moments, as certificates, lists and documents write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use super::der::tlv;

pub(super) const HOUR: i64 = 3_600;
pub(super) const DAY: i64 = 24 * HOUR;
pub(super) const YEAR: i64 = 365 * DAY;

/// From a day ago to a year from now, in seconds from now: when everything here is good, unless a test wants otherwise.
pub const USUAL: Window = Window { from: -DAY, until: YEAR };

/// When something is good, in seconds from the moment of its making; negative is before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first second.
    pub from: i64,
    /// Its last second.
    pub until: i64,
}

/// So many seconds from now, since the Unix epoch.
pub(super) fn seconds(from_now: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    now.as_secs() as i64 + from_now
}

/// RFC 3339, in whole seconds and UTC.
pub(super) fn text(from_now: i64) -> String {
    Timestamp::from_second(seconds(from_now)).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `UTCTime` (RFC 5280, 4.1.2.5.1).
pub(super) fn utc_time(from_now: i64) -> Vec<u8> {
    let text = Timestamp::from_second(seconds(from_now)).unwrap_or_default().strftime("%y%m%d%H%M%SZ").to_string();
    tlv(0x17, &[text.as_bytes()])
}
