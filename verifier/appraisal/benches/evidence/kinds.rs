//! Each kind of evidence: its signatures, and the way from its bytes to facts that the policy takes.

use super::manifest::{self, Vector};
use super::tpm;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use podseal_appraisal::check::Checks;
use podseal_appraisal::tpm::ak::appraise_ak;
use podseal_appraisal::tpm::quote::{QuoteEvidence, appraise_quote};
use podseal_appraisal::tpm::structures::{Attest, Attested, Signature as TpmSignature};
use podseal_appraisal::tpm::{HashAlgorithm, PcrSet, PcrValues};
use podseal_appraisal::x509::{Roots, parse};
use podseal_appraisal::{azure, cose, eat, nitro, snp, tdx};
use podseal_protocol::{Bank, Digest};
use std::hint::black_box;
use std::sync::LazyLock;

/// The roots that a verifier ships with; what they keep makes it warm.
static ROOTS: LazyLock<Roots> = LazyLock::new(Roots::shipped);
static COLLATERAL: LazyLock<tdx::KeptCollateral> = LazyLock::new(tdx::KeptCollateral::default);

/// One kind, ready to be measured.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) aim: f64,
    /// The signatures that no appraisal can leave out, under keys parsed before.
    pub(crate) signatures: Vec<Signature>,
    /// The whole way from the bytes; whether everything held, the policy too.
    pub(crate) appraise: Box<dyn Fn() -> bool>,
}

