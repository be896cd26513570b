//! The appraiser: evidence, registration, cluster keys, reference values and time in; an [`Appraisal`] out.
//!
//! Infallible: whatever is wrong is a [`Check`]. Node checks are shared by the batch, leaf checks are each leaf's own.

use podseal_protocol::{
    Digest, Leaf, Limits, Profile, Purpose,
    binding::{BindingInputs, PodLogHead, binding},
    evidence::Part,
    key::PublicKey,
};

use crate::{
    batch::{Unverified, UnverifiedLeaf},
    challenge::{ChallengeExpectations, appraise_challenge},
    check::{Check, Checks, Rule, Verdict, first_obstacle, worst},
    claims::{Agent, Claim, LAUNCH_UNKNOWN, NodeClaims, WorkloadClaims},
    continuity::{self, Collected, NodeState, appraise_continuity},
    eventlog::{self, LogError, ReplayedLog, appraise_log},
    machine::{self, Gathered, Hardware, Machine, NodeKey, Question},
    pod_log::{self, Before, Judged, PodLogState, Presented},
    records::{ClusterRecord, NodeRecord},
    reference::{MeasuredBoot, Reference, appraise_boot},
    rules,
    token::{ClusterKeys, JwksError, TokenExpectations, appraise_token},
    workload::{MountSources, PathNotPlain, WorkloadAttachments, WorkloadExpectations, appraise_workload},
};

/// A registered node, ready to verify with: made once, kept while the registration stands.
#[derive(Debug)]
pub struct Registration {
    record: NodeRecord,
    key_checks: Checks,
    profile: Option<Profile>,
    key: Option<NodeKey>,
}

impl Registration {
    /// Prepares a record; its key is held to every rule again, whatever enrolment said.
    #[must_use]
    pub fn new(record: NodeRecord) -> Self {
        let mut key_checks = Checks::owing(&[]);
        let profile = Profile::parse(&record.profile);
        let key = profile.and_then(|profile| NodeKey::appraise(profile, &record.key, &mut key_checks));
        Self { record, key_checks, profile, key }
    }

    /// The record.
    #[must_use]
    pub fn record(&self) -> &NodeRecord {
        &self.record
    }
}

/// A configured cluster, ready to verify with.
#[derive(Debug)]
pub struct Cluster {
    record: ClusterRecord,
    keys: ClusterKeys,
    sources: MountSources,
}

/// Why a cluster cannot be configured so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Its keys.
    #[error(transparent)]
    Keys(#[from] JwksError),
    /// Its directories.
    #[error(transparent)]
    Directory(#[from] PathNotPlain),
}

impl Cluster {
    /// Prepares a record.
    ///
    /// # Errors
    /// Keys or directories that cannot be used.
    pub fn new(record: ClusterRecord) -> Result<Self, ClusterError> {
        let keys = ClusterKeys::parse(&record.id, &record.issuer, &record.jwks, record.tokens_name_nodes)?;
        let own = record.directories.clone();
        let sources = MountSources::new(own.kubelet, own.runtime, own.attester)?;
        Ok(Self { record, keys, sources })
    }

    /// The record.
    #[must_use]
    pub fn record(&self) -> &ClusterRecord {
        &self.record
    }
}

/// What an appraisal needs besides the batch. All of it is looked up by the caller, none of it comes from the node.
#[derive(Debug)]
pub struct Context<'a> {
    /// Our own identity.
    pub verifier: Digest,
    /// Seconds since 1970.
    pub now: u64,
    /// Whether the key of the challenge's epoch made its MAC.
    pub challenge_issued: bool,
    /// Registration of the node that the evidence names.
    pub registration: Option<&'a Registration>,
    /// Where that node stood when its evidence was appraised last.
    pub state: Option<&'a NodeState>,
    /// The registered node's cluster.
    pub cluster: Option<&'a Cluster>,
    /// Reference values in force.
    pub references: &'a [Reference],
    /// Whose hardware counts, and what is good enough.
    pub hardware: &'a Hardware,
    /// What makers say of the hardware that the evidence is of.
    pub endorsements: &'a Gathered,
    /// The boot log of the batch, if the caller kept its replay: one that is of another log is left aside.
    pub replayed: Option<&'a ReplayedLog>,
    /// What the node's pod log came to before, if the caller kept it ([`Appraisal::take_pod_log`]).
    pub pod_log: Option<&'a PodLogState>,
    /// Bounds for parsing.
    pub limits: Limits,
}

