//! Quotes under keys as given, and under certified ones.

use super::{hex, outcome, verify};
use crate::claims::RootKind;
use crate::report::{Report, Verdict};
use crate::tpm::tests::forge::{AK_TAIL, SIGNING, ak_public, attest, keys, modulus, quote_info, rsa_public, sign, tpm2b, values};
use crate::x509::{Anchor, Roots};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const NONCE: &[u8] = b"fresh";

/// A quote of PCR 0 and 7 with what came along.
struct Site {
    attest: Vec<u8>,
    signature: Vec<u8>,
    public: Vec<u8>,
    pcrs: String,
}

fn spki(key: &RsaKeyPair) -> Vec<u8> {
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    der.as_ref().to_vec()
}

fn site(nonce: &[u8], value: [u8; 32]) -> Site {
    let registers = values(&[(0, value), (7, value)]);
    let attest = crate::tpm::tests::forge::quote(&registers, nonce);
    let signature = sign(&keys()[0], &attest);
    let pcrs = format!(r#"{{"sha256": {{"0": "{0}", "7": "{0}"}}}}"#, hex(&value));
    Site { attest, signature, public: ak_public(&keys()[0]), pcrs }
}

impl Site {
    fn with(&self, more: &[(&str, &[u8])], nonce: Option<&[u8]>, roots: &Roots) -> Report {
        let files: [(&str, &[u8]); 4] =
            [("q", &self.attest), ("s", &self.signature), ("ak", &self.public), ("pcrs.json", self.pcrs.as_bytes())];
        verify(&[&files[..], more].concat(), nonce, roots)
    }

    fn outcome(&self, nonce: Option<&[u8]>) -> (Verdict, Vec<&'static str>) {
        outcome(&self.with(&[], nonce, &Roots::default()))
    }
}

#[test]
fn honest_quote_is_verified_as_far_as_its_key() {
    let site = site(NONCE, [5; 32]);
    assert_eq!(site.outcome(Some(NONCE)), (Verdict::Verified, vec![]));
    assert_eq!(site.outcome(Some(b"other")), (Verdict::Rejected, vec!["quote.qualifying_data"]));
    assert_eq!(site.with(&[], None, &Roots::default()).anchors, ["as given: ak", "as given: pcrs.json"]);
    let alone = verify(&[("q", &site.attest)], None, &Roots::default());
    assert_eq!(alone.verdict, Verdict::Incomplete);
    assert_eq!(alone.missing.iter().map(|missing| missing.part).collect::<Vec<_>>(), ["ak", "pcrs"]);
}

#[test]
fn quote_without_nonce() {
    assert_eq!(site(b"", [5; 32]).outcome(None), (Verdict::Refused, vec!["quote.freshness"]));
}

#[test]
fn quote_of_nothing_measured() {
    assert_eq!(site(NONCE, [0; 32]).outcome(None), (Verdict::Refused, vec!["quote.measured"]));
}

#[test]
fn values_of_other_registers() {
    let mut other = site(NONCE, [5; 32]);
    other.pcrs = other.pcrs.replacen("05", "06", 1);
    assert_eq!(other.outcome(None), (Verdict::Rejected, vec!["quote.pcr_digest"]));
    other.pcrs = other.pcrs.replace("\"7\"", "\"8\"");
    let report = other.with(&[], None, &Roots::default());
    assert_eq!((report.verdict, report.missing[0].part), (Verdict::Incomplete, "pcrs"));
}

/// RSASSA with SHA-1 over a quote whose digest is of the scheme's hash.
#[test]
fn quote_signed_with_sha1() {
    let mut site = site(NONCE, [5; 32]);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &[[5; 32]; 2].concat());
    let info = [&[0, 0, 0, 1, 0, 0x0b, 3, 0x81, 0, 0][..], &tpm2b(digest.as_ref())].concat();
    site.attest = attest(0xff54_4347, 0x8018, NONCE, &info);
    site.signature = [&[0, 0x14, 0, 4][..], &tpm2b(&sha1_signature(&site.attest))].concat();
    assert_eq!(site.outcome(None), (Verdict::Refused, vec!["quote.hash"]));
}

