//! Service-account tokens: whether a cluster, by one of its pinned keys, says that this pod runs under that service account on that node.

mod claims;
mod keys;
pub mod rules;

use std::borrow::Cow;

use claims::{Claims, Kubernetes};
pub use keys::{ClusterKeys, JwksError};

use crate::jose::{Compact, Header};
use crate::{check::Checks, claims::Claim, json};

/// Longest token taken, in bytes. A projected token has one to two thousand.
const LONGEST: usize = 16 << 10;

/// Longest lifetime of a token that is taken, in seconds: the shortest that Kubernetes grants.
pub const LONGEST_LIFETIME: u64 = 600;

/// By how many seconds the clocks of verifier and API server may differ.
pub const CLOCK_SKEW: u64 = 30;

/// What a token must say: known from the verifier, the runtime and the registry.
#[derive(Debug, Clone, Copy)]
pub struct TokenExpectations<'a> {
    /// Identity of the verifier, as tokens name it in `aud`.
    pub verifier_id: &'a str,
    /// Namespace of the pod sandbox.
    pub namespace: &'a str,
    /// Name of the pod.
    pub pod: &'a str,
    /// UID of the pod.
    pub pod_uid: &'a str,
    /// Service account in the leaf.
    pub service_account: &'a str,
    /// UID of the node object that is registered for the node.
    pub node_uid: &'a str,
}

/// What a token that passed every step establishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// Configured id of the cluster whose key signed it.
    pub cluster: String,
    /// Namespace.
    pub namespace: String,
    /// Name of the pod that it is bound to.
    pub pod: String,
    /// UID of that pod.
    pub pod_uid: String,
    /// Service account.
    pub service_account: String,
    /// Whether it names the registered node.
    pub names_node: Claim<bool>,
    /// End of its validity, in seconds since 1970.
    pub expires: u64,
}

