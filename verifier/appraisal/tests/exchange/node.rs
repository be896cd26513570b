//! Nodes that are not ours, not yet ours, or have an AK that vouches for nothing.

use podseal_appraisal::records::NodeRecord;

use super::{
    refused::{By, refused},
    world::{SIGNING, World, ak_public},
};

fn record(world: &mut World) -> &mut NodeRecord {
    world.registered.as_mut().unwrap()
}

#[test]
fn node_not_enrolled() {
    refused(
        &["node.enrolled"],
        By::Anybody,
        &[
            ("nobody enrolled it", |w| w.registered = None),
            ("the registration is another node's", |w| record(w).node = "node-b".to_owned()),
        ],
    );
}

#[test]
fn node_not_approved() {
    refused(&["node.approved"], By::RegisteredNode, &[("it waits for approval", |w| record(w).approved = false)]);
}

#[test]
fn evidence_of_other_profile() {
    refused(&["node.profile"], By::RegisteredNode, &[("not the registered one", |w| w.evidence.profile = "snp".to_owned())]);
    let unknown = |w: &mut World| {
        record(w).profile = "sgx".to_owned();
        w.evidence.profile = "sgx".to_owned();
    };
    refused(&["node.profile"], By::Anybody, &[("one that is not appraised", unknown)]);
}

/// The registration is held to every rule again, whatever enrolment said.
#[test]
fn ak_not_restricted() {
    refused(&["ak.restricted"], By::Anybody, &[("it signs anything", |w| record(w).key = ak_public(0, SIGNING & !(1 << 16)))]);
}

#[test]
fn ak_of_other_attributes() {
    let with = |rule: &str, change: fn(&mut World)| refused(&[rule], By::Anybody, &[("attributes", change)]);
    with("ak.fixed_tpm", |w| record(w).key = ak_public(0, SIGNING & !(1 << 1)));
    with("ak.fixed_parent", |w| record(w).key = ak_public(0, SIGNING & !(1 << 4)));
    with("ak.sensitive_data_origin", |w| record(w).key = ak_public(0, SIGNING & !(1 << 5)));
    with("ak.not_decrypt", |w| record(w).key = ak_public(0, SIGNING | 1 << 17));
    with("ak.sign", |w| record(w).key = ak_public(0, SIGNING & !(1 << 18)));
    with("ak.type", |w| record(w).key = b"no public area".to_vec());
}

/// The pod runs on node-b, whose root wants its secret by way of the honest node-a's name, or the other way round.
#[test]
fn relay_through_other_node() {
    refused(&["quote.signature"], By::Anybody, &[("node-b's TPM quotes in node-a's name", |w| w.signer = 1)]);
    refused(
        &["leaf.node"],
        By::RegisteredNode,
        &[("node-a brings a leaf of node-b, token and all", |w| {
            w.pods[0].leaf.node_uid = "node-b".to_owned();
            w.pods[0].claims["kubernetes.io"]["node"]["uid"] = "node-b".into();
        })],
    );
    refused(
        &["token.node"],
        By::RegisteredNode,
        &[("node-a says that node-b's pod is its own", |w| w.pods[0].claims["kubernetes.io"]["node"]["uid"] = "node-b".into())],
    );
}
