//! The appraiser: evidence, registration, cluster keys, reference values and time in; an [`Appraisal`] out.
//!
//! Infallible: whatever is wrong is a [`Check`]. Node checks are shared by the batch, leaf checks are each leaf's own.

use podseal_protocol::{
    Bank, Digest, Leaf, Limits, Purpose,
    binding::{BindingInputs, PodLogHead, binding},
    evidence::Part,
    key::PublicKey,
};

use crate::{
    batch::{Unverified, UnverifiedLeaf},
    challenge::{ChallengeExpectations, appraise_challenge},
    check::{Check, Checks, Rule, Verdict, first_obstacle, worst},
    claims::{Agent, Claim, Memory, NodeClaims, WorkloadClaims},
    continuity::{self, Collected, NodeState, appraise_continuity},
    eventlog::{self, LogError, ReplayedLog, appraise_log},
    layout::Layout,
    pod_log::{self, Before, Judged, PodLogState, Presented},
    records::{ClusterRecord, NodeRecord},
    reference::{MeasuredBoot, Reference, appraise_boot},
    rules,
    token::{ClusterKeys, JwksError, TokenExpectations, appraise_token},
    tpm::{
        PcrSet, PcrValues,
        ak::{self, AkPublic, appraise_ak},
        quote::{self, QuoteEvidence, QuoteFacts, appraise_quote},
    },
    workload::{MountSources, PathNotPlain, WorkloadAttachments, WorkloadExpectations, appraise_workload},
};

/// The one evidence profile there is: a TPM 2.0 quote and the boot log.
pub const PROFILE_TPM: &str = "tpm";

/// Registers that the profile quotes: firmware, boot loader, kernel. With a pod log also its register.
pub const QUOTED_REGISTERS: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
/// What these registers are for, and the bank that they are quoted of.
const LAYOUT: Layout = Layout::Tpm;
const QUOTED_BANK: Bank = Bank::Sha256;

/// A registered node, ready to verify with: made once, kept while the registration stands.
#[derive(Debug)]
pub struct Registration {
    record: NodeRecord,
    ak_checks: Checks,
    ak: Option<AkPublic>,
}

impl Registration {
    /// Prepares a record; its AK is held to every rule again, whatever enrolment said.
    #[must_use]
    pub fn new(record: NodeRecord) -> Self {
        let mut ak_checks = Checks::owing(&ak::RULES);
        let ak = appraise_ak(&record.ak_public, &mut ak_checks);
        Self { record, ak_checks, ak }
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
    /// Where that node's TPM stood when its evidence was appraised last.
    pub state: Option<&'a NodeState>,
    /// The registered node's cluster.
    pub cluster: Option<&'a Cluster>,
    /// Reference values in force.
    pub references: &'a [Reference],
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

    /// Whether nothing stands in the way but that the pod log goes on from a state which is not there: the node is asked to send it from
    /// the start. That is no decision, and nothing is spent on it.
    #[must_use]
    pub fn asks_for_whole_pod_log(&self) -> bool {
        first_obstacle(&self.node).is_some_and(|check| std::ptr::eq(check.rule, &raw const pod_log::rules::RESEND))
    }

    /// Whether the batch comes from a registered node and was made for this challenge: only then does a refusal go into the log.
    #[must_use]
    pub fn attributable(&self) -> bool {
        let passed = |rule: &'static Rule| self.node.iter().any(|c| std::ptr::eq(c.rule, rule) && c.verdict == Verdict::Pass);
        rules::ATTRIBUTION.iter().all(|rule| passed(rule))
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
    let registration = registered(batch, context, &mut checks);
    let signer = registration.and_then(|r| r.ak.as_ref()).map_or(&[][..], |ak| ak.name().as_ref());
    let digests: Vec<Digest> = batch.leaf_digests().collect();
    let binding = binding(&inputs(batch, context, signer), &digests);
    let replayed = boot_log(batch).filter(|bytes| !context.replayed.is_some_and(|kept| kept.is_of(bytes, QUOTED_BANK, LAYOUT)));
    let replayed = replayed.map(|bytes| ReplayedLog::replay(bytes, QUOTED_BANK, LAYOUT, &context.limits));
    let log = replayed.as_ref().map(Result::as_ref).or(context.replayed.map(Ok)).filter(|_| boot_log(batch).is_some());
    let presented = Presented::of(&batch.evidence);
    if presented.is_some() {
        checks.also_owing(&pod_log::rules::RULES);
    }
    let quoted = registration.and_then(|r| quoted(batch, r, &binding, presented.is_some(), &mut checks));
    let went = quoted.as_ref().and_then(|quote| {
        let challenged = batch.challenge.fields().issued;
        let collected = Collected { quote, pod_log: batch.evidence.pod_log, challenged, now: context.now };
        appraise_continuity(context.state, &collected, &mut checks)
    });
    let logs = Logs { boot: log, pod: presented, through: went.as_ref().and_then(|now| context.state?.pod_log_of(now)) };
    let machine = registration.zip(quoted).and_then(|(r, quoted)| machine(r, &quoted, boot_log(batch), logs, context, &mut checks));
    let (claims, judged) = machine.map_or((None, presented.map(|_| Judged::default())), |(claims, judged)| (Some(claims), judged));
    let node = checks.finish();
    let claims = claims.filter(|_| worst(&node) == Verdict::Pass);
    let leaves = batch.leaves.iter().map(|leaf| appraise_leaf(leaf, batch, judged.as_ref(), context)).collect();
    let pod_log = judged.and_then(Judged::into_state);
    let state = went.filter(|_| !node.iter().any(is_fork)).map(|state| state.and(pod_log.as_ref().map(PodLogState::head)));
    Appraisal { node, claims, binding, leaves, state, replayed: replayed.and_then(Result::ok), pod_log }
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

fn registered<'a>(batch: &Unverified, context: &Context<'a>, checks: &mut Checks) -> Option<&'a Registration> {
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
    checks.record(&rules::NODE_PROFILE, record.profile == *profile && profile == PROFILE_TPM, record.profile.clone(), profile.clone());
    checks.absorb(registration.ak_checks.clone());
    checks.also_owing(&quote::RULES);
    checks.also_owing(&continuity::RULES);
    checks.also_owing(&eventlog::RULES);
    Some(registration)
}

/// The logs of one boot: what was replayed of the firmware's, the node's own as it came, and through which point that has to lead.
#[derive(Clone, Copy)]
struct Logs<'a> {
    boot: Option<Result<&'a ReplayedLog, &'a LogError>>,
    pod: Option<Presented<'a>>,
    through: Option<PodLogHead>,
}

