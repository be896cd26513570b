//! Azure's VMs on SEV-SNP: each link from the hardware's report to the quote.

use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use podseal_protocol::{Digest, Profile, binding::report_data, evidence::Part};

use super::{Held, binding, guest::of_amd, key};
use crate::{
    claims::Memory,
    hex,
    machine::{Hardware, QUOTED_REGISTERS},
    report::tests::azure::hcl,
    snp::tests::forge as snp,
    tpm::{
        structures::Public,
        tests::forge::{ak_public, attest, keys, modulus, quote, sign, tpm2b, values},
    },
};

const GENERATED: u32 = 0xff54_4347;
const CERTIFY: u16 = 0x8017;

/// The HCL's key is the first, the node's the second.
fn hcl_key() -> &'static RsaKeyPair {
    &keys()[0]
}

fn document(key: &RsaKeyPair, vm: &str, over: &[u8]) -> String {
    let n = URL_SAFE_NO_PAD.encode(modulus(key.public_key().as_ref()));
    let key = format!(r#"{{"kid":"HCLAkPub","kty":"RSA","e":"AQAB","n":"{n}"}}"#);
    format!(r#"{{"keys":[{key}],"vm-configuration":{{"vmUniqueId":"{vm}"}},"user-data":"{}"}}"#, hex::encode(over).to_uppercase())
}

fn fresh() -> [u8; 64] {
    report_data(&binding(), Profile::AzureSnp)
}

fn report(document: &str) -> Part {
    Part::HclReport(hcl(document, document, &[]))
}

fn quoted(by: &RsaKeyPair) -> Part {
    let pcrs: Vec<(u8, [u8; 32])> = QUOTED_REGISTERS.iter().map(|index| (*index, [*index; 32])).collect();
    let attest = quote(&values(&pcrs), binding().as_ref());
    let signature = sign(by, &attest);
    Part::TpmQuote { attest, signature, pcrs: pcrs.into_iter().map(|(index, value)| (index, Digest(value))).collect() }
}

fn name(of: &RsaKeyPair) -> Vec<u8> {
    Public::parse(&ak_public(of)).unwrap().name().as_ref().to_vec()
}

fn certified(of: &RsaKeyPair, by: &RsaKeyPair, over: &[u8]) -> Part {
    let attest = attest(GENERATED, CERTIFY, over, &[tpm2b(&name(of)), tpm2b(&[0x0b; 34])].concat());
    Part::AkCertification { signature: sign(by, &attest), attest }
}

fn vm() -> Held {
    Held {
        profile: Profile::AzureSnp,
        key: key(Profile::AzureSnp, &ak_public(&keys()[1])),
        machine: None,
        report: None,
        hardware: Hardware::of_roots(snp::roots()),
        endorsements: of_amd(),
        now: snp::NOW,
    }
}

fn parts() -> Vec<Part> {
    vec![quoted(&keys()[1]), report(&document(hcl_key(), "A", &fresh())), certified(&keys()[1], hcl_key(), binding().as_ref())]
}

fn with(at: usize, part: Part) -> Vec<Part> {
    let mut parts = parts();
    parts[at] = part;
    parts
}

#[test]
fn honest_vm() {
    let machine = vm().proves(parts());
    assert_eq!((machine.memory, machine.tpm_in_tee), (Memory::Snp, true));
    assert_eq!(machine.registers.unwrap().set().to_string(), "0,1,2,3,4,5,6,7,8,9");
    let known = Held { machine: machine.identity, ..vm() };
    known.proves(parts());
}

#[test]
fn another_vm() {
    let known = Held { machine: vm().proves(parts()).identity, ..vm() };
    known.refuses("node.machine", with(1, report(&document(hcl_key(), "B", &fresh()))));
}

#[test]
fn key_that_nobody_certified() {
    let rule = "azure.ak_certified";
    let over = binding();
    vm().refuses(rule, with(2, certified(&keys()[1], &keys()[1], over.as_ref())));
    vm().refuses(rule, with(2, certified(hcl_key(), hcl_key(), over.as_ref())));
    // Another statement of that key, and one that the TPM did not make.
    let quote = attest(GENERATED, 0x8018, over.as_ref(), &[0, 0, 0, 0, 0, 0]);
    vm().refuses(rule, with(2, Part::AkCertification { signature: sign(hcl_key(), &quote), attest: quote }));
    let made_up = attest(0, CERTIFY, over.as_ref(), &[tpm2b(&name(&keys()[1])), tpm2b(&[])].concat());
    vm().refuses(rule, with(2, Part::AkCertification { signature: sign(hcl_key(), &made_up), attest: made_up }));
    vm().refuses(rule, parts()[..2].to_vec());
}

#[test]
fn key_that_everybody_may_use() {
    let shared = Held { key: key(Profile::AzureSnp, &ak_public(hcl_key())), ..vm() };
    let parts = vec![quoted(hcl_key()), parts().remove(1), certified(hcl_key(), hcl_key(), binding().as_ref())];
    shared.refuses("azure.own_ak", parts);
}

#[test]
fn proof_of_another_boot() {
    let rule = "azure.boot_proved";
    let (stale, old) = (report(&document(hcl_key(), "A", &[7; 64])), certified(&keys()[1], hcl_key(), b"another binding"));
    let both = || vec![quoted(&keys()[1]), stale.clone(), old.clone()];
    vm().refuses(rule, with(1, stale.clone()));
    vm().refuses(rule, with(2, old.clone()));
    vm().refuses(rule, both());
    // What proved this boot does so again, and no other, and in no other.
    let proof = {
        let (Part::HclReport(report), Part::AkCertification { attest, signature }) = (&stale, &old) else { unreachable!() };
        Digest::of([report, attest, signature].map(|part| Digest::of(part).0).as_flattened())
    };
    let known = |resets, proof| Held { report: Some((resets, proof)), ..vm() };
    known(3, proof).proves(both());
    known(2, proof).refuses(rule, both());
    known(3, Digest([0; 32])).refuses(rule, both());
}

#[test]
fn no_hcl_report() {
    vm().refuses("evidence.form", vec![quoted(&keys()[1]), certified(&keys()[1], hcl_key(), binding().as_ref())]);
    vm().refuses("evidence.form", with(1, Part::HclReport(vec![0; 100])));
}

/// Such a VM could be any: it is not taken for the registered one.
#[test]
fn runtime_data_names_no_vm() {
    let unnamed = document(hcl_key(), "A", &fresh()).replace("vmUniqueId", "other");
    vm().refuses("node.machine", with(1, report(&unnamed)));
}