/// Key, message and signature.
pub(crate) struct Signature {
    key: ParsedPublicKey,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Signature {
    fn new(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> Self {
        let key = ParsedPublicKey::new(algorithm, key).unwrap();
        Self { key, message: message.to_vec(), signature: signature.to_vec() }
    }

    pub(crate) fn verify(&self) {
        black_box(self.key.verify_sig(black_box(&self.message), black_box(&self.signature))).unwrap();
    }
}

/// Every kind whose evidence is there.
pub(crate) fn all() -> Vec<Kind> {
    let recorded = |category: &str, name: &str, kind: fn(&Vector) -> Kind| {
        let entries = manifest::entries(category)?;
        Some(kind(entries.iter().find(|vector| vector.name() == name).expect("an entry of the manifest")))
    };
    let recorded = [
        recorded("snp-report", "milan-v3-vcek-aci-sidecar-fetcher", |vector| snp_report("SNP", vector)),
        recorded("snp-report", "milan-v5-vcek-gcp-extended-report", |vector| snp_report("SNP, with list", vector)),
        recorded("tdx-quote", "v4-00806f-gcp-eternis-2026", tdx_quote),
        recorded("nitro", "eternis-nsm-2026", |vector| nitro_document("Nitro", vector)),
        recorded("nitrotpm", "nitrotpm-2026-eternis", |vector| nitro_document("NitroTPM", vector)),
        recorded("azure-vtpm", "snp-v3-milan-coco-evidence-v1", azure_snp),
        recorded("eat-ear", "ear-arc-1", ear),
    ];
    let minted = [tpm_quote("TPM, RSA", 0), tpm_quote("TPM, P-256", tpm::ECC)];
    recorded.into_iter().flatten().chain(minted).collect()
}

/// Certificates of a vector, DER: those of its `.der` files named `leaf`, and of its chain in PEM.
fn certificates(vector: &Vector, leaf: &str) -> Vec<Vec<u8>> {
    [vec![vector.file(leaf)], manifest::pem(&vector.file("chain_ask_ark_asvk.pem"))].concat()
}

/// The signature of an SNP report (AMD 56860, table 137): little-endian r and s.
fn of_report(report: &[u8], vcek: &[u8]) -> Signature {
    let number = |at: usize| report[at..at + 48].iter().rev().copied().collect::<Vec<_>>();
    let signature = [number(0x2a0), number(0x2e8)].concat();
    Signature::new(&ECDSA_P384_SHA384_FIXED, parse(vcek).unwrap().public_key().raw, &report[..0x2a0], &signature)
}

fn prove(report: &[u8], certificates: &[Vec<u8>], lists: &[&[u8]], now: u64, policy: &snp::Policy) -> bool {
    let mut checks = Checks::owing(&snp::RULES);
    let report = snp::Report::parse(report).unwrap();
    let certificates = certificates.iter().map(|der| parse(der).unwrap()).collect::<Vec<_>>();
    let evidence = snp::Evidence { report: &report, certificates: &certificates, report_data: Some(&report.body.report_data) };
    let revocation = snp::Revocation { lists, demanded: !lists.is_empty(), ..snp::Revocation::default() };
    let facts = snp::appraise_report(&evidence, &snp::Trust { roots: &ROOTS, now, revocation }, &mut checks);
    facts.is_ok_and(|facts| snp::appraise_policy(&facts, policy, &mut checks))
}

fn snp_report(name: &'static str, vector: &Vector) -> Kind {
    let (report, certificates, now) = (vector.file("report.bin"), certificates(vector, "vcek.der"), vector.now());
    let lists = if vector.has("ark_crl.der") { vec![vector.file("ark_crl.der")] } else { Vec::new() };
    let signatures = vec![of_report(&report, &certificates[0])];
    let appraise = move || {
        let lists = lists.iter().map(Vec::as_slice).collect::<Vec<_>>();
        prove(black_box(&report), black_box(&certificates), &lists, now, &snp::Policy::default())
    };
    Kind { name, aim: 1.3, signatures, appraise: Box::new(appraise) }
}

/// Intel TDX DCAP Quoting Library API, appendix 3, version 4.
fn tdx_quote(vector: &Vector) -> Kind {
    let quote = vector.file("quote.bin");
    let key = |coordinates: &[u8]| [&[4], coordinates].concat();
    let pck = tdx::Quote::parse(&quote).unwrap().certificates[0].to_vec();
    let pck = parse(&pck).unwrap().public_key().raw.to_vec();
    let signatures = vec![
        Signature::new(&ECDSA_P256_SHA256_FIXED, &key(&quote[0x2bc..0x2fc]), &quote[..0x278], &quote[0x27c..0x2bc]),
        Signature::new(&ECDSA_P256_SHA256_FIXED, &pck, &quote[0x302..0x482], &quote[0x482..0x4c2]),
    ];
    let signers = manifest::pem(&vector.file("tcb_signing_chain.pem"));
    let lists = [vector.file("pck_crl.der"), vector.file("root_ca_crl.der")];
    let (tcb_info, qe_identity, now) = (vector.file("tcb_info.json"), vector.file("qe_identity.json"), vector.now());
    let appraise = move || {
        let mut checks = Checks::owing(tdx::QUOTE_RULES);
        let quote = tdx::Quote::parse(black_box(&quote)).unwrap();
        let (chain, reportdata) = (quote.chain().unwrap(), quote.body.reportdata);
        let evidence = tdx::TdxEvidence { quote: &quote, chain: &chain, certificates: &[], report_data: Some(&reportdata) };
        let genuine = tdx::appraise_quote(&evidence, &ROOTS, now, &mut checks).unwrap();
        let came = tdx::CollateralBytes {
            tcb_info: &tcb_info,
            qe_identity: &qe_identity,
            certificates: &signers.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            crls: &lists.each_ref().map(Vec::as_slice),
        };
        let collateral = COLLATERAL.verify(black_box(&came), &genuine, &ROOTS, now, &mut checks).unwrap();
        let facts = tdx::appraise(&genuine, &collateral, &tdx::Floors::default(), now, &mut checks);
        facts.is_some_and(|facts| tdx::appraise_policy(&facts, &tdx::Policy::SHIPPED, &mut checks))
    };
    Kind { name: "TDX, with collateral", aim: 1.5, signatures, appraise: Box::new(appraise) }
}

fn nitro_document(name: &'static str, vector: &Vector) -> Kind {
    let (bytes, now) = (vector.file("document.cose"), vector.now());
    let message = cose::Sign1::parse(&bytes).unwrap();
    let leaf = nitro::Document::parse(&message).unwrap().certificate().to_vec();
    let leaf = parse(&leaf).unwrap().public_key().raw.to_vec();
    let signatures = vec![Signature::new(&ECDSA_P384_SHA384_FIXED, &leaf, &message.signed_bytes(), message.signature())];
    let appraise = move || {
        let mut checks = Checks::owing(&[]);
        let message = cose::Sign1::parse(black_box(&bytes)).unwrap();
        let document = nitro::Document::parse(&message).unwrap();
        let expected = nitro::Expected { roots: &ROOTS, now, nonce: document.nonce(), beside: &[], lists: &[] };
        let facts = nitro::appraise_document(&document, &expected, &mut checks);
        facts.is_some_and(|facts| nitro::appraise_policy(&facts, &nitro::Policy::default(), &mut checks))
    };
    Kind { name, aim: 1.3, signatures, appraise: Box::new(appraise) }
}

/// A quote as nodes send it, under an AK that was registered before.
fn tpm_quote(name: &'static str, which: usize) -> Kind {
    let registers = (0..10).map(|index| (index, Digest::of(&[index]))).collect::<Vec<_>>();
    let binding = Digest::of(b"the binding");
    let wanted = PcrSet::of(&registers.iter().map(|(index, _)| *index).collect::<Vec<_>>()).unwrap();
    let attest = tpm::Quote::honest(&binding, registers.clone()).attest();
    let (public, signature) = (tpm::ak_public(which, tpm::SIGNING), tpm::sign(which, &attest));
    // TPMT_PUBLIC and TPMT_SIGNATURE: the numbers stand behind heads of a fixed length.
    let bare = if which == tpm::ECC {
        let (key, pair) = ([&[4], &public[22..54], &public[56..88]].concat(), [&signature[6..38], &signature[40..72]].concat());
        Signature::new(&ECDSA_P256_SHA256_FIXED, &key, &attest, &pair)
    } else {
        let key = tpm::AKS[which].public_key();
        Signature::new(&RSA_PKCS1_2048_8192_SHA256, key.as_ref(), &attest, &signature[6..])
    };
    let ak = appraise_ak(&public, &mut Checks::owing(&[])).unwrap();
    let appraise = move || {
        let mut checks = Checks::owing(&podseal_appraisal::tpm::quote::RULES);
        let mut values = PcrValues::new(Bank::Sha256);
        assert!(registers.iter().all(|(index, value)| values.insert(*index, &value.0)));
        let evidence = QuoteEvidence { attest: black_box(&attest), signature: black_box(&signature), values: &values };
        appraise_quote(&ak, &evidence, &binding.0, wanted, &mut checks).is_some()
    };
    Kind { name, aim: 1.3, signatures: vec![bare], appraise: Box::new(appraise) }
}

/// An Azure VM: SNP report, runtime data, and the quote under the key in there, over the vTPM's registers.
fn azure_snp(vector: &Vector) -> Kind {
    let (hcl, now, certificates) = (vector.file("hcl_report.bin"), vector.now(), certificates(vector, "vcek.der"));
    let (attest, signature) = (vector.file("quote.attest"), vector.file("quote.sig"));
    let registers = (0..24).map(|index| manifest::unhex(&vector.json("pcrs_sha256.json")[index.to_string()])).collect::<Vec<_>>();
    let report = hcl[0x20..0x4c0].to_vec();
    let parsed = azure::HclReport::parse(&hcl).unwrap();
    let runtime = azure::RuntimeData::parse(parsed.runtime_data).unwrap();
    let key = runtime.attestation_key(&mut Checks::owing(&[])).unwrap();
    let signatures =
        vec![of_report(&report, &certificates[0]), Signature::new(&RSA_PKCS1_2048_8192_SHA256, key.spki(), &attest, &signature)];
    let policy = snp::Policy { most_vmpl: 0, ..snp::Policy::default() };
    let appraise = move || {
        let mut checks = Checks::owing(azure::RULES);
        let hcl = azure::HclReport::parse(black_box(&hcl)).unwrap();
        let azure::Hardware::Snp(report) = hcl.hardware else { return false };
        let data = snp::Report::parse(report).unwrap().body.report_data;
        let bound = azure::appraise_binding(hcl.runtime_data, &data, &mut checks);
        let runtime = azure::RuntimeData::parse(hcl.runtime_data).unwrap();
        let Some(key) = runtime.attestation_key(&mut checks) else { return false };
        let signed = TpmSignature::RsaSsa { hash: HashAlgorithm::Sha256, signature: black_box(&signature) };
        let Attested::Quote { digest, .. } = Attest::parse(&attest).unwrap().attested else { return false };
        let values = registers.iter().map(Vec::as_slice).collect::<Vec<_>>();
        let quoted = key.verifies(black_box(&attest), &signed) && HashAlgorithm::Sha256.digest(&values).as_ref() == digest;
        bound && quoted && prove(report, &certificates, &[], now, &policy)
    };
    Kind { name: "Azure, SNP and quote", aim: 1.3, signatures, appraise: Box::new(appraise) }
}

/// RFC 7515, 5.2, by an issuer's key that was given before.
fn ear(vector: &Vector) -> Kind {
    let (token, jwk) = (vector.file("token.jwt"), vector.json("verify_key.jwk"));
    let token = token.trim_ascii().to_vec();
    let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let dot = token.iter().rposition(|byte| *byte == b'.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(&token[dot + 1..]).unwrap();
    let point = [vec![4], number("x"), number("y")].concat();
    let signatures = vec![Signature::new(&ECDSA_P256_SHA256_FIXED, &point, &token[..dot], &signature)];
    let key = eat::Key::of_jwk(&vector.file("verify_key.jwk")).unwrap();
    let appraise = move || {
        let mut checks = Checks::owing(&[]);
        let token = eat::Token::of_jwt(black_box(&token)).unwrap();
        eat::appraise_token(&token, Some(&key), None, &mut checks) && eat::appraise_policy(token.claims(), &key, &mut checks)
    };
    Kind { name: "EAR token", aim: 1.3, signatures, appraise: Box::new(appraise) }
}
