//! Properties: what is encoded decodes to itself, what decodes was canonical, nothing panics.

use podseal_protocol::{
    Challenge, Digest, HostNamespaces, Leaf, PodContainer, PodSet, Purpose, ReceivedChallenge, SecretRequest,
    binding::PodLogHead,
    cbor::Malformed,
    delivery::{Delivery, Receipt, Released, SealContext},
    evidence::{Evidence, Part},
    exchange::{Exchange, ExchangeReply, Outcome},
    frame::{WorkloadReply, WorkloadRequest},
    join::{Activation, ActivationReply, Join, JoinReply, Proof},
    key::PublicKey,
    seal::{SecretFile, decode_secrets, encode_secrets},
};
use proptest::{collection::vec, prelude::*};
use zeroize::Zeroizing;

use crate::{
    codecs,
    fixtures::{LIMITS, mac_key, receipt_key, root, session},
};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9.-]{0,30}", "\\PC{0,40}", Just("\0\u{1b}[2J\u{10ffff}".to_owned()), Just("n".repeat(512))]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 250..300)]
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn key() -> impl Strategy<Value = PublicKey> {
    prop::sample::select(vec![root().public(), receipt_key().public(), session().public_key().unwrap()])
}

fn requests() -> impl Strategy<Value = Vec<SecretRequest>> {
    prop::collection::btree_map("[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}", "[a-z0-9.-]{1,20}/[a-z0-9.-]{1,20}", 0..5)
        .prop_map(|map| map.into_iter().map(|(file, secret)| SecretRequest { file, secret }).collect::<Vec<_>>())
        .prop_shuffle()
}

fn challenge() -> impl Strategy<Value = Challenge> {
    let purpose = prop::sample::select(vec![Purpose::Join, Purpose::Release]);
    (digest(), any::<u64>(), purpose, text(), any::<u64>(), any::<u64>(), any::<[u8; 32]>()).prop_map(
        |(verifier, epoch, purpose, node, issued, expires, random)| Challenge { verifier, epoch, purpose, node, issued, expires, random },
    )
}

fn leaf() -> impl Strategy<Value = Leaf> {
    let texts = prop::array::uniform8(text());
    let digests = prop::array::uniform6(digest());
    (any::<[u8; 32]>(), key(), texts, digests, requests(), any::<u64>(), any::<u64>()).prop_map(
        |(salt, workload_key, texts, digests, secrets, init_start, sequence)| {
            let [cluster, namespace, pod, pod_uid, service_account, node_uid, container, container_id] = texts;
            let [image_manifest, image_config, spec, pod_set, launcher, token] = digests;
            Leaf {
                salt,
                workload_key,
                cluster,
                namespace,
                pod,
                pod_uid,
                service_account,
                node_uid,
                container,
                container_id,
                init_start,
                image_manifest,
                image_config,
                spec,
                pod_set,
                launcher,
                token,
                secrets,
                sequence,
            }
        },
    )
}

fn pod_set() -> impl Strategy<Value = PodSet> {
    let container = (text(), text(), digest(), digest(), any::<bool>()).prop_map(|(id, name, image_manifest, image_config, privileged)| {
        PodContainer { id, name, image_manifest, image_config, privileged }
    });
    let host = any::<[bool; 3]>().prop_map(|[network, pid, ipc]| HostNamespaces { network, pid, ipc });
    (host, vec(container, 0..5)).prop_map(|(host, containers)| PodSet::new(host, containers))
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let pcrs = prop::collection::btree_map(0..24u8, digest(), 0..5);
    let quote = (bytes(), bytes(), pcrs).prop_map(|(attest, signature, pcrs)| Part::TpmQuote {
        attest,
        signature,
        pcrs: pcrs.into_iter().collect(),
    });
    let report = (bytes(), bytes()).prop_map(|(report, certificates)| Part::SnpReport { report, certificates });
    let certification = (bytes(), bytes()).prop_map(|(attest, signature)| Part::AkCertification { attest, signature });
    let parts = (
        prop::option::of(quote),
        prop::option::of(bytes().prop_map(Part::BootLog)),
        prop::option::of(report),
        prop::option::of(bytes().prop_map(Part::TdQuote)),
        prop::option::of(bytes().prop_map(Part::NitroDocument)),
        prop::option::of(bytes().prop_map(Part::HclReport)),
        prop::option::of(certification),
        prop::option::of(prop::array::uniform32(any::<u8>()).prop_map(|half| Part::NodeKey([half, half].concat().try_into().unwrap()))),
    );
    let parts = parts.prop_map(|(a, b, c, d, e, f, g, h)| [a, b, c, d, e, f, g, h].into_iter().flatten().collect());
    (text(), text(), text(), any::<u64>(), digest(), parts).prop_map(|(node, profile, boot_id, length, head, parts)| Evidence {
        node,
        profile,
        boot_id,
        pod_log: PodLogHead { length, head },
        parts,
    })
}

fn exchange() -> impl Strategy<Value = Exchange> {
    (bytes(), bytes(), vec(bytes(), 0..4), vec(bytes(), 0..4)).prop_map(|(c, e, l, a)| Exchange::new(c, e, l, a))
}

fn exchange_reply() -> impl Strategy<Value = ExchangeReply> {
    let refused = (text(), text()).prop_map(|(reason, audit_id)| Outcome::Refused { reason, audit_id });
    let outcome = prop_oneof![bytes().prop_map(Outcome::Delivered), refused];
    (bytes(), vec((digest(), outcome), 0..4)).prop_map(|(next_challenge, outcomes)| ExchangeReply { next_challenge, outcomes })
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let released = requests().prop_map(|all| all.into_iter().map(|request| Released { request, version: 3 }).collect());
    let context = (text(), any::<u64>(), digest(), released).prop_map(|(audit_id, sequence, policy_head, secrets)| SealContext {
        audit_id,
        sequence,
        policy_head,
        secrets,
    });
    let claims = prop::collection::btree_map(text(), text(), 0..4);
    (context, prop::array::uniform5(digest()), any::<u64>(), any::<u64>(), claims).prop_map(
        |(context, [verifier, leaf, binding, ciphertext, entry], entry_index, issued, claims)| Receipt {
            verifier,
            context,
            leaf,
            binding,
            ciphertext,
            entry_index,
            entry,
            issued,
            claims: claims.into_iter().collect(),
        },
    )
}

fn delivery() -> impl Strategy<Value = Delivery> {
    (bytes(), vec(any::<u8>(), 64), bytes(), bytes()).prop_map(|(receipt, signature, receipt_key, ciphertext)| Delivery {
        receipt,
        signature: signature.try_into().unwrap(),
        receipt_key,
        ciphertext,
    })
}

fn workload_reply() -> impl Strategy<Value = WorkloadReply> {
    let words = || vec(text(), 0..4);
    let delivered = (bytes(), bytes(), words(), words()).prop_map(|(leaf, delivery, entrypoint, cmd)| WorkloadReply::Delivered {
        leaf,
        delivery,
        entrypoint,
        cmd,
    });
    let refused = (text(), text(), text(), any::<bool>()).prop_map(|(reason, audit_id, advice, retry)| WorkloadReply::Refused {
        reason,
        audit_id,
        advice,
        retry,
    });
    prop_oneof![delivered, refused]
}

fn join() -> impl Strategy<Value = Join> {
    (prop::array::uniform5(text()), prop::array::uniform4(bytes()), vec(bytes(), 0..4)).prop_map(|(texts, blobs, intermediates)| {
        let [token, node, cluster, node_uid, profile] = texts;
        let [challenge, certificate, public, key] = blobs;
        let proof = if intermediates.is_empty() { Proof::Evidence(public) } else { Proof::Ek { certificate, intermediates, public } };
        Join { challenge, token, node, cluster, node_uid, profile, key, proof }
    })
}

/// Decodes to the same value, which encodes to the same bytes.
fn round_trip<T: PartialEq + std::fmt::Debug>(
    value: &T,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, Malformed>,
) -> Result<(), TestCaseError> {
    let bytes = encode(value);
    let again = decode(&bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
    prop_assert_eq!(&again, value);
    prop_assert_eq!(encode(&again), bytes);
    Ok(())
}

macro_rules! round_trips {
    ($($name:ident: $strategy:expr => $type:ty;)+) => {
        proptest! {
            $(#[test]
            fn $name(value in $strategy) {
                round_trip(&value, <$type>::encode, |bytes| <$type>::decode(bytes, &LIMITS))?;
            })+
        }
    };
}

round_trips! {
    round_trip_leaf: leaf() => Leaf;
    round_trip_pod_set: pod_set() => PodSet;
    round_trip_evidence: evidence() => Evidence;
    round_trip_exchange: exchange() => Exchange;
    round_trip_exchange_reply: exchange_reply() => ExchangeReply;
    round_trip_receipt: receipt() => Receipt;
    round_trip_delivery: delivery() => Delivery;
    round_trip_workload_request: (any::<[u8; 32]>(), key(), bytes())
        .prop_map(|(salt, workload_key, token)| WorkloadRequest { salt, workload_key, token }) => WorkloadRequest;
    round_trip_workload_reply: workload_reply() => WorkloadReply;
    round_trip_join: join() => Join;
    round_trip_join_reply: (bytes(), bytes())
        .prop_map(|(credential, encrypted_secret)| JoinReply { credential, encrypted_secret }) => JoinReply;
    round_trip_activation: (bytes(), any::<Option<[u8; 32]>>()).prop_map(|(join, secret)| Activation { join, secret }) => Activation;
    round_trip_activation_reply: (any::<bool>(), text())
        .prop_map(|(approved, audit_id)| ActivationReply { approved, audit_id }) => ActivationReply;
}

proptest! {
    #[test]
    fn round_trip_challenge(value in challenge()) {
        let bytes = value.issue(&mac_key());
        let received = ReceivedChallenge::parse(&bytes, &LIMITS).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(received.fields(), &value);
        prop_assert!(received.issued_under(&mac_key()));
    }

    #[test]
    fn round_trip_secrets(files in prop::collection::btree_map("[A-Za-z0-9_-]{1,255}", vec(any::<u8>(), 0..700), 0..5)) {
        let files: Vec<SecretFile> =
            files.into_iter().map(|(file, value)| SecretFile { file, value: Zeroizing::new(value) }).collect();
        let padded = encode_secrets(&files);
        prop_assert!(padded.len().is_multiple_of(512));
        prop_assert!(decode_secrets(&padded, &LIMITS).is_ok_and(|again| again == files));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        for codec in codecs::all() {
            canonical(codec, &bytes)?;
            // The same behind a good opening, so that it gets further than the domain.
            let opening = &codec.samples[0][..codec.domain.len() + 3];
            canonical(codec, &[opening, &bytes].concat())?;
        }
        let _ = decode_secrets(&bytes, &LIMITS);
    }

    #[test]
    fn mutations_never_panic(which in any::<prop::sample::Index>(), edits in vec(edit(), 1..4)) {
        let codecs = codecs::all();
        let codec = which.get(codecs);
        for sample in &codec.samples {
            let altered = edits.iter().fold(sample.clone(), |bytes, edit| edit.apply(bytes));
            canonical(codec, &altered)?;
        }
    }
}

/// What decodes is what it encodes to.
fn canonical(codec: &codecs::Codec, bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(again) = (codec.again)(bytes, &LIMITS) {
        prop_assert_eq!(again, bytes, "{}", codec.domain);
    }
    Ok(())
}

#[derive(Debug, Clone)]
enum Edit {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        (place(), 1..=255u8).prop_map(|(at, by)| Edit::Flip(at, by)),
        (place(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (place(), 1..9usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        (place(), 1..40usize).prop_map(|(at, count)| Edit::Repeat(at, count)),
    ]
}

impl Edit {
    fn apply(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if bytes.is_empty() {
            return bytes;
        }
        match self {
            Self::Flip(at, by) => {
                let at = at.index(bytes.len());
                bytes[at] ^= by;
            }
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = at.index(bytes.len());
                let end = (at + count).min(bytes.len());
                bytes.drain(at..end);
            }
            Self::Repeat(at, count) => {
                let at = at.index(bytes.len());
                let end = (at + count).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
        bytes
    }
}
