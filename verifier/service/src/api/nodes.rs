//! The registry, as administrators see it.

use podseal_appraisal::enrolment::is_node_name;
use podseal_protocol::Digest;
use podseal_wire::{Change, Holding, JoinToken, JoinTokenRequest, Node, NodeList, NodeReason, TpmState};
use tonic::{Code, Status};
use zeroize::Zeroizing;

use super::{
    Verifier,
    admin::{change, known_form, to_wire},
    gate::Admin,
    reply,
};
use crate::{
    clock, random,
    store::{
        mutation::{self, Mutation},
        node_state,
        nodes::{self, Failing, StoredNode},
    },
};

/// Seconds.
const LIFETIME: u64 = 3_600;
const LONGEST_LIFETIME: u64 = 86_400;
/// Holdings that are listed of one node.
const MOST_HOLDINGS: u32 = 10_000;
const NODE_NAME: &str = "the name of a node: see podseal node list";

pub(super) async fn create_join_token(verifier: &Verifier, admin: &Admin, request: JoinTokenRequest) -> Result<JoinToken, Status> {
    let node = request.node.is_empty() || is_node_name(&request.node);
    known_form(node, "node.name", &request.node, "a DNS subdomain name, or none for any node")?;
    let lifetime = if request.lifetime == 0 { LIFETIME } else { request.lifetime };
    known_form(lifetime <= LONGEST_LIFETIME, "join_token.lifetime", &lifetime.to_string(), "at most 86400 seconds")?;
    let random = Zeroizing::new(random::bytes::<32>().map_err(|e| reply::broken("making a token", e))?);
    let token = format!("pst-{}", Digest(*random));
    let expires = clock::now().saturating_add(lifetime);
    let row = mutation::JoinToken { digest: Digest::of(token.as_bytes()), cluster: request.cluster, node: request.node, expires };
    let outcome = change(verifier, admin, Mutation::JoinToken(row)).await?;
    Ok(JoinToken { token, expires, change: Some(to_wire(outcome)) })
}

pub(super) async fn list(verifier: &Verifier) -> Result<NodeList, Status> {
    let nodes = nodes::list(verifier.store.readers()).await.map_err(|e| reply::broken("reading nodes", e))?;
    Ok(NodeList { nodes: nodes.into_iter().map(to_node).collect() })
}

pub(super) async fn get(verifier: &Verifier, name: &str) -> Result<Node, Status> {
    let node = nodes::get(verifier.store.readers(), name).await.map_err(|e| reply::broken("reading nodes", e))?;
    let unknown = || reply::explained(Code::NotFound, "node.unknown", "no node of this name: see podseal node list");
    let stored = node.ok_or_else(unknown)?;
    let state = stored.state.clone();
    let mut node = to_node(stored);
    let broken = |e| reply::broken("reading a node's state", e);
    let readers = verifier.store.readers();
    node.tpm = state.map(|state| TpmState {
        reset_count: state.reset_count,
        restart_count: state.restart_count,
        clock: state.clock,
        pod_log_length: state.pod_log.length,
        pod_log_head: state.pod_log.head.0.to_vec(),
        appraised: state.appraised,
    });
    node.holdings = node_state::holdings(readers, name, MOST_HOLDINGS).await.map_err(broken)?.into_iter().map(to_holding).collect();
    Ok(node)
}

pub(super) async fn quarantine(verifier: &Verifier, admin: &Admin, request: NodeReason) -> Result<Change, Status> {
    let NodeReason { name, why } = request;
    known_form(is_node_name(&name), "node.name", &name, NODE_NAME)?;
    known_form((1..=256).contains(&why.len()), "node.why", &why, "1 to 256 bytes that say why")?;
    let why = format!("{}: {why}", admin.name);
    change(verifier, admin, Mutation::QuarantineNode { name, why }).await.map(to_wire)
}

pub(super) async fn release(verifier: &Verifier, admin: &Admin, name: String) -> Result<Change, Status> {
    known_form(is_node_name(&name), "node.name", &name, NODE_NAME)?;
    change(verifier, admin, Mutation::ReleaseNode { name }).await.map(to_wire)
}

fn to_holding(holding: node_state::Holding) -> Holding {
    let node_state::Holding { audit_id, secret, version, workload, released } = holding;
    Holding { audit_id, secret, version, workload, released }
}

fn to_node(node: StoredNode) -> Node {
    let state = match &node.record {
        record if !record.quarantined.is_empty() => "quarantined",
        record if !record.approved => "pending",
        _ if node.failing.is_some() => "failing",
        _ => "approved",
    };
    Node {
        name: node.record.node,
        cluster: node.record.cluster,
        node_uid: node.record.node_uid,
        profile: node.record.profile,
        machine: node.record.machine.0.to_vec(),
        signer: node.signer,
        root: node.record.root,
        root_kind: node.record.root_kind.as_str().to_owned(),
        state: state.to_owned(),
        enrolled: node.enrolled,
        last_seen: node.last_seen,
        quarantined: node.record.quarantined,
        tpm: None,
        holdings: Vec::new(),
        attested: node.attested,
        failing: node.failing.map(|Failing { since, check, audit_id }| podseal_wire::Failing { since, check, audit_id }),
    }
}
