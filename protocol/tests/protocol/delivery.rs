//! What a launcher takes, and what it does not. Each attack ends in the one error that names it; each has an honest twin.

use podseal_protocol::{
    Digest, SecretRequest,
    cbor::{Malformed, Problem},
    delivery::{Delivery, DeliveryError, Receipt, Session, Taken},
    key::{KeyError, KeyUse, PublicKey, SecretKey},
    seal::{SealError, SecretFile},
};
use zeroize::Zeroizing;

use crate::fixtures::{LIMITS, Release, files, receipt_key, release, root, session, statement, verifier};

fn take(session: &mut Session, release: &Release) -> Result<Taken, DeliveryError> {
    session.take(&release.leaf.encode(), &release.delivery().encode(), &LIMITS)
}

fn refusal(release: &Release) -> DeliveryError {
    assert!(take(&mut session(), &crate::fixtures::release()).is_ok(), "the honest twin");
    take(&mut session(), release).map(|_| ()).unwrap_err()
}

fn other_key() -> SecretKey {
    SecretKey::from_scalar(&[9; 32]).unwrap()
}

fn other_session() -> Session {
    Session::new(verifier(), Zeroizing::new([0x33; 32]), [4; 32])
}

fn other_workload_key() -> PublicKey {
    other_session().public_key().unwrap()
}

#[test]
fn honest_delivery_is_taken() {
    let taken = take(&mut session(), &release()).map_err(|e| e.to_string()).unwrap_or_else(|e| panic!("{e}"));
    assert!(taken.files == files());
    assert_eq!(taken.receipt, release().receipt());
    assert_eq!(release().delivery().verified_receipt(&verifier(), &LIMITS), Ok(taken.receipt));
}

#[test]
fn forged_delivery() {
    // Anyone can seal to a public key, and sign with a key of their own: the genuine certificate comes along.
    assert_eq!(refusal(&Release { signer: other_key(), ..release() }), DeliveryError::ReceiptSignature);
}

#[test]
fn forged_delivery_receipt_altered() {
    let edits: [fn(&mut Receipt); 10] = [
        |r| r.context.audit_id.push('x'),
        |r| r.context.sequence += 1,
        |r| r.context.policy_head = Digest([0; 32]),
        |r| r.context.secrets[0].version += 1,
        |r| r.binding = Digest([0; 32]),
        |r| r.entry_index += 1,
        |r| r.entry = Digest([0; 32]),
        |r| r.issued += 1,
        |r| r.claims[0].1 = "measured".to_owned(),
        |r| r.claims.clear(),
    ];
    for edit in edits {
        let mut delivery = release().delivery();
        let mut receipt = Receipt::decode(&delivery.receipt, &LIMITS).unwrap();
        edit(&mut receipt);
        delivery.receipt = receipt.encode();
        let found = session().take(&release().leaf.encode(), &delivery.encode(), &LIMITS).map(|_| ());
        assert_eq!(found, Err(DeliveryError::ReceiptSignature));
    }
}

#[test]
fn forged_delivery_under_another_root() {
    let certified = statement(&other_key().public(), KeyUse::Receipt).certify(&other_key());
    let forged = Release { signer: other_key(), certified, ..release() };
    assert!(matches!(refusal(&forged), DeliveryError::ReceiptKey(KeyError::OtherVerifier { .. })));
}

#[test]
fn forged_delivery_with_a_key_of_another_use() {
    for key_use in [KeyUse::Import, KeyUse::Log] {
        let certified = statement(&receipt_key().public(), key_use).certify(&root());
        assert_eq!(refusal(&Release { certified, ..release() }), DeliveryError::ReceiptKey(KeyError::OtherUse));
    }
}

#[test]
fn forged_delivery_with_a_certified_key_that_is_no_point() {
    let mut no_point = statement(&receipt_key().public(), KeyUse::Receipt);
    no_point.key.truncate(32);
    assert_eq!(refusal(&Release { certified: no_point.certify(&root()), ..release() }), DeliveryError::ReceiptSignature);
}

#[test]
fn forged_delivery_in_the_name_of_another_verifier() {
    assert_eq!(refusal(&Release { edit: |r| r.verifier = Digest([0; 32]), ..release() }), DeliveryError::OtherVerifier);
}

