//! Collateral as makers published it, read as a service's answer; nothing of it is verified here.

use crate::manifest::{Vector, pem};
use podseal_appraisal::endorsement::{Answer, Endorsed, Endorsement, Product, Service, ServiceKind, Vcek};

fn service(kind: ServiceKind) -> Service {
    Service { kind, url: "https://maker.example".to_owned() }
}

/// Read, written as a file, and read again.
fn reads(kind: ServiceKind, endorsement: &Endorsement, body: Vec<u8>, issuer_chain: Option<String>) -> u64 {
    let (content, facts) =
        Answer { body, issuer_chain }.read(&service(kind), endorsement).unwrap_or_else(|error| panic!("{endorsement}: {error}"));
    let endorsed =
        Endorsed { endorsement: endorsement.clone(), content, source: "https://maker.example/x".to_owned(), fetched: facts.issued };
    assert_eq!(Endorsed::parse(endorsed.encode().as_bytes()), Ok((endorsed, facts)));
    facts.issued
}

pub(crate) fn amd(vector: &Vector) {
    if vector.has("ark_crl.der") {
        reads(ServiceKind::AmdKds, &Endorsement::AmdCrl { product: Product::Milan }, vector.file("ark_crl.der"), None);
    }
    if !vector.has("vcek.der") || vector.verdict() == "invalid" {
        return;
    }
    let report = vector.file("report.bin");
    let product = if vector.name().starts_with("genoa") { Product::Genoa } else { Product::Milan };
    let (chip, tcb) = (report[0x1a0..0x1e0].try_into().unwrap(), report[0x180..0x188].try_into().unwrap());
    reads(ServiceKind::AmdKds, &Endorsement::AmdVcek(Vcek::new(product, chip, tcb)), vector.file("vcek.der"), None);
    let chain = vector.file("chain_ask_ark_asvk.pem");
    reads(ServiceKind::AmdKds, &Endorsement::AmdChain { product, vlek: false }, chain, None);
}

pub(crate) fn intel(vector: &Vector) {
    if !vector.has("tcb_info.json") {
        return;
    }
    let chain = vector.file("tcb_signing_chain.pem");
    assert!(!pem(&chain).is_empty());
    let chain: String = chain.iter().map(|byte| format!("%{byte:02X}")).collect();
    let tcb_info = vector.file("tcb_info.json");
    let fmspc = vector.json("tcb_info.json")["tcbInfo"]["fmspc"].as_str().unwrap().to_ascii_lowercase();
    let endorsement: Endorsement = format!("intel-tdx-tcb-{fmspc}").parse().unwrap();
    reads(ServiceKind::IntelPcs, &endorsement, tcb_info, Some(chain.clone()));
    reads(ServiceKind::IntelPcs, &Endorsement::IntelQeIdentity, vector.file("qe_identity.json"), Some(chain.clone()));
    reads(ServiceKind::IntelPcs, &"intel-pck-crl-platform".parse().unwrap(), vector.file("pck_crl.der"), Some(chain));
    reads(ServiceKind::IntelCertificates, &Endorsement::IntelRootCrl, vector.file("root_ca_crl.der"), None);
}
