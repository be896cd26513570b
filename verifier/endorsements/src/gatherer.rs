//! Gathering what an appraisal needs: from memory, from the folder, from a service.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use podseal_appraisal::endorsement::{Endorsement, SKEW};
use tokio::{
    sync::Mutex as Turn,
    task::{JoinSet, spawn_blocking},
    time::{self, Instant},
};

use crate::{
    fetcher::{FetchError, Fetcher},
    folder::{Folder, FolderError, Found, Put, Stamp},
    settings::{Ages, Deadlines, Settings},
    tls::TlsRootsError,
};

/// Endorsements in memory; beyond that all are read anew.
const REMEMBERED: usize = 1024;

/// Says whether an answer is authentic at a time, in seconds since 1970: by its signature, up to a pinned root. What is not is neither
/// kept nor does it raise a mark, so nobody but the maker can put a greater number before the genuine one.
pub type Admit = Arc<dyn Fn(&Found, u64) -> Result<(), String> + Send + Sync>;

/// What was gathered. Where something is missing, `gaps` has the reason, in words for an operator.
#[derive(Debug, Clone, Default)]
pub struct Endorsements {
    found: BTreeMap<Endorsement, Arc<Found>>,
    gaps: BTreeMap<Endorsement, String>,
    due: bool,
}

impl Endorsements {
    /// Whether [`Gatherer::gather`] would ask a service: something is missing, or a newer one is looked for.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.due || !self.gaps.is_empty()
    }

    /// One of them. It was good when it was gathered; whether it is authentic, the appraisal says.
    #[must_use]
    pub fn get(&self, endorsement: &Endorsement) -> Option<&Found> {
        self.found.get(endorsement).map(AsRef::as_ref)
    }

    /// All of them, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Found> {
        self.found.values().map(AsRef::as_ref)
    }

    /// What is missing, and why.
    pub fn gaps(&self) -> impl Iterator<Item = (&Endorsement, &str)> {
        self.gaps.iter().map(|(endorsement, why)| (endorsement, why.as_str()))
    }
}

/// Gathers. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Gatherer {
    inner: Arc<Inner>,
}

struct Inner {
    folder: Folder,
    fetcher: Fetcher,
    ages: Ages,
    deadlines: Deadlines,
    admit: Admit,
    remembered: Mutex<HashMap<Endorsement, Remembered>>,
    turns: Mutex<HashMap<Endorsement, Arc<Turn<()>>>>,
    failures: Mutex<HashMap<Endorsement, Failure>>,
}

/// A value with the version of the file that it was read from; none where the folder did not take it.
#[derive(Clone)]
struct Remembered {
    stamp: Option<Stamp>,
    found: Arc<Found>,
}

struct Failure {
    /// Until when it is not tried again, in seconds since 1970.
    until: u64,
    why: String,
}

impl fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatherer").field("folder", &self.inner.folder).field("fetcher", &self.inner.fetcher).finish_non_exhaustive()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why there is no gatherer.
#[derive(Debug, thiserror::Error)]
pub enum GathererError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The roots of the services' TLS certificates.
    #[error(transparent)]
    Tls(#[from] TlsRootsError),
}

impl Gatherer {
    /// Opens the folder, and reads the TLS roots where a service has TLS.
    ///
    /// # Errors
    /// [`GathererError`].
    pub fn new(settings: Settings, admit: Admit) -> Result<Self, GathererError> {
        let folder = Folder::open(&settings.directory, settings.most_bytes)?;
        let fetcher = Fetcher::new(settings.places, &settings.deadlines, &settings.tls_roots)?;
        let (ages, deadlines) = (settings.ages, settings.deadlines);
        let (remembered, turns, failures) = Default::default();
        Ok(Self { inner: Arc::new(Inner { folder, fetcher, ages, deadlines, admit, remembered, turns, failures }) })
    }

