//! Watches the runtime, and records what happens.
//!
//! It subscribes first, then compares the log with the runtime's list, then takes the events that came meanwhile and come from then on. So
//! nothing falls between list and events; what is in both is recorded twice, found and then heard.

use std::{collections::BTreeSet, convert::Infallible, path::PathBuf, time::Duration};

use podseal_protocol::pod_log::Event;
use tokio::sync::watch;

use super::{
    Gate, Opened, PodLogError, asking,
    containerd::{Away, Containerd, Heard, Named},
    table::{Standing, View},
};
use crate::{
    config::Bounds,
    owner::{Owner, TpmError},
};

/// Before the runtime, the TPM or the disk is tried again, the first time and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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
        let Opened { table, continued } = self.until_done(|owner| async move { owner.open_pod_log().await }).await?;
        self.view.send_modify(|view| view.table = table);
        if continued {
            self.record(Event::AttesterRestarted).await?;
        }
        let mut subscribed = false;
        let mut pause = Pause::default();
        loop {
            let before = subscribed;
            let Err(stop) = self.listen(&mut subscribed, &mut pause).await;
            self.stand(Standing::Behind);
            match stop {
                Stop::ForGood => return Err(Stop::ForGood),
                Stop::Away(away) if subscribed != before || pause.is_first() => {
                    tracing::warn!(%away, "the container runtime's events are not heard: pods wait until they are");
                }
                Stop::Away(_) => {}
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
            self.record(Event::Interrupted).await?;
        }
        self.compare(&containerd).await?;
        *pause = Pause::default();
        self.stand(Standing::Current);
        tracing::info!("the container runtime's events are heard");
        loop {
            match events.next().await? {
                Heard::Started(named) => self.started(&containerd, named).await?,
                Heard::ExecAdded { container, exec_id } => self.exec(&container, exec_id, false).await?,
                Heard::ExecStarted { container, exec_id } => self.exec(&container, exec_id, true).await?,
                Heard::Ended(named) => self.ended(asking::id(&named)).await?,
            }
        }
    }

    /// Records what runs and is not in the log, and what is in the log and runs no more.
    async fn compare(&mut self, containerd: &Containerd) -> Result<(), Stop> {
        let running = containerd.running().await?;
        let ids: BTreeSet<String> = running.iter().map(|named| self.short(asking::id(named))).collect();
        let gone: Vec<String> = self.view.borrow().table.ids().filter(|id| !ids.contains(*id)).map(str::to_owned).collect();
        for id in gone {
            self.ended(id).await?;
        }
        for named in running {
            if self.view.borrow().table.get(&self.short(asking::id(&named))).is_none() {
                let started = asking::started(containerd, &named, false, &self.bounds.limits).await?;
                self.record(Event::Started(started)).await?;
            }
        }
        Ok(())
    }

    async fn started(&mut self, containerd: &Containerd, named: Named) -> Result<(), Stop> {
        let started = asking::started(containerd, &named, true, &self.bounds.limits).await?;
        // One that was heard before has ended without being heard: the same id runs once at a time.
        if self.view.borrow().table.get(&started.container_id).is_some_and(|running| running.heard) {
            self.record(Event::Ended { container_id: started.container_id.clone() }).await?;
        }
        self.record(Event::Started(started)).await
    }

    /// One record for each exec: when it is added, or when it starts where that was not heard.
    async fn exec(&mut self, container: &Named, exec_id: String, starts: bool) -> Result<(), Stop> {
        let (container_id, exec_id) = (self.short(asking::id(container)), self.short(exec_id));
        let key = (container_id.clone(), exec_id.clone());
        if starts && self.added.remove(&key) {
            return Ok(());
        }
        if !starts {
            self.added.insert(key);
        }
        self.record(Event::Exec { container_id, exec_id }).await
    }

    async fn ended(&mut self, id: String) -> Result<(), Stop> {
        let container_id = self.short(id);
        self.added.retain(|(container, _)| *container != container_id);
        if self.view.borrow().table.get(&container_id).is_none() {
            return Ok(());
        }
        self.record(Event::Ended { container_id }).await
    }

    fn short(&self, text: String) -> String {
        asking::shorter(text, &self.bounds.limits)
    }

    async fn record(&mut self, event: Event) -> Result<(), Stop> {
        self.until_done(|owner| {
            let event = event.clone();
            async move { owner.record(event).await }
        })
        .await?;
        self.view.send_modify(|view| view.table.apply(&event));
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
