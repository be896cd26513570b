//! Several leaves in one batch: node checks are shared, leaf checks are each leaf's own.

use podseal_appraisal::decision::Decision;
use podseal_protocol::Digest;

use super::{
    refused::{refusal, released},
    world::World,
};

type Spoil = (&'static str, fn(&mut World));

#[test]
fn one_bad_leaf_spares_the_others() {
    let attacks: &[Spoil] = &[
        ("leaf.canonical", |w| w.pods[1].encoding = |bytes| bytes.push(0)),
        ("leaf.cluster", |w| w.pods[1].leaf.cluster = "prod-us".to_owned()),
        ("leaf.node", |w| w.pods[1].leaf.node_uid = "node-b".to_owned()),
        ("leaf.asks", |w| w.pods[1].leaf.secrets.clear()),
        ("leaf.spec_attached", |w| w.on_the_way = |sent| drop(sent.attachments.remove(3))),
        ("token.pod", |w| w.pods[1].claims["kubernetes.io"]["pod"]["uid"] = "another".into()),
        ("spec.parses", |w| w.pods[1].spec_bytes = Some(Vec::new())),
        ("podset.parses", |w| w.pods[1].pod_set_bytes = Some(vec![0])),
        ("policy.permit", |w| w.pods[1].leaf.launcher = Digest::of(b"another launcher")),
    ];
    let honest = World::of_replicas(4);
    released(&honest.run());
    for (rule, spoil) in attacks {
        let mut world = honest.clone();
        spoil(&mut world);
        let run = world.run();
        for index in [0, 2, 3] {
            let Decision::Release(grant) = &run.decisions[index] else { panic!("{rule} spoilt leaf {index}") };
            assert_eq!(grant.leaf(), Digest::of(&world.pods[index].bytes().leaf));
        }
        let refusal = refusal(&run, 1).unwrap();
        assert_eq!((refusal.reason(), refusal.attributable()), (*rule, true));
    }
}

#[test]
fn bad_node_spoils_every_leaf() {
    let mut world = World::of_replicas(4);
    world.measured[0].data = b"another firmware".to_vec();
    let run = world.run();
    let reasons: Vec<_> = (0..4).map(|index| refusal(&run, index).unwrap().reason()).collect();
    assert_eq!(reasons, ["reference.firmware"; 4]);
}

/// Two leaves that name the same attachments are judged by them alike; a leaf cannot use what another one named as its own token.
#[test]
fn leaves_of_one_batch_cannot_share_a_token() {
    let mut world = World::of_replicas(2);
    let token = world.pods[0].bytes().token;
    world.pods[1].token_bytes = Some(token);
    let run = world.run();
    assert!(refusal(&run, 0).is_none());
    assert_eq!(refusal(&run, 1).unwrap().reason(), "token.pod");
}

#[test]
fn batch_without_leaves_renews_nothing_and_releases_nothing() {
    let run = World::of_replicas(0).run();
    assert!(run.decisions.is_empty() && run.appraisal.attributable());
}