    /// Gathers `needs` at `now`, in seconds since 1970. Never fails, and ends within [`Deadlines::total`]: what could not be had is a gap.
    pub async fn gather(&self, needs: BTreeSet<Endorsement>, now: u64) -> Endorsements {
        self.collect(needs, now, Some(Instant::now() + self.inner.deadlines.total)).await
    }

    /// The same from memory and folder alone: nobody is asked.
    pub async fn at_hand(&self, needs: BTreeSet<Endorsement>, now: u64) -> Endorsements {
        self.collect(needs, now, None).await
    }

    /// Services are asked until the deadline, where there is one.
    async fn collect(&self, needs: BTreeSet<Endorsement>, now: u64, deadline: Option<Instant>) -> Endorsements {
        let mut tasks = JoinSet::new();
        for endorsement in needs.iter().cloned() {
            let inner = Arc::clone(&self.inner);
            tasks.spawn(async move {
                let got = match deadline {
                    Some(deadline) => inner.one(&endorsement, now, deadline).await,
                    None => inner.at_hand(&endorsement, now).await,
                };
                (endorsement, got)
            });
        }
        let mut gathered = Endorsements::default();
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok((endorsement, Ok(found))) => {
                    gathered.due |= !self.inner.is_fresh(&found, now);
                    gathered.found.insert(endorsement, found);
                }
                Ok((endorsement, Err(why))) => {
                    gathered.gaps.insert(endorsement, why);
                }
                // What is in neither below was lost with its task.
                Err(_) => {}
            }
        }
        for endorsement in needs {
            if !gathered.found.contains_key(&endorsement) {
                gathered.gaps.entry(endorsement).or_insert_with(|| "gathering it ended early: read the verifier's log".to_owned());
            }
        }
        gathered
    }
}

impl Inner {
    async fn one(self: &Arc<Self>, endorsement: &Endorsement, now: u64, deadline: Instant) -> Result<Arc<Found>, String> {
        let (at_hand, why) = match self.at_hand(endorsement, now).await {
            Ok(found) if self.is_fresh(&found, now) => return Ok(found),
            Ok(found) => (Some(found), String::new()),
            Err(why) => (None, why),
        };
        if !self.fetcher.has(endorsement) {
            return at_hand.ok_or(format!("{why}; no service is configured that has it"));
        }
        let turn = Arc::clone(held(&self.turns).entry(endorsement.clone()).or_default());
        let fetched = match time::timeout_at(deadline, turn.lock()).await {
            Ok(_mine) => self.in_turn(endorsement, now, deadline).await,
            Err(_) => Err("no answer in time to who asked before".to_owned()),
        };
        drop(turn);
        // The map has one of them, and nobody else: whoever comes next makes a new one.
        held(&self.turns).retain(|other, turn| other != endorsement || Arc::strong_count(turn) > 1);
        match fetched {
            Ok(found) => Ok(found),
            Err(problem) => at_hand.ok_or(if why.is_empty() { problem } else { format!("{why}; {problem}") }),
        }
    }

    /// Fetches, unless whoever had the turn before did, or failed a short while ago.
    async fn in_turn(self: &Arc<Self>, endorsement: &Endorsement, now: u64, deadline: Instant) -> Result<Arc<Found>, String> {
        if let Ok(found) = self.at_hand(endorsement, now).await
            && self.is_fresh(&found, now)
        {
            return Ok(found);
        }
        if let Some(failure) = held(&self.failures).get(endorsement).filter(|failure| now < failure.until) {
            return Err(failure.why.clone());
        }
        let problem = match self.fetcher.fetch(endorsement, now, deadline).await {
            Ok((endorsed, facts)) => {
                let source = endorsed.source.clone();
                match self.keep(Found { endorsed, facts }, now).await {
                    Ok(found) => return Ok(found),
                    Err(problem) => format!("{source}: {problem}"),
                }
            }
            Err(FetchError::NoService) => return Err(FetchError::NoService.to_string()),
            Err(error @ FetchError::Failed(_)) => error.to_string(),
        };
        tracing::warn!(%endorsement, %problem, "an endorsement was not fetched");
        self.remember_failure(endorsement, now, &problem);
        Err(problem)
    }

