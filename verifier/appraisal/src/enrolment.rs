//! Enrolment: whether a request to join is the one that its challenge was issued for, comes from a genuine TPM under a configured root,
//! is allowed by a token or waits for approval, and proves that the AK lives in the TPM of the EK.
//!
//! Nothing is kept between the two steps: activation appraises the request anew, and besides that the secret that only the TPM can recover.

use podseal_protocol::{Digest, Purpose, ReceivedChallenge, join::Join};

use crate::{
    appraiser::PROFILE_TPM,
    challenge::{ChallengeExpectations, appraise_challenge},
    check::{Check, Checks, Rule, Verdict, worst},
    records::NodeRecord,
    rules,
    tpm::{
        ak::{self, AkPublic, appraise_ak},
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
/// The evidence profile is one that we appraise.
pub static PROFILE: Rule = Rule { name: "join.profile", spec: "docs/PROTOCOL.md, evidence", remedy: "Enrol with the profile tpm." };
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
    /// Whether the cluster is configured.
    pub cluster_known: bool,
    /// What the registry says of the token.
    pub token: TokenFound,
    /// Whether a node of that name is enrolled.
    pub name_taken: bool,
    /// For activation: whether the secret was the one for this request. `None` for the first step.
    pub activated: Option<bool>,
}

/// A node that may be let in: made only where every step passed.
#[derive(Debug)]
pub struct Candidate {
    record: NodeRecord,
    ek: EkIdentity,
    ak: AkPublic,
}

impl Candidate {
    /// The registration.
    #[must_use]
    pub fn record(&self) -> &NodeRecord {
        &self.record
    }

    /// The EK, to make a credential for.
    #[must_use]
    pub fn ek(&self) -> &EkIdentity {
        &self.ek
    }

    /// The AK.
    #[must_use]
    pub fn ak(&self) -> &AkPublic {
        &self.ak
    }
}

/// Appraises a request. Never fails: every failure is a check. There is a candidate only where every step passed.
#[must_use]
pub fn appraise_join(join: &Join, challenge: &ReceivedChallenge, context: &Context<'_>) -> (Vec<Check>, Option<Candidate>) {
    let mut checks = Checks::owing(RULES);
    checks.also_owing(&ek::RULES);
    checks.also_owing(&ak::RULES);
    let expected = ChallengeExpectations {
        verifier: context.verifier,
        purpose: Purpose::Join,
        node: &join.node,
        now: context.now,
        issued: context.challenge_issued,
    };
    appraise_challenge(challenge, &expected, &mut checks);
    appraise_names(join, context, &mut checks);
    appraise_join_token(join, context, &mut checks);
    let intermediates: Vec<&[u8]> = join.intermediates.iter().map(Vec::as_slice).collect();
    let ek = appraise_ek(&join.ek_certificate, &join.ek_public, &intermediates, context.roots, context.now, &mut checks);
    let ak = appraise_ak(&join.ak_public, &mut checks);
    if let Some(activated) = context.activated {
        let found = if activated { "that secret" } else { "another" };
        checks.record(&ACTIVATED, activated, "the secret that was sealed to EK and AK", found);
    }
    let checks = checks.finish();
    let candidate = ek.zip(ak).filter(|_| worst(&checks) == Verdict::Pass).map(|(ek, ak)| {
        let record = NodeRecord {
            node: join.node.clone(),
            cluster: join.cluster.clone(),
            node_uid: join.node_uid.clone(),
            profile: join.profile.clone(),
            ek_digest: ek.hash(),
            ak_public: join.ak_public.clone(),
            root: ek.root().to_owned(),
            root_kind: ek.kind(),
            approved: context.token != TokenFound::NotGiven,
            quarantined: String::new(),
        };
        Candidate { record, ek, ak }
    });
    (checks, candidate)
}

fn appraise_names(join: &Join, context: &Context<'_>, checks: &mut Checks) {
    checks.record(&NODE_NAME, is_node_name(&join.node), "a DNS subdomain name", join.node.clone());
    let known = if context.cluster_known { "configured" } else { "not configured" };
    checks.record(&CLUSTER, context.cluster_known, "a configured cluster", format!("{}: {known}", join.cluster));
    checks.record(&PROFILE, join.profile == PROFILE_TPM, PROFILE_TPM, join.profile.clone());
    let taken = if context.name_taken { "enrolled already" } else { "new" };
    checks.record(&NODE_NEW, !context.name_taken, "a name that no node has", format!("{}: {taken}", join.node));
}

fn appraise_join_token(join: &Join, context: &Context<'_>, checks: &mut Checks) {
    if context.token == TokenFound::NotGiven {
        return;
    }
    checks.also_owing(TOKEN_RULES);
    let TokenFound::Known { cluster, node, expires, consumed } = &context.token else {
        checks.record(&TOKEN_KNOWN, false, "a token that this verifier made", "another");
        return;
    };
    checks.record(&TOKEN_KNOWN, true, "a token that this verifier made", "one");
    checks.record(&TOKEN_UNSPENT, !consumed, "not used", if *consumed { "used" } else { "not used" });
    checks.record(&TOKEN_LIVES, context.now < *expires, format!("a time before {expires}"), context.now.to_string());
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
