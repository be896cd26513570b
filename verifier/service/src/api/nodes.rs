//! The registry, as administrators see it.

use podseal_appraisal::enrolment::is_node_name;
use podseal_protocol::Digest;
use podseal_wire::{JoinToken, JoinTokenRequest, Node, NodeList};
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
        nodes::{self, StoredNode},
    },
};

/// Seconds.
const LIFETIME: u64 = 3_600;
const LONGEST_LIFETIME: u64 = 86_400;

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
    node.map(to_node).ok_or_else(unknown)
}

fn to_node(node: StoredNode) -> Node {
    let state = if node.record.approved { "approved" } else { "pending" };
    Node {
        name: node.record.node,
        cluster: node.record.cluster,
        node_uid: node.record.node_uid,
        profile: node.record.profile,
        ek_digest: node.record.ek_digest.0.to_vec(),
        ak_name: node.ak_name,
        root: node.record.root,
        root_kind: node.record.root_kind.as_str().to_owned(),
        state: state.to_owned(),
        enrolled: node.enrolled,
        last_seen: node.last_seen,
    }
}
