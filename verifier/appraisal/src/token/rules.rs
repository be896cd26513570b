//! The steps that every service-account token owes.

use crate::check::Rule;

const JWS: &str = "the pod's projected token is not what its cluster signs: look at the volume that the launcher reads it from";
const PROJECT: &str = "mount a projected serviceAccountToken volume with audience = verifier id and expirationSeconds = 600";
const POD: &str = "the token belongs to another pod: each pod mounts its own projected token, none is copied or baked into an image";

/// Three base64url parts, the first a JSON object.
pub static PARSES: Rule = Rule { name: "token.parses", spec: "RFC 7515, 7.1 and 4", remedy: JWS };
/// No extension that a reader must understand.
pub static CRITICAL: Rule = Rule { name: "token.critical", spec: "RFC 7515, 4.1.11", remedy: JWS };
/// The key is one of the cluster's pinned ones.
pub static KEY_KNOWN: Rule = Rule {
    name: "token.key_known",
    spec: "RFC 7515, 4.1.4; RFC 7517, 4.5",
    remedy: "if the cluster rotated its signing key, apply its new JWKS: podseal cluster add",
};
/// The algorithm is the key's own.
pub static ALGORITHM: Rule = Rule { name: "token.algorithm", spec: "RFC 8725, 3.1 and 3.2", remedy: JWS };
/// The signature over header and claims, as received.
pub static SIGNATURE: Rule = Rule {
    name: "token.signature",
    spec: "RFC 7515, 5.2; RFC 7518, 3.3 and 3.4",
    remedy: "the token was signed by another cluster or altered; if the cluster's keys changed under the same kid, apply its new JWKS",
};
/// The claims are one strict JSON object.
pub static CLAIMS: Rule = Rule { name: "token.claims", spec: "RFC 7519, 4 and 7.2", remedy: JWS };
/// The issuer is the cluster's.
pub static ISSUER: Rule = Rule {
    name: "token.issuer",
    spec: "RFC 7519, 4.1.1",
    remedy: "the cluster's configured issuer must equal its --service-account-issuer, to the letter",
};
/// The verifier is the one audience.
pub static AUDIENCE: Rule = Rule { name: "token.audience", spec: "RFC 7519, 4.1.3; RFC 8725, 3.9", remedy: PROJECT };
/// Issued in the past.
pub static ISSUED: Rule =
    Rule { name: "token.issued", spec: "RFC 7519, 4.1.6", remedy: "set the clocks of the API server and of the verifier by NTP" };
/// Already valid.
pub static NOT_BEFORE: Rule =
    Rule { name: "token.not_before", spec: "RFC 7519, 4.1.5", remedy: "set the clocks of the API server and of the verifier by NTP" };
/// Still valid.
pub static EXPIRED: Rule = Rule {
    name: "token.expired",
    spec: "RFC 7519, 4.1.4",
    remedy: "read the token anew for each request: the kubelet refreshes the file at 80 % of its lifetime",
};
/// Made for ten minutes at most.
pub static LIFETIME: Rule = Rule { name: "token.lifetime", spec: "docs/ARCHITECTURE.md, pods", remedy: PROJECT };
/// The subject agrees with the Kubernetes claims.
pub static SUBJECT: Rule = Rule { name: "token.subject", spec: "RFC 7519, 4.1.2; Kubernetes service accounts, subject", remedy: JWS };
/// Bound to a pod.
pub static BOUND_TO_POD: Rule = Rule { name: "token.bound_to_pod", spec: "Kubernetes TokenRequest v1, boundObjectRef", remedy: PROJECT };
/// Bound to the pod that asks.
pub static POD_SAME: Rule = Rule { name: "token.pod", spec: "Kubernetes TokenRequest v1, boundObjectRef", remedy: POD };
/// The namespace that the runtime says.
pub static NAMESPACE: Rule = Rule { name: "token.namespace", spec: "Kubernetes service accounts, private claims", remedy: POD };
/// The service account of the leaf.
pub static SERVICE_ACCOUNT: Rule = Rule { name: "token.service_account", spec: "Kubernetes service accounts, private claims", remedy: POD };
/// The node that is registered.
pub static NODE: Rule = Rule {
    name: "token.node",
    spec: "Kubernetes service accounts, private claims: node",
    remedy: "the pod runs on another node than the evidence is of; if its node object was made anew, enrol the node again; \
             a cluster older than 1.30 that names no nodes must be declared so",
};

/// Owed by every token; [`NODE`] besides where the cluster's tokens name nodes.
pub static OWED: &[&Rule] = &[
    &PARSES,
    &CRITICAL,
    &KEY_KNOWN,
    &ALGORITHM,
    &SIGNATURE,
    &CLAIMS,
    &ISSUER,
    &AUDIENCE,
    &ISSUED,
    &NOT_BEFORE,
    &EXPIRED,
    &LIFETIME,
    &SUBJECT,
    &BOUND_TO_POD,
    &POD_SAME,
    &NAMESPACE,
    &SERVICE_ACCOUNT,
];