/// The library signs with SHA-1 no more: RFC 8017, 8.2.1, by the private exponent.
fn sha1_signature(message: &[u8]) -> Vec<u8> {
    use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
    use crypto_bigint::{BoxedUint, Odd};
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, message);
    let head = [0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 0x14];
    let mut encoded = vec![0xff; 256];
    (encoded[0], encoded[1], encoded[220]) = (0, 1, 0);
    encoded[221..236].copy_from_slice(&head);
    encoded[236..].copy_from_slice(digest.as_ref());
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, 2048).unwrap();
    let (n, d) = private_numbers(&keys()[0]);
    let parameters = BoxedMontyParams::new(Odd::new(number(&n)).unwrap());
    let power = BoxedMontyForm::new(number(&encoded), &parameters).pow(&number(&d)).retrieve();
    power.to_be_bytes().to_vec()
}

/// Modulus and private exponent out of PKCS #8 (RFC 8017, A.1.2): the second and the fourth integer.
fn private_numbers(key: &RsaKeyPair) -> (Vec<u8>, Vec<u8>) {
    use aws_lc_rs::encoding::Pkcs8V1Der;
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let der = der.as_ref();
    let start = der.windows(4).rposition(|window| window == [2, 1, 0, 2]).unwrap() + 3;
    let mut rest = &der[start..];
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let (head, length) = match rest[1] {
            0x82 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
            0x81 => (3, usize::from(rest[2])),
            short => (2, usize::from(short)),
        };
        numbers.push(rest[head..head + length].to_vec());
        rest = &rest[head + length..];
    }
    let plain = |number: &[u8]| number.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<_>>();
    (plain(&numbers[0]), plain(&numbers[2]))
}

#[test]
fn another_keys_signature() {
    let mut site = site(NONCE, [5; 32]);
    site.signature = sign(&keys()[1], &site.attest);
    assert_eq!(site.outcome(None), (Verdict::Rejected, vec!["quote.signature"]));
}

#[test]
fn key_that_signs_anything() {
    let mut site = site(NONCE, [5; 32]);
    for (bit, rule) in
        [(1 << 16, "ak.restricted"), (1 << 1, "ak.fixed_tpm"), (1 << 4, "ak.fixed_parent"), (1 << 5, "ak.sensitive_data_origin")]
    {
        site.public = rsa_public(0x0b, SIGNING & !bit, AK_TAIL, &modulus(keys()[0].public_key().as_ref()));
        assert_eq!(site.outcome(None), (Verdict::Refused, vec![rule]));
    }
    site.public = rsa_public(0x0b, SIGNING | 1 << 17, AK_TAIL, &modulus(keys()[0].public_key().as_ref()));
    assert_eq!(site.outcome(None), (Verdict::Refused, vec!["ak.not_decrypt"]));
    site.public = rsa_public(0x0b, SIGNING & !(1 << 18), AK_TAIL, &modulus(keys()[0].public_key().as_ref()));
    assert_eq!(site.outcome(None), (Verdict::Refused, vec!["ak.sign"]));
}

#[test]
fn two_keys() {
    let site = site(NONCE, [5; 32]);
    let with = |key: &[u8]| outcome(&site.with(&[("ak_pub.der", key)], None, &Roots::default()));
    assert_eq!(with(&spki(&keys()[0])), (Verdict::Verified, vec![]));
    assert_eq!(with(&spki(&keys()[1])), (Verdict::Rejected, vec!["quote.one_key"]));
}

#[test]
fn two_bare_keys() {
    let site = site(NONCE, [5; 32]);
    let with = |names: [&str; 2], second: &RsaKeyPair| {
        let keys = [spki(&keys()[0]), spki(second)];
        let files: [(&str, &[u8]); 5] =
            [("q", &site.attest), ("s", &site.signature), (names[0], &keys[0]), (names[1], &keys[1]), ("pcrs.json", site.pcrs.as_bytes())];
        outcome(&verify(&files, None, &Roots::default()))
    };
    assert_eq!(with(["ak_one", "ak_two"], &keys()[0]), (Verdict::Verified, vec![]));
    assert_eq!(with(["ak_one", "ak_two"], &keys()[1]), (Verdict::Rejected, vec!["quote.one_key"]));
    assert_eq!(with(["one", "two"], &keys()[1]), (Verdict::Rejected, vec!["quote.one_key"]));
    assert_eq!(with(["ak", "two"], &keys()[1]), (Verdict::Verified, vec![]), "the name says which one is the AK's");
}