/// The outcome for the whole batch. Made only by [`appraise`].
#[derive(Debug)]
pub struct Appraisal {
    profile: Option<Profile>,
    node: Vec<Check>,
    claims: Option<NodeClaims>,
    binding: Digest,
    leaves: Vec<LeafAppraisal>,
    state: Option<NodeState>,
    replayed: Option<ReplayedLog>,
    pod_log: Option<PodLogState>,
}

/// Whether a node's evidence holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle<'a> {
    /// It does.
    None,
    /// It came late, which says nothing about the node.
    Late,
    /// It does not, by this check.
    Check(&'a Check),
}

/// The outcome for one leaf.
#[derive(Debug)]
pub struct LeafAppraisal {
    digest: Digest,
    checks: Vec<Check>,
    asks: Option<(Leaf, WorkloadClaims)>,
}

impl Appraisal {
    /// The checks that all leaves share.
    #[must_use]
    pub fn node_checks(&self) -> &[Check] {
        &self.node
    }

    /// What the evidence says about the machine; only when every node check passed.
    #[must_use]
    pub fn node_claims(&self) -> Option<&NodeClaims> {
        self.claims.as_ref()
    }

    /// The binding, computed from what was received.
    #[must_use]
    pub fn binding(&self) -> Digest {
        self.binding
    }

    /// The leaves, in the order received.
    #[must_use]
    pub fn leaves(&self) -> &[LeafAppraisal] {
        &self.leaves
    }

    /// Where the node's TPM stands now: what its next evidence is compared with. None where it went back, or nothing was signed.
    #[must_use]
    pub fn state(&self) -> Option<&NodeState> {
        self.state.as_ref()
    }

    /// How the TPM went back, where a registered node's own evidence says that it did: the node has to be put in quarantine.
    #[must_use]
    pub fn fork(&self) -> Option<&Check> {
        self.node.iter().find(|check| is_fork(check)).filter(|_| self.attributable())
    }

    /// What stands in the node's way, whatever its leaves are.
    #[must_use]
    pub fn node_obstacle(&self) -> Obstacle<'_> {
        match first_obstacle(&self.node) {
            None => Obstacle::None,
            Some(check) if std::ptr::eq(check.rule, &raw const continuity::OVERTAKEN) => Obstacle::Late,
            Some(check) => Obstacle::Check(check),
        }
    }

    /// The replay of the boot log, where it had to be made and the request is a registered node's own: worth keeping for
    /// [`Context::replayed`].
    pub fn take_replayed(&mut self) -> Option<ReplayedLog> {
        if self.attributable() { self.replayed.take() } else { None }
    }

    /// What the pod log came to, where every check of it passed and the request is a registered node's own: worth keeping for
    /// [`Context::pod_log`].
    pub fn take_pod_log(&mut self) -> Option<PodLogState> {
        if self.attributable() { self.pod_log.take() } else { None }
    }

    /// Whether what stands in the way is that the evidence goes on from what is not there: a pod log from a state that is not kept, a boot
    /// from a proof that was never taken. The node is asked to send the whole. That is no decision, and nothing is spent on it.
    #[must_use]
    pub fn asks_for_more(&self) -> bool {
        let more: [&'static Rule; 2] = [&pod_log::rules::RESEND, &machine::rules::BOOT_PROVED];
        first_obstacle(&self.node).is_some_and(|check| more.iter().any(|rule| std::ptr::eq(check.rule, *rule)))
    }

    /// Whether the batch comes from a registered node and was made for this challenge: only then does a refusal go into the log.
    #[must_use]
    pub fn attributable(&self) -> bool {
        machine::attributable(self.profile, &self.node)
    }
}

impl LeafAppraisal {
    /// `h(leaf)`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The checks of this leaf alone.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Who asks; only when every check of the leaf passed.
    #[must_use]
    pub fn workload(&self) -> Option<&WorkloadClaims> {
        self.asks.as_ref().map(|(_, workload)| workload)
    }

    /// The leaf; only when every check of it passed.
    #[must_use]
    pub fn leaf(&self) -> Option<&Leaf> {
        self.asks.as_ref().map(|(leaf, _)| leaf)
    }

