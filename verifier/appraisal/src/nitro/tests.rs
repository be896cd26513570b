//! Each rule of Nitro documents: the honest twin passes, the attack fails at that rule.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod malformed;
pub(crate) mod mint;
mod policy;

use super::rules::{POLICY_RULES, RULES};
use super::{Document, Expected, appraise_document};
use crate::claims::RootKind;
use crate::cose::Sign1;
use crate::cose::tests::{bytes, head, int, map};
use crate::tpm::tests::appraise;
use crate::x509::{self, Anchor, Roots};
use mint::{
    Fields, LEAF, NOW, PROTECTED, ZONE, bundle, crl, document, enclave, honest_leaf, leaf, message, message_by, nitrotpm, p384, payload,
    pki, roots, with,
};
use rcgen::KeyUsagePurpose;

struct Setting<'a> {
    roots: Roots,
    now: u64,
    nonce: Option<&'a [u8]>,
    beside: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
}

fn usual() -> Setting<'static> {
    Setting { roots: roots(&pki()[0]), now: NOW, nonce: None, beside: Vec::new(), lists: Vec::new() }
}

/// The rules that failed; there are facts only where none did.
fn run(bytes: &[u8], setting: &Setting<'_>) -> Vec<&'static str> {
    let message = Sign1::parse(bytes).unwrap();
    let document = Document::parse(&message).unwrap();
    let beside = setting.beside.iter().map(|der| x509::parse(der).unwrap()).collect::<Vec<_>>();
    let lists = setting.lists.iter().map(Vec::as_slice).collect::<Vec<_>>();
    let expected = Expected { roots: &setting.roots, now: setting.now, nonce: setting.nonce, beside: &beside, lists: &lists };
    let (facts, failed) = appraise(&[], |checks| appraise_document(&document, &expected, checks).map(|facts| facts.anchor().name.clone()));
    assert_eq!(facts.is_some(), failed.is_empty());
    failed
}

fn failed(fields: &Fields) -> Vec<&'static str> {
    run(&document(fields), &usual())
}

#[test]
fn honest_documents_pass() {
    for fields in [enclave(), nitrotpm()] {
        assert_eq!(failed(&fields), [""; 0]);
        assert_eq!(run(&[&[0xd2], &document(&fields)[..]].concat(), &usual()), [""; 0]);
        let setting = Setting { nonce: Some(b"nonce"), beside: vec![pki()[0].root.der().to_vec(), honest_leaf()], ..usual() };
        assert_eq!(run(&document(&with(fields, "certificate", bytes(&setting.beside[1]))), &setting), [""; 0]);
    }
}

#[test]
fn rules_are_told_apart() {
    let names = RULES.iter().chain(&POLICY_RULES).map(|rule| rule.name).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(names.len(), RULES.len() + POLICY_RULES.len());
}

#[test]
fn another_header() {
    let honest = payload(&enclave());
    for protected in [&[0xa1, 0x01, 0x26][..], &[0xa0], &[], &[0xa2, 0x01, 0x38, 0x22, 0x04, 0x41, 0x01]] {
        assert_eq!(run(&message(protected, &map(&[]), &honest), &usual()), ["nitro.headers"], "{protected:02x?}");
    }
    let unsigned = map(&[(int(4), bytes(b"key"))]);
    assert_eq!(run(&message(&PROTECTED, &unsigned, &honest), &usual()), ["nitro.headers"]);
}

#[test]
fn another_signature() {
    let honest = document(&enclave());
    for place in [1, 48, 96] {
        let mut flipped = honest.clone();
        let at = flipped.len() - place;
        flipped[at] ^= 1;
        assert_eq!(run(&flipped, &usual()), ["nitro.signature"]);
    }
    assert_eq!(run(&message_by(&p384(), &PROTECTED, &map(&[]), &payload(&enclave())), &usual()), ["nitro.signature"]);
    let longer = [&honest[..honest.len() - 98], &bytes(&[1; 97])].concat();
    assert_eq!(run(&longer, &usual()), ["nitro.signature"]);
    let none = run(&document(&with(enclave(), "certificate", bytes(b"no certificate"))), &usual());
    assert_eq!(none, ["nitro.signature"]);
}

/// Every bit of the payload and of the signed header: none is taken for what was signed.
#[test]
fn flipped_bits() {
    let honest = document(&enclave());
    for bit in (0..8 * honest.len()).step_by(37) {
        let mut flipped = honest.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let parsed = Sign1::parse(&flipped);
        if parsed.as_ref().is_ok_and(|message| Document::parse(message).is_ok()) {
            assert_ne!(run(&flipped, &usual()), [""; 0], "bit {bit}");
        }
    }
}

#[test]
fn leaf_that_is_not_for_signatures() {
    for usages in [&[][..], &[KeyUsagePurpose::KeyAgreement]] {
        assert_eq!(failed(&with(enclave(), "certificate", bytes(&leaf(usages)))), ["nitro.key_usage"]);
    }
}

