//! One session for each start of a container.
//!
//! A session ends for good with a delivery or a decided refusal. Where nothing was decided (the verifier was away), it is given back, and
//! the same container may ask again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use podseal_protocol::require;

use crate::identify::{Identity, Refusal, has_started};

/// Container starts that are remembered before those that have ended are looked for.
const TIDY_AT: usize = 1024;

/// A container start: its id, and the start time of its init.
type Start = (String, u64);

/// The sessions of this node. Clones share them.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<HashMap<Start, i32>>>);

/// An open session; given back when dropped, unless it was closed.
pub struct Session {
    sessions: Sessions,
    start: Option<Start>,
}

impl Sessions {
    /// Opens the one session of this container start.
    ///
    /// # Errors
    /// [`Refusal::SecondSession`].
    pub fn open(&self, pid: i32, identity: &Identity) -> Result<Session, Refusal> {
        let start = (identity.container_id.clone(), identity.init_start);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !known.contains_key(&start);
        require(is_first, Refusal::SecondSession { container: start.0.clone(), start: start.1 })?;
        if known.len() >= TIDY_AT {
            known.retain(|(_, started), pid| has_started(*pid, *started));
        }
        known.insert(start.clone(), pid);
        Ok(Session { sessions: self.clone(), start: Some(start) })
    }
}

impl Session {
    /// Ends the session for good.
    pub fn close(mut self) {
        self.start = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(start) = &self.start {
            self.sessions.0.lock().unwrap_or_else(PoisonError::into_inner).remove(start);
        }
    }
}
