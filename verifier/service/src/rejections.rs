//! What was rejected: requests that no registered node can be held to. Counted, and the newest explained, but never logged, so that no
//! stranger can grow the log.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use podseal_appraisal::explanation::Explanation;

/// How many are remembered.
const REMEMBERED: usize = 512;

/// One of them.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// As the sender got it.
    pub audit_id: String,
    /// Seconds since 1970.
    pub time: u64,
    /// Check by check.
    pub explanation: Explanation,
}

/// The newest rejections, and how many there were.
#[derive(Debug, Default)]
pub struct Rejections {
    newest: Mutex<VecDeque<Rejection>>,
    total: AtomicU64,
}

impl Rejections {
    /// Remembers one; the oldest goes.
    pub fn add(&self, rejection: Rejection) {
        self.total.fetch_add(1, Ordering::Relaxed);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.len() >= REMEMBERED {
            newest.pop_front();
        }
        newest.push_back(rejection);
    }

    /// The one of that id, while it is remembered.
    #[must_use]
    pub fn get(&self, audit_id: &str) -> Option<Rejection> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|r| r.audit_id == audit_id).cloned()
    }

    /// How many since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}
