//! The wall clock: the one clock that a container's process and this one read alike without an agreement.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use podseal_swtpm_tests::error::BenchError;

/// How far the wall clock may run off the monotonic one during a sample.
const STEP: u64 = 1_000_000;

/// Nanoseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The beginning of a sample, by both clocks.
pub(crate) struct Begin {
    /// By the wall clock.
    pub(crate) wall: u64,
    monotonic: Instant,
}

impl Begin {
    /// Now.
    pub(crate) fn now() -> Self {
        Self { wall: now(), monotonic: Instant::now() }
    }

    /// # Errors
    /// The wall clock was set meanwhile: what was read from it since is no duration.
    pub(crate) fn was_steady(&self) -> Result<(), BenchError> {
        let (wall, monotonic) = (now().saturating_sub(self.wall), nanoseconds(self.monotonic.elapsed()));
        if wall.abs_diff(monotonic) <= STEP {
            return Ok(());
        }
        let found = format!("{wall} ns by the wall, {monotonic} ns by the monotonic clock");
        Err(BenchError::answer("the wall clock", found, "a clock that nobody sets: run the bench again"))
    }

    /// Nanoseconds from here to a moment of the wall clock.
    pub(crate) fn until(&self, wall: u64) -> Result<u64, BenchError> {
        wall.checked_sub(self.wall).ok_or_else(|| BenchError::answer("a clock", "a moment before the sample began", "one after it"))
    }
}
