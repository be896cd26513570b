//! Reports, certificates and lists as AMD's parts make them, written byte by byte; keys made here.

use crate::check::{Checks, Verdict};
use crate::claims::RootKind;
use crate::snp::{Evidence, Facts, RULES, Report, Revocation, Trust, Unproven, appraise_report};
use crate::x509::{Anchor, Roots, parse};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PSS_SHA384, RsaKeyPair};
use std::sync::OnceLock;

/// 2026-01-01.
pub(crate) const NOW: u64 = 1_767_225_600;
pub(crate) const CHIP: [u8; 64] = [0xc1; 64];
pub(crate) const TCB: [u8; 8] = [4, 0, 0, 0, 0, 0, 24, 219];

/// Keys of an ARK, an ASK and an ASVK, and of nobody whom AMD knows.
pub(crate) struct Authorities {
    pub(crate) ark: RsaKeyPair,
    pub(crate) ask: RsaKeyPair,
    pub(crate) other: RsaKeyPair,
}

pub(crate) fn authorities() -> &'static Authorities {
    static KEYS: OnceLock<Authorities> = OnceLock::new();
    let key = || RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    KEYS.get_or_init(|| Authorities { ark: key(), ask: key(), other: key() })
}

/// The keys of a chip and of another.
pub(crate) fn chips() -> &'static [EcdsaKeyPair; 2] {
    static KEYS: OnceLock<[EcdsaKeyPair; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [(); 2].map(|()| EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()))
}

pub(crate) fn spki<K: AsDer<PublicKeyX509Der<'static>>>(key: &K) -> Vec<u8> {
    key.as_der().unwrap().as_ref().to_vec()
}

pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = match value.len() {
        short @ 0..=0x7f => vec![u8::try_from(short).unwrap()],
        byte @ 0x80..=0xff => vec![0x81, u8::try_from(byte).unwrap()],
        long => [&[0x82][..], &u16::try_from(long).unwrap().to_be_bytes()].concat(),
    };
    [&[tag][..], &length, &value].concat()
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[&tlv(6, &[&[0x55, 4, 3]]), &tlv(0x0c, &[common_name.as_bytes()])]);
    sequence(&[&tlv(0x31, &[&attribute])])
}

/// RSASSA-PSS with SHA-384, MGF1 with SHA-384, salt of 48 bytes.
fn pss() -> Vec<u8> {
    let sha384 = sequence(&[&tlv(6, &[&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2]]), &[5, 0]]);
    let mgf1 = sequence(&[&tlv(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8]]), &sha384]);
    let parameters = sequence(&[&tlv(0xa0, &[&sha384]), &tlv(0xa1, &[&mgf1]), &tlv(0xa2, &[&[2, 1, 48]])]);
    sequence(&[&tlv(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]]), &parameters])
}

fn signed(key: &RsaKeyPair, tbs: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PSS_SHA384, &SystemRandom::new(), tbs, &mut signature).unwrap();
    sequence(&[tbs, &pss(), &tlv(3, &[&[0], &signature])])
}

fn times(from: &str, until: &str) -> Vec<u8> {
    sequence(&[&tlv(0x17, &[from.as_bytes()]), &tlv(0x17, &[until.as_bytes()])])
}

/// What a certificate says.
#[derive(Clone)]
pub(crate) struct Certificate<'k> {
    pub(crate) subject: &'k str,
    pub(crate) issuer: &'k str,
    pub(crate) serial: u8,
    pub(crate) spki: Vec<u8>,
    /// Object identifier and value, both DER contents.
    pub(crate) extensions: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) until: &'k str,
}

impl Certificate<'_> {
    pub(crate) fn issue(&self, key: &RsaKeyPair) -> Vec<u8> {
        let extension = |(oid, value): &(Vec<u8>, Vec<u8>)| sequence(&[&tlv(6, &[oid]), &tlv(4, &[value])]);
        let extensions = self.extensions.iter().flat_map(extension).collect::<Vec<_>>();
        let tbs = sequence(&[
            &tlv(0xa0, &[&[2, 1, 2]]),
            &tlv(2, &[&[self.serial]]),
            &pss(),
            &name(self.issuer),
            &times("240101000000Z", self.until),
            &name(self.subject),
            &self.spki,
            &tlv(0xa3, &[&sequence(&[&extensions])]),
        ]);
        signed(key, &tbs)
    }
}

/// 1.3.6.1.4.1.3704.1 and what follows.
pub(crate) fn amd(rest: &[u8]) -> Vec<u8> {
    [&[0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1][..], rest].concat()
}

fn integer(number: u8) -> Vec<u8> {
    if number < 0x80 { vec![2, 1, number] } else { vec![2, 2, 0, number] }
}

