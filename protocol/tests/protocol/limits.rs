//! Every field has a bound: exactly at it is taken, one more is refused by name. The bounds are narrowed, so that all are reached.

use podseal_protocol::{
    Bank, Challenge, Digest, HostNamespaces, Leaf, Limits, PodContainer, PodSet, SecretRequest,
    cbor::{Decoder, Encoder, Malformed, Problem},
    delivery::{Delivery, Receipt, Released, SealContext},
    evidence::{Evidence, Part},
    exchange::{Exchange, ExchangeReply, Outcome},
    frame::{self, WorkloadReply, WorkloadRequest},
    join::{ActivationReply, Join, JoinReply, Proof},
    pod_log::{Event, Record, Records, Register, Started},
    seal::SecretFile,
};
use zeroize::Zeroizing;

use crate::{
    cbor_walk::{ARRAY, BYTES, TEXT, head, items},
    codecs, fixtures as f,
};

const NARROW: Limits = Limits {
    message: 4 << 20,
    leaves: 3,
    attachment: 50,
    attachments: 4,
    evidence_part: 60,
    pod_log: 60,
    evidence_parts: 2,
    events: 1,
    text: 44,
    secrets: 2,
    secret: 70,
    frame: 3000,
};

fn text(length: usize) -> String {
    "n".repeat(length)
}

/// `make(most)` is taken, `make(most + 1)` is refused as too long a value of `item`.
fn bound(domain: &str, item: &'static str, most: usize, make: impl Fn(usize) -> Vec<u8>) {
    let codec = codecs::of(domain);
    let at = make(most);
    let taken = (codec.again)(&at, &NARROW);
    assert!(taken.as_ref() == Ok(&at), "{item} of {most}: {:?}", taken.map(|again| again.len()));
    let found = (codec.again)(&make(most + 1), &NARROW).map(|_| ()).map_err(|m| (m.item, m.problem));
    assert_eq!(found, Err((item, Problem::TooLong)), "{item} of {}", most + 1);
}

