//! One TPM batch appraised warm, against the bare verification of its signatures in the same run.
//!
//! Warm: registration, cluster keys, reference values and policy are prepared, the replays of boot log and pod log are kept. "Appraised" is the whole
//! way from received bytes: parse, challenge, appraise. "Signatures" are the quote's and each token's, verified by the library alone under
//! keys parsed before. Deciding by policy and a cold boot log are timed besides, and the replay of a long pod log beside the SHA-256 of its bytes.
//!
//! Raw samples: `target/bench/appraise-N.csv`, nanoseconds. Exit code 1 where the median ratio is above the gate, or an appraisal in it did
//! not verify.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a measurement reads the clock and writes files")]
#![allow(dead_code, unused_imports, reason = "the tests use more of the world than the measurement does")]

#[path = "evidence/samples.rs"]
mod samples;
#[path = "../tests/exchange/world.rs"]
mod world;

use std::{hint::black_box, process::ExitCode};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use podseal_appraisal::{
    decision::Decision,
    eventlog::ReplayedLog,
    pod_log::{Piece, PodLogState, replay},
};
use podseal_protocol::{
    Bank, Digest, Limits,
    evidence::{Evidence, Part},
    exchange::Exchange,
    pod_log::{Event, Record, Register},
};
use samples::{Samples, folder, nanoseconds, word};
use world::{AKS, NOW, Prepared, RSA, World, modulus, started};

const GATE: f64 = 3.0;
const AIM: f64 = 2.0;
const WARM_UP: usize = 50;
const SAMPLES: usize = 1_000;
/// Records of a long pod log, those of them that are new, and how often both are replayed.
const RECORDS: usize = 50_000;
const NEW: usize = 100;
const REPLAYS: usize = 20;

/// Message, signature and key of one signature of the batch.
struct Signature {
    key: ParsedPublicKey,
    message: Vec<u8>,
    signature: Vec<u8>,
}

fn rsa(modulus: &[u8]) -> ParsedPublicKey {
    RsaPublicKeyComponents { n: modulus, e: &[1, 0, 1] }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).unwrap()
}

/// The signatures of an exchange: the quote's, and that of each token.
fn signatures(exchange: &[u8]) -> Vec<Signature> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let exchange = Exchange::decode(exchange, &Limits::DEFAULT).unwrap();
    let evidence = Evidence::decode(&exchange.evidence, &Limits::DEFAULT).unwrap();
    let Part::TpmQuote { attest, signature, .. } = &evidence.parts[0] else { panic!("no quote") };
    // TPMT_SIGNATURE: scheme, hash and size stand before an RSA signature.
    let mut all = vec![Signature { key: rsa(modulus(&AKS[0])), message: attest.clone(), signature: signature[6..].to_vec() }];
    for token in exchange.attachments.iter().filter(|attachment| attachment.starts_with(b"eyJ")) {
        let dot = token.iter().rposition(|byte| *byte == b'.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(&token[dot + 1..]).unwrap();
        all.push(Signature { key: rsa(modulus(&RSA)), message: token[..dot].to_vec(), signature });
    }
    all
}

fn measure(prepared: &Prepared, exchange: &[u8], replayed: &ReplayedLog, leaves: usize) -> Samples<4> {
    let signatures = signatures(exchange);
    assert_eq!(signatures.len(), 1 + leaves, "one quote, and a token for each leaf");
    let mut rows = Vec::with_capacity(SAMPLES);
    for round in 0..WARM_UP + SAMPLES {
        let bare = nanoseconds(|| {
            for one in &signatures {
                black_box(one.key.verify_sig(&one.message, &one.signature)).unwrap();
            }
        });
        let mut appraised = None;
        let warm = nanoseconds(|| appraised = Some(prepared.appraise(black_box(exchange), NOW, Some(replayed))));
        let (_, appraisal) = appraised.unwrap();
        let mut decisions = Vec::new();
        let decide = nanoseconds(|| decisions = prepared.decide(&appraisal));
        let verified = decisions.iter().filter(|decision| matches!(decision, Decision::Release(_))).count();
        assert_eq!(verified, leaves, "an appraisal in the measurement did not verify");
        let cold = nanoseconds(|| drop(black_box(prepared.appraise(black_box(exchange), NOW, None))));
        if round >= WARM_UP {
            rows.push([bare, warm, decide, cold]);
        }
    }
    Samples { names: ["signatures", "appraised", "decided", "appraised-cold"], rows }
}

