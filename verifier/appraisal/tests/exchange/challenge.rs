//! Challenges that are not this node's, this verifier's or this minute's.

use podseal_protocol::{Digest, Purpose};

use super::{
    refused::{By, refused},
    world::World,
};

#[test]
fn challenge_never_issued() {
    refused(&["challenge.issued"], By::Anybody, &[("MACed by another key", |w| w.mac = 2)]);
    refused(
        &["challenge.issued", "quote.qualifying_data"],
        By::Anybody,
        &[
            ("altered MAC", |w| w.on_the_way = |sent| *sent.challenge.last_mut().unwrap() ^= 1),
            ("altered random bytes", |w| {
                w.on_the_way = |sent| {
                    let at = sent.challenge.len() - 40;
                    sent.challenge[at] ^= 1;
                }
            }),
        ],
    );
}

#[test]
fn challenge_of_other_verifier() {
    refused(&["challenge.verifier"], By::Anybody, &[("another identity", |w| w.challenge.verifier = Digest::of(b"another"))]);
}

#[test]
fn challenge_of_other_purpose() {
    refused(&["challenge.purpose"], By::Anybody, &[("join", |w| w.challenge.purpose = Purpose::Join)]);
}

#[test]
fn challenge_expired() {
    let mut last = World::honest();
    last.now = last.challenge.expires - 1;
    super::refused::released(&last.run());
    refused(
        &["challenge.expired"],
        By::Anybody,
        &[
            ("its last second is over", |w| w.now = w.challenge.expires),
            ("issued in the future", |w| w.now = w.challenge.issued - 1),
            ("never valid", |w| w.challenge.expires = w.challenge.issued),
        ],
    );
}

#[test]
fn challenge_of_other_node() {
    refused(
        &["challenge.node"],
        By::Anybody,
        &[
            ("issued for node-b", |w| w.challenge.node = "node-b".to_owned()),
            ("issued for nobody", |w| w.challenge.node = String::new()),
            ("another case", |w| w.challenge.node = "Node-a".to_owned()),
        ],
    );
}