fn authority<'k>(subject: &'k str, issuer: &'k str, serial: u8, key: &RsaKeyPair) -> Certificate<'k> {
    let constraints = (vec![0x55, 0x1d, 0x13], vec![0x30, 3, 1, 1, 0xff]);
    Certificate { subject, issuer, serial, spki: spki(key.public_key()), extensions: vec![constraints], until: "450101000000Z" }
}

pub(crate) fn ark() -> Certificate<'static> {
    authority("ARK-Milan", "ARK-Milan", 1, &authorities().ark)
}

pub(crate) fn ask() -> Certificate<'static> {
    authority("SEV-Milan", "ARK-Milan", 2, &authorities().ask)
}

/// A VCEK's certificate for this chip and TCB, laid out as on Milan.
pub(crate) fn vcek(key: &EcdsaKeyPair, product: &str, hwid: &[u8], tcb: [u8; 8]) -> Certificate<'static> {
    let mut certificate = vek("SEV-VCEK", key, product, tcb);
    certificate.extensions.push((amd(&[4]), hwid.to_vec()));
    certificate
}

/// A VLEK's certificate.
pub(crate) fn vlek(key: &EcdsaKeyPair, product: &str, tcb: [u8; 8]) -> Certificate<'static> {
    let mut certificate = vek("SEV-VLEK", key, product, tcb);
    certificate.extensions.push((amd(&[5]), tlv(0x16, &[b"CN=cloud.example"])));
    certificate
}

fn vek(subject: &'static str, key: &EcdsaKeyPair, product: &str, tcb: [u8; 8]) -> Certificate<'static> {
    let mut extensions = vec![(amd(&[1]), integer(0)), (amd(&[2]), tlv(0x16, &[product.as_bytes()]))];
    let numbers = if product.starts_with("Turin") {
        [(9, tcb[0]), (1, tcb[1]), (2, tcb[2]), (3, tcb[3]), (8, tcb[7])]
    } else {
        [(1, tcb[0]), (2, tcb[1]), (3, tcb[6]), (8, tcb[7]), (4, 0)]
    };
    extensions.extend(numbers.map(|(part, number)| (amd(&[3, part]), integer(number))));
    let issuer = match (subject, product.split('-').next()) {
        ("SEV-VLEK", _) => "SEV-VLEK-Milan",
        (_, Some("Genoa")) => "SEV-Genoa",
        (_, Some("Turin")) => "SEV-Turin",
        _ => "SEV-Milan",
    };
    Certificate { subject, issuer, serial: 0, spki: spki(key.public_key()), extensions, until: "310101000000Z" }
}

/// A revocation list of this authority over these serial numbers; without an end where `until` is empty.
pub(crate) fn crl(key: &RsaKeyPair, issuer: &str, number: Option<u8>, until: &str, revoked: &[u8]) -> Vec<u8> {
    let from = tlv(0x17, &[b"250101000000Z"]);
    let entries = revoked.iter().flat_map(|serial| sequence(&[&[2, 1, *serial], &from])).collect::<Vec<_>>();
    let number = number.map(|number| sequence(&[&tlv(6, &[&[0x55, 0x1d, 0x14]]), &tlv(4, &[&[2, 1, number]])])).unwrap_or_default();
    crl_of(key, issuer, until, &entries, &number)
}

/// The same of entries and extensions as they stand.
pub(crate) fn crl_of(key: &RsaKeyPair, issuer: &str, until: &str, entries: &[u8], number: &[u8]) -> Vec<u8> {
    let from = tlv(0x17, &[b"250101000000Z"]);
    let entries = if entries.is_empty() { Vec::new() } else { sequence(&[entries]) };
    let extensions = if number.is_empty() { Vec::new() } else { tlv(0xa0, &[&sequence(&[number])]) };
    let until = if until.is_empty() { Vec::new() } else { tlv(0x17, &[until.as_bytes()]) };
    signed(key, &sequence(&[&[2, 1, 1], &pss(), &name(issuer), &from, &until, &entries, &extensions]))
}

/// A report of version 3 on a Milan, with these fields over others that are honest; signed by `key`.
pub(crate) fn report(key: &EcdsaKeyPair, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 0x4a0];
    let honest: [(usize, &[u8]); 14] = [
        (0x00, &[3]),
        (0x04, &[7]),
        (0x08, &[0x1f, 0, 3]),
        (0x34, &[1]),
        (0x38, &TCB),
        (0x40, &[0x25]),
        (0x50, &[0xda; 64]),
        (0x90, &[0x3e; 48]),
        (0xe0, &[0x1d; 48]),
        (0x180, &TCB),
        (0x188, &[0x19, 1, 1]),
        (0x1a0, &CHIP),
        (0x1e0, &TCB),
        (0x1f0, &TCB),
    ];
    for (at, field) in honest.iter().chain(fields) {
        bytes[*at..at + field.len()].copy_from_slice(field);
    }
    sign(key, &mut bytes);
    bytes
}

