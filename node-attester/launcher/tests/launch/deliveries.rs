//! Deliveries that are not for this container, or not from the pinned verifier: nothing is placed and nothing runs.

use std::sync::{Arc, Mutex};

use podseal_protocol::{
    Digest, Limits,
    delivery::{Delivery, DeliveryError},
    frame::{WorkloadReply, WorkloadRequest},
    key::{KeyError, KeyUse, SecretKey},
    seal::SealError,
};

use crate::{
    attester::Answer,
    container::{Container, FILES, assert_nothing_happened, run, stderr, stdout},
    verifier::{Release, Verifier},
};

const RUN: &[&str] = &["--", "echo", "ran"];

/// The honest twin runs; then the same with `attack` is not taken, because `why`.
#[track_caller]
fn assert_not_taken(test: &str, why: &dyn core::fmt::Display, attack: impl FnOnce(&WorkloadRequest, &Verifier) -> Answer + Send + 'static) {
    let Some(honest) = Container::new(test) else { return };
    let _attester = honest.delivers(&[], &[]);
    let output = run(&mut honest.launch(RUN));
    assert_eq!(stdout(&output), "ran\n", "{}", stderr(&output));

    let container = Container::new(test).unwrap();
    let _attester = container.attester(vec![Box::new(move |request| attack(request, &Verifier::new(1)))]);
    assert_nothing_happened(&container, &run(&mut container.launch(RUN)), 76, &why.to_string());
}

/// An attack that changes the release before the pinned verifier signs it.
#[track_caller]
fn assert_release_not_taken(test: &str, why: &dyn core::fmt::Display, change: impl FnOnce(&mut Release) + Send + 'static) {
    assert_not_taken(test, why, |request, verifier| {
        let mut release = verifier.release(request, FILES);
        change(&mut release);
        Answer::Reply(release.reply(&release.sign(verifier)))
    });
}

/// An attack that changes the delivery after it was signed.
#[track_caller]
fn assert_altered_not_taken(test: &str, why: &dyn core::fmt::Display, change: impl FnOnce(&mut Delivery) + Send + 'static) {
    assert_not_taken(test, why, |request, verifier| {
        let release = verifier.release(request, FILES);
        let mut delivery = release.sign(verifier);
        change(&mut delivery);
        Answer::Reply(release.reply(&delivery))
    });
}

#[test]
fn forged_delivery_of_other_verifier() {
    let other_verifier = DeliveryError::ReceiptKey(KeyError::OtherVerifier { wanted: Verifier::new(1).id(), found: Verifier::new(2).id() });
    assert_not_taken("forged_delivery_of_other_verifier", &other_verifier, |request, verifier| {
        let other = Verifier::new(2);
        let mut release = verifier.release(request, FILES);
        release.receipt_verifier = other.id();
        Answer::Reply(release.reply(&release.sign(&other)))
    });
}

#[test]
fn forged_delivery_with_the_pinned_certificate() {
    assert_not_taken("forged_delivery_with_the_pinned_certificate", &DeliveryError::ReceiptSignature, |request, verifier| {
        let release = verifier.release(request, FILES);
        let mut delivery = release.sign(&Verifier::new(2));
        delivery.receipt_key = release.sign(verifier).receipt_key;
        Answer::Reply(release.reply(&delivery))
    });
}

#[test]
fn forged_delivery_by_a_key_for_another_use() {
    assert_not_taken("forged_delivery_by_a_key_for_another_use", &DeliveryError::ReceiptKey(KeyError::OtherUse), |request, verifier| {
        let release = verifier.release(request, FILES);
        Answer::Reply(release.reply(&release.sign_as(verifier, KeyUse::Import)))
    });
}

#[test]
fn forged_delivery_with_altered_receipt() {
    assert_altered_not_taken("forged_delivery_with_altered_receipt", &DeliveryError::ReceiptSignature, |delivery| {
        *delivery.receipt.last_mut().unwrap() ^= 1;
    });
}

#[test]
fn forged_delivery_with_altered_ciphertext() {
    assert_altered_not_taken("forged_delivery_with_altered_ciphertext", &DeliveryError::OtherCiphertext, |delivery| {
        *delivery.ciphertext.last_mut().unwrap() ^= 1;
    });
}

