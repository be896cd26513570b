//! Leaves that are on their way: of sessions that have been asked, and do not know yet who asks.
//!
//! Where many containers start at once, the first leaf would go alone, and the others after it, few by few. So a round waits for those that were on
//! their way when it could begin, each of which has its own deadline; for none that come later.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;

/// Those that are on their way. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Arrivals(Arc<watch::Sender<Numbers>>);

#[derive(Debug, Default)]
struct Numbers {
    next: u64,
    under_way: BTreeSet<u64>,
}

/// One that is on its way, until the value goes.
#[derive(Debug)]
pub struct Arrival {
    number: u64,
    arrivals: Arrivals,
}

impl Arrivals {
    /// One more.
    #[must_use]
    pub fn begin(&self) -> Arrival {
        let mut number = 0;
        self.0.send_modify(|numbers| {
            number = numbers.next;
            numbers.next = numbers.next.wrapping_add(1);
            numbers.under_way.insert(number);
        });
        Arrival { number, arrivals: self.clone() }
    }

    /// Waits until none is on its way of those that are now.
    pub(super) async fn settled(&self) {
        let mut numbers = self.0.subscribe();
        let now = numbers.borrow().next;
        // Not an error: the sender is ours.
        let _settled = numbers.wait_for(|numbers| numbers.under_way.range(..now).next().is_none()).await;
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.arrivals.0.send_modify(|numbers| _ = numbers.under_way.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Arrivals;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_round_waits_for_those_that_came_before_it_alone() {
        let arrivals = Arrivals::default();
        arrivals.settled().await;
        let (first, second) = (arrivals.begin(), arrivals.begin());
        let settled = arrivals.settled();
        tokio::pin!(settled);
        assert!(timeout(Duration::ZERO, &mut settled).await.is_err());
        let _later = arrivals.begin();
        drop(second);
        assert!(timeout(Duration::ZERO, &mut settled).await.is_err());
        drop(first);
        settled.await;
    }
}
