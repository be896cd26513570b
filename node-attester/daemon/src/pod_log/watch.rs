//! Watches the runtime, and records what happens.
//!
//! It subscribes first, then compares the log with the runtime's list, then takes the events that came meanwhile and come from then on. So
//! nothing falls between list and events; what is in both is recorded twice, found and then heard.
//!
//! All that was heard while the TPM did something else is recorded in one go: else a TPM that signs slowly would take one record between two quotes.

use std::{collections::BTreeSet, convert::Infallible, path::PathBuf, time::Duration};

use podseal_protocol::pod_log::Event;
use tokio::sync::watch;

use super::{
    Gate, PodLogError, asking,
    containerd::{Away, Containerd, Heard, Named},
    table::{Standing, Table, View},
};
use crate::{
    config::Bounds,
    owner::{Owner, Recorded, TpmError},
};

/// Before the runtime, the TPM or the disk is tried again, the first time and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Events that are recorded in one go. Each is an extend, and all together must be done well within `limits.tpm_ms`.
const AT_ONCE: usize = 64;

/// Keeps the pod log of a node.
pub struct Watch {
    owner: Owner,
    socket: PathBuf,
    bounds: Bounds,
    view: watch::Sender<View>,
    /// Execs that were added and not started: their start is no second one.
    added: BTreeSet<(String, String)>,
}

/// Why no more is recorded.
enum Stop {
    /// The runtime is away: it is connected to anew.
    Away(Away),
    /// The log cannot go on in this boot.
    ForGood,
}

/// What happened and is not recorded yet.
struct News {
    events: Vec<Event>,
    /// What runs, by the log, once they are.
    table: Table,
}

impl News {
    fn add(&mut self, event: Event) {
        self.table.apply(&event);
        self.events.push(event);
    }
}

impl From<Away> for Stop {
    fn from(away: Away) -> Self {
        Self::Away(away)
    }
}

impl Watch {
    /// Starts watching; sessions pass by the gate that is returned.
    pub fn start(owner: Owner, socket: PathBuf, bounds: Bounds) -> Gate {
        let (view, seen) = watch::channel(View::default());
        let mut watch = Self { owner, socket, bounds, view, added: BTreeSet::new() };
        tokio::spawn(async move {
            // It only ends for good; then what it showed last stays.
            let _stopped = watch.run().await;
            watch.view.closed().await;
        });
        Gate::new(seen)
    }

    async fn run(&mut self) -> Result<Infallible, Stop> {
        let table = self.until_done(|owner| async move { owner.open_pod_log().await }).await?;
        self.view.send_modify(|view| view.table = table);
        let mut subscribed = false;
        let mut pause = Pause::default();
        loop {
            let before = subscribed;
            let Err(stop) = self.listen(&mut subscribed, &mut pause).await;
            // What ends it for good has said how it stands.
            let Stop::Away(away) = stop else { return Err(stop) };
            self.stand(Standing::Behind);
            if subscribed != before || pause.is_first() {
                tracing::warn!(%away, "the container runtime's events are not heard: pods wait until they are");
            }
            pause.wait().await;
        }
    }

    /// Subscribes, compares, and records events until the runtime is away.
    async fn listen(&mut self, subscribed: &mut bool, pause: &mut Pause) -> Result<Infallible, Stop> {
        let containerd = Containerd::connect(&self.socket, self.bounds.limits, self.bounds.identify).await?;
        let mut events = containerd.subscribe().await?;
        self.added.clear();
        if std::mem::replace(subscribed, true) {
            self.record(vec![Event::Interrupted]).await?;
        }
        let mut news = self.news();
        let compared = self.compare(&containerd, &mut news).await;
        self.record(news.events).await?;
        compared?;
        *pause = Pause::default();
        self.stand(Standing::Current);
        tracing::info!("the container runtime's events are heard");
        loop {
            let (heard, heard_to_the_end) = events.waiting(AT_ONCE).await;
            let mut news = self.news();
            let described = self.describe(&containerd, heard, &mut news).await;
            self.record(news.events).await?;
            described?;
            heard_to_the_end?;
        }
    }

    fn news(&self) -> News {
        News { events: Vec::new(), table: self.view.borrow().table.clone() }
    }