#[test]
fn creation_of_another_key() {
    let site = site(NONCE, [5; 32]);
    let certify = |name: &[u8], by: &RsaKeyPair| {
        let attest = attest(0xff54_4347, 0x801a, b"", &[tpm2b(name), tpm2b(&[7; 32])].concat());
        let signature = sign(by, &attest);
        let files: [(&str, &[u8]); 3] = [("ak_creation.attest", &attest), ("ak_creation.sig", &signature), ("quote.sig", &site.signature)];
        outcome(&site.with(&files, None, &Roots::default()))
    };
    let name = |public: &[u8]| crate::tpm::structures::Public::parse(public).unwrap().name().as_ref().to_vec();
    let (own, other) = (name(&site.public), name(&ak_public(&keys()[1])));
    assert_eq!(certify(&own, &keys()[0]), (Verdict::Verified, vec![]));
    assert_eq!(certify(&other, &keys()[0]), (Verdict::Rejected, vec!["quote.ak_creation"]));
    assert_eq!(certify(&own, &keys()[1]), (Verdict::Rejected, vec!["quote.ak_creation", "quote.signatures"]));
}

/// A key that rcgen can have certified: whose public half it is given.
pub(super) struct Certified(pub(super) Vec<u8>);

impl rcgen::PublicKeyData for Certified {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

#[test]
fn certificate_of_the_key() {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let of = |key: &RsaKeyPair| {
        CertificateParams::default().signed_by(&Certified(key.public_key().as_ref().to_vec()), &root).unwrap().der().to_vec()
    };
    let roots = Roots::new(vec![Anchor::of_certificate("maker".into(), RootKind::Test, root.der()).unwrap()]).unwrap();
    let site = site(NONCE, [5; 32]);
    let with = |key: &RsaKeyPair, roots: &Roots| site.with(&[("1", &of(key)), ("2", root.der())], None, roots);
    let certified = with(&keys()[0], &roots);
    assert_eq!(
        (certified.verdict, certified.anchors),
        (Verdict::Verified, vec!["maker (test)".to_owned(), "as given: pcrs.json".to_owned()])
    );
    assert_eq!(outcome(&with(&keys()[1], &roots)), (Verdict::Rejected, vec!["quote.ak_certificate"]));
    assert_eq!(outcome(&with(&keys()[0], &Roots::default())), (Verdict::Rejected, vec!["quote.ak_certificate"]));
    // The certificate instead of the key.
    let files: [(&str, &[u8]); 5] =
        [("q", &site.attest), ("s", &site.signature), ("1", &of(&keys()[0])), ("2", root.der()), ("pcrs.json", site.pcrs.as_bytes())];
    assert_eq!(outcome(&verify(&files, None, &roots)), (Verdict::Verified, vec![]));
    assert_eq!(outcome(&verify(&files[..3], None, &roots)).0, Verdict::Incomplete);
}

#[test]
fn signature_without_structure() {
    let mut site = site(NONCE, [5; 32]);
    let mut raw = vec![0; 256];
    keys()[0].sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &site.attest, &mut raw).unwrap();
    site.signature = raw;
    assert_eq!(site.outcome(None), (Verdict::Verified, vec![]));
}

#[test]
fn no_register_is_no_quote_of_any() {
    let mut site = site(NONCE, [5; 32]);
    site.attest = attest(0xff54_4347, 0x8018, NONCE, &quote_info(&[(0x0b, 0)], &[[0_u8; 0]; 0]));
    site.signature = sign(&keys()[0], &site.attest);
    assert_eq!(site.outcome(None), (Verdict::Refused, vec!["quote.measured"]));
    let without_values = verify(&[("q", &site.attest), ("s", &site.signature), ("ak", &site.public)], None, &Roots::default());
    assert_eq!(outcome(&without_values), (Verdict::Incomplete, vec!["quote.measured"]));
}