#[test]
fn nitro_leaf_expired() {
    // Stamped in the first second of its certificate.
    let honest = document(&with(enclave(), "timestamp", head(0, (NOW - 3_600) * 1000)));
    for now in [NOW + 86_400, NOW - 3_601] {
        assert_eq!(run(&honest, &Setting { now, ..usual() }), ["nitro.chain"]);
    }
}

#[test]
fn nitro_root_other() {
    let honest = document(&enclave());
    for roots in [roots(&pki()[1]), Roots::shipped(), Roots::default()] {
        assert_eq!(run(&honest, &Setting { roots, ..usual() }), ["nitro.chain"]);
    }
}

#[test]
fn certificate_decoys() {
    let [ours, others] = pki();
    let (root, zone, decoy) = (ours.root.der().as_ref(), ours.zone.der().as_ref(), others.zone.der().as_ref());
    let cabundles: [&[&[u8]]; 8] = [
        &[zone, root],
        &[root, zone, decoy],
        &[root, decoy, zone],
        &[decoy, root, zone],
        &[others.root.der(), zone],
        &[root, root, zone],
        &[root],
        &[root, b"no certificate", zone],
    ];
    for cabundle in cabundles {
        assert_eq!(failed(&with(enclave(), "cabundle", bundle(cabundle))), ["nitro.chain"]);
    }
    assert_eq!(failed(&with(enclave(), "cabundle", bundle(&[decoy; 17]))), ["nitro.chain"]);
    // The root that is configured by its certificate need not come along.
    assert_eq!(failed(&with(enclave(), "cabundle", bundle(&[zone]))), [""; 0]);
}

#[test]
fn certificates_beside_that_are_none_of_the_path() {
    let honest = document(&enclave());
    let mut flipped = pki()[0].root.der().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    for beside in [flipped, pki()[1].root.der().to_vec(), pki()[1].zone.der().to_vec()] {
        let setting = Setting { beside: vec![pki()[0].root.der().to_vec(), beside], ..usual() };
        assert_eq!(run(&honest, &setting), ["nitro.certificates_beside"]);
    }
}

/// Whoever trusts a zone trusts it without the root above, which is in every bundle.
#[test]
fn root_that_is_an_intermediate() {
    let [ours, others] = pki();
    let zone = || Roots::new(vec![Anchor::of_certificate("zone".into(), RootKind::Test, ours.zone.der()).unwrap()]).unwrap();
    let (root, middle) = (ours.root.der().to_vec(), ours.zone.der().to_vec());
    for cabundle in [vec![&root[..], &middle], vec![&middle]] {
        for beside in [vec![], vec![root.clone()], vec![middle.clone(), root.clone()]] {
            let document = document(&with(enclave(), "cabundle", bundle(&cabundle)));
            assert_eq!(run(&document, &Setting { roots: zone(), beside, ..usual() }), [""; 0]);
        }
    }
    let strange = document(&with(enclave(), "cabundle", bundle(&[others.root.der(), &middle])));
    assert_eq!(run(&strange, &Setting { roots: zone(), ..usual() }), ["nitro.chain"]);
    let beside = vec![others.root.der().to_vec()];
    assert_eq!(run(&document(&enclave()), &Setting { roots: zone(), beside, ..usual() }), ["nitro.certificates_beside"]);
}

#[test]
fn revocation_lists_beside() {
    let [ours, others] = pki();
    let with = |lists: Vec<Vec<u8>>| run(&document(&enclave()), &Setting { lists, ..usual() });
    assert_eq!(with(vec![crl(&ours.root, 12, &[9]), crl(&ours.zone, 12, &[9])]), [""; 0]);
    assert_eq!(with(vec![crl(&ours.zone, 12, &[9]), crl(&others.zone, 12, &[])]), ["nitro.crl"], "another key's");
    assert_eq!(with(vec![crl(&ours.zone, 5, &[])]), ["nitro.crl"], "out of date");
    assert_eq!(with(vec![crl(&ours.zone, 12, &[LEAF])]), ["nitro.revoked"]);
    assert_eq!(with(vec![crl(&ours.root, 12, &[ZONE])]), ["nitro.revoked"]);
    assert_eq!(with(vec![crl(&ours.root, 12, &[LEAF])]), [""; 0], "the same number of another authority's");
}

#[test]
fn stamped_outside_of_the_leafs_life() {
    let day = 86_400_000;
    for timestamp in [NOW * 1000 + day, NOW * 1000 + 301_000, NOW * 1000 - day, 1, u64::MAX] {
        assert_eq!(failed(&with(enclave(), "timestamp", head(0, timestamp))), ["nitro.timestamp"], "{timestamp}");
    }
}

#[test]
fn report_data_differs() {
    let setting = Setting { nonce: Some(b"nonce"), ..usual() };
    let elsewhere = with(with(enclave(), "nonce", bytes(b"other")), "user_data", bytes(b"nonce"));
    for fields in [elsewhere, with(enclave(), "nonce", vec![0xf6]), with(enclave(), "nonce", bytes(b""))] {
        assert_eq!(run(&document(&fields), &setting), ["nitro.nonce"]);
    }
}
