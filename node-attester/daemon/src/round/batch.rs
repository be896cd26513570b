//! Which leaves go together: all that wait or are on their way, as far as one exchange holds them.

use std::collections::VecDeque;

use podseal_protocol::Limits;
use tokio::sync::mpsc;

use super::{Waiting, arrivals::Arrivals};

/// What an exchange holds besides evidence, leaves and attachments, and what CBOR adds to each of these, in bytes.
const OVERHEAD: usize = 16 << 10;
const ITEM_OVERHEAD: usize = 16;

/// Leaves, as they come.
pub(super) struct Batches {
    queue: mpsc::Receiver<Waiting>,
    waiting: VecDeque<Waiting>,
    arrivals: Arrivals,
    limits: Limits,
}

impl Batches {
    pub(super) fn new(queue: mpsc::Receiver<Waiting>, arrivals: Arrivals, limits: Limits) -> Self {
        Self { queue, waiting: VecDeque::new(), arrivals, limits }
    }

    /// The next batch, at least one leaf; waits for the first, and for those that are on their way then. So many bytes are left free for the pod log. `None` when no more can come. Whoever gave
    /// up meanwhile is not in it: nobody would take the answer, and it would be in the log as released.
    pub(super) async fn next(&mut self, pod_log: usize) -> Option<Vec<Waiting>> {
        self.waiting.retain(Waiting::is_awaited);
        while self.waiting.is_empty() {
            self.waiting.extend(Some(self.queue.recv().await?).filter(Waiting::is_awaited));
        }
        self.arrivals.settled().await;
        self.waiting.retain(Waiting::is_awaited);
        while self.waiting.len() < self.limits.leaves
            && let Ok(waiting) = self.queue.try_recv()
        {
            self.waiting.extend(Some(waiting).filter(Waiting::is_awaited));
        }
        let mut room = self.limits.message.saturating_sub(self.limits.evidence_part + OVERHEAD).saturating_sub(pod_log);
        let mut fits = 0;
        for size in self.waiting.iter().map(size) {
            if fits > 0 && size > room {
                break;
            }
            room = room.saturating_sub(size);
            fits += 1;
        }
        Some(self.waiting.drain(..fits).collect())
    }
}

fn size(waiting: &Waiting) -> usize {
    let attachments: usize = waiting.attachments.iter().map(|a| a.len() + ITEM_OVERHEAD).sum();
    waiting.leaf.len() + ITEM_OVERHEAD + attachments
}

impl Waiting {
    fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::sync::Arc;

    use super::{super::RoundError, Arrivals, Batches, Waiting};
    use podseal_protocol::{Limits, exchange::Outcome};
    use tokio::sync::{mpsc, oneshot};

    type Answer = oneshot::Receiver<Result<Outcome, Arc<RoundError>>>;

    fn waiting(bytes: usize) -> (Waiting, Answer) {
        let (answer, awaited) = oneshot::channel();
        (Waiting { leaf: vec![0; 100], attachments: vec![vec![0; bytes]], answer }, awaited)
    }

    async fn sizes(attachments: &[usize]) -> Vec<usize> {
        let (send, queue) = mpsc::channel(1024);
        let mut awaited = Vec::new();
        for bytes in attachments {
            let (waiting, answer) = waiting(*bytes);
            send.send(waiting).await.unwrap();
            awaited.push(answer);
        }
        drop(send);
        let mut batches = Batches::new(queue, Arrivals::default(), Limits::DEFAULT);
        let mut sizes = Vec::new();
        while let Some(batch) = batches.next(0).await {
            sizes.push(batch.len());
        }
        sizes
    }

    #[tokio::test]
    async fn all_that_wait_go_together_as_far_as_they_fit() {
        assert_eq!(sizes(&[]).await, Vec::<usize>::new());
        assert_eq!(sizes(&[1]).await, [1]);
        assert_eq!(sizes(&[10; 256]).await, [256]);
        assert_eq!(sizes(&[10; 257]).await, [256, 1]);
        // 12 MiB are left beside evidence of 4 MiB: eleven times 1 MiB and a little.
        assert_eq!(sizes(&[1 << 20; 25]).await, [11, 11, 3]);
        assert_eq!(sizes(&[20 << 20, 1]).await, [1, 1]);
    }

    #[tokio::test]
    async fn whoever_gave_up_is_not_asked_for() {
        let (send, queue) = mpsc::channel(8);
        let (first, gave_up) = waiting(1);
        let (second, _awaited) = waiting(2);
        send.send(first).await.unwrap();
        send.send(second).await.unwrap();
        drop((send, gave_up));
        let mut batches = Batches::new(queue, Arrivals::default(), Limits::DEFAULT);
        let batch = batches.next(0).await.unwrap();
        assert_eq!(batch.iter().map(|waiting| waiting.attachments[0].len()).collect::<Vec<_>>(), [2]);
        assert!(batches.next(0).await.is_none());
    }
}