pub(crate) fn sign(key: &EcdsaKeyPair, bytes: &mut [u8]) {
    let signature = key.sign(&SystemRandom::new(), &bytes[..0x2a0]).unwrap();
    for (at, number) in [0x2a0, 0x2e8].into_iter().zip(signature.as_ref().chunks(48)) {
        let number = number.iter().rev().copied().collect::<Vec<_>>();
        bytes[at..at + 48].copy_from_slice(&number);
    }
}

/// A host's table with these entries, all as a VCEK's certificate.
pub(crate) fn table(entries: &[&[u8]]) -> Vec<u8> {
    const VCEK: u128 = 0x63da_758d_e664_4564_adc5_f4b9_3be8_accd;
    let mut offset = 24 * (u32::try_from(entries.len()).unwrap() + 1);
    let mut table = Vec::new();
    for entry in entries {
        let length = u32::try_from(entry.len()).unwrap();
        table.extend([&VCEK.to_be_bytes()[..], &offset.to_le_bytes(), &length.to_le_bytes()].concat());
        offset += length;
    }
    table.extend([0; 24]);
    table.extend(entries.concat());
    table
}

/// The roots by which everything here is appraised: the ARK's key, pinned.
pub(crate) fn roots() -> Roots {
    let key = podseal_protocol::Digest::of(&spki(authorities().ark.public_key()));
    let file = format!("[[root]]\nname = \"test ARK\"\nevidence = [\"snp\"]\nkind = \"test\"\nkey_sha256 = \"{key}\"\n");
    Roots::new(Roots::of_file("test", &file).unwrap()).unwrap()
}

/// The same root, configured as its certificate.
pub(crate) fn certified_roots() -> Roots {
    let ark = ark().issue(&authorities().ark);
    Roots::new(vec![Anchor::of_certificate("test ARK".to_owned(), RootKind::Test, &ark).unwrap()]).unwrap()
}

/// The certificates of an honest report: VCEK, ASK, ARK.
pub(crate) fn certificates() -> Vec<Vec<u8>> {
    certificates_under(&vcek(&chips()[0], "Milan-B0", &CHIP, TCB))
}

/// The same for another certificate of the signing key.
pub(crate) fn certificates_under(vek: &Certificate<'_>) -> Vec<Vec<u8>> {
    let root = format!("ARK-{}", vek.issuer.rsplit('-').next().unwrap());
    let ask = Certificate { subject: vek.issuer, issuer: &root, ..ask() };
    let ark = Certificate { subject: &root, issuer: &root, ..ark() };
    vec![vek.issue(&authorities().ask), ask.issue(&authorities().ark), ark.issue(&authorities().ark)]
}

/// One appraisal of a report: what came of it, and the names of the rules that failed.
pub(crate) fn appraise(report: &[u8], certificates: &[Vec<u8>]) -> (Result<Facts, Unproven>, Vec<&'static str>) {
    appraise_with(report, certificates, &roots(), Revocation::default(), Some(&[0xda; 64]))
}

pub(crate) fn appraise_with(
    report: &[u8],
    certificates: &[Vec<u8>],
    roots: &Roots,
    revocation: Revocation<'_>,
    report_data: Option<&[u8]>,
) -> (Result<Facts, Unproven>, Vec<&'static str>) {
    let report = Report::parse(report).unwrap();
    let certificates = certificates.iter().map(|der| parse(der).unwrap()).collect::<Vec<_>>();
    let evidence = Evidence { report: &report, certificates: &certificates, report_data };
    let mut checks = Checks::owing(&RULES);
    let outcome = appraise_report(&evidence, &Trust { roots, now: NOW, revocation }, &mut checks);
    let failed = checks.finish().into_iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name).collect();
    (outcome, failed)
}

/// The facts of a report that has to be honest.
pub(crate) fn facts(fields: &[(usize, &[u8])], certificates: &[Vec<u8>]) -> Facts {
    let (facts, failed) = appraise(&report(&chips()[0], fields), certificates);
    assert_eq!(failed, [""; 0]);
    facts.unwrap()
}

/// The appraisal failed at this rule and no other.
pub(crate) fn refused_at(rule: &str, what: &str, outcome: (Result<Facts, Unproven>, Vec<&'static str>)) {
    assert_eq!(outcome.1, [rule], "{what}");
    assert_eq!(outcome.0.err(), Some(Unproven::Failed), "{what}");
}