/// Starts and ends of containers, of which a hundred run at a time.
fn events() -> Vec<Event> {
    let pod = World::of_replicas(1).pods.remove(0);
    let began =
        Event::Began { boot_id: "c0ffee00-0000-4000-8000-000000000001".to_owned(), register: Bank::Sha256.zero(), exceptions: Vec::new() };
    let happened = (0..RECORDS).map(|number| {
        let id = |number: usize| format!("{number:064x}");
        if number >= 200 && number % 2 == 0 {
            return Event::Ended { container_id: id(number - 199) };
        }
        Event::Started(started(&id(number), &pod, &Digest::of(&number.to_be_bytes())))
    });
    std::iter::once(began).chain(happened).take(RECORDS).collect()
}

fn piece(from: u64, records: &[u8]) -> Piece<'_> {
    Piece { register: Register::TPM, from, records }
}

/// The replay of a log of a node that has been up for long, beside the SHA-256 of the same bytes, which no replay can leave out.
fn pod_log() {
    let events = events();
    let records: Vec<Vec<u8>> = (0..).zip(events).map(|(number, event)| Record { number, event }.encode(Register::TPM)).collect();
    let (whole, last) = (records.concat(), records[RECORDS - NEW..].concat());
    let limits = Limits::DEFAULT;
    assert!(whole.len() <= limits.pod_log, "{} bytes do not fit into one part", whole.len());
    let from = u64::try_from(RECORDS - NEW).unwrap();
    let old = records[..RECORDS - NEW].concat();
    let kept = replay(None, piece(0, &old), &limits).unwrap();
    let at_once = || replay(None, piece(0, black_box(&whole)), &limits).unwrap();
    let going_on = || replay(Some(&kept), piece(from, black_box(&last)), &limits).unwrap();
    assert_eq!(at_once(), going_on());
    println!("{:>7} | {:<15} | {:>9} | {:>9}", "records", "microseconds", "p50", "p99");
    beside_its_hash("pod log, whole", RECORDS, &whole, at_once);
    beside_its_hash("pod log, new", NEW, &last, going_on);
    println!("        | {} bytes of log, {} of them new, {} of state", whole.len(), last.len(), kept.encode().len());
}

/// Times a replay and the SHA-256 of its bytes in turn.
fn beside_its_hash(name: &str, records: usize, bytes: &[u8], work: impl Fn() -> PodLogState) {
    let (mut bare, mut replayed) = (Vec::new(), Vec::new());
    for _ in 0..REPLAYS {
        bare.push(nanoseconds(|| _ = black_box(Digest::of(black_box(bytes)))));
        replayed.push(nanoseconds(|| drop(black_box(work()))));
    }
    bare.sort_unstable();
    replayed.sort_unstable();
    let at = |samples: &[u64], percent: usize| samples[(samples.len() - 1) * percent / 100] as f64 / 1_000.0;
    for (name, samples) in [("SHA-256 alone", &bare), (name, &replayed)] {
        println!("{records:>7} | {name:<15} | {:>9.1} | {:>9.1}", at(samples, 50), at(samples, 99));
    }
    println!("{records:>7} | {:<15} | {:>9.2} | {:>9.2}", "ratio", at(&replayed, 50) / at(&bare, 50), at(&replayed, 99) / at(&bare, 99));
}

fn main() -> ExitCode {
    let mut held = true;
    println!("{:>6} | {:<15} | {:>9} | {:>9}", "leaves", "microseconds", "p50", "p99");
    for leaves in [1, 32] {
        let world = World::of_replicas(leaves).going_on();
        let (prepared, exchange) = (world.prepared(), world.exchange());
        let replayed = prepared.appraise(&exchange, NOW, None).1.take_replayed().unwrap();
        let samples = measure(&prepared, &exchange, &replayed, leaves);
        samples.save(&folder().join(format!("appraise-{leaves}.csv")));
        for (column, name) in samples.names.iter().enumerate() {
            let micro = |percent| samples.micro(column, percent);
            println!("{leaves:>6} | {name:<15} | {:>9.1} | {:>9.1}", micro(50), micro(99));
        }
        let ratio = samples.ratio(50);
        let word = word(ratio, GATE, AIM);
        println!("{leaves:>6} | {:<15} | {ratio:>9.2} | {:>9.2} | {word}: gate {GATE}, aim {AIM}", "ratio", samples.ratio(99));
        held &= ratio <= GATE;
    }
    pod_log();
    println!("raw samples: {}/appraise-*.csv", folder().display());
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
