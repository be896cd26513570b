//! Enrolment: whether a request to join is the one that its challenge was issued for, comes from genuine hardware under a configured root,
//! is allowed by a token or waits for approval, and proves that its key is that machine's.
//!
//! A TPM alone proves that in two steps, and nothing is kept between them: activation appraises the request anew, and besides that the secret
//! that only the TPM can recover. Any other machine sends the evidence of its profile, as for a release.

use podseal_protocol::{
    Digest, Limits, Profile, Purpose, ReceivedChallenge,
    binding::{BindingInputs, PodLogHead, binding},
    evidence::{Evidence, Part},
    join::{Join, Proof},
};

use crate::{
    challenge::{ChallengeExpectations, appraise_challenge},
    check::{Check, Checks, Rule, Verdict, worst},
    claims::RootKind,
    machine::{self, Gathered, Hardware, NodeKey, Question},
    records::NodeRecord,
    rules,
    tpm::{
        ak::AkPublic,
        ek::{self, EkIdentity, EkRoots, appraise_ek},
    },
};

/// The node's name can be one.
pub static NODE_NAME: Rule = Rule {
    name: "join.node_name",
    spec: "Kubernetes, Object Names and IDs: DNS subdomain names (RFC 1123)",
    remedy: "Correct node.name in the attester's configuration: 1 to 253 of a-z, 0-9, '-' and '.'.",
};
/// The cluster is configured.
pub static CLUSTER: Rule = Rule {
    name: "join.cluster",
    spec: "docs/ARCHITECTURE.md, clusters",
    remedy: "Add the cluster first (podseal cluster add), or correct node.cluster in the attester's configuration.",
};
/// The evidence profile is one that we appraise, and the proof is of its kind.
pub static PROFILE: Rule = Rule {
    name: "join.profile",
    spec: "docs/PROTOCOL.md, enrolment",
    remedy: "Enrol with the profile tpm, snp, tdx, azure-snp or nitro-tpm, with what proves a machine of that profile.",
};
/// The token is one that we made.
pub static TOKEN_KNOWN: Rule = Rule {
    name: "join.token_known",
    spec: "docs/PROTOCOL.md, join",
    remedy: "Create a token (podseal node join-token), or send none and have the node approved.",
};
/// No node joined with it.
pub static TOKEN_UNSPENT: Rule = Rule {
    name: "join.token_unspent",
    spec: "docs/PROTOCOL.md, join",
    remedy: "A token lets one node in: create another (podseal node join-token), and find out who used this one.",
};
/// It has not expired.
pub static TOKEN_LIVES: Rule =
    Rule { name: "join.token_expired", spec: "docs/PROTOCOL.md, join", remedy: "Create a new token (podseal node join-token)." };
/// It is for this cluster.
pub static TOKEN_CLUSTER: Rule =
    Rule { name: "join.token_cluster", spec: "docs/PROTOCOL.md, join", remedy: "Create a token for the node's cluster." };
/// It is for this node.
pub static TOKEN_NODE: Rule =
    Rule { name: "join.token_node", spec: "docs/PROTOCOL.md, join", remedy: "Create a token for this node, or one for any node." };
/// No node of this name, EK or AK is enrolled.
pub static NODE_NEW: Rule = Rule {
    name: "join.node_new",
    spec: "docs/ARCHITECTURE.md, nodes",
    remedy: "Where this machine waits under that name: podseal node approve NAME. Else choose another name.",
};
/// Not too many nodes wait for approval.
pub static PENDING: Rule = Rule {
    name: "join.pending",
    spec: "docs/OPERATING.md, limits.pending_nodes",
    remedy: "Approve the nodes that are yours (podseal node list), or raise limits.pending_nodes.",
};
/// The evidence is what the request says, and has no more than a join is judged by.
pub static EVIDENCE: Rule = Rule {
    name: "join.evidence",
    spec: "docs/PROTOCOL.md, enrolment",
    remedy: "Send evidence of the node and profile that the request names, without boot log and pod log: those are judged when something is asked for.",
};
/// The TPM of the EK, holding the AK, recovered the secret.
pub static ACTIVATED: Rule = Rule {
    name: "join.activated",
    spec: "TCG TPM 2.0 Part 1, 24; Part 3, 12.5",
    remedy: "Activate on the machine whose EK certificate was sent, with the AK that was sent.",
};

/// What every request owes.
pub static RULES: &[&Rule] = &[
    &rules::CHALLENGE_ISSUED,
    &rules::CHALLENGE_VERIFIER,
    &rules::CHALLENGE_PURPOSE,
    &rules::CHALLENGE_EXPIRED,
    &rules::CHALLENGE_NODE,
    &NODE_NAME,
    &CLUSTER,
    &PROFILE,
    &NODE_NEW,
];
/// What a request with a token owes besides.
pub static TOKEN_RULES: &[&Rule] = &[&TOKEN_KNOWN, &TOKEN_UNSPENT, &TOKEN_LIVES, &TOKEN_CLUSTER, &TOKEN_NODE];

