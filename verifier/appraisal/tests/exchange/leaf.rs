//! Leaves that are none, that belong elsewhere, or whose attachments did not come along.

use podseal_appraisal::{batch::Unverified, records::ClusterRecord};
use podseal_protocol::{Limits, cbor::Problem};

use super::{
    refused::{By, refused},
    world::{Sent, World, cluster},
};

/// A cluster of the same keys under another id: only the id tells.
fn renamed() -> ClusterRecord {
    ClusterRecord { id: "prod-us".to_owned(), ..cluster() }
}

/// The bytes are bound and signed as they are: it is their form alone that is refused.
#[test]
fn noncanonical_leaf() {
    refused(
        &["leaf.canonical"],
        By::RegisteredNode,
        &[
            ("a byte behind it", |w| w.pods[0].encoding = |bytes| bytes.push(0)),
            ("its last integer not in its shortest form", |w| {
                w.pods[0].encoding = |bytes| {
                    let sequence = bytes.pop().unwrap();
                    bytes.extend([0x18, sequence]);
                }
            }),
            ("an indefinite array", |w| {
                w.pods[0].encoding = |bytes| {
                    bytes[0] = 0x9f;
                    bytes.push(0xff);
                }
            }),
            ("another domain", |w| w.pods[0].encoding = |bytes| bytes[3] ^= 1),
            ("nothing", |w| w.pods[0].encoding = Vec::clear),
        ],
    );
}

#[test]
fn leaf_of_other_cluster() {
    refused(
        &["leaf.cluster"],
        By::RegisteredNode,
        &[("the node is registered in prod-eu", |w| {
            w.pods[0].leaf.cluster = "prod-us".to_owned();
            w.cluster = Some(renamed());
        })],
    );
}

#[test]
fn cluster_not_configured() {
    refused(
        &["leaf.cluster_known"],
        By::RegisteredNode,
        &[("no cluster", |w: &mut World| w.cluster = None), ("another cluster", |w| w.cluster = Some(renamed()))],
    );
}

#[test]
fn leaf_of_other_node() {
    refused(
        &["leaf.node"],
        By::RegisteredNode,
        &[("leaf and token agree on node-b", |w| {
            w.pods[0].leaf.node_uid = "node-b".to_owned();
            w.pods[0].claims["kubernetes.io"]["node"]["uid"] = "node-b".into();
        })],
    );
}

#[test]
fn leaf_that_asks_for_nothing() {
    refused(&["leaf.asks"], By::RegisteredNode, &[("no secret", |w| w.pods[0].leaf.secrets.clear())]);
}

#[test]
fn attachment_missing_or_another() {
    refused(
        &["leaf.spec_attached"],
        By::RegisteredNode,
        &[
            ("left out", |w| w.on_the_way = |sent| drop(sent.attachments.remove(0))),
            ("altered", |w| w.on_the_way = |sent| sent.attachments[0].push(b' ')),
        ],
    );
    refused(
        &["leaf.pod_set_attached"],
        By::RegisteredNode,
        &[
            ("left out", |w| w.on_the_way = |sent| drop(sent.attachments.remove(1))),
            ("altered", |w| w.on_the_way = |sent| sent.attachments[1].push(0)),
        ],
    );
    refused(
        &["leaf.token_attached"],
        By::RegisteredNode,
        &[
            ("left out", |w| w.on_the_way = |sent| drop(sent.attachments.remove(2))),
            ("altered", |w| w.on_the_way = |sent| sent.attachments[2].push(b'.')),
        ],
    );
}

/// Nobody signed for them, so they would be the sender's way into the archive.
#[test]
fn attachments_that_no_leaf_can_name() {
    let parse = |on_the_way: fn(&mut Sent)| {
        let world = World { on_the_way, ..World::honest() };
        Unverified::parse(&world.exchange(), &Limits::DEFAULT).map(drop).map_err(|error| (error.item, error.problem))
    };
    assert_eq!(parse(|_| {}), Ok(()));
    let too_many = Err(("exchange.attachments", Problem::WrongLength));
    assert_eq!(parse(|sent| sent.attachments.push(b"junk".to_vec())), too_many);
    assert_eq!(parse(|sent| sent.attachments.extend((0..100_u8).map(|n| vec![n; 1000]))), too_many);
}
