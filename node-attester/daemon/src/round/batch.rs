//! Which leaves go together: all that wait or are on their way, as far as one exchange holds them.

use std::{collections::VecDeque, time::Duration};

use podseal_protocol::Limits;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{Waiting, arrivals::Arrivals};

/// What an exchange holds besides evidence, leaves and attachments, and what CBOR adds to each of these, in bytes.
const OVERHEAD: usize = 16 << 10;
const ITEM_OVERHEAD: usize = 16;

/// Many that start at once come one after the other: as long as none is missed for so long, the last has not come.
const QUIET: Duration = Duration::from_millis(150);
/// So long the first of them waits at most.
const LONGEST: Duration = Duration::from_millis(1200);

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

    /// The next batch, at least one leaf; waits for the first, and in a crowd for the others. So many bytes are left free for the pod log. `None` when no more can come. Whoever gave
    /// up meanwhile is not in it: nobody would take the answer, and it would be in the log as released.
    pub(super) async fn next(&mut self, pod_log: usize) -> Option<Vec<Waiting>> {
        self.waiting.retain(Waiting::is_awaited);
        while self.waiting.is_empty() {
            self.waiting.extend(Some(self.queue.recv().await?).filter(Waiting::is_awaited));
        }
        self.gather().await;
        self.waiting.retain(Waiting::is_awaited);
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

    /// All that wait. Where more than one is there or on its way, also those that follow: a quote takes longer than they do.
    async fn gather(&mut self) {
        let longest = Instant::now() + LONGEST;
        loop {
            while self.waiting.len() < self.limits.leaves
                && let Ok(waiting) = self.queue.try_recv()
            {
                self.waiting.push_back(waiting);
            }
            let alone = self.waiting.len() == 1 && !self.arrivals.are_any();
            if alone || self.waiting.len() >= self.limits.leaves {
                return;
            }
            match timeout_at(longest.min(Instant::now() + QUIET), self.queue.recv()).await {
                Ok(Some(waiting)) => self.waiting.push_back(waiting),
                Ok(None) => return,
                Err(_) if self.arrivals.are_any() && Instant::now() < longest => {}
                Err(_) => return,
            }
        }
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
    use std::{sync::Arc, time::Duration};

    use super::{super::RoundError, Arrivals, Batches, LONGEST, QUIET, Waiting};
    use podseal_protocol::{Limits, exchange::Outcome};
    use tokio::{
        sync::{mpsc, oneshot},
        time::Instant,
    };

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

    /// One leaf at once, and another every `every`, while the first batches are taken: how many each has, and after how long.
    async fn crowd(leaves: usize, every: Duration, arrivals: Arrivals) -> Vec<(usize, Duration)> {
        let (send, queue) = mpsc::channel(1024);
        let begin = Instant::now();
        tokio::spawn(async move {
            let mut awaited = Vec::new();
            for _ in 0..leaves {
                let (waiting, answer) = waiting(1);
                awaited.push(answer);
                send.send(waiting).await.unwrap();
                tokio::time::sleep(every).await;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        let mut batches = Batches::new(queue, arrivals, Limits::DEFAULT);
        let (mut taken, mut all) = (Vec::new(), 0);
        while all < leaves {
            let batch = batches.next(0).await.unwrap();
            all += batch.len();
            taken.push((batch.len(), begin.elapsed()));
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn a_leaf_alone_waits_for_nothing_and_a_crowd_for_its_last() {
        let taken = crowd(1, Duration::ZERO, Arrivals::default()).await;
        assert_eq!(taken, [(1, Duration::ZERO)]);
        // Nobody else is seen: each goes by itself.
        let rare = crowd(3, Duration::from_secs(1), Arrivals::default()).await;
        assert_eq!(rare.iter().map(|(size, _)| *size).collect::<Vec<_>>(), [1, 1, 1]);
        // More are on their way: one batch, as soon as it is quiet.
        let arrivals = Arrivals::default();
        let on_its_way = arrivals.begin();
        let ended = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            drop(on_its_way);
        });
        let taken = crowd(10, Duration::from_millis(50), arrivals).await;
        ended.await.unwrap();
        assert_eq!(taken, [(10, Duration::from_millis(450) + QUIET)]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_longer_than_that() {
        let arrivals = Arrivals::default();
        let _stays_on_its_way = arrivals.begin();
        let taken = crowd(1, Duration::ZERO, arrivals.clone()).await;
        assert_eq!(taken, [(1, LONGEST)]);
        let taken = crowd(40, Duration::from_millis(50), arrivals).await;
        assert_eq!(taken[0], (24, LONGEST));
    }
}
