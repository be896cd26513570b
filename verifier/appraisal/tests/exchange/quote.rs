//! Quotes that a TPM did not make, made of something else, or for another exchange.

use podseal_protocol::{Digest, evidence::Part};

use super::{
    refused::{By, refused, refused_world, released},
    world::{ECC, Pod, SHA256, SIGNING, Sent, World, ak_public},
};

fn quote_part(parts: &mut [Part]) -> (&mut Vec<u8>, &mut Vec<u8>) {
    match &mut parts[0] {
        Part::TpmQuote { attest, signature, .. } => (attest, signature),
        _ => unreachable!(),
    }
}

#[test]
fn ak_self_made() {
    refused(&["quote.signature"], By::Anybody, &[("signed by another AK", |w| w.signer = 1)]);
}

/// The same exchange, of a node that is registered with an ECC AK.
fn ecc_world() -> World {
    let mut world = World::honest();
    world.registered.as_mut().unwrap().key = ak_public(ECC, SIGNING);
    world.signer = ECC;
    world
}

#[test]
fn quote_under_an_ecc_ak_is_answered() {
    released(&ecc_world().run());
}

#[test]
fn quote_of_the_other_kind_of_key() {
    refused(&["quote.signature"], By::Anybody, &[("an ECC key signs for a node with an RSA one", |w| w.signer = ECC)]);
    let world = World { signer: 0, ..ecc_world() };
    refused_world(&["quote.signature"], By::Anybody, "an RSA key signs for a node with an ECC one", &world);
}

/// TPMT_SIGNATURE of ECDSA: scheme, hash, then r and s, 32 bytes each behind their lengths.
#[test]
fn ecc_signature_changed_on_the_way() {
    for (what, on_the_way) in [
        ("one bit of r", (|sent| quote_part(&mut sent.parts).1[10] ^= 1) as fn(&mut Sent)),
        ("r is 0", |sent| quote_part(&mut sent.parts).1[6..38].fill(0)),
        ("s is 0", |sent| quote_part(&mut sent.parts).1[40..].fill(0)),
        ("r of 33 bytes", |sent| {
            let signature = quote_part(&mut sent.parts).1;
            signature[5] = 33;
            signature.insert(6, 0);
        }),
    ] {
        refused_world(&["quote.signature"], By::Anybody, what, &World { on_the_way, ..ecc_world() });
    }
}

#[test]
fn one_bit_of_a_quote_flipped() {
    refused(
        &["quote.signature"],
        By::Anybody,
        &[
            ("of the signature", |w| w.on_the_way = |sent| quote_part(&mut sent.parts).1[60] ^= 1),
            ("of the attest", |w| w.on_the_way = |sent| quote_part(&mut sent.parts).0[60] ^= 1),
        ],
    );
}

#[test]
fn signed_bytes_that_are_no_quote() {
    refused(
        &["quote.magic_and_type"],
        By::Anybody,
        &[("magic", |w| w.quote = |q| q.magic ^= 1), ("TPM_ST_ATTEST_CERTIFY", |w| w.quote = |q| q.kind = 0x8017)],
    );
}

#[test]
fn quote_of_another_exchange() {
    refused(
        &["quote.qualifying_data"],
        By::Anybody,
        &[
            ("another binding", |w| w.quote = |q| q.qualifying_data[0] ^= 1),
            ("none", |w| w.quote = |q| q.qualifying_data.clear()),
            ("the binding and more", |w| w.quote = |q| q.qualifying_data.push(0)),
        ],
    );
}

#[test]
fn forged_leaf() {
    refused(
        &["quote.qualifying_data"],
        By::Anybody,
        &[
            ("a leaf that is not in the binding", |w| {
                w.on_the_way = |sent| {
                    let forged = Pod::payment_api(7, &World::honest().verifier, World::honest().now).bytes();
                    sent.leaves.insert(0, forged.leaf);
                    sent.attachments.extend([forged.spec, forged.pod_set, forged.token]);
                }
            }),
            ("one bit of the launcher's key", |w| w.on_the_way = |sent| sent.leaves[0][20] ^= 1),
            ("a bound leaf left out", |w| {
                let other = Pod::payment_api(1, &w.verifier, w.now);
                w.pods.push(other);
                w.on_the_way = |sent| {
                    sent.leaves.pop();
                    sent.attachments.truncate(3);
                }
            }),
            ("the order changed", |w| {
                let other = Pod::payment_api(1, &w.verifier, w.now);
                w.pods.insert(0, other);
                w.on_the_way = |sent| sent.leaves.reverse();
            }),
        ],
    );
}

#[test]
fn leaf_of_other_batch() {
    refused(
        &["quote.qualifying_data"],
        By::Anybody,
        &[("it was bound in an earlier batch", |w| {
            w.on_the_way = |sent| {
                let mut earlier = World::honest();
                earlier.challenge.random = [0; 32];
                earlier.pods[0].leaf.sequence = 9;
                let bytes = earlier.pods[0].bytes();
                sent.leaves = vec![bytes.leaf];
                sent.attachments = vec![bytes.spec, bytes.pod_set, bytes.token];
            }
        })],
    );
}

/// Registers 10 to 19 hold the golden values of 0 to 9: the digest is the golden one, only the selection tells.
#[test]
fn pcr_unselected() {
    refused(
        &["quote.selection"],
        By::RegisteredNode,
        &[
            ("other registers", |w| w.quote = |q| q.selections = vec![(SHA256, 0x3ff << 10)]),
            ("PCR 0 left out", |w| w.quote = |q| q.selections = vec![(SHA256, 0x3fe)]),
            ("nothing", |w| w.quote = |q| q.selections.clear()),
            ("that of the pod log left out", |w| w.quote = |q| q.selections = vec![(SHA256, 0x3ff)]),
        ],
    );
    let mut world = World::of_replicas(1).without_pod_log();
    world.accept("no-pod-log");
    released(&world.run());
    world.quote = |q| q.selections = vec![(SHA256, 0x3ff | 1 << 13)];
    refused_world(&["quote.selection"], By::RegisteredNode, "that of a pod log which is not kept", &world);
}

#[test]
fn pcr_bank_other() {
    refused(
        &["quote.selection"],
        By::RegisteredNode,
        &[
            ("SHA-1", |w| w.quote = |q| q.selections = vec![(0x0004, 0x3ff)]),
            ("SHA-384", |w| w.quote = |q| q.selections = vec![(0x000c, 0x3ff)]),
        ],
    );
}

#[test]
fn selection_twice() {
    refused(
        &["quote.selection"],
        By::RegisteredNode,
        &[
            ("the same twice", |w| w.quote = |q| q.selections = vec![(SHA256, 0x3ff); 2]),
            ("halves", |w| w.quote = |q| q.selections = vec![(SHA256, 0x1f), (SHA256, 0x3e0)]),
        ],
    );
}

#[test]
fn values_of_other_registers() {
    refused(&["quote.values"], By::RegisteredNode, &[("one more than quoted", |w| w.quote = |q| q.values.push((14, Digest([0; 32]))))]);
    refused(&["quote.values", "quote.pcr_digest"], By::RegisteredNode, &[("one less than quoted", |w| w.quote = |q| q.values.truncate(9))]);
}

#[test]
fn values_other_than_quoted() {
    refused(&["quote.pcr_digest"], By::RegisteredNode, &[("PCR 8", |w| w.quote = |q| q.values[8].1 = Digest::of(b"golden"))]);
}