/// Name of a text field, and the way to it.
type TextField<T> = (&'static str, fn(&mut T) -> &mut String);

/// Name of a byte string, its bound, and the way to it.
type BytesField<T> = (&'static str, usize, fn(&mut T) -> &mut Vec<u8>);

/// As [`bound`] for a text field of a message.
fn texts<T>(domain: &str, message: fn() -> T, encode: fn(&T) -> Vec<u8>, fields: &[TextField<T>]) {
    for (item, field) in fields {
        bound(domain, item, NARROW.text, |length| {
            let mut message = message();
            *field(&mut message) = text(length);
            encode(&message)
        });
    }
}

/// As [`bound`] for a byte string of a message.
fn byte_strings<T>(domain: &str, message: fn() -> T, encode: fn(&T) -> Vec<u8>, fields: &[BytesField<T>]) {
    for (item, most, field) in fields {
        bound(domain, item, *most, |length| {
            let mut message = message();
            *field(&mut message) = vec![7; length];
            encode(&message)
        });
    }
}

#[test]
fn oversized_every_field_of_the_leaf() {
    texts(
        "podseal.leaf.v1",
        f::leaf,
        Leaf::encode,
        &[
            ("leaf.cluster", |m| &mut m.cluster),
            ("leaf.namespace", |m| &mut m.namespace),
            ("leaf.pod", |m| &mut m.pod),
            ("leaf.pod_uid", |m| &mut m.pod_uid),
            ("leaf.service_account", |m| &mut m.service_account),
            ("leaf.node_uid", |m| &mut m.node_uid),
            ("leaf.container.name", |m| &mut m.container),
            ("leaf.container.id", |m| &mut m.container_id),
        ],
    );
    let asking = |secrets: Vec<SecretRequest>| Leaf { secrets, ..f::leaf() }.encode();
    let request = |file: String, secret: String| SecretRequest { file, secret };
    bound("podseal.leaf.v1", "leaf.secrets.file", 255, |length| asking(vec![request(text(length), "n/n".to_owned())]));
    bound("podseal.leaf.v1", "leaf.secrets.secret", NARROW.text, |length| {
        asking(vec![request(text(1), format!("n/{}", text(length - 2)))])
    });
    bound("podseal.leaf.v1", "leaf.secrets", NARROW.secrets, |count| {
        asking((0..count).map(|i| request(format!("file{i}"), "n/n".to_owned())).collect())
    });
}

#[test]
fn oversized_every_field_of_challenge_and_pod_set() {
    let challenge = |node| Challenge { node, ..f::challenge() }.issue(&f::mac_key());
    bound("podseal.challenge.v1", "challenge.node", NARROW.text, |length| challenge(text(length)));
    let sample = f::challenge().issue(&f::mac_key());
    let purpose = items(&sample).into_iter().find(|item| item.content(&sample) == b"release").unwrap();
    let long = purpose.replaced(&sample, &Encoder::default().text(&text(17)).finish());
    let found = (codecs::of("podseal.challenge.v1").again)(&long, &NARROW).map_err(|m| (m.item, m.problem));
    assert_eq!(found, Err(("challenge.purpose", Problem::TooLong)));

    let container = |id: String, name: String| PodContainer {
        id,
        name,
        image_manifest: Digest([0; 32]),
        image_config: Digest([0; 32]),
        privileged: false,
    };
    let set = |containers| PodSet::new(HostNamespaces::default(), containers).encode();
    bound("podseal.podset.v1", "podset.container.id", NARROW.text, |length| set(vec![container(text(length), text(1))]));
    bound("podseal.podset.v1", "podset.container.name", NARROW.text, |length| set(vec![container(text(1), text(length))]));
    bound("podseal.podset.v1", "podset.containers", 256, |count| set((0..count).map(|i| container(format!("{i:04}"), text(1))).collect()));
}

#[test]
fn oversized_every_field_of_the_exchange() {
    let domain = "podseal.exchange.v1";
    let bare = || Exchange { attachments: vec![], ..f::exchange() };
    byte_strings(domain, bare, Exchange::encode, &[("exchange.challenge", 4096, |m| &mut m.challenge)]);
    bound(domain, "exchange.leaf", 64 << 10, |length| Exchange { leaves: vec![vec![7; length]], ..bare() }.encode());
    bound(domain, "exchange.leaves", NARROW.leaves, |count| Exchange { leaves: vec![vec![7]; count], ..bare() }.encode());
    let attaching = |all: Vec<Vec<u8>>| Exchange::new(vec![], vec![], vec![], all).encode();
    bound(domain, "exchange.attachment", NARROW.attachment, |length| attaching(vec![vec![7; length]]));
    bound(domain, "exchange.attachments", NARROW.attachments, |count| {
        attaching((0..count).map(|i| vec![u8::try_from(i).unwrap()]).collect())
    });

    let domain = "podseal.exchange-reply.v1";
    byte_strings(domain, f::exchange_reply, ExchangeReply::encode, &[("reply.next_challenge", 4096, |m| &mut m.next_challenge)]);
    let outcomes = |outcomes| ExchangeReply { next_challenge: vec![], outcomes }.encode();
    let one = |outcome| outcomes(vec![(Digest([0; 32]), outcome)]);
    let refused = |reason, audit_id| Outcome::Refused { reason, audit_id };
    bound(domain, "reply.outcome.delivery", NARROW.frame, |length| one(Outcome::Delivered(vec![7; length])));
    bound(domain, "reply.outcome.reason", NARROW.text, |length| one(refused(text(length), text(1))));
    bound(domain, "reply.outcome.audit_id", NARROW.text, |length| one(refused(text(1), text(length))));
    bound(domain, "reply.outcomes", NARROW.leaves, |count| outcomes(vec![(Digest([0; 32]), Outcome::Delivered(vec![])); count]));
}

#[test]
fn oversized_every_field_of_the_evidence() {
    let domain = "podseal.evidence.v1";
    texts(
        domain,
        f::evidence,
        Evidence::encode,
        &[("evidence.node", |m| &mut m.node), ("evidence.profile", |m| &mut m.profile), ("evidence.boot_id", |m| &mut m.boot_id)],
    );
    let parts = |parts| Evidence { parts, ..f::evidence() }.encode();
    let quote = |attest: usize, signature: usize, pcrs: usize| {
        let pcrs = (0..pcrs).map(|index| (u8::try_from(index).unwrap(), Digest([0; 32]))).collect();
        parts(vec![Part::TpmQuote { attest: vec![7; attest], signature: vec![7; signature], pcrs }])
    };
    bound(domain, "quote.attest", 4096, |length| quote(length, 0, 0));
    bound(domain, "quote.signature", 4096, |length| quote(0, length, 0));
    bound(domain, "quote.pcrs", 24, |count| quote(0, 0, count));
    bound(domain, "boot_log", NARROW.evidence_part, |length| parts(vec![Part::BootLog(vec![7; length])]));
    bound(domain, "pod_log.records", NARROW.pod_log, |length| parts(vec![Part::PodLog { from: 0, records: vec![7; length] }]));
    let report = |report, certificates| parts(vec![Part::SnpReport { report: vec![7; report], certificates: vec![7; certificates] }]);
    bound(domain, "snp.report", 64 << 10, |length| report(length, 0));
    bound(domain, "snp.certificates", 64 << 10, |length| report(0, length));
    bound(domain, "td.quote", 64 << 10, |length| parts(vec![Part::TdQuote(vec![7; length])]));
    bound(domain, "nitro.document", 64 << 10, |length| parts(vec![Part::NitroDocument(vec![7; length])]));
    bound(domain, "hcl.report", 64 << 10, |length| parts(vec![Part::HclReport(vec![7; length])]));
    let certified = |attest, signature| parts(vec![Part::AkCertification { attest: vec![7; attest], signature: vec![7; signature] }]);
    bound(domain, "certification.attest", 4096, |length| certified(length, 0));
    bound(domain, "certification.signature", 4096, |length| certified(0, length));
    let evidence = f::evidence().encode();
    let tight = Limits { evidence_parts: 1, ..f::LIMITS };
    let found = Evidence::decode(&evidence, &tight).map_err(|m| (m.item, m.problem));
    assert_eq!(found, Err(("evidence.parts", Problem::TooLong)));
    let register =
        Evidence { parts: vec![Part::TpmQuote { attest: vec![], signature: vec![], pcrs: vec![(24, Digest([0; 32]))] }], ..f::evidence() };
    let found = Evidence::decode(&register.encode(), &NARROW).map_err(|m| (m.item, m.problem));
    assert_eq!(found, Err(("quote.pcr.index", Problem::WrongValue)));
}

#[test]
fn oversized_every_field_of_the_pod_log() {
    let domain = "podseal.pod-event.v1";
    let encode: fn(&Event) -> Vec<u8> = |event| codecs::event(event.clone());
    let began = || Event::Began { boot_id: text(1), register: Bank::Sha256.zero(), exceptions: Vec::new() };
    let id: fn(&mut Event) -> &mut String = |event| match event {
        Event::Began { boot_id: id, .. } | Event::Exec { container_id: id, .. } | Event::Ended { container_id: id } => id,
        _ => unreachable!(),
    };
    let exec_id: fn(&mut Event) -> &mut String = |event| match event {
        Event::Exec { exec_id, .. } => exec_id,
        _ => unreachable!(),
    };
    let exec = || Event::Exec { container_id: text(1), exec_id: text(1) };
    texts(domain, began, encode, &[("pod_event.boot_id", id)]);
    texts(domain, exec, encode, &[("pod_event.container_id", id), ("pod_event.exec_id", exec_id)]);
    texts(domain, || Event::Ended { container_id: text(1) }, encode, &[("pod_event.container_id", id)]);
    let started = || Started {
        container_id: text(1),
        sandbox: false,
        pod_uid: text(1),
        namespace: text(1),
        pod: text(1),
        container: text(1),
        image: text(1),
        privileged: false,
        heard: true,
    };
    texts(
        domain,
        started,
        |started| codecs::event(Event::Started(started.clone())),
        &[
            ("pod_event.container_id", |m| &mut m.container_id),
            ("pod_event.pod_uid", |m| &mut m.pod_uid),
            ("pod_event.namespace", |m| &mut m.namespace),
            ("pod_event.pod", |m| &mut m.pod),
            ("pod_event.container", |m| &mut m.container),
            ("pod_event.image", |m| &mut m.image),
        ],
    );
    bound(domain, "pod_event.exception", 64, |length| codecs::event(Event::AttesterRestarted { exceptions: vec![text(length)] }));
    bound(domain, "pod_event.exceptions", 16, |count| {
        let names = (b'a'..=b'z').take(count).map(|letter| char::from(letter).to_string());
        codecs::event(Event::AttesterRestarted { exceptions: names.collect() })
    });
    // A record's content has a bound of its own, whatever the limits say of its fields.
    let long = Limits { text: usize::MAX, ..Limits::DEFAULT };
    let content = |length| Record { number: 0, event: Event::Ended { container_id: text(length) } }.encode(Register::TPM);
    let read = |bytes: &[u8]| Records::new(bytes, 0, Register::TPM, &long).next().unwrap().map(|_| ()).map_err(|m| (m.item, m.problem));
    let around = codecs::event(Event::Ended { container_id: text(4000) }).len() - 4000;
    assert_eq!(read(&content(4096 - around)), Ok(()));
    assert_eq!(read(&content(4097 - around)), Err(("pod_log.content", Problem::TooLong)));
}

#[test]
fn oversized_every_field_of_receipt_and_delivery() {
    let domain = "podseal.receipt.v1";
    let receipt = || {
        let mut receipt = f::release().receipt();
        receipt.context.secrets.clear();
        receipt
    };
    texts(domain, || f::release().receipt(), Receipt::encode, &[("receipt.audit_id", |m| &mut m.context.audit_id)]);
    let releasing = |secrets| Receipt { context: SealContext { secrets, ..f::context() }, ..f::release().receipt() }.encode();
    let released = |file, secret| Released { request: SecretRequest { file, secret }, version: 1 };
    bound(domain, "receipt.secret.file", 255, |length| releasing(vec![released(text(length), text(1))]));
    bound(domain, "receipt.secret.name", NARROW.text, |length| releasing(vec![released(text(1), text(length))]));
    bound(domain, "receipt.secrets", NARROW.secrets, |count| releasing((0..count).map(|i| released(format!("f{i}"), text(1))).collect()));
    let claiming = |claims| Receipt { claims, ..receipt() }.encode();
    bound(domain, "receipt.claims", 32, |count| claiming((0..count).map(|i| (format!("{i:02}"), text(1))).collect()));
    bound(domain, "receipt.claim.name", NARROW.text, |length| claiming(vec![(text(length), text(1))]));
    bound(domain, "receipt.claim.word", NARROW.text, |length| claiming(vec![(text(1), text(length))]));

    byte_strings(
        "podseal.delivery.v1",
        || f::release().delivery(),
        Delivery::encode,
        &[
            ("delivery.receipt", 256 << 10, |m| &mut m.receipt),
            ("delivery.receipt_key", 4096, |m| &mut m.receipt_key),
            ("delivery.ciphertext", NARROW.frame, |m| &mut m.ciphertext),
        ],
    );
}

#[test]
fn oversized_every_field_of_keys_and_secrets() {
    let statement = |word: &str, key: &[u8]| Encoder::message("podseal.key.v1", 5).text(word).bytes(key).uint(0).uint(1).finish();
    bound("podseal.key.v1", "key.use", 16, |length| statement(&text(length), &[]));
    bound("podseal.key.v1", "key.key", 65, |length| statement("receipt", &vec![7; length]));
    let key = |spki: usize, statement: usize| {
        let message = Encoder::message("podseal.certified-key.v1", 4);
        message.bytes(&vec![7; spki]).bytes(&vec![7; statement]).bytes(&[7; 64]).finish()
    };
    bound("podseal.certified-key.v1", "certified-key.root", 128, |length| key(length, 0));
    bound("podseal.certified-key.v1", "certified-key.statement", 256, |length| key(0, length));

    let file = |name: String, length: usize| SecretFile { file: name, value: Zeroizing::new(vec![7; length]) };
    let content = |files: &[SecretFile]| codecs::unpad(&podseal_protocol::seal::encode_secrets(files)).to_vec();
    bound("podseal.secrets.v1", "secret.file", 255, |length| content(&[file(text(length), 1)]));
    bound("podseal.secrets.v1", "secret.value", NARROW.secret, |length| content(&[file(text(1), length)]));
    bound("podseal.secrets.v1", "secrets", NARROW.secrets, |count| {
        content(&(0..count).map(|i| file(format!("f{i}"), 1)).collect::<Vec<_>>())
    });
}

#[test]
fn oversized_every_field_of_the_frame() {
    let token = |length| WorkloadRequest { token: vec![7; length], ..f::workload_request() }.encode();
    bound("podseal.workload-request.v1", "request.token", frame::TOKEN_LENGTH, token);
    let domain = "podseal.workload-reply.v1";
    let delivered = |leaf: usize, delivery: usize, entrypoint: Vec<String>, cmd: Vec<String>| {
        WorkloadReply::Delivered { leaf: vec![7; leaf], delivery: vec![7; delivery], entrypoint, cmd }.encode()
    };
    bound(domain, "reply.leaf", 64 << 10, |length| delivered(length, 0, vec![], vec![]));
    bound(domain, "reply.delivery", NARROW.frame, |length| delivered(0, length, vec![], vec![]));
    bound(domain, "reply.entrypoint", 1024, |count| delivered(0, 0, vec![text(1); count], vec![]));
    bound(domain, "reply.cmd", 1024, |count| delivered(0, 0, vec![], vec![text(1); count]));
    bound(domain, "reply.command", 64 << 10, |length| delivered(0, 0, vec![text(length)], vec![]));
    bound(domain, "reply.command", 64 << 10, |length| delivered(0, 0, vec![], vec![text(length)]));
    let refused = |reason, audit_id, advice| WorkloadReply::Refused { reason, audit_id, advice, retry: true }.encode();
    bound(domain, "reply.reason", NARROW.text, |length| refused(text(length), text(1), text(1)));
    bound(domain, "reply.audit_id", NARROW.text, |length| refused(text(1), text(length), text(1)));
    bound(domain, "reply.advice", 4096, |length| refused(text(1), text(1), text(length)));
}

#[test]
fn oversized_every_field_of_the_enrolment() {
    let domain = "podseal.join.v1";
    texts(
        domain,
        f::join,
        Join::encode,
        &[
            ("join.token", |m| &mut m.token),
            ("join.node", |m| &mut m.node),
            ("join.cluster", |m| &mut m.cluster),
            ("join.node_uid", |m| &mut m.node_uid),
            ("join.profile", |m| &mut m.profile),
        ],
    );
    byte_strings(domain, f::join, Join::encode, &[("join.challenge", 4096, |m| &mut m.challenge), ("join.key", 8192, |m| &mut m.key)]);
    let proof = |proof| Join { proof, ..f::join() }.encode();
    let ek = |certificate: usize, intermediates: &[usize], public: usize| {
        let intermediates = intermediates.iter().map(|length| vec![7; *length]).collect();
        proof(Proof::Ek { certificate: vec![7; certificate], intermediates, public: vec![7; public] })
    };
    bound(domain, "join.ek_certificate", 8192, |length| ek(length, &[], 0));
    bound(domain, "join.intermediate", 8192, |length| ek(0, &[length], 0));
    bound(domain, "join.intermediates", 4, |count| ek(0, &vec![0; count], 0));
    bound(domain, "join.ek_public", 8192, |length| ek(0, &[], length));
    byte_strings(
        "podseal.join-reply.v1",
        f::join_reply,
        JoinReply::encode,
        &[("join-reply.credential", 8192, |m| &mut m.credential), ("join-reply.encrypted_secret", 8192, |m| &mut m.encrypted_secret)],
    );
    let audit_id: fn(&mut ActivationReply) -> &mut String = |m| &mut m.audit_id;
    let domain = "podseal.activation-reply.v1";
    texts(domain, f::activation_reply, ActivationReply::encode, &[("activation-reply.audit_id", audit_id)]);
}

#[test]
fn oversized_every_message() {
    for codec in codecs::all() {
        for sample in &codec.samples {
            // A certified key and a delivery's plaintext are parsed as parts of more: what surrounds them has the bound.
            if ["podseal.key.v1", "podseal.secrets.v1"].contains(&codec.domain) {
                continue;
            }
            let exact = Limits { message: sample.len(), ..f::LIMITS };
            assert_eq!((codec.again)(sample, &exact).as_ref(), Ok(sample), "{}", codec.domain);
            let less = Limits { message: sample.len() - 1, ..f::LIMITS };
            assert_eq!((codec.again)(sample, &less), Err(Malformed { item: codec.domain, at: 0, problem: Problem::TooLong }));
        }
    }
}

/// The widest bounds there can be, and lengths that no machine has: were one of them believed, the process would abort.
#[test]
fn oversized_announcements_allocate_nothing() {
    let most = usize::MAX;
    let boundless = Limits {
        message: most,
        leaves: most,
        attachment: most,
        attachments: most,
        evidence_part: most,
        pod_log: most,
        evidence_parts: most,
        events: most,
        text: most,
        secrets: most,
        secret: most,
        frame: most,
    };
    for codec in codecs::all() {
        for sample in &codec.samples {
            for item in items(sample).into_iter().filter(|item| [BYTES, TEXT, ARRAY].contains(&item.major)) {
                for length in [1 << 63, u64::MAX, (1 << 63) - 1, 1 << 40] {
                    let altered = item.with_head(sample, &head(item.major, length, 8));
                    for limits in [&boundless, &f::LIMITS] {
                        let problem = (codec.again)(&altered, limits).unwrap_err().problem;
                        let refused = [Problem::TooLong, Problem::Truncated, Problem::WrongLength].contains(&problem);
                        assert!(refused, "{} at {}: {length} announced, {problem:?}", codec.domain, item.start);
                    }
                }
            }
        }
    }
}

/// Items of one byte each, as many as are announced: taken one by one, never more than there are.
#[test]
fn oversized_lists_end_with_their_bytes() {
    let bytes = [Encoder::message("test", 2).array(1 << 20).finish(), vec![0; 1000]].concat();
    let read = |most| {
        let mut decoder = Decoder::message(&bytes, "test", 2, &f::LIMITS)?;
        decoder.list("list", most, |d| d.uint("item"))
    };
    assert_eq!(read(1 << 20).map_err(|m| m.problem), Err(Problem::Truncated));
    assert_eq!(read((1 << 20) - 1).map_err(|m| m.problem), Err(Problem::TooLong));
}