/// The same files, sealed once more by somebody in between, to the same key in the same context: it would open.
#[test]
fn forged_delivery_with_another_ciphertext() {
    let resealed = Release { ephemeral: [0x44; 32], ..release() }.ciphertext();
    let delivery = Delivery { ciphertext: resealed, ..release().delivery() };
    let found = session().take(&release().leaf.encode(), &delivery.encode(), &LIMITS).map(|_| ());
    assert_eq!(found, Err(DeliveryError::OtherCiphertext));
}

#[test]
fn forged_delivery_altered_byte_at_every_position() {
    let (leaf, delivery) = (release().leaf.encode(), release().delivery().encode());
    for position in 0..delivery.len() {
        let mut altered = delivery.clone();
        altered[position] ^= 1 << (position % 8);
        assert!(session().take(&leaf, &altered, &LIMITS).is_err(), "byte {position} of the delivery");
    }
    for position in 0..leaf.len() {
        let mut altered = leaf.clone();
        altered[position] ^= 1 << (position % 8);
        let found = session().take(&altered, &delivery, &LIMITS).map(|_| ());
        assert_eq!(found, Err(DeliveryError::OtherLeaf), "byte {position} of the leaf");
    }
    for end in 0..delivery.len() {
        let found = session().take(&leaf, &delivery[..end], &LIMITS).map(|_| ());
        assert!(matches!(found, Err(DeliveryError::Malformed(Malformed { problem: Problem::Truncated, .. }))), "{end} bytes");
    }
}

#[test]
fn delivery_for_other_container() {
    // Another container's, whole: its leaf carries its key.
    let mut theirs = release();
    theirs.leaf.workload_key = other_workload_key();
    theirs.seal_to = other_workload_key();
    assert!(take(&mut other_session(), &theirs).is_ok(), "the honest twin");
    assert_eq!(refusal(&theirs), DeliveryError::OtherKey);
    // The same with our leaf beside it.
    let found = session().take(&release().leaf.encode(), &theirs.delivery().encode(), &LIMITS).map(|_| ());
    assert_eq!(found, Err(DeliveryError::OtherLeaf));
}

/// The verifier was made to seal to our key for a leaf that names another: nothing but this check tells.
#[test]
fn delivery_for_other_container_sealed_to_this_one() {
    let mut odd = release();
    odd.leaf.workload_key = other_workload_key();
    assert_eq!(refusal(&odd), DeliveryError::OtherKey);
    assert_eq!(refusal(&Release { edit: |r| r.leaf = Digest([0; 32]), ..release() }), DeliveryError::OtherLeaf);
}

#[test]
fn delivery_for_other_container_salt() {
    let mut other = release();
    other.leaf.salt = [8; 32];
    assert_eq!(refusal(&other), DeliveryError::OtherSalt);
}

#[test]
fn delivery_for_other_container_that_does_not_open() {
    let does_not_open = DeliveryError::Seal(SealError::DoesNotOpen);
    assert_eq!(refusal(&Release { seal_to: other_workload_key(), ..release() }), does_not_open);
    assert_eq!(refusal(&Release { sealed_by: Digest([0; 32]), ..release() }), does_not_open);
    assert_eq!(refusal(&Release { edit: |r| r.binding = Digest([0; 32]), ..release() }), does_not_open);
    assert_eq!(refusal(&Release { edit: |r| r.context.audit_id.push('x'), ..release() }), does_not_open);
    assert_eq!(refusal(&Release { edit: |r| r.context.policy_head = Digest([0; 32]), ..release() }), does_not_open);
    assert_eq!(refusal(&Release { edit: |r| r.context.secrets[0].version += 1, ..release() }), does_not_open);
}

fn numbered(sequence: u64) -> Release {
    let mut release = release();
    release.leaf.sequence = sequence;
    release.context.sequence = sequence;
    release
}

#[test]
fn delivery_opened_twice() {
    let mut session = session();
    let not_grown = |last, found| Some(DeliveryError::SequenceNotGrown { last, found });
    assert_eq!(take(&mut session, &numbered(0)).err(), not_grown(0, 0));
    assert_eq!(take(&mut session, &numbered(1)).err(), None);
    assert_eq!(take(&mut session, &numbered(1)).err(), not_grown(1, 1));
    // Sealed anew under the same number is the same number.
    assert_eq!(take(&mut session, &Release { ephemeral: [0x55; 32], ..numbered(1) }).err(), not_grown(1, 1));
    assert_eq!(take(&mut session, &numbered(7)).err(), None);
    assert_eq!(take(&mut session, &numbered(2)).err(), not_grown(7, 2));
    assert_eq!(take(&mut session, &numbered(u64::MAX)).err(), None);
}