#[test]
fn signature_of_something_else() {
    let site = site(NONCE, [5; 32]);
    let other = sign(&keys()[0], b"something else");
    let report = site.with(&[("quote.sig", &site.signature), ("other", &other)], None, &Roots::default());
    assert_eq!(outcome(&report), (Verdict::Rejected, vec!["quote.signatures"]));
}

#[test]
fn log_that_no_quoted_register_proves() {
    let site = site(NONCE, [5; 32]);
    let event = |pcr: u8| [&[pcr, 0, 0, 0][..], &[1, 0, 0, 0], &[7; 20], &[0; 4]].concat();
    // SHA-1 digests alone beside a quote of the SHA-256 bank.
    assert_eq!(outcome(&site.with(&[("log", &event(0))], None, &Roots::default())), (Verdict::Rejected, vec!["log.replays"]));
    let registers = values(&[(16, [5; 32])]);
    let attest = crate::tpm::tests::forge::quote(&registers, NONCE);
    let signature = sign(&keys()[0], &attest);
    let pcrs = format!(r#"{{"sha256": {{"16": "{}"}}}}"#, hex(&[5; 32]));
    let debug = Site { attest, signature, public: site.public.clone(), pcrs };
    let report = debug.with(&[("log", &event(0))], None, &Roots::default());
    assert_eq!((report.verdict, report.missing[0].part), (Verdict::Incomplete, "quote of the boot"));
}

#[test]
fn log_of_another_boot() {
    let extended = [[0; 20], [7; 20]].concat();
    let value = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &extended);
    let mut site = site(NONCE, [5; 32]);
    site.attest = attest(0xff54_4347, 0x8018, NONCE, &quote_info(&[(4, 1)], &[value]));
    site.signature = sign(&keys()[0], &site.attest);
    site.pcrs = format!(r#"{{"sha1": {{"0": "{}"}}}}"#, hex(value.as_ref()));
    let with = |measured: u8| {
        let event = [&[0; 4][..], &[1, 0, 0, 0], &[measured; 20], &[0; 4]].concat();
        outcome(&site.with(&[("log", &event)], None, &Roots::default()))
    };
    assert_eq!(with(7), (Verdict::Verified, vec![]));
    assert_eq!(with(8), (Verdict::Rejected, vec!["log.replays"]));
}

#[test]
fn values_of_two_files() {
    let mut site = site(NONCE, [5; 32]);
    site.pcrs = format!(r#"{{"sha256": {{"0": "{}"}}}}"#, hex(&[5; 32]));
    let more = |index: u8, value: u8| {
        let text = format!(r#"{{"sha256": {{"{index}": "{}"}}}}"#, hex(&[value; 32]));
        site.with(&[("more", text.as_bytes())], None, &Roots::default())
    };
    assert_eq!(outcome(&more(7, 5)), (Verdict::Verified, vec![]));
    assert_eq!(outcome(&more(0, 6)), (Verdict::Rejected, vec!["report.one_of_each"]));
    // What the quote is not about is no claim.
    let text = format!(r#"{{"sha256": {{"7": "{0}", "9": "{0}"}}}}"#, hex(&[5; 32]));
    let report = site.with(&[("more", text.as_bytes())], None, &Roots::default());
    assert_eq!(report.claims["pcrs"]["sha256"].as_object().unwrap().keys().collect::<Vec<_>>(), ["0", "7"]);
}

#[test]
fn nonce_file_that_is_no_nonce() {
    let site = site(NONCE, [5; 32]);
    let with = |name: &str, text: &[u8]| site.with(&[(name, text)], None, &Roots::default()).verdict;
    assert_eq!(with("nonce.hex", hex(NONCE).as_bytes()), Verdict::Verified);
    assert_eq!(with("nonce.txt", b""), Verdict::Rejected, "an empty one is that of a quote without qualifying data");
    for (name, text) in [("nonce.hex", &b"fresh"[..]), ("nonce.txt", b"666"), ("nonce", b"\xff\xfe")] {
        assert_eq!(with(name, text), Verdict::Malformed, "{name}");
    }
}
