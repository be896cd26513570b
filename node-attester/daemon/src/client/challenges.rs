//! The challenge at hand. Every answer of the verifier brings the next one, and an idle attester renews it before it expires: so the
//! first pod after a quiet hour needs no extra round trip.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use podseal_protocol::Purpose;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Client, ClientError, Fresh};

/// A challenge with less than this left is not used: quote and network take time.
const MARGIN: Duration = Duration::from_secs(10);
/// An idle attester looks this often.
const LOOK: Duration = Duration::from_secs(5);

/// At most one challenge for releases, ready to be used.
pub struct Challenges {
    client: Client,
    ready: Mutex<Option<Fresh>>,
}

impl Challenges {
    /// None at hand.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, ready: Mutex::new(None) }
    }

    /// The challenge at hand, otherwise a fresh one from the verifier.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn take(&self) -> Result<Fresh, ClientError> {
        let ready = self.lock().take().filter(|fresh| fresh.expires > Instant::now() + MARGIN);
        match ready {
            Some(fresh) => Ok(fresh),
            None => self.client.challenge(Purpose::Release).await,
        }
    }

    /// Keeps the challenge that came with an answer.
    ///
    /// # Errors
    /// When it is not for this node; then none is kept.
    pub fn put(&self, bytes: Vec<u8>) -> Result<(), ClientError> {
        let fresh = self.client.check(bytes, Purpose::Release)?;
        *self.lock() = Some(fresh);
        Ok(())
    }

    /// Renews the challenge at hand, for ever.
    pub async fn keep_fresh(&self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            ticks.tick().await;
            let soon = Instant::now() + MARGIN + 2 * LOOK;
            if self.lock().as_ref().is_some_and(|fresh| fresh.expires > soon) {
                continue;
            }
            match self.client.challenge(Purpose::Release).await {
                Ok(fresh) => {
                    if std::mem::take(&mut away) {
                        tracing::info!("the verifier answers again");
                    }
                    *self.lock() = Some(fresh);
                }
                Err(error) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(%error, "no challenge: pods wait until the verifier answers");
                    }
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Fresh>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