/// Appraises `token`, the exact bytes that a leaf names, at `now` (seconds since 1970). There are facts only where every step passed.
pub fn appraise_token(
    token: &[u8],
    keys: &ClusterKeys,
    expected: &TokenExpectations<'_>,
    now: u64,
    checks: &mut Checks,
) -> Option<TokenFacts> {
    checks.also_owing(rules::OWED);
    if keys.tokens_name_nodes {
        checks.also_owing(&[&rules::NODE]);
    }
    if token.is_empty() {
        checks.not_appraised(&rules::PARSES, "the pod presented no token");
        return None;
    }
    let compact = Compact::parse(token, LONGEST);
    let parsed = compact.as_ref().map_err(Clone::clone).and_then(|compact| json::parse::<Header<'_>>(&compact.header));
    let found = parsed.as_ref().map_or_else(|error| Cow::Owned(error.clone()), |_| Cow::Borrowed("a compact JWS"));
    if !checks.record(&rules::PARSES, parsed.is_ok(), "a compact JWS of three canonical parts", found) {
        return None;
    }
    let (compact, header) = (compact.as_ref().ok()?, parsed.ok()?);
    signed_by_cluster(compact, &header, keys, checks)?;

    let claims = json::parse::<Claims<'_>>(&compact.claims);
    let found = claims.as_ref().map_or_else(|error| Cow::Owned(error.clone()), |_| Cow::Borrowed("a JSON object"));
    if !checks.record(&rules::CLAIMS, claims.is_ok(), "one JSON object without doubtful keys", found) {
        return None;
    }
    let claims = claims.ok()?;
    let addressed = addressed_to_us(&claims, keys, expected, checks);
    let timely = timely(&claims, now, checks);
    let bound = bound(&claims, expected, checks);
    let names_node = names_node(&claims, keys, expected, checks);
    let facts = names_node.filter(|_| addressed && timely && bound)?;
    Some(TokenFacts {
        cluster: keys.cluster.clone(),
        namespace: expected.namespace.to_owned(),
        pod: expected.pod.to_owned(),
        pod_uid: expected.pod_uid.to_owned(),
        service_account: expected.service_account.to_owned(),
        names_node: facts,
        expires: claims.expires?,
    })
}

/// Key, algorithm and signature (RFC 7515, 5.2), in this order: the key decides which algorithm there is, never the token.
fn signed_by_cluster(compact: &Compact<'_>, header: &Header<'_>, keys: &ClusterKeys, checks: &mut Checks) -> Option<()> {
    let found = if header.critical.is_some() { "crit" } else { "none" };
    if !checks.record(&rules::CRITICAL, header.critical.is_none(), "no critical extension", found) {
        return None;
    }
    let key_id = header.key_id.as_deref();
    let key = key_id.and_then(|id| keys.find(id));
    let origin = format!("cluster {}", keys.cluster);
    let known = keys.key_ids().collect::<Vec<_>>().join(", ");
    if !checks.record_from(origin, &rules::KEY_KNOWN, key.is_some(), known, key_id.unwrap_or("no kid").to_owned()) {
        return None;
    }
    let key = key?;
    let algorithm = header.algorithm.as_deref().unwrap_or("no alg");
    if !checks.record(&rules::ALGORITHM, algorithm == key.algorithm.name(), key.algorithm.name(), algorithm.to_owned()) {
        return None;
    }
    let holds = key.public.verify_sig(compact.signed, &compact.signature).is_ok();
    let found = if holds { "verifies" } else { "does not verify" };
    checks.record(&rules::SIGNATURE, holds, format!("a signature by key {} of cluster {}", key.id, keys.cluster), found).then_some(())
}

fn addressed_to_us(claims: &Claims<'_>, keys: &ClusterKeys, expected: &TokenExpectations<'_>, checks: &mut Checks) -> bool {
    let issuer = claims.issuer.as_deref();
    let from_cluster = checks.record_from(
        format!("cluster {}", keys.cluster),
        &rules::ISSUER,
        issuer == Some(keys.issuer.as_str()),
        keys.issuer.clone(),
        issuer.unwrap_or("no iss").to_owned(),
    );
    // A second audience could present the token to us in its own name.
    let audience = claims.audience.as_ref().map_or(&[][..], |audience| audience.0.as_slice());
    let only_us = audience.len() == 1 && audience.iter().all(|one| **one == *expected.verifier_id);
    let found = audience.iter().map(|one| &**one).collect::<Vec<_>>().join(", ");
    let for_us = checks.record(&rules::AUDIENCE, only_us, format!("only {}", expected.verifier_id), found);
    from_cluster && for_us
}

fn timely(claims: &Claims<'_>, now: u64, checks: &mut Checks) -> bool {
    let latest = now.saturating_add(CLOCK_SKEW);
    let at = |time: Option<u64>, name: &str| time.map_or_else(|| format!("no {name}"), |time| time.to_string());
    let issued =
        checks.record(&rules::ISSUED, claims.issued.is_some_and(|t| t <= latest), format!("iat <= {latest}"), at(claims.issued, "iat"));
    let begun = checks.record(
        &rules::NOT_BEFORE,
        claims.not_before.is_some_and(|t| t <= latest),
        format!("nbf <= {latest}"),
        at(claims.not_before, "nbf"),
    );
    let earliest = now.saturating_sub(CLOCK_SKEW);
    let lasts = checks.record(
        &rules::EXPIRED,
        claims.expires.is_some_and(|t| t > earliest),
        format!("exp > {earliest}"),
        at(claims.expires, "exp"),
    );
    let lifetime = claims.expires.zip(claims.issued).and_then(|(expires, issued)| expires.checked_sub(issued));
    let short = checks.record(
        &rules::LIFETIME,
        lifetime.is_some_and(|seconds| seconds <= LONGEST_LIFETIME),
        format!("exp - iat <= {LONGEST_LIFETIME}"),
        lifetime.map_or_else(|| "exp and iat do not give a lifetime".to_owned(), |seconds| seconds.to_string()),
    );
    issued && begun && lasts && short
}

fn bound(claims: &Claims<'_>, expected: &TokenExpectations<'_>, checks: &mut Checks) -> bool {
    let none = Kubernetes::default();
    let kubernetes = claims.kubernetes.as_ref().unwrap_or(&none);
    let namespace = kubernetes.namespace.as_deref();
    let same_namespace = checks.record(
        &rules::NAMESPACE,
        namespace == Some(expected.namespace),
        expected.namespace.to_owned(),
        namespace.unwrap_or("no namespace").to_owned(),
    );
    let account = kubernetes.service_account.as_ref().and_then(|account| account.name.as_deref());
    let same_account = checks.record(
        &rules::SERVICE_ACCOUNT,
        account == Some(expected.service_account),
        expected.service_account.to_owned(),
        account.unwrap_or("no service account").to_owned(),
    );
    let subject = format!("system:serviceaccount:{}:{}", namespace.unwrap_or_default(), account.unwrap_or_default());
    let found = claims.subject.as_deref();
    let same_subject = checks.record(&rules::SUBJECT, found == Some(&subject), subject, found.unwrap_or("no sub").to_owned());

    let pod = kubernetes.pod.as_ref();
    let (name, uid) = (pod.and_then(|pod| pod.name.as_deref()), pod.and_then(|pod| pod.uid.as_deref()));
    let is_bound =
        checks.record(&rules::BOUND_TO_POD, uid.is_some_and(|uid| !uid.is_empty()), "a pod uid", uid.unwrap_or("none").to_owned());
    let same_pod = checks.record(
        &rules::POD_SAME,
        (name, uid) == (Some(expected.pod), Some(expected.pod_uid)),
        format!("{} {}", expected.pod, expected.pod_uid),
        format!("{} {}", name.unwrap_or("no name"), uid.unwrap_or("no uid")),
    );
    same_namespace && same_account && same_subject && is_bound && same_pod
}

/// `None` where the token names another node, or none although the cluster's tokens do.
fn names_node(claims: &Claims<'_>, keys: &ClusterKeys, expected: &TokenExpectations<'_>, checks: &mut Checks) -> Option<Claim<bool>> {
    let node = claims.kubernetes.as_ref().and_then(|k| k.node.as_ref());
    match node.and_then(|node| node.uid.as_deref()) {
        Some(uid) => {
            let same =
                checks.record_from("node registry", &rules::NODE, uid == expected.node_uid, expected.node_uid.to_owned(), uid.to_owned());
            same.then_some(Claim::Appraised(true))
        }
        None if keys.tokens_name_nodes => {
            checks.not_appraised(&rules::NODE, "the token names no node");
            None
        }
        None => Some(Claim::NotAppraised("the tokens of this cluster name no node")),
    }
}

/// What a token claims, nothing of it verified. For showing to an operator; no decision can be made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedToken {
    /// `alg`.
    pub algorithm: Option<String>,
    /// `kid`.
    pub key_id: Option<String>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`.
    pub audience: Vec<String>,
    /// `iat`, in seconds since 1970.
    pub issued: Option<u64>,
    /// `nbf`, in seconds since 1970.
    pub not_before: Option<u64>,
    /// `exp`, in seconds since 1970.
    pub expires: Option<u64>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Name and UID of the pod.
    pub pod: Option<(String, String)>,
    /// Name and UID of the node.
    pub node: Option<(String, String)>,
    /// Name and UID of the service account.
    pub service_account: Option<(String, String)>,
}

/// Reads a token without verifying anything.
///
/// # Errors
/// Where and why the bytes are not a token.
pub fn describe(token: &[u8]) -> Result<UnverifiedToken, String> {
    let compact = Compact::parse(token, LONGEST)?;
    let header: Header<'_> = json::parse(&compact.header)?;
    let parsed: Claims<'_> = json::parse(&compact.claims)?;
    let kubernetes = parsed.kubernetes.unwrap_or_default();
    let text = |text: Option<json::Text<'_>>| text.map(|text| text.0.into_owned());
    let object = |object: Option<claims::Object<'_>>| {
        object.map(|object| (text(object.name).unwrap_or_default(), text(object.uid).unwrap_or_default()))
    };
    Ok(UnverifiedToken {
        algorithm: text(header.algorithm),
        key_id: text(header.key_id),
        issuer: text(parsed.issuer),
        subject: text(parsed.subject),
        audience: parsed.audience.map(|all| all.0.into_iter().map(|one| one.0.into_owned()).collect()).unwrap_or_default(),
        issued: parsed.issued,
        not_before: parsed.not_before,
        expires: parsed.expires,
        namespace: text(kubernetes.namespace),
        pod: object(kubernetes.pod),
        node: object(kubernetes.node),
        service_account: object(kubernetes.service_account),
    })
}

#[cfg(test)]
mod tests;