    /// What its secrets get sealed to; only when every check passed.
    #[must_use]
    pub fn workload_key(&self) -> Option<&PublicKey> {
        self.leaf().map(|leaf| &leaf.workload_key)
    }
}

/// Appraises a batch. Never fails: every failure is a check.
#[must_use]
pub fn appraise(batch: &Unverified, context: &Context<'_>) -> Appraisal {
    let mut checks = Checks::owing(rules::NODE);
    let expected = ChallengeExpectations {
        verifier: context.verifier,
        purpose: Purpose::Release,
        node: &batch.evidence.node,
        now: context.now,
        issued: context.challenge_issued,
    };
    appraise_challenge(&batch.challenge, &expected, &mut checks);
    let registered = registered(batch, context, &mut checks);
    let signer = registered.map_or(&[][..], |(_, _, key)| key.signer());
    let digests: Vec<Digest> = batch.leaf_digests().collect();
    let binding = binding(&inputs(batch, context, signer), &digests);
    let profile = registered.map(|(_, profile, _)| profile);
    let presented = Presented::of(&batch.evidence);
    if presented.is_some() {
        checks.also_owing(&pod_log::rules::RULES);
    }
    let replayed = profile.and_then(|profile| replay(profile, batch, context));
    let proved = registered.and_then(|(registration, profile, key)| {
        let question = Question {
            binding,
            key,
            machine: Some(registration.record.machine),
            report: context.state.map(|state| (state.reset_count, state.report)),
            hardware: context.hardware,
            endorsements: context.endorsements,
            now: context.now,
        };
        machine::prove(profile, &batch.evidence, &question, &mut checks)
    });
    let went = proved.as_ref().and_then(|machine| went(machine, batch, context, &mut checks));
    let boot = replayed.as_ref().map(Result::as_ref).or(context.replayed.map(Ok)).filter(|_| boot_log(batch).is_some());
    let logs = Logs { boot, pod: presented, through: went.as_ref().and_then(|now| context.state?.pod_log_of(now)) };
    let judged = registered.zip(proved).and_then(|((registration, profile, _), machine)| {
        judge(&registration.record, profile, &machine, boot_log(batch), logs, context, &mut checks)
    });
    let (claims, judged) = judged.map_or((None, presented.map(|_| Judged::default())), |(claims, judged)| (Some(claims), judged));
    let node = checks.finish();
    let claims = claims.filter(|_| worst(&node) == Verdict::Pass);
    let leaves = batch.leaves.iter().map(|leaf| appraise_leaf(leaf, batch, judged.as_ref(), context)).collect();
    let pod_log = judged.and_then(Judged::into_state);
    let state = went.filter(|_| !node.iter().any(is_fork)).map(|state| state.and(pod_log.as_ref().map(PodLogState::head)));
    Appraisal { profile, node, claims, binding, leaves, state, replayed: replayed.and_then(Result::ok), pod_log }
}

/// Whether this is a step that a copy of a TPM fails.
fn is_fork(check: &Check) -> bool {
    check.verdict == Verdict::Fail && continuity::FORKS.iter().any(|rule| std::ptr::eq(check.rule, *rule))
}

fn inputs<'a>(batch: &'a Unverified, context: &Context<'_>, signer: &'a [u8]) -> BindingInputs<'a> {
    BindingInputs {
        challenge: batch.challenge.digest(),
        purpose: Purpose::Release,
        verifier: context.verifier,
        node: &batch.evidence.node,
        signer,
        profile: &batch.evidence.profile,
        boot_id: &batch.evidence.boot_id,
        pod_log: batch.evidence.pod_log,
    }
}

/// The registration that evidence has to fit, with its profile and key where they are usable: by these it is judged, whatever it calls itself.
fn registered<'a>(batch: &Unverified, context: &Context<'a>, checks: &mut Checks) -> Option<(&'a Registration, Profile, &'a NodeKey)> {
    let node = &batch.evidence.node;
    let Some(registration) = context.registration else {
        checks.record(&rules::NODE_ENROLLED, false, "an enrolled node", format!("{node}, which nobody enrolled"));
        return None;
    };
    let record = &registration.record;
    checks.record(&rules::NODE_ENROLLED, record.node == *node, record.node.clone(), node.clone());
    let state = if record.approved { "approved" } else { "pending" };
    checks.record(&rules::NODE_APPROVED, record.approved, "approved", state);
    let free = record.quarantined.is_empty();
    checks.record(&rules::NODE_QUARANTINE, free, "no quarantine", if free { "none".to_owned() } else { record.quarantined.clone() });
    let profile = &batch.evidence.profile;
    let same = registration.profile.is_some() && record.profile == *profile;
    checks.record(&rules::NODE_PROFILE, same, record.profile.clone(), profile.clone());
    checks.absorb(registration.key_checks.clone());
    Some(registration).zip(registration.profile.zip(registration.key.as_ref())).map(|(r, (profile, key))| (r, profile, key))
}

