//! What a replay came to: small, since whatever ended is left out, and in one canonical form, since decisions rest on it.

use std::collections::{BTreeMap, BTreeSet};

use podseal_protocol::{
    Bank, BankDigest, Digest, Limits,
    binding::PodLogHead,
    cbor::{Decoder, Encoder, Malformed, Problem},
    pod_log::{Standing, exceptions},
};

const DOMAIN: &str = "podseal.pod-log-state.v2";
/// Live containers, pods, and images that ran privileged, at most; a node has hundreds.
pub(super) const MOST: usize = 4096;

/// A container that runs, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// UID of its pod; empty for what belongs to none.
    pub pod_uid: String,
    /// Its image, as the runtime names it.
    pub image: String,
    /// Digest of the image's manifest, where it is named by it. Follows from the name, so it is not encoded.
    pub manifest: Option<Digest>,
    /// Whether it is a pod's sandbox.
    pub sandbox: bool,
    /// Whether its start was heard.
    pub heard: bool,
    /// Processes that were started in it besides its own.
    pub execs: u64,
}

/// The manifest's digest, where the runtime names the image by it: as it stands in the name, and its bytes.
pub(super) fn manifest(image: &str) -> Option<(&str, Digest)> {
    let last = image.rsplit_once('@').map_or(image, |(_, digest)| digest);
    Some((last, last.strip_prefix("sha256:").and_then(Digest::from_hex)?))
}

/// A pod of which something runs, or may run again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pod {
    /// In all its containers, also in those that ended.
    pub(super) execs: u64,
    /// Whether every exec since the pod began was heard.
    pub(super) heard_all: bool,
    /// Its sandbox ended, and no other was started.
    pub(super) sandbox_ended: bool,
    /// Ids of its containers that run. Follows from the containers, so it is not encoded.
    pub(super) live: BTreeSet<String>,
}

impl Pod {
    /// What is still worth knowing of a pod: what runs, and what was done in it while it can start containers again.
    pub(super) fn stays(&self) -> bool {
        !self.live.is_empty() || !self.sandbox_ended && (self.execs > 0 || !self.heard_all)
    }
}

/// What the records of a pod log came to, up to one of them. An argument and a result of the appraisal: it can be thrown away at any time,
/// and is made anew from the whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLogState {
    pub(super) boot_id: String,
    pub(super) prior: BankDigest,
    pub(super) standing: Standing,
    pub(super) pods: BTreeMap<String, Pod>,
    pub(super) containers: BTreeMap<String, Container>,
    pub(super) privileged_images: BTreeSet<String>,
    pub(super) exceptions: Vec<String>,
    pub(super) restarts: u64,
    pub(super) interruptions: u64,
    pub(super) found_running: u64,
    pub(super) unexplained: u64,
}

impl PodLogState {
    /// The kernel's boot id, as the first record has it.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// What the register held before the first record, as that has it.
    #[must_use]
    pub fn prior(&self) -> BankDigest {
        self.prior
    }

    /// How many records, and the chain's head after them.
    #[must_use]
    pub fn head(&self) -> PodLogHead {
        self.standing.head()
    }

    /// What the register holds after them.
    #[must_use]
    pub fn register(&self) -> BankDigest {
        self.standing.register()
    }

    /// A container that runs.
    #[must_use]
    pub fn container(&self, id: &str) -> Option<&Container> {
        self.containers.get(id)
    }

    /// Ids of the containers of a pod that run, its sandboxes not among them.
    pub fn containers_of(&self, pod_uid: &str) -> impl Iterator<Item = &str> {
        let own = self.pods.get(pod_uid).into_iter().flat_map(|pod| &pod.live).map(String::as_str);
        own.filter(|id| self.container(id).is_some_and(|container| !container.sandbox))
    }

    /// Processes that were started in a pod's containers besides their own since its sandbox was started, also in containers that ended.
    /// `None` where the log does not know the pod or may have missed one.
    #[must_use]
    pub fn execs(&self, pod_uid: &str) -> Option<u64> {
        self.pods.get(pod_uid).filter(|pod| pod.heard_all).map(|pod| pod.execs)
    }

    /// Images that ran privileged since boot, sorted: the digest of the manifest (`sha256:…`), where the runtime names the image without
    /// one its whole name.
    #[must_use]
    pub fn privileged_images(&self) -> &BTreeSet<String> {
        &self.privileged_images
    }

    /// Names of the restrictions that the attester does without, sorted: as the record of its newest start has them.
    #[must_use]
    pub fn exceptions(&self) -> &[String] {
        &self.exceptions
    }