    /// What runs and is not in the log, and what is in the log and runs no more.
    async fn compare(&self, containerd: &Containerd, news: &mut News) -> Result<(), Away> {
        let running = containerd.running().await?;
        let ids: BTreeSet<String> = running.iter().map(|named| self.short(asking::id(named))).collect();
        let gone: Vec<String> = news.table.ids().filter(|id| !ids.contains(*id)).map(str::to_owned).collect();
        for container_id in gone {
            news.add(Event::Ended { container_id });
        }
        for named in running {
            if news.table.get(&self.short(asking::id(&named))).is_none() {
                news.add(Event::Started(asking::started(containerd, &named, false, &self.bounds.limits).await?));
            }
        }
        Ok(())
    }

    /// What was heard, as records have it.
    async fn describe(&mut self, containerd: &Containerd, heard: Vec<Heard>, news: &mut News) -> Result<(), Away> {
        for heard in heard {
            match heard {
                Heard::Started(named) => self.started(containerd, named, news).await?,
                Heard::ExecAdded { container, exec_id } => self.exec(&container, exec_id, false, news),
                Heard::ExecStarted { container, exec_id } => self.exec(&container, exec_id, true, news),
                Heard::Ended(named) => self.ended(&named, news),
            }
        }
        Ok(())
    }

    async fn started(&self, containerd: &Containerd, named: Named, news: &mut News) -> Result<(), Away> {
        let started = asking::started(containerd, &named, true, &self.bounds.limits).await?;
        // One that was heard before has ended without being heard: the same id runs once at a time.
        if news.table.get(&started.container_id).is_some_and(|running| running.heard) {
            news.add(Event::Ended { container_id: started.container_id.clone() });
        }
        news.add(Event::Started(started));
        Ok(())
    }

    /// One record for each exec: when it is added, or when it starts where that was not heard.
    fn exec(&mut self, container: &Named, exec_id: String, starts: bool, news: &mut News) {
        let (container_id, exec_id) = (self.short(asking::id(container)), self.short(exec_id));
        let key = (container_id.clone(), exec_id.clone());
        if starts && self.added.remove(&key) {
            return;
        }
        // One that is added before its container starts is recorded again when it starts: only then is it in a container.
        if !starts && news.table.get(&container_id).is_some() {
            self.added.insert(key);
        }
        news.add(Event::Exec { container_id, exec_id });
    }

    fn ended(&mut self, named: &Named, news: &mut News) {
        let container_id = self.short(asking::id(named));
        self.added.retain(|(container, _)| *container != container_id);
        if news.table.get(&container_id).is_some() {
            news.add(Event::Ended { container_id });
        }
    }

    fn short(&self, text: String) -> String {
        asking::shorter(text, &self.bounds.limits)
    }

    /// Records all of them; sessions see what is recorded.
    async fn record(&self, mut events: Vec<Event>) -> Result<(), Stop> {
        while !events.is_empty() {
            let some = events.get(..events.len().min(AT_ONCE)).unwrap_or_default();
            let recorded = self.until_done(|owner| {
                let some = some.to_vec();
                async move { owner.record(some).await }
            });
            let Recorded { count, .. } = recorded.await?;
            let recorded = events.drain(..count.min(events.len()));
            self.view.send_modify(|view| recorded.for_each(|event| view.table.apply(&event)));
        }
        Ok(())
    }

    /// Lets the owner do something, again until it is done; sessions wait meanwhile.
    async fn until_done<T, F: Future<Output = Result<T, TpmError>>>(&self, job: impl Fn(Owner) -> F) -> Result<T, Stop> {
        let before = self.view.borrow().standing;
        let mut pause = Pause::default();
        loop {
            match job(self.owner.clone()).await {
                Ok(done) => {
                    self.stand(before);
                    return Ok(done);
                }
                Err(error @ (TpmError::PodLog(PodLogError::Disagrees { .. } | PodLogError::TooLong { .. }) | TpmError::Ended)) => {
                    tracing::error!(%error, "no pod log is kept any more, and no secret comes to this node");
                    self.stand(Standing::Disagrees);
                    return Err(Stop::ForGood);
                }
                Err(error) => {
                    self.stand(Standing::Behind);
                    if pause.is_first() {
                        tracing::warn!(%error, "the pod log waits, and pods with it");
                    }
                    pause.wait().await;
                }
            }
        }
    }

    fn stand(&self, standing: Standing) {
        self.view.send_if_modified(|view| std::mem::replace(&mut view.standing, standing) != standing);
    }
}

/// A pause that grows.
#[derive(Default)]
struct Pause(Option<Duration>);

impl Pause {
    fn is_first(&self) -> bool {
        self.0.is_none()
    }

    async fn wait(&mut self) {
        let pause = self.0.unwrap_or(FIRST_PAUSE);
        self.0 = Some((pause * 2).min(LONGEST_PAUSE));
        tokio::time::sleep(pause).await;
    }
}