    fn remember_failure(&self, endorsement: &Endorsement, now: u64, why: &str) {
        let mut failures = held(&self.failures);
        if failures.len() >= REMEMBERED {
            failures.retain(|_, failure| now < failure.until);
        }
        if failures.len() >= REMEMBERED {
            failures.clear();
        }
        let until = now.saturating_add(self.deadlines.retry.as_secs());
        failures.insert(endorsement.clone(), Failure { until, why: why.to_owned() });
    }

    /// Puts what was fetched into the folder, and gives back what is newest now.
    async fn keep(self: &Arc<Self>, new: Found, now: u64) -> Result<Arc<Found>, String> {
        (self.admit)(&new, now)?;
        let (inner, kept) = (Arc::clone(self), Arc::new(new));
        let new = Arc::clone(&kept);
        let put = spawn_blocking(move || {
            let put = inner.folder.put(&new.endorsed, &new.facts);
            (put, inner.folder.stamp(&new.endorsed.endorsement))
        });
        let (put, stamp) = put.await.map_err(|_| "the verifier is stopping".to_owned())?;
        let endorsement = &kept.endorsed.endorsement;
        let stamp = match put {
            Ok(Put::Written) => stamp,
            Ok(Put::Kept) => return self.at_hand(endorsement, now).await,
            Err(error @ FolderError::Lower { .. }) => return Err(error.to_string()),
            Err(error) => {
                // It is good all the same, as long as this process remembers it.
                tracing::warn!(%endorsement, %error, "an endorsement was not kept");
                stamp
            }
        };
        self.remember(Remembered { stamp, found: Arc::clone(&kept) });
        Ok(kept)
    }

    fn remember(&self, new: Remembered) {
        let mut remembered = held(&self.remembered);
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(new.found.endorsed.endorsement.clone(), new);
    }

    /// What is in memory or in the folder, and good at `now`.
    async fn at_hand(self: &Arc<Self>, endorsement: &Endorsement, now: u64) -> Result<Arc<Found>, String> {
        let (inner, wanted) = (Arc::clone(self), endorsement.clone());
        let looked_up = spawn_blocking(move || inner.look_up(&wanted)).await.map_err(|_| "the verifier is stopping".to_owned())?;
        let found = looked_up.map_err(|error| error.to_string())?.ok_or("it is not in the folder of endorsements")?;
        let (age, most) = (found.age(now), self.ages.of(endorsement.kind()));
        if found.endorsed.fetched > now.saturating_add(SKEW) {
            return Err("what is in the folder was fetched in the future: set the clock".to_owned());
        }
        if age > most {
            return Err(format!("what is in the folder is {age} s old, wanted at most {most} s"));
        }
        found.facts.current(now).map_err(|why| format!("what is in the folder is of no use: {why}"))?;
        Ok(found)
    }

    /// Blocking.
    fn look_up(&self, endorsement: &Endorsement) -> Result<Option<Arc<Found>>, FolderError> {
        let stamp = self.folder.stamp(endorsement);
        let remembered = held(&self.remembered).get(endorsement).cloned();
        if let Some(remembered) = remembered
            && remembered.stamp == stamp
        {
            return Ok(Some(remembered.found));
        }
        let Some(found) = self.folder.get(endorsement)?.map(Arc::new) else { return Ok(None) };
        self.remember(Remembered { stamp, found: Arc::clone(&found) });
        Ok(Some(found))
    }

    /// Whether no newer one is looked for yet.
    fn is_fresh(&self, found: &Found, now: u64) -> bool {
        found.age(now) < self.ages.of(found.endorsed.endorsement.kind()) / 2
    }
}
