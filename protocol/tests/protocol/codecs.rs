//! Every message that is ever parsed, as a pair of bytes: what came in, and what its value encodes to again.

use std::sync::LazyLock;

use podseal_protocol::{
    Digest, Leaf, Limits, PodSet, ReceivedChallenge,
    cbor::{Encoder, Malformed},
    delivery::{Delivery, Receipt},
    evidence::Evidence,
    exchange::{Exchange, ExchangeReply},
    frame::{WorkloadReply, WorkloadRequest},
    join::{Activation, ActivationReply, Join, JoinReply},
    key::{CertifiedKey, KeyError, KeyUse},
    pod_log::{Event, Record, Records, Register},
    seal::{SealError, decode_secrets, encode_secrets},
};

use crate::fixtures as f;

/// Decodes and encodes again.
pub(crate) type Again = fn(&[u8], &Limits) -> Result<Vec<u8>, Malformed>;

/// One kind of message.
pub(crate) struct Codec {
    pub(crate) domain: &'static str,
    pub(crate) again: Again,
    pub(crate) samples: Vec<Vec<u8>>,
}

macro_rules! again {
    ($type:ty) => {
        |bytes, limits| <$type>::decode(bytes, limits).map(|value| value.encode())
    };
}

fn challenge(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Malformed> {
    let received = ReceivedChallenge::parse(bytes, limits)?;
    // Only the holder of the key can repeat the MAC: it is taken over, everything else is encoded anew.
    let mut again = received.fields().issue(&f::mac_key());
    let body = again.len() - 32;
    again[body..].copy_from_slice(&bytes[bytes.len() - 32..]);
    Ok(again)
}

fn certified_key(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Malformed> {
    match CertifiedKey::verify(bytes, &f::verifier(), KeyUse::Receipt, None, limits) {
        Err(KeyError::Malformed(malformed)) => Err(malformed),
        _ => Ok(bytes.to_vec()),
    }
}

/// A certified key around any statement: the root signs whatever it is given here.
pub(crate) fn certify(statement: &[u8]) -> Vec<u8> {
    let root = f::root();
    let signature = root.sign(statement);
    Encoder::message("podseal.certified-key.v1", 4).bytes(&root.public().to_spki()).bytes(statement).bytes(&signature).finish()
}

fn statement(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Malformed> {
    certified_key(&certify(bytes), limits).map(|_| bytes.to_vec())
}

pub(crate) fn pad(content: &[u8]) -> Vec<u8> {
    let mut padded = [content, &[0x80]].concat();
    padded.resize(padded.len().next_multiple_of(512), 0);
    padded
}

pub(crate) fn unpad(padded: &[u8]) -> &[u8] {
    let mark = padded.iter().rposition(|byte| *byte != 0).unwrap();
    &padded[..mark]
}

fn secrets(content: &[u8], limits: &Limits) -> Result<Vec<u8>, Malformed> {
    match decode_secrets(&pad(content), limits) {
        Ok(files) => Ok(unpad(&encode_secrets(&files)).to_vec()),
        Err(SealError::Malformed(malformed)) => Err(malformed),
        Err(other) => panic!("{other}"),
    }
}

fn wrapped(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u32::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// A record around any content: number 0, register 13, and the digest that fits.
fn record(content: &[u8]) -> Vec<u8> {
    let content = wrapped(0x51, content);
    let digests = wrapped(3, &wrapped(0x0b, Digest::of(&content).as_ref()));
    [wrapped(0, &[0; 8]), wrapped(1, &[13]), digests, content].concat()
}

/// What stands behind the head of its last field.
fn content(record: &[u8]) -> Vec<u8> {
    record[self::record(&[]).len()..].to_vec()
}

pub(crate) fn event(event: Event) -> Vec<u8> {
    content(&Record { number: 0, event }.encode(Register::TPM))
}

fn pod_event(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Malformed> {
    let record = record(bytes);
    let (read, _) = Records::new(&record, 0, Register::TPM, limits).next().unwrap()?;
    Ok(content(&read.encode(Register::TPM)))
}

/// All of them.
pub(crate) fn all() -> &'static [Codec] {
    static ALL: LazyLock<Vec<Codec>> = LazyLock::new(make);
    &ALL
}

fn make() -> Vec<Codec> {
    let statement_bytes = {
        let key = f::receipt_key().public();
        Encoder::message("podseal.key.v1", 5).text("receipt").bytes(key.as_bytes()).uint(f::NOW).uint(f::NOW + 1000).finish()
    };
    let codec = |domain, again: Again, samples| Codec { domain, again, samples };
    vec![
        codec("podseal.challenge.v1", challenge, vec![f::challenge().issue(&f::mac_key())]),
        codec("podseal.leaf.v1", again!(Leaf), vec![f::leaf().encode()]),
        codec("podseal.podset.v1", again!(PodSet), vec![f::pod_set().encode()]),
        codec(
            "podseal.evidence.v1",
            again!(Evidence),
            vec![f::evidence().encode(), f::evidence_with_pod_log().encode(), f::hardware_evidence().encode()],
        ),
        codec("podseal.pod-event.v1", pod_event, f::events().into_iter().map(event).collect()),
        codec("podseal.exchange.v1", again!(Exchange), vec![f::exchange().encode()]),
        codec("podseal.exchange-reply.v1", again!(ExchangeReply), vec![f::exchange_reply().encode()]),
        codec("podseal.receipt.v1", again!(Receipt), vec![f::release().receipt().encode()]),
        codec("podseal.delivery.v1", again!(Delivery), vec![f::release().delivery().encode()]),
        codec("podseal.key.v1", statement, vec![statement_bytes]),
        codec("podseal.certified-key.v1", certified_key, vec![f::certified()]),
        codec("podseal.secrets.v1", secrets, vec![unpad(&encode_secrets(&f::files())).to_vec()]),
        codec("podseal.workload-request.v1", again!(WorkloadRequest), vec![f::workload_request().encode()]),
        codec("podseal.workload-reply.v1", again!(WorkloadReply), vec![f::delivered().encode(), f::refused().encode()]),
        codec("podseal.join.v1", again!(Join), vec![f::join().encode(), f::join_by_evidence().encode()]),
        codec("podseal.join-reply.v1", again!(JoinReply), vec![f::join_reply().encode()]),
        codec("podseal.activation.v1", again!(Activation), vec![f::activation().encode(), f::activation_by_evidence().encode()]),
        codec("podseal.activation-reply.v1", again!(ActivationReply), vec![f::activation_reply().encode()]),
    ]
}

pub(crate) fn of(domain: &str) -> &'static Codec {
    all().iter().find(|codec| codec.domain == domain).unwrap()
}

#[test]
fn the_fixture_hangs_together() {
    for codec in all() {
        for sample in &codec.samples {
            assert_eq!((codec.again)(sample, &f::LIMITS).as_ref(), Ok(sample), "{}", codec.domain);
        }
    }
    // Not only well-formed: verified where there is something to verify.
    CertifiedKey::verify(&f::certified(), &f::verifier(), KeyUse::Receipt, Some(f::NOW), &f::LIMITS).unwrap();
    assert_eq!(certify(&of("podseal.key.v1").samples[0]), f::certified());
    assert_eq!(f::leaf().pod_set, Digest::of(&f::pod_set().encode()));
}