/// What the registry says of the token of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFound {
    /// The request has none: an administrator approves.
    NotGiven,
    /// Never made, or expired so long ago that it is forgotten.
    Unknown,
    /// One that we made.
    Known {
        /// The cluster that it is for.
        cluster: String,
        /// The node that it is for; empty: any.
        node: String,
        /// First second in which it is no longer accepted.
        expires: u64,
        /// A node joined with it.
        consumed: bool,
    },
}

impl TokenFound {
    /// Whether it lets this request in at `now`, seconds since 1970, as far as a token does.
    #[must_use]
    pub fn lets_in(&self, join: &Join, now: u64) -> bool {
        let mut checks = Checks::owing(&[]);
        appraise_join_token(join, self, now, &mut checks);
        *self != Self::NotGiven && worst(&checks.finish()) == Verdict::Pass
    }
}

/// What appraising a request needs besides it. All of it is looked up by the caller.
#[derive(Debug)]
pub struct Context<'a> {
    /// Our own identity.
    pub verifier: Digest,
    /// Seconds since 1970.
    pub now: u64,
    /// Whether the key of the challenge's epoch made its MAC.
    pub challenge_issued: bool,
    /// Roots at which an EK certificate may end.
    pub roots: &'a EkRoots,
    /// Whose other hardware counts, and what is good enough.
    pub hardware: &'a Hardware,
    /// What makers say of the hardware that the evidence of the request is of.
    pub endorsements: &'a Gathered,
    /// Bounds for parsing that evidence.
    pub limits: Limits,
    /// Whether the cluster is configured.
    pub cluster_known: bool,
    /// What the registry says of the token.
    pub token: TokenFound,
    /// Whether a node of that name is enrolled.
    pub name_taken: bool,
    /// For activation of an AK: whether the secret was the one for this request. `None` for the first step.
    pub activated: Option<bool>,
}

/// A node that may be let in: made only where every step passed.
#[derive(Debug)]
pub struct Candidate {
    record: NodeRecord,
    signer: Vec<u8>,
    tpm: Option<(EkIdentity, AkPublic)>,
}

impl Candidate {
    /// The registration.
    #[must_use]
    pub fn record(&self) -> &NodeRecord {
        &self.record
    }

    /// What the bindings of its evidence have of its key.
    #[must_use]
    pub fn signer(&self) -> &[u8] {
        &self.signer
    }

    /// EK and AK, to make a credential for; `None` where the request's evidence proved enough.
    #[must_use]
    pub fn tpm(&self) -> Option<(&EkIdentity, &AkPublic)> {
        self.tpm.as_ref().map(|(ek, ak)| (ek, ak))
    }
}

/// Appraises a request. Never fails: every failure is a check. There is a candidate only where every step passed.
#[must_use]
pub fn appraise_join(join: &Join, challenge: &ReceivedChallenge, context: &Context<'_>) -> (Vec<Check>, Option<Candidate>) {
    let mut checks = Checks::owing(RULES);
    let expected = ChallengeExpectations {
        verifier: context.verifier,
        purpose: Purpose::Join,
        node: &join.node,
        now: context.now,
        issued: context.challenge_issued,
    };
    appraise_challenge(challenge, &expected, &mut checks);
    let profile = appraise_names(join, context, &mut checks);
    appraise_join_token(join, &context.token, context.now, &mut checks);
    let key = profile.and_then(|profile| NodeKey::appraise(profile, &join.key, &mut checks));
    let proven = match (&join.proof, profile, &key) {
        (Proof::Ek { certificate, intermediates, public }, Some(Profile::Tpm), _) => {
            checks.also_owing(&ek::RULES);
            let intermediates: Vec<&[u8]> = intermediates.iter().map(Vec::as_slice).collect();
            let ek = appraise_ek(certificate, public, &intermediates, context.roots, context.now, &mut checks);
            ek.map(|ek| Proven { machine: ek.hash(), root: ek.root().to_owned(), kind: ek.kind(), ek: Some(ek) })
        }
        (Proof::Evidence(evidence), Some(profile), Some(key)) => by_evidence(profile, key, evidence, join, challenge, context, &mut checks),
        _ => None,
    };
    if let Some(activated) = context.activated {
        let found = if activated { "that secret" } else { "another" };
        checks.record(&ACTIVATED, activated, "the secret that was sealed to EK and AK", found);
    }
    let checks = checks.finish();
    let candidate = proven.zip(key).filter(|_| worst(&checks) == Verdict::Pass).map(|(proven, key)| Candidate {
        record: NodeRecord {
            node: join.node.clone(),
            cluster: join.cluster.clone(),
            node_uid: join.node_uid.clone(),
            profile: join.profile.clone(),
            machine: proven.machine,
            key: join.key.clone(),
            root: proven.root,
            root_kind: proven.kind,
            approved: context.token != TokenFound::NotGiven,
            quarantined: String::new(),
        },
        signer: key.signer().to_vec(),
        tpm: proven.ek.zip(key.into_ak()),
    });
    (checks, candidate)
}