#[test]
fn delivery_opened_twice_counts_what_was_taken_only() {
    let mut session = session();
    assert!(take(&mut session, &Release { seal_to: other_workload_key(), ..numbered(5) }).is_err());
    assert!(take(&mut session, &Release { signer: other_key(), ..numbered(6) }).is_err());
    assert_eq!(take(&mut session, &numbered(1)).err(), None, "a refused delivery leaves the session as it was");
}

#[test]
fn forged_delivery_sequences_that_disagree() {
    let mut ahead = release();
    ahead.context.sequence = 2;
    assert_eq!(refusal(&ahead), DeliveryError::OtherSequence);
}

#[test]
fn annotation_cannot_widen_a_delivery() {
    let mut more = release();
    let request = SecretRequest { file: "extra".to_owned(), secret: "payments/extra".to_owned() };
    let mut released = more.context.secrets[0].clone();
    released.request = request;
    more.context.secrets.push(released);
    more.files.push(SecretFile { file: "extra".to_owned(), value: Zeroizing::new(b"v".to_vec()) });
    assert_eq!(refusal(&more), DeliveryError::OtherSecrets, "one that was not asked for");

    let mut fewer = release();
    fewer.context.secrets.pop();
    fewer.files.pop();
    assert_eq!(refusal(&fewer), DeliveryError::OtherSecrets, "one that was asked for is left out");

    let mut renamed = release();
    renamed.context.secrets[0].request.secret = "payments/other".to_owned();
    assert_eq!(refusal(&renamed), DeliveryError::OtherSecrets, "another secret as the same file");
}

#[test]
fn forged_delivery_with_other_files_inside() {
    let edits: [fn(&mut Vec<SecretFile>); 3] =
        [|files| files.swap(0, 1), |files| files.truncate(1), |files| files[0].file = "db2".to_owned()];
    for edit in edits {
        let mut other = release();
        edit(&mut other.files);
        assert_eq!(refusal(&other), DeliveryError::OtherFiles);
    }
}

#[test]
fn noncanonical_delivery_inside_a_good_signature() {
    let mut upward = release();
    upward.files[0].file = "../escape".to_owned();
    assert!(matches!(refusal(&upward), DeliveryError::Seal(SealError::Malformed(Malformed { item: "secret.file", .. }))));
    let twice = Release { edit: |r| r.claims[1].0 = "agent".to_owned(), ..release() };
    assert!(matches!(refusal(&twice), DeliveryError::Malformed(Malformed { item: "receipt.claims", problem: Problem::NotSorted, .. })));
    let mut no_leaf = release().delivery();
    let mut receipt = release().receipt();
    receipt.leaf = Digest::of(b"no leaf");
    no_leaf = Delivery::sign(&receipt, &receipt_key(), no_leaf.receipt_key, no_leaf.ciphertext);
    let found = session().take(b"no leaf", &no_leaf.encode(), &LIMITS).map(|_| ());
    assert!(matches!(found, Err(DeliveryError::Malformed(Malformed { item: "podseal.leaf.v1", .. }))));
}

/// A launcher pins an identity: the same delivery is nothing to one that pins another.
#[test]
fn forged_delivery_for_a_session_that_pins_another_verifier() {
    let pinned = Digest::of(&other_key().public().to_spki());
    let mut session = Session::new(pinned, Zeroizing::new([0x11; 32]), [4; 32]);
    let found = take(&mut session, &release()).map(|_| ());
    assert_eq!(found, Err(DeliveryError::ReceiptKey(KeyError::OtherVerifier { wanted: pinned, found: verifier() })));
}

#[test]
fn errors_carry_no_expected_values_of_secrets() {
    let errors = [
        DeliveryError::ReceiptSignature,
        DeliveryError::OtherVerifier,
        DeliveryError::OtherCiphertext,
        DeliveryError::OtherLeaf,
        DeliveryError::OtherKey,
        DeliveryError::OtherSalt,
        DeliveryError::OtherSequence,
        DeliveryError::OtherSecrets,
        DeliveryError::OtherFiles,
        DeliveryError::SequenceNotGrown { last: 1, found: 1 },
        DeliveryError::Seal(SealError::DoesNotOpen),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.contains(": ") || text.contains("; "), "{text}: what to do is missing");
        assert!(!text.contains("correct horse"));
    }
}
