//! The rules of challenge, registration and leaf, and what a decision needs besides: secrets and a policy. Those of quote, boot log,
//! pod log, reference values, token, workload, policy, checkpoint and enrolment stand in their own rooms.

use crate::{check::Rule, machine};

/// The challenge carries this verifier's MAC.
pub static CHALLENGE_ISSUED: Rule = Rule {
    name: "challenge.issued",
    spec: "docs/PROTOCOL.md, challenge; RFC 9334, 10.2",
    remedy: "Ask for a challenge first; one that another verifier issued, or that was altered, is never accepted.",
};
/// It names this verifier.
pub static CHALLENGE_VERIFIER: Rule = Rule {
    name: "challenge.verifier",
    spec: "docs/PROTOCOL.md, challenge",
    remedy: "Send the exchange to the verifier that issued the challenge.",
};
/// It was issued for this purpose.
pub static CHALLENGE_PURPOSE: Rule =
    Rule { name: "challenge.purpose", spec: "docs/PROTOCOL.md, challenge", remedy: "Ask for a challenge for the purpose at hand." };
/// It has not expired.
pub static CHALLENGE_EXPIRED: Rule = Rule {
    name: "challenge.expired",
    spec: "docs/PROTOCOL.md, challenge; RFC 9334, 10.2",
    remedy: "Ask for a new challenge; if this happens again, the evidence takes longer than a minute: look at the node's TPM.",
};
/// It was issued for the node that the evidence is about.
pub static CHALLENGE_NODE: Rule = Rule {
    name: "challenge.node",
    spec: "docs/PROTOCOL.md, challenge",
    remedy: "Each node asks for its own challenge; find out why one node used another's.",
};
/// It was not used before.
pub static CHALLENGE_REPLAYED: Rule = Rule {
    name: "challenge.replayed",
    spec: "docs/PROTOCOL.md, challenge; RFC 9334, 10.2",
    remedy: "A request is answered once. If the node did not send this one twice, somebody recorded it.",
};
/// The node is in the registry.
pub static NODE_ENROLLED: Rule = Rule {
    name: "node.enrolled",
    spec: "docs/ARCHITECTURE.md, nodes",
    remedy: "Enrol the node: podseal node join-token, then podseal-node-attester enroll.",
};
/// It was let in.
pub static NODE_APPROVED: Rule =
    Rule { name: "node.approved", spec: "docs/ARCHITECTURE.md, nodes", remedy: "Approve the node: podseal node approve NODE." };
/// It is not in quarantine.
pub static NODE_QUARANTINE: Rule = Rule {
    name: "node.quarantine",
    spec: "docs/ARCHITECTURE.md, nodes",
    remedy: "See why (podseal node show NODE), end the reason, then: podseal node release NODE.",
};
/// The evidence is of the registered kind.
pub static NODE_PROFILE: Rule = Rule {
    name: "node.profile",
    spec: "docs/PROTOCOL.md, evidence",
    remedy: "Send evidence of the profile that the node is registered with.",
};

/// The node's own rules; quote, boot log, reference values and pod log add theirs when it is their turn.
pub static NODE: &[&Rule] = &[
    &CHALLENGE_ISSUED,
    &CHALLENGE_VERIFIER,
    &CHALLENGE_PURPOSE,
    &CHALLENGE_EXPIRED,
    &CHALLENGE_NODE,
    &NODE_ENROLLED,
    &NODE_APPROVED,
    &NODE_QUARANTINE,
    &NODE_PROFILE,
    &machine::rules::PARTS,
];

/// What must hold for a request to be a registered node's own, besides what its profile adds: otherwise it is rejected and only counted, so
/// that no stranger can write into the log.
pub static ATTRIBUTION: &[&Rule] =
    &[&CHALLENGE_ISSUED, &CHALLENGE_VERIFIER, &CHALLENGE_PURPOSE, &CHALLENGE_EXPIRED, &CHALLENGE_NODE, &NODE_ENROLLED];

/// The leaf is in its canonical form.
pub static LEAF_CANONICAL: Rule = Rule {
    name: "leaf.canonical",
    spec: "docs/PROTOCOL.md, leaf; RFC 8949, 4.2",
    remedy: "Encode the leaf as docs/PROTOCOL.md has it: shortest heads, every field, nothing after it.",
};
/// It names the registered node's cluster.
pub static LEAF_CLUSTER: Rule = Rule {
    name: "leaf.cluster",
    spec: "docs/PROTOCOL.md, leaf",
    remedy: "Correct node.cluster in the attester's configuration, or enrol the node for the other cluster.",
};
/// That cluster's keys are configured.
pub static LEAF_CLUSTER_KNOWN: Rule =
    Rule { name: "leaf.cluster_known", spec: "docs/ARCHITECTURE.md, clusters", remedy: "Pin the cluster's keys: podseal cluster add." };
/// It names the registered node object.
pub static LEAF_NODE: Rule = Rule {
    name: "leaf.node",
    spec: "docs/PROTOCOL.md, leaf",
    remedy: "Correct node.uid in the attester's configuration; a node object made anew is enrolled anew.",
};
/// It asks for something.
pub static LEAF_ASKS: Rule =
    Rule { name: "leaf.asks", spec: "docs/PROTOCOL.md, leaf", remedy: "Annotate the pod: podseal.dev/secrets: \"FILE=NAMESPACE/NAME\"." };
/// The OCI spec that it names is attached.
pub static LEAF_SPEC: Rule = Rule {
    name: "leaf.spec_attached",
    spec: "docs/PROTOCOL.md, exchange",
    remedy: "Attach the runtime spec whose digest the leaf names, byte for byte.",
};
/// The pod set that it names is attached.
pub static LEAF_POD_SET: Rule = Rule {
    name: "leaf.pod_set_attached",
    spec: "docs/PROTOCOL.md, exchange",
    remedy: "Attach the pod set whose digest the leaf names, byte for byte.",
};
/// The token that it names is attached.
pub static LEAF_TOKEN: Rule = Rule {
    name: "leaf.token_attached",
    spec: "docs/PROTOCOL.md, exchange",
    remedy: "Attach the token whose digest the leaf names, byte for byte.",
};
/// Every secret asked for exists.
pub static SECRET_EXISTS: Rule = Rule {
    name: "secret.exists",
    spec: "docs/ARCHITECTURE.md, secrets",
    remedy: "Create the secret (podseal secret put or generate), or correct the annotation podseal.dev/secrets.",
};
/// The delivery fits into the reply to its batch.
pub static REPLY_ROOM: Rule = Rule {
    name: "exchange.too_large",
    spec: "docs/PROTOCOL.md, exchange",
    remedy: "Start the container again: it then asks with fewer others. Alone, its secrets are too large together: ask for fewer.",
};
/// A policy is in force.
pub static POLICY_IN_FORCE: Rule =
    Rule { name: "policy.in_force", spec: "docs/ARCHITECTURE.md, policy", remedy: "Apply a policy: podseal policy apply." };

/// A leaf's own rules; token, workload and pod log add theirs.
pub static LEAF: &[&Rule] =
    &[&LEAF_CANONICAL, &LEAF_CLUSTER, &LEAF_CLUSTER_KNOWN, &LEAF_NODE, &LEAF_ASKS, &LEAF_SPEC, &LEAF_POD_SET, &LEAF_TOKEN];