/// A machine whose proof holds.
struct Proven {
    machine: Digest,
    root: String,
    kind: RootKind,
    ek: Option<EkIdentity>,
}

/// Appraises the evidence of a request as that of a release, but for its purpose: what booted is judged when something is asked for.
fn by_evidence(
    profile: Profile,
    key: &NodeKey,
    evidence: &[u8],
    join: &Join,
    challenge: &ReceivedChallenge,
    context: &Context<'_>,
    checks: &mut Checks,
) -> Option<Proven> {
    let decoded = Evidence::decode(evidence, &context.limits);
    let found = decoded.as_ref().map_or_else(ToString::to_string, |_| "evidence".to_owned());
    checks.record(&machine::rules::FORM, decoded.is_ok(), "evidence in its canonical form", found);
    let evidence = decoded.ok()?;
    let log =
        evidence.parts.iter().any(|part| matches!(part, Part::BootLog(_) | Part::PodLog { .. })) || evidence.pod_log != PodLogHead::NONE;
    let fits = evidence.node == join.node && evidence.profile == join.profile && !log;
    let found = format!("{} of {}, with {}", evidence.profile, evidence.node, if log { "a log" } else { "no log" });
    if !checks.record(&EVIDENCE, fits, format!("{} of {}, with no log", join.profile, join.node), found) {
        return None;
    }
    let inputs = BindingInputs {
        challenge: challenge.digest(),
        purpose: Purpose::Join,
        verifier: context.verifier,
        node: &join.node,
        signer: key.signer(),
        profile: profile.as_str(),
        boot_id: &evidence.boot_id,
        pod_log: evidence.pod_log,
    };
    let question = Question {
        binding: binding(&inputs, &[]),
        key,
        machine: None,
        report: None,
        hardware: context.hardware,
        endorsements: context.endorsements,
        now: context.now,
    };
    let machine = machine::prove(profile, &evidence, &question, checks)?;
    let (root, kind) = machine.root?;
    Some(Proven { machine: machine.identity?, root, kind, ek: None })
}

/// The profile of a request, where its proof is of the kind that it takes.
fn appraise_names(join: &Join, context: &Context<'_>, checks: &mut Checks) -> Option<Profile> {
    checks.record(&NODE_NAME, is_node_name(&join.node), "a DNS subdomain name", join.node.clone());
    let known = if context.cluster_known { "configured" } else { "not configured" };
    checks.record(&CLUSTER, context.cluster_known, "a configured cluster", format!("{}: {known}", join.cluster));
    let by_ek = matches!(join.proof, Proof::Ek { .. });
    let profile = Profile::parse(&join.profile).filter(|profile| (*profile == Profile::Tpm) == by_ek);
    let found = format!("{} with {}", join.profile, if by_ek { "an EK certificate" } else { "evidence" });
    checks.record(&PROFILE, profile.is_some(), "tpm with an EK certificate, or another profile with its evidence", found);
    let taken = if context.name_taken { "enrolled already" } else { "new" };
    checks.record(&NODE_NEW, !context.name_taken, "a name that no node has", format!("{}: {taken}", join.node));
    profile
}

fn appraise_join_token(join: &Join, token: &TokenFound, now: u64, checks: &mut Checks) {
    if *token == TokenFound::NotGiven {
        return;
    }
    checks.also_owing(TOKEN_RULES);
    let TokenFound::Known { cluster, node, expires, consumed } = token else {
        checks.record(&TOKEN_KNOWN, false, "a token that this verifier made", "another");
        return;
    };
    checks.record(&TOKEN_KNOWN, true, "a token that this verifier made", "one");
    checks.record(&TOKEN_UNSPENT, !consumed, "not used", if *consumed { "used" } else { "not used" });
    checks.record(&TOKEN_LIVES, now < *expires, format!("a time before {expires}"), now.to_string());
    checks.record(&TOKEN_CLUSTER, *cluster == join.cluster, cluster.clone(), join.cluster.clone());
    checks.record(&TOKEN_NODE, node.is_empty() || *node == join.node, node.clone(), join.node.clone());
}

/// RFC 1123, section 2.1, as Kubernetes names nodes: labels of a-z, 0-9 and inner hyphens, with dots between, at most 253 bytes.
#[must_use]
pub fn is_node_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inner);
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests;
