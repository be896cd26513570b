//! Leaves that are on their way: of sessions that have been asked, and do not know yet who asks.
//!
//! Where many containers start at once, the first leaf would go alone, and the others after it, few by few. So a round knows whether more are to come.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Those that are on their way. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Arrivals(Arc<AtomicUsize>);

/// One that is on its way, until the value goes.
#[derive(Debug)]
pub struct Arrival(Arrivals);

impl Arrivals {
    /// One more.
    #[must_use]
    pub fn begin(&self) -> Arrival {
        self.0.fetch_add(1, Ordering::Relaxed);
        Arrival(self.clone())
    }

    /// Whether there are any.
    pub(super) fn are_any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
