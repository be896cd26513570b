//! The node by itself: evidence without leaves, at the start and whenever nothing was asked for long. So a reboot shows at once, and a node that
//! no longer holds shows before a pod comes to it.

use std::time::Duration;

use podseal_protocol::{Digest, exchange::ExchangeReply, exchange::Outcome};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::Instant,
};

/// How often it is asked again at once.
const AT_ONCE: u32 = 4;
/// After the verifier or the TPM was away.
const AGAIN: Duration = Duration::from_secs(10);

use super::{RoundError, Rounds, came_late, is_late};

/// How often the node attests where nothing is asked for.
#[derive(Debug)]
pub struct Attest {
    every: Duration,
    /// It could not, and should once more.
    again: Notify,
}

impl Attest {
    /// At least once within this time.
    #[must_use]
    pub fn within(every: Duration) -> Self {
        Self { every, again: Notify::new() }
    }
}

/// When the node attests next.
pub(super) struct Schedule {
    every: Duration,
    next: Instant,
}

impl Schedule {
    /// At once; then within that time, of which each node leaves out a part of its own, so that a cluster's nodes do not come together.
    pub(super) fn of(node: &str, attest: &Attest) -> Self {
        let Digest([part, ..]) = Digest::of(node.as_bytes());
        let every = attest.every.saturating_sub(attest.every.saturating_mul(u32::from(part)) / 1024);
        Self { every, next: Instant::now() }
    }

    /// Waits until then. Can be dropped and asked again.
    pub(super) async fn due(&self, attest: &Attest) {
        tokio::select! {
            () = tokio::time::sleep_until(self.next) => {}
            () = attest.again.notified() => {}
        }
    }

    /// It has just attested.
    pub(super) fn attested(&mut self) {
        self.next = Instant::now() + self.every;
    }
}

impl Rounds {
    /// What the verifier said of the node by itself. Where that is that it came late, or that all of the pod log is wanted, it is asked again at once:
    /// the newest challenge leaves nobody room to be in between.
    pub(super) async fn attested(&self, mut reply: Result<ExchangeReply, RoundError>, slot: OwnedSemaphorePermit) {
        for _ in 0..AT_ONCE {
            if !reply.as_ref().is_ok_and(|reply| reply.outcomes.iter().any(|(_, outcome)| came_late(outcome))) {
                break;
            }
            let quoted = self.quote(&[]).await;
            reply = self.ask(quoted).await;
        }
        drop(slot);
        match reply {
            Ok(reply) => match reply.outcomes.first() {
                Some((_, Outcome::Refused { reason, audit_id })) => {
                    tracing::warn!(reason, audit_id, "the node does not attest: it gets no secrets");
                    if is_late(reason) {
                        self.attest_again().await;
                    }
                }
                _ => tracing::info!("the node attests"),
            },
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "the node could not attest: it tries again");
                self.attest_again().await;
            }
        }
    }

    async fn attest_again(&self) {
        tokio::time::sleep(AGAIN).await;
        self.attest.again.notify_one();
    }
}