#[test]
fn receipt_that_names_another_verifier() {
    assert_release_not_taken("receipt_that_names_another_verifier", &DeliveryError::OtherVerifier, |release| {
        release.receipt_verifier = Digest::of(b"somebody");
    });
}

#[test]
fn delivery_for_other_container_by_leaf() {
    assert_release_not_taken("delivery_for_other_container_by_leaf", &DeliveryError::OtherLeaf, |release| {
        release.receipt_leaf = Some(Digest::of(b"another leaf"));
    });
}

#[test]
fn delivery_for_other_container_by_key() {
    assert_not_taken("delivery_for_other_container_by_key", &DeliveryError::OtherKey, |request, verifier| {
        let mut release = verifier.release(request, FILES);
        release.leaf.workload_key = SecretKey::from_scalar(&[5; 32]).unwrap().public();
        Answer::Reply(release.reply(&release.sign(verifier)))
    });
}

#[test]
fn delivery_for_other_container_by_salt() {
    assert_release_not_taken("delivery_for_other_container_by_salt", &DeliveryError::OtherSalt, |release| release.leaf.salt = [0; 32]);
}

#[test]
fn delivery_for_other_container_by_sealing() {
    assert_release_not_taken("delivery_for_other_container_by_sealing", &DeliveryError::Seal(SealError::DoesNotOpen), |release| {
        release.sealed_to = SecretKey::from_scalar(&[5; 32]).unwrap().public();
    });
}

#[test]
fn delivery_of_other_sequence() {
    assert_release_not_taken("delivery_of_other_sequence", &DeliveryError::OtherSequence, |release| release.receipt_sequence = 2);
}

#[test]
fn delivery_that_does_not_begin_the_sequence() {
    assert_release_not_taken(
        "delivery_that_does_not_begin_the_sequence",
        &DeliveryError::SequenceNotGrown { last: 0, found: 0 },
        |release| {
            release.leaf.sequence = 0;
            release.receipt_sequence = 0;
        },
    );
}

#[test]
fn delivery_of_other_files() {
    assert_release_not_taken("delivery_of_other_files", &DeliveryError::OtherFiles, |release| release.files[0].0 = "other".to_owned());
}

#[test]
fn delivery_of_an_earlier_start() {
    let Some(container) = Container::new("delivery_of_an_earlier_start") else { return };
    let earlier: Arc<Mutex<Option<WorkloadReply>>> = Arc::default();
    let (keep, replay) = (Arc::clone(&earlier), earlier);
    let record = container.honest(&[], &[]);
    let _attester = container.attester(vec![
        Box::new(move |request| {
            let answer = record(request);
            if let Answer::Reply(reply) = &answer {
                *keep.lock().unwrap() = Some(reply.clone());
            }
            answer
        }),
        Box::new(move |_| Answer::Reply(replay.lock().unwrap().take().unwrap())),
    ]);
    let first = run(&mut container.launch(&["--", "sh", "-c", "echo ran; rm -f \"$0\"/*", container.secrets().to_str().unwrap()]));
    assert_eq!(stdout(&first), "ran\n", "{}", stderr(&first));
    assert_nothing_happened(&container, &run(&mut container.launch(RUN)), 76, &DeliveryError::OtherKey.to_string());
}

#[test]
fn receipt_of_other_secrets() {
    assert_release_not_taken("receipt_of_other_secrets", &DeliveryError::OtherSecrets, |release| {
        release.receipt_files[0] = "other".to_owned();
    });
}

#[test]
fn file_name_that_leaves_the_folder() {
    assert_release_not_taken("file_name_that_leaves_the_folder", &"malformed secret.file", |release| {
        release.files[0].0 = "../elsewhere/db".to_owned();
    });
}

#[test]
fn oversized_frame() {
    let head = u32::try_from(Limits::DEFAULT.frame + 1).unwrap().to_be_bytes().to_vec();
    assert_not_taken("oversized_frame", &"malformed frame", |_, _| Answer::Bytes(head));
}

#[test]
fn empty_frame() {
    assert_not_taken("empty_frame", &"malformed frame", |_, _| Answer::Bytes(vec![0; 4]));
}

#[test]
fn frame_of_another_kind() {
    assert_not_taken("frame_of_another_kind", &"malformed", |request, _| {
        Answer::Bytes(podseal_protocol::frame::frame(&request.encode(), &Limits::DEFAULT).unwrap())
    });
}