    /// How often the log may have missed something: restarts of the attester, interruptions, containers that were found running, and records about containers that it
    /// does not know.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.restarts.saturating_add(self.interruptions).saturating_add(self.found_running).saturating_add(self.unexplained)
    }

    /// How often the attester started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let pods: Vec<_> = self.pods.iter().collect();
        let containers: Vec<_> = self.containers.iter().collect();
        let images: Vec<_> = self.privileged_images.iter().collect();
        let head = self.head();
        Encoder::message(DOMAIN, 14)
            .text(&self.boot_id)
            .bytes(self.prior.as_ref())
            .uint(head.length)
            .digest(&head.head)
            .bytes(self.register().as_ref())
            .list(&pods, |e, (uid, pod)| {
                e.array(4).text(uid).uint(pod.execs).uint(u64::from(pod.heard_all)).uint(u64::from(pod.sandbox_ended))
            })
            .list(&containers, |e, (id, c)| {
                let e = e.array(6).text(id).text(&c.pod_uid).text(&c.image);
                e.uint(u64::from(c.sandbox)).uint(u64::from(c.heard)).uint(c.execs)
            })
            .list(&images, |e, image| e.text(image))
            .list(&self.exceptions, |e, name| e.text(name))
            .uint(self.restarts)
            .uint(self.interruptions)
            .uint(self.found_running)
            .uint(self.unexplained)
            .finish()
    }

    /// Parses a state.
    ///
    /// # Errors
    /// [`Malformed`] when it is not in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 14, limits)?;
        let text = |d: &mut Decoder<'_>, item| d.text(item, limits.text).map(str::to_owned);
        let boot_id = text(&mut d, "pod_log_state.boot_id")?;
        let (prior, standing) = stands(&mut d)?;
        let mut state = Self {
            boot_id,
            prior,
            standing,
            pods: sorted(&mut d, "pod_log_state.pods", |d| {
                d.array("pod_log_state.pod", 4)?;
                Ok((text(d, "pod_log_state.pod_uid")?, pod(d)?))
            })?,
            containers: sorted(&mut d, "pod_log_state.containers", |d| {
                d.array("pod_log_state.container", 6)?;
                let (id, pod_uid) = (text(d, "pod_log_state.container_id")?, text(d, "pod_log_state.pod_uid")?);
                let image = text(d, "pod_log_state.image")?;
                let sandbox = d.uint_up_to("pod_log_state.sandbox", 1)? == 1;
                let heard = d.uint_up_to("pod_log_state.heard", 1)? == 1;
                let (manifest, execs) = (manifest(&image).map(|(_, digest)| digest), d.uint("pod_log_state.execs")?);
                Ok((id, Container { pod_uid, image, manifest, sandbox, heard, execs }))
            })?,
            privileged_images: sorted(&mut d, "pod_log_state.images", |d| Ok((text(d, "pod_log_state.image")?, ())))?.into_keys().collect(),
            exceptions: exceptions(&mut d, "pod_log_state.exceptions", "pod_log_state.exception")?,
            restarts: d.uint("pod_log_state.restarts")?,
            interruptions: d.uint("pod_log_state.interruptions")?,
            found_running: d.uint("pod_log_state.found_running")?,
            unexplained: d.uint("pod_log_state.unexplained")?,
        };
        let at = d.offset();
        d.end("pod_log_state")?;
        let wrong = || Malformed { item: "pod_log_state.pods", at, problem: Problem::WrongValue };
        for (id, container) in &state.containers {
            state.pods.get_mut(&container.pod_uid).ok_or_else(wrong)?.live.insert(id.clone());
        }
        if state.pods.values().all(Pod::stays) { Ok(state) } else { Err(wrong()) }
    }
}

/// What the register held before the first record, and where the log stands: in one bank.
fn stands(d: &mut Decoder<'_>) -> Result<(BankDigest, Standing), Malformed> {
    let (item, at) = ("pod_log_state.prior", d.offset());
    let bytes = d.bytes(item, Bank::LARGEST)?;
    let prior = Bank::ALL.into_iter().find_map(|bank| BankDigest::from_bytes(bank, bytes));
    let prior = prior.ok_or(Malformed { item, at, problem: Problem::WrongLength })?;
    let head = PodLogHead { length: d.uint("pod_log_state.length")?, head: d.digest("pod_log_state.head")? };
    let (item, at) = ("pod_log_state.register", d.offset());
    let wrong = |problem| Malformed { item, at, problem };
    let register = BankDigest::from_bytes(prior.bank(), d.bytes(item, Bank::LARGEST)?).ok_or(wrong(Problem::WrongLength))?;
    Ok((prior, Standing::of(head, register).ok_or(wrong(Problem::WrongValue))?))
}

fn pod(d: &mut Decoder<'_>) -> Result<Pod, Malformed> {
    Ok(Pod {
        execs: d.uint("pod_log_state.pod_execs")?,
        heard_all: d.uint_up_to("pod_log_state.heard_all", 1)? == 1,
        sandbox_ended: d.uint_up_to("pod_log_state.sandbox_ended", 1)? == 1,
        live: BTreeSet::new(),
    })
}

fn sorted<T>(
    d: &mut Decoder<'_>,
    item: &'static str,
    each: impl FnMut(&mut Decoder<'_>) -> Result<(String, T), Malformed>,
) -> Result<BTreeMap<String, T>, Malformed> {
    let at = d.offset();
    let list = d.list(item, MOST, each)?;
    let sorted = list.is_sorted_by(|(a, _), (b, _)| a < b);
    if sorted { Ok(list.into_iter().collect()) } else { Err(Malformed { item, at, problem: Problem::NotSorted }) }
}
