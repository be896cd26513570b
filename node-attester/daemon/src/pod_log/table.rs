//! What runs on the node by its log, and whether a session may go on by it.

use std::{collections::BTreeMap, time::Duration};

use podseal_protocol::pod_log::Event;
use tokio::sync::watch;

/// A container that runs, by the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Running {
    /// Its start was heard.
    pub heard: bool,
    /// A process was started in it besides its own.
    pub exec: bool,
}

/// Containers that run, by the log, under the ids that the log has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table(BTreeMap<String, Running>);

impl Table {
    /// After one more event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Started(started) => {
                self.0.insert(started.container_id.clone(), Running { heard: started.heard, exec: false });
            }
            Event::Exec { container_id, .. } => {
                if let Some(running) = self.0.get_mut(container_id) {
                    running.exec = true;
                }
            }
            Event::Ended { container_id } => {
                self.0.remove(container_id);
            }
            Event::Began { .. } | Event::AttesterRestarted { .. } | Event::Interrupted => {}
        }
    }

    /// What the log says of a container.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Running> {
        self.0.get(id).copied()
    }

    /// The ids.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// How the log stands to what happens on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// It has not caught up: the runtime, the TPM or the disk is away.
    #[default]
    Behind,
    /// The runtime is listened to.
    Current,
    /// It disagrees with its register, and will until the node boots.
    Disagrees,
}

/// What the watch shows to sessions.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) standing: Standing,
    pub(super) table: Table,
}

/// Why a container's session does not go on. The caller learns code and advice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// The log has no start of this container yet.
    #[error("the pod log has no start of container {container} within {} ms", .after.as_millis())]
    Behind {
        /// Which container.
        container: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The log disagrees with its register.
    #[error("the pod log disagrees with its register: the log line that names PCR 13 has both values")]
    Disagrees,
    /// Something else was run in the container.
    #[error("the pod log has an exec in container {container}")]
    Exec {
        /// Which container.
        container: String,
    },
}

impl NotRecorded {
    /// Stable code for the caller.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Behind { .. } => "node.pod_log_behind",
            Self::Disagrees => "node.pod_log_disagrees",
            Self::Exec { .. } => "container.exec",
        }
    }

    /// What the developer of the workload can do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Behind { .. } => "the node has not heard of this container's start yet: it is tried again",
            Self::Disagrees => {
                "the node's pod log disagrees with its TPM, for good: see podseal node show, find out why, then reset the node's TPM: systemctl reboot"
            }
            Self::Exec { .. } => {
                "nothing but the container's first process may run before its secrets arrive: restart the container, and exec into it later"
            }
        }
    }

    /// Whether asking again may help.
    #[must_use]
    pub fn retry(&self) -> bool {
        matches!(self, Self::Behind { .. })
    }
}

/// Lets sessions pass whose container's start is in the log, and nothing else of it. Clones share the log; a node without one lets all pass.
#[derive(Debug, Clone, Default)]
pub struct Gate(Option<watch::Receiver<View>>);

impl Gate {
    pub(super) fn new(view: watch::Receiver<View>) -> Self {
        Self(Some(view))
    }

    /// Waits until the log has the start of this container, at most so long.
    ///
    /// # Errors
    /// Why its session does not go on.
    pub async fn pass(&self, container: &str, within: Duration) -> Result<(), NotRecorded> {
        let Some(view) = &self.0 else { return Ok(()) };
        let mut view = view.clone();
        let is_settled = |view: &View| {
            view.standing == Standing::Disagrees || (view.standing == Standing::Current && view.table.get(container).is_some())
        };
        let behind = || NotRecorded::Behind { container: container.to_owned(), after: within };
        let settled = tokio::time::timeout(within, view.wait_for(is_settled)).await.map_err(|_| behind())?.map_err(|_| behind())?;
        if settled.standing == Standing::Disagrees {
            return Err(NotRecorded::Disagrees);
        }
        if settled.table.get(container).is_some_and(|running| running.exec) {
            return Err(NotRecorded::Exec { container: container.to_owned() });
        }
        Ok(())
    }
}