/// Boot log, reference values and pod log, each resting on the quote and the one before.
fn machine(
    registration: &Registration,
    quoted: &QuoteFacts,
    log_bytes: Option<&[u8]>,
    logs: Logs<'_>,
    context: &Context<'_>,
    checks: &mut Checks,
) -> Option<(NodeClaims, Option<Judged>)> {
    let Some(log) = logs.boot else {
        checks.not_appraised(&eventlog::LOG_WELL_FORMED, "the evidence has no boot log");
        return None;
    };
    let quoted = quoted.pcrs();
    let log = appraise_log(log, quoted, checks)?;
    let measured = MeasuredBoot { quoted, layout: log.layout(), log: Some(&log), log_bytes: log_bytes.unwrap_or_default() };
    let boot = appraise_boot(context.references, measured, context.now, &context.limits, checks);
    let judged = logs.pod.map(|presented| {
        let before = Before { kept: context.pod_log, through: logs.through };
        pod_log::judge(&presented, quoted, &log, before, &context.limits, checks)
    });
    let record = &registration.record;
    let claims = NodeClaims {
        node: record.node.clone(),
        cluster: record.cluster.clone(),
        profile: record.profile.clone(),
        memory: Claim::Appraised(Memory::None),
        boot,
        tpm_in_tee: Claim::Appraised(false),
        agent: Claim::Appraised(Agent::SelfAsserted),
        root: Claim::Appraised(record.root_kind),
        secure_boot: log.secure_boot(),
        pod_log: pod_log::kept(judged.as_ref()),
        privileged_images: pod_log::privileged_images(judged.as_ref()),
        pod_log_gaps: pod_log::gaps(judged.as_ref()),
        agent_exceptions: pod_log::agent_exceptions(judged.as_ref()),
    };
    Some((claims, judged))
}

fn boot_log(batch: &Unverified) -> Option<&[u8]> {
    batch.evidence.parts.iter().find_map(|part| match part {
        Part::BootLog(bytes) => Some(bytes.as_slice()),
        Part::TpmQuote { .. } | Part::PodLog { .. } => None,
    })
}

fn quoted(batch: &Unverified, registration: &Registration, binding: &Digest, pod_log: bool, checks: &mut Checks) -> Option<QuoteFacts> {
    let ak = registration.ak.as_ref()?;
    let boot = PcrSet::of(QUOTED_REGISTERS);
    let registers = if pod_log { boot?.with(LAYOUT.pod_log(QUOTED_BANK).index())? } else { boot? };
    let part = batch.evidence.parts.iter().find_map(|part| match part {
        Part::TpmQuote { attest, signature, pcrs } => Some((attest, signature, pcrs)),
        Part::BootLog(_) | Part::PodLog { .. } => None,
    });
    let Some((attest, signature, pcrs)) = part else {
        checks.not_appraised(&quote::QUOTE_SIGNATURE, "the evidence has no TPM quote");
        return None;
    };
    let mut values = PcrValues::new(QUOTED_BANK);
    if !pcrs.iter().all(|(index, value)| values.insert(*index, &value.0)) {
        return None;
    }
    let evidence = QuoteEvidence { attest, signature, values: &values };
    appraise_quote(ak, &evidence, &binding.0, registers, checks)
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
