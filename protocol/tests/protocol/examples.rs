//! The known answers of docs/PROTOCOL.md are what the code does.
#![allow(clippy::disallowed_methods)]

use std::{env, fs, path::Path};

use podseal_protocol::{
    Digest, Limits,
    cbor::Encoder,
    frame::frame,
    seal::{delivery_info, encode_secrets, import_info},
};

use crate::{
    codecs,
    fixtures::{self as f, release},
};

const BEGIN: &str = "<!-- known answers: begin -->\n";
const END: &str = "<!-- known answers: end -->";
const WIDTH: usize = 128;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the document says of the binding, step by step, without the function that computes it.
fn binding_input() -> Vec<u8> {
    let evidence = f::evidence();
    Encoder::message("podseal.binding.v1", 10)
        .digest(&Digest::of(&f::challenge().issue(&f::mac_key())))
        .text("release")
        .digest(&f::verifier())
        .text(&evidence.node)
        .bytes(&f::ak_name())
        .text(&evidence.profile)
        .text(&evidence.boot_id)
        .array(2)
        .uint(0)
        .bytes(&[0; 32])
        .array(2)
        .digest(&Digest::of(&f::leaf().encode()))
        .digest(&Digest::of(b"a leaf that is none"))
        .finish()
}

/// Title, what to know about it, bytes.
fn answers() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let release = release();
    let leaf = f::leaf().encode();
    let delivery = release.delivery();
    let challenge = f::challenge().issue(&f::mac_key());
    let info = delivery_info(&f::verifier(), &release.binding, &Digest::of(&leaf));
    vec![
        ("Root key", "Scalar: 32 bytes `01`. Its SPKI.", f::root().public().to_spki()),
        ("Identity of the verifier", "`h` of that.", f::verifier().0.to_vec()),
        ("Receipt key", "Scalar: 32 bytes `02`. Its point.", f::receipt_key().public().as_bytes().to_vec()),
        ("certified-key", "The receipt key, valid from 1800000000 to 1800001000.", f::certified()),
        ("challenge", "MAC key: 32 bytes `03`; random: 32 bytes `05`.", challenge.clone()),
        ("h(challenge)", "", Digest::of(&challenge).0.to_vec()),
        ("Workload key", "`DeriveKeyPair` of 32 bytes `11`. Its point.", f::workload_key().as_bytes().to_vec()),
        ("pod-set", "", f::pod_set().encode()),
        ("leaf", "Salt: 32 bytes `04`. Spec and token are among the attachments of the exchange below.", leaf.clone()),
        ("h(leaf)", "", Digest::of(&leaf).0.to_vec()),
        ("evidence", "", f::evidence().encode()),
        ("pod-log", "Seven records: one of each event, and the start of the sandbox. They begin on 32 zero bytes.", f::pod_log().0),
        ("PCR 13", "After these, and the head of their chain.", f::pod_log().1.head.0.to_vec()),
        ("evidence, with a pod log", "The same node, were it to keep that log.", f::evidence_with_pod_log().encode()),
        ("evidence, of other hardware", "Every part that there is besides; no profile has all of them.", f::hardware_evidence().encode()),
        ("pod-log, of a TD", "Two records: began, and an interruption. They begin on 48 zero bytes.", f::pod_log_of_td().0),
        ("RTMR3", "After these.", f::pod_log_of_td().1.register().as_ref().to_vec()),
        ("Head of its chain", "After these.", f::pod_log_of_td().1.head().head.0.to_vec()),
        ("binding-input", "Its second leaf is the digest of 19 bytes that are no leaf.", binding_input()),
        ("binding", "`h` of that.", release.binding.0.to_vec()),
        ("exchange", "", f::exchange().encode()),
        ("seal-info", "", info),
        ("seal-aad", "", release.context.aad()),
        ("secrets", "Padded.", encode_secrets(&release.files).to_vec()),
        ("Ciphertext", "`ikmE` (RFC 9180, 7.1.3): 32 bytes `22`. Encapsulated key, ciphertext, tag.", release.ciphertext()),
        ("receipt", "", delivery.receipt.clone()),
        ("Signature of the receipt", "", delivery.signature.to_vec()),
        ("delivery", "", delivery.encode()),
        ("exchange-reply", "The next challenge has 32 bytes `06` as random.", f::exchange_reply().encode()),
        ("workload-request", "As a frame.", frame(&f::workload_request().encode(), &Limits::DEFAULT).unwrap()),
        ("workload-reply, delivered", "", f::delivered().encode()),
        ("workload-reply, refused", "", f::refused().encode()),
        ("join", "", f::join().encode()),
        ("Activation secret", "For that join, under the MAC key above.", f::activation().secret.unwrap().to_vec()),
        ("join, by evidence", "With that evidence of other hardware.", f::join_by_evidence().encode()),
        ("join-reply", "", f::join_reply().encode()),
        ("activation", "", f::activation().encode()),
        ("activation, by evidence", "", f::activation_by_evidence().encode()),
        ("activation-reply", "", f::activation_reply().encode()),
        ("import-info", "For the secret `payments/db`.", import_info(&f::verifier(), "payments/db")),
    ]
}

fn section() -> String {
    let mut out = String::new();
    for (title, note, bytes) in answers() {
        let hex = hex(&bytes);
        let lines: Vec<&str> = hex.as_bytes().chunks(WIDTH).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let note = if note.is_empty() { String::new() } else { format!(" {note}") };
        out += &format!("\n**{title}**, {} bytes.{note}\n\n```text\n{}\n```\n", bytes.len(), lines.join("\n"));
    }
    out + "\n"
}

#[test]
fn the_document_has_the_known_answers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROTOCOL.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let wanted = section();
    if env::var("PODSEAL_BLESS").is_ok_and(|bless| bless == "1") {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
    } else {
        // Not assert_eq: two sections of hexadecimal tell nobody anything.
        assert!(
            found == wanted,
            "docs/PROTOCOL.md, section 17, is not what the code does: run with PODSEAL_BLESS=1 and read the difference"
        );
    }
}

#[test]
fn the_binding_is_the_documented_hash() {
    assert_eq!(Digest::of(&binding_input()), release().binding);
}

/// Every message that is parsed has its CDDL, its domain and its bytes in the document.
#[test]
fn the_document_names_every_domain() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROTOCOL.md")).unwrap();
    let bytes = answers();
    for codec in codecs::all() {
        assert!(document.contains(&format!("`{}`", codec.domain)), "{} is not in the table of domains", codec.domain);
        assert!(document.contains(&format!("\"{}\"", codec.domain)), "{} has no CDDL", codec.domain);
        let shown =
            |sample: &Vec<u8>| bytes.iter().any(|(_, _, bytes)| bytes.windows(sample.len()).any(|window| window == sample.as_slice()));
        assert!(codec.samples.iter().all(shown), "{} has no known answer", codec.domain);
    }
}
