//! What decisions rest on: policy, reference values and clusters of one generation, and each node's registration, compiled once and kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use podseal_appraisal::{
    appraiser::{Cluster, ClusterError, Registration},
    eventlog::ReplayedLog,
    machine::{Hardware, HardwareError},
    pod_log::PodLogState,
    policy::{Policy, PolicyError, PolicyLimits},
    records::NodeRecord,
    reference::{Reference, ReferenceError},
};
use thiserror::Error;
use tokio::sync::RwLock;

use crate::store::{
    Store, clusters,
    documents::{self, Kind},
    state,
};

/// Nodes of which something is kept.
const KEPT: usize = 1024;

/// Why nothing can be decided.
#[derive(Debug, Error)]
pub enum InForceError {
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] sqlx::Error),
    /// The stored policy does not compile: another version of the program applied it.
    #[error("the policy in force: {0}: apply a corrected one (podseal policy apply)")]
    Policy(#[from] PolicyError),
    /// A stored reference set does not parse.
    #[error("a reference set in force: {0}: apply a corrected one (podseal reference apply)")]
    Reference(#[from] ReferenceError),
    /// The stored policy of hardware does not parse.
    #[error("the hardware policy in force: {0}: apply a corrected one (podseal hardware apply)")]
    Hardware(#[from] HardwareError),
    /// A stored cluster cannot be used.
    #[error("cluster {id}: {error}: add it again (podseal cluster add)")]
    Cluster {
        /// Which.
        id: String,
        /// Why.
        error: ClusterError,
    },
}

/// Everything of one generation.
#[derive(Debug)]
pub struct Generation {
    /// Its number: the committer takes nothing that was decided on another.
    pub number: u64,
    /// The policy and its text.
    pub policy: Option<(Policy, String)>,
    /// Reference sets.
    pub references: Vec<Reference>,
    /// Name and text of each.
    pub reference_texts: Vec<(String, String)>,
    /// Roots of hardware, and what of it is good enough.
    pub hardware: Hardware,
    /// Clusters by id.
    pub clusters: HashMap<String, Cluster>,
}

impl Generation {
    async fn load(store: &Store, roots: &Hardware) -> Result<Self, InForceError> {
        // One read transaction, so that everything is of the generation that it says.
        let mut read = store.readers().begin().await?;
        let number = state::generation(&mut *read).await?;
        let policy = documents::policy(&mut *read).await?;
        let policy = policy.map(|d| Policy::parse(&d.text, &PolicyLimits::DEFAULT).map(|policy| (policy, d.text))).transpose()?;
        let hardware = documents::hardware(&mut *read).await?.map_or_else(|| Ok(roots.clone()), |d| roots.under(&d.text))?;
        let documents = documents::list(&mut *read, Kind::Reference).await?;
        let mut clusters = HashMap::new();
        for record in clusters::list(&mut *read).await? {
            let id = record.id.clone();
            let cluster = Cluster::new(record).map_err(|error| InForceError::Cluster { id: id.clone(), error })?;
            clusters.insert(id, cluster);
        }
        Ok(Self {
            number,
            policy,
            hardware,
            references: documents.iter().map(|d| Reference::parse(&d.text)).collect::<Result<_, _>>()?,
            reference_texts: documents.into_iter().map(|d| (d.name, d.text)).collect(),
            clusters,
        })
    }
}

/// The newest generation, and what is known of each node: its prepared registration, and what its logs came to.
#[derive(Debug)]
pub struct InForce {
    store: Store,
    roots: Hardware,
    newest: RwLock<Option<Arc<Generation>>>,
    registrations: Mutex<HashMap<String, Arc<Registration>>>,
    logs: Mutex<HashMap<String, Arc<ReplayedLog>>>,
    pod_logs: Mutex<HashMap<String, Arc<PodLogState>>>,
}

impl InForce {
    /// Loads nothing yet; `roots` are those of hardware.
    #[must_use]
    pub fn new(store: Store, roots: Hardware) -> Self {
        Self {
            store,
            roots,
            newest: RwLock::default(),
            registrations: Mutex::default(),
            logs: Mutex::default(),
            pod_logs: Mutex::default(),
        }
    }

    /// The generation that the store is at.
    ///
    /// # Errors
    /// [`InForceError`].
    pub async fn current(&self) -> Result<Arc<Generation>, InForceError> {
        let number = state::generation(self.store.readers()).await?;
        if let Some(kept) = self.newest.read().await.as_ref().filter(|kept| kept.number == number) {
            return Ok(Arc::clone(kept));
        }
        let mut newest = self.newest.write().await;
        if let Some(kept) = newest.as_ref().filter(|kept| kept.number >= number) {
            return Ok(Arc::clone(kept));
        }
        let loaded = Arc::new(Generation::load(&self.store, &self.roots).await?);
        *newest = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// A node's registration, prepared once for each record of it.
    #[must_use]
    pub fn registration(&self, record: &NodeRecord) -> Arc<Registration> {
        if let Some(kept) = of_node(&self.registrations, &record.node).filter(|kept| kept.record() == record) {
            return kept;
        }
        let prepared = Arc::new(Registration::new(record.clone()));
        keep(&self.registrations, &record.node, Arc::clone(&prepared));
        prepared
    }

    /// The kept replay of a node's boot log.
    #[must_use]
    pub fn replayed(&self, node: &str) -> Option<Arc<ReplayedLog>> {
        of_node(&self.logs, node)
    }

    /// Keeps a replay for the next exchange of that node.
    pub fn keep(&self, node: &str, log: ReplayedLog) {
        keep(&self.logs, node, Arc::new(log));
    }

    /// What a node's pod log came to in the newest exchange that proved it.
    #[must_use]
    pub fn pod_log(&self, node: &str) -> Option<Arc<PodLogState>> {
        of_node(&self.pod_logs, node)
    }

    /// Keeps what a pod log came to for the next exchange of that node, which need not send it again.
    pub fn keep_pod_log(&self, node: &str, state: PodLogState) {
        keep(&self.pod_logs, node, Arc::new(state));
    }
}

fn of_node<T>(kept: &Mutex<HashMap<String, Arc<T>>>, node: &str) -> Option<Arc<T>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner).get(node).cloned()
}

fn keep<T>(kept: &Mutex<HashMap<String, Arc<T>>>, node: &str, value: Arc<T>) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= KEPT && !kept.contains_key(node) {
        kept.clear();
    }
    kept.insert(node.to_owned(), value);
}
