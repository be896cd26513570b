//! Azure confidential VMs: each link of the chain.

use super::quote::Certified;
use super::{hex, outcome, verify};
use crate::report::{Document, Report, Settings, Verdict, appraise};
use crate::snp::tests::forge::{certificates, chips, report, roots, spki};
use crate::tdx::tests::forge as td;
use crate::tpm::tests::forge::{keys, quote, values};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use sha2::{Digest as _, Sha256};

/// The JSON with these keys, all of them RSA keys with exponent 65537.
fn document(named: &[(&str, &RsaKeyPair)]) -> String {
    let key = |(kid, key): &(&str, &RsaKeyPair)| {
        let modulus = crate::tpm::tests::forge::modulus(key.public_key().as_ref());
        let n = URL_SAFE_NO_PAD.encode(modulus);
        format!(r#"{{"kid":"{kid}","key_ops":["sign"],"kty":"RSA","e":"AQAB","n":"{n}"}}"#)
    };
    let keys = named.iter().map(key).collect::<Vec<_>>().join(",");
    format!(r#"{{"keys":[{keys}],"vm-configuration":{{"secure-boot":true,"vmUniqueId":"A"}},"user-data":"00"}}"#)
}

/// The lengths that header and runtime data tell: with what stands before, without what fills the end.
fn sizes(document: &str) -> [[u8; 4]; 2] {
    [32 + 1184 + 20, 20].map(|before| u32::try_from(before + document.len()).unwrap().to_le_bytes())
}

/// NV index 0x01400001 of a VM whose hardware reported over `over`.
pub(crate) fn hcl(document: &str, over: &str, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let digest = [Sha256::digest(over).as_slice(), &[0; 32]].concat();
    let report = report(&chips()[0], &[&[(0x50, digest.as_slice())], fields].concat());
    let length = u32::try_from(document.len()).unwrap().to_le_bytes();
    let [size, runtime] = sizes(document);
    let head = [b"HCLA".as_slice(), &[1, 0, 0, 0], &size, &[2, 0, 0, 0], &[0; 16]].concat();
    let runtime = [&runtime[..], &[1, 0, 0, 0], &[2, 0, 0, 0], &[1, 0, 0, 0], &length, document.as_bytes()].concat();
    [head, report, runtime, vec![0; 100]].concat()
}

struct Vm {
    hcl: Vec<u8>,
    attest: Vec<u8>,
    signature: Vec<u8>,
    pcrs: String,
}

fn vm(hcl: Vec<u8>, signer: &RsaKeyPair) -> Vm {
    let attest = quote(&values(&[(0, [5; 32])]), b"fresh");
    let mut signature = vec![0; 256];
    signer.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &attest, &mut signature).unwrap();
    Vm { hcl, attest, signature, pcrs: format!(r#"{{"0": "{}"}}"#, hex(&[5; 32])) }
}

impl Vm {
    fn with(&self, more: &[(&str, &[u8])], nonce: Option<&[u8]>) -> Report {
        let chain = certificates();
        let files: [(&str, &[u8]); 7] = [
            ("h", &self.hcl),
            ("q", &self.attest),
            ("s", &self.signature),
            ("pcrs.json", self.pcrs.as_bytes()),
            ("a", &chain[0]),
            ("b", &chain[1]),
            ("c", &chain[2]),
        ];
        verify(&[&files[..], more].concat(), nonce, &roots())
    }

    fn outcome(&self) -> (Verdict, Vec<&'static str>) {
        outcome(&self.with(&[], Some(b"fresh")))
    }
}

#[test]
fn honest_vm() {
    let document = document(&[("HCLAkPub", &keys()[0]), ("HCLEkPub", &keys()[1])]);
    let vm = vm(hcl(&document, &document, &[]), &keys()[0]);
    let report = vm.with(&[], Some(b"fresh"));
    assert_eq!((report.verdict, report.anchors), (Verdict::Verified, vec!["test ARK (test)".to_owned()]));
    assert_eq!(report.claims["runtime_data"]["vm-configuration"]["vmUniqueId"], "A");
    assert_eq!(outcome(&vm.with(&[], Some(b"other"))), (Verdict::Rejected, vec!["quote.qualifying_data"]));
    let alone = verify(&[("h", &vm.hcl)], None, &roots());
    assert_eq!(alone.missing.iter().map(|missing| missing.part).collect::<Vec<_>>(), ["vcek", "quote.attest"]);
}

#[test]
fn hcl_json_not_bound() {
    let honest = document(&[("HCLAkPub", &keys()[0])]);
    let forged = document(&[("HCLAkPub", &keys()[1])]);
    let vm = vm(hcl(&forged, &honest, &[]), &keys()[1]);
    assert_eq!(vm.outcome(), (Verdict::Rejected, vec!["azure.runtime_data"]));
}

#[test]
fn runtime_data_given_beside() {
    let [own, other] = [0, 1].map(|key| document(&[("HCLAkPub", &keys()[key])]));
    let vm = vm(hcl(&own, &own, &[]), &keys()[0]);
    let with = |document: &str| outcome(&vm.with(&[("runtime_data.json", document.as_bytes())], Some(b"fresh")));
    assert_eq!(with(&own), (Verdict::Verified, vec![]));
    assert_eq!(with(&other), (Verdict::Rejected, vec!["report.one_of_each"]));
}

#[test]
fn quote_of_another_vm() {
    let document = document(&[("HCLAkPub", &keys()[0])]);
    let vm = vm(hcl(&document, &document, &[]), &keys()[1]);
    assert_eq!(vm.outcome(), (Verdict::Rejected, vec!["quote.signature"]));
}

#[test]
fn two_attestation_keys() {
    let document = document(&[("HCLAkPub", &keys()[0]), ("HCLAkPub", &keys()[1])]);
    let vm = vm(hcl(&document, &document, &[]), &keys()[0]);
    assert_eq!(vm.outcome(), (Verdict::Rejected, vec!["azure.attestation_key"]));
    let twice = document.replace("\"user-data\"", "\"keys\":[],\"user-data\"");
    let vm = super::azure::vm(hcl(&twice, &twice, &[]), &keys()[0]);
    assert_eq!(vm.outcome().0, Verdict::Malformed);
}

#[test]
fn key_given_beside() {
    let document = document(&[("HCLAkPub", &keys()[0])]);
    let vm = vm(hcl(&document, &document, &[]), &keys()[0]);
    let with = |key: &RsaKeyPair| outcome(&vm.with(&[("ak_pub.der", &spki(key.public_key()))], None));
    assert_eq!(with(&keys()[0]), (Verdict::Verified, vec![]));
    assert_eq!(with(&keys()[1]), (Verdict::Rejected, vec!["azure.given_key"]));
}

#[test]
fn certificate_given_beside() {
    let document = document(&[("HCLAkPub", &keys()[0])]);
    let vm = vm(hcl(&document, &document, &[]), &keys()[0]);
    let issuer = CertifiedIssuer::self_signed(CertificateParams::default(), KeyPair::generate().unwrap()).unwrap();
    let with = |key: &RsaKeyPair| {
        let key = Certified(key.public_key().as_ref().to_vec());
        let certificate = CertificateParams::default().signed_by(&key, &issuer).unwrap();
        outcome(&vm.with(&[("ak_cert.der", certificate.der())], None))
    };
    assert_eq!(with(&keys()[0]), (Verdict::Verified, vec![]));
    assert_eq!(with(&keys()[1]), (Verdict::Rejected, vec!["azure.given_key"]));
}

#[test]
fn report_of_a_guest_below_the_paravisor() {
    let document = document(&[("HCLAkPub", &keys()[0])]);
    let vm = vm(hcl(&document, &document, &[(0x30, &[1])]), &keys()[0]);
    assert_eq!(vm.outcome(), (Verdict::Refused, vec!["snp.vmpl"]));
}

/// NV index 0x01400001 of a VM on TDX: a TDREPORT that says this.
fn hcl_of_td(document: &str, over: &str) -> Vec<u8> {
    let mut area = vec![0; 1184];
    area[0x80..0xa0].copy_from_slice(&Sha256::digest(over));
    let length = u32::try_from(document.len()).unwrap().to_le_bytes();
    let [size, runtime] = sizes(document);
    let head = [b"HCLA".as_slice(), &[2, 0, 0, 0], &size, &[2, 0, 0, 0], &[0; 16]].concat();
    let runtime = [&runtime[..], &[1, 0, 0, 0], &[4, 0, 0, 0], &[1, 0, 0, 0], &length, document.as_bytes()].concat();
    [head, area, runtime].concat()
}

/// A VM on TDX whose quote is over `over`.
fn td(hcl: &[u8], over: &str) -> (Verdict, Vec<&'static str>) {
    let mut scene = td::Scene::honest();
    scene.body[td::REPORTDATA..td::REPORTDATA + 64].fill(0);
    scene.body[td::REPORTDATA..td::REPORTDATA + 32].copy_from_slice(&Sha256::digest(over));
    let vm = vm(hcl.to_vec(), &keys()[0]);
    let (quote, info, identity) = (scene.quote(), scene.tcb_info.clone().unwrap(), scene.qe_identity.clone().unwrap());
    let mut files: Vec<(&str, &[u8])> = vec![
        ("h", &vm.hcl),
        ("q", &vm.attest),
        ("s", &vm.signature),
        ("t", &quote),
        ("i", info.as_bytes()),
        ("e", identity.as_bytes()),
        ("pcrs.json", vm.pcrs.as_bytes()),
    ];
    files.extend(scene.beside.iter().chain(&scene.crls).map(|der| ("x", der.as_slice())));
    let documents = files.iter().map(|(name, bytes)| Document { name, bytes }).collect::<Vec<_>>();
    outcome(&appraise(&documents, &Settings { now: td::NOW, nonce: None, roots: &scene.roots() }))
}

#[test]
fn td_quote_of_another_boot() {
    let document = document(&[("HCLAkPub", &keys()[0])]);
    assert_eq!(td(&hcl_of_td(&document, &document), &document), (Verdict::Verified, vec![]));
    assert_eq!(td(&hcl_of_td(&document, "another boot"), &document), (Verdict::Rejected, vec!["azure.one_report"]));
    let forged = td(&hcl_of_td(&document, "another boot"), "another boot");
    assert_eq!(forged, (Verdict::Rejected, vec!["azure.runtime_data"]));
}

#[test]
fn lengths_of_the_runtime_data() {
    let document = document(&[("HCLAkPub", &keys()[0])]);
    for at in [0, 16] {
        let mut hcl = hcl(&document, &document, &[]);
        hcl[32 + 1184 + at] ^= 1;
        assert_eq!(vm(hcl, &keys()[0]).outcome().0, Verdict::Malformed, "{at}");
    }
}

#[test]
fn boot_log_of_another_boot() {
    let document = document(&[("HCLAkPub", &keys()[0])]);
    let mut vm = vm(hcl(&document, &document, &[]), &keys()[0]);
    let log = [&[0; 4][..], &[1, 0, 0, 0], &[7; 20], &[0; 4]].concat();
    assert_eq!(outcome(&vm.with(&[("log", &log)], None)).0, Verdict::Rejected);
    vm.pcrs.clear();
    let report = vm.with(&[("log", &log)], None);
    assert!(report.verdict != Verdict::Verified);
}

#[test]
fn parts_of_a_td_beside_snp() {
    let document = document(&[("HCLAkPub", &keys()[0])]);
    let vm = vm(hcl(&document, &document, &[]), &keys()[0]);
    let scene = td::Scene::honest();
    let (quote, info, identity) = (scene.quote(), scene.tcb_info.clone().unwrap(), scene.qe_identity.clone().unwrap());
    for part in [&quote[..], info.as_bytes(), identity.as_bytes(), &quote[..60]] {
        assert_eq!(outcome(&vm.with(&[("t", part)], None)), (Verdict::Rejected, vec!["report.one_kind"]));
    }
    assert_eq!(outcome(&vm.with(&[("l", &scene.crls[0])], None)), (Verdict::Rejected, vec!["snp.crl"]));
}