/// The boot log, replayed into the registers of the profile; `None` where there is none, or the caller kept its replay.
fn replay(profile: Profile, batch: &Unverified, context: &Context<'_>) -> Option<Result<ReplayedLog, LogError>> {
    let (bytes, layout) = boot_log(batch).zip(machine::layout(profile))?;
    let bank = profile.pod_log()?.bank();
    let kept = context.replayed.is_some_and(|kept| kept.is_of(bytes, bank, layout));
    (!kept).then(|| ReplayedLog::replay(bytes, bank, layout, &context.limits))
}

/// Where the machine stands now, held against where it stood.
fn went(machine: &Machine, batch: &Unverified, context: &Context<'_>, checks: &mut Checks) -> Option<NodeState> {
    let collected = Collected {
        counters: machine.counters,
        start: machine.start,
        report: machine.report,
        pod_log: batch.evidence.pod_log,
        challenged: batch.challenge.fields().issued,
        now: context.now,
    };
    appraise_continuity(context.state, &collected, checks)
}

/// The logs of one boot: what was replayed of the firmware's, the node's own as it came, and through which point that has to lead.
#[derive(Clone, Copy)]
struct Logs<'a> {
    boot: Option<Result<&'a ReplayedLog, &'a LogError>>,
    pod: Option<Presented<'a>>,
    through: Option<PodLogHead>,
}

/// Boot log, reference values and pod log, each resting on what hardware vouches for and the one before.
fn judge(
    record: &NodeRecord,
    profile: Profile,
    machine: &Machine,
    log_bytes: Option<&[u8]>,
    logs: Logs<'_>,
    context: &Context<'_>,
    checks: &mut Checks,
) -> Option<(NodeClaims, Option<Judged>)> {
    let log = match (&machine.registers, logs.boot) {
        (None, _) => None,
        (Some(_), None) => {
            checks.also_owing(&eventlog::RULES);
            checks.not_appraised(&eventlog::LOG_WELL_FORMED, "the evidence has no boot log");
            return None;
        }
        (Some(registers), Some(log)) => {
            checks.also_owing(&eventlog::RULES);
            Some((registers, appraise_log(log, registers, checks)?))
        }
    };
    let measured = MeasuredBoot {
        launch: machine.launch,
        layout: machine::layout(profile),
        quoted: log.as_ref().map(|(registers, _)| *registers),
        log: log.as_ref().map(|(_, log)| log),
        log_bytes: log_bytes.unwrap_or_default(),
    };
    let boot = appraise_boot(context.references, measured, context.now, &context.limits, checks);
    let judged = logs.pod.zip(log.as_ref()).map(|(presented, (registers, log))| {
        let before = Before { kept: context.pod_log, through: logs.through };
        pod_log::judge(&presented, registers, log, before, &context.limits, checks).of_known(boot.launched)
    });
    let secure_boot =
        log.as_ref().map_or(Claim::NotAppraised("the hardware has no register that tells of it"), |(_, log)| log.secure_boot());
    let tpm_in_tee = Claim::Appraised(machine.tpm_in_tee);
    let claims = NodeClaims {
        node: record.node.clone(),
        cluster: record.cluster.clone(),
        profile: record.profile.clone(),
        memory: Claim::Appraised(machine.memory),
        boot: boot.reach,
        // Whatever was launched answers for a TPM and for registers: whoever wrote it can have it answer anything.
        tpm_in_tee: if boot.launched { tpm_in_tee } else { Claim::NotAppraised(LAUNCH_UNKNOWN) },
        agent: Claim::Appraised(Agent::SelfAsserted),
        root: Claim::Appraised(machine.root.as_ref().map_or(record.root_kind, |(_, kind)| *kind)),
        secure_boot: if boot.launched { secure_boot } else { Claim::NotAppraised(LAUNCH_UNKNOWN) },
        pod_log: pod_log::kept(judged.as_ref()),
        privileged_images: pod_log::privileged_images(judged.as_ref()),
        pod_log_gaps: pod_log::gaps(judged.as_ref()),
        agent_exceptions: pod_log::agent_exceptions(judged.as_ref()),
    };
    Some((claims, judged))
}

fn boot_log(batch: &Unverified) -> Option<&[u8]> {
    batch.evidence.parts.iter().find_map(|part| if let Part::BootLog(bytes) = part { Some(bytes.as_slice()) } else { None })
}

fn appraise_leaf(unverified: &UnverifiedLeaf, batch: &Unverified, pod_log: Option<&Judged>, context: &Context<'_>) -> LeafAppraisal {
    let mut checks = Checks::owing(rules::LEAF);
    if pod_log.is_some() {
        checks.also_owing(&pod_log::rules::LEAF);
    }
    let found = unverified.parsed.as_ref().map_or_else(ToString::to_string, |_| "a leaf".to_owned());
    checks.record(&rules::LEAF_CANONICAL, unverified.parsed.is_ok(), "a leaf in its canonical form", found);
    let workload = unverified.parsed.as_ref().ok().and_then(|leaf| asking(leaf, batch, pod_log, context, &mut checks));
    let checks = checks.finish();
    let asks = unverified.parsed.as_ref().ok().cloned().zip(workload).filter(|_| worst(&checks) == Verdict::Pass);
    LeafAppraisal { digest: unverified.digest, checks, asks }
}

fn asking(leaf: &Leaf, batch: &Unverified, pod_log: Option<&Judged>, context: &Context<'_>, checks: &mut Checks) -> Option<WorkloadClaims> {
    if let Some(registration) = context.registration {
        let record = registration.record();
        checks.record(&rules::LEAF_CLUSTER, leaf.cluster == record.cluster, record.cluster.clone(), leaf.cluster.clone());
        checks.record(&rules::LEAF_NODE, leaf.node_uid == record.node_uid, record.node_uid.clone(), leaf.node_uid.clone());
    }
    checks.record(&rules::LEAF_ASKS, !leaf.secrets.is_empty(), "a secret or more", format!("{}", leaf.secrets.len()));
    let spec = attached(&rules::LEAF_SPEC, leaf.spec, batch, checks);
    let pod_set = attached(&rules::LEAF_POD_SET, leaf.pod_set, batch, checks);
    let token = attached(&rules::LEAF_TOKEN, leaf.token, batch, checks);
    if let Some(judged) = pod_log {
        pod_log::judge_leaf(judged, leaf, checks);
    }
    let found = context.cluster.map_or("none is configured", |cluster| &cluster.record.id).to_owned();
    let known = context.cluster.is_some_and(|cluster| cluster.record.id == leaf.cluster);
    checks.record(&rules::LEAF_CLUSTER_KNOWN, known, leaf.cluster.clone(), found);
    let cluster = context.cluster?;
    let verifier_id = &context.verifier.to_string();
    let expected = TokenExpectations {
        verifier_id,
        namespace: &leaf.namespace,
        pod: &leaf.pod,
        pod_uid: &leaf.pod_uid,
        service_account: &leaf.service_account,
        node_uid: &leaf.node_uid,
    };
    let facts = appraise_token(token?, &cluster.keys, &expected, context.now, checks);
    let attachments = WorkloadAttachments { spec: spec?, pod_set: pod_set? };
    let running = pod_log::running(pod_log, &leaf.pod_uid);
    let expected = WorkloadExpectations { verifier_id, sources: &cluster.sources, running: running.as_deref() };
    let claims = appraise_workload(attachments, leaf, &facts?, &expected, &context.limits, checks)?;
    Some(WorkloadClaims { pod_execs: pod_log::pod_execs(pod_log, &leaf.pod_uid), ..claims })
}

fn attached<'a>(rule: &'static Rule, digest: Digest, batch: &'a Unverified, checks: &mut Checks) -> Option<&'a [u8]> {
    // No bytes need not be attached to be known: a pod without a token.
    let none = (digest == Digest::of(b"")).then_some(&[][..]);
    let found = batch.attachments.get(&digest).map(Vec::as_slice).or(none);
    checks.record(rule, found.is_some(), digest.to_string(), if found.is_some() { "attached" } else { "not attached" });
    found
}
