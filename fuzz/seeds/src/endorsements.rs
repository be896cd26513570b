//! Seeds of the target `endorsement`: each as a service answers it, and as the file that is made of that.

use std::io;

use super::{Corpus, pem, vectors::Vector};

const PRODUCTS: [&str; 3] = ["milan", "genoa", "turin"];
const CERTIFICATE: &str = "CERTIFICATE";
const CRL: &str = "X509 CRL";

/// What may be an endorsement. Whether a chain is of this product or another, the target finds out.
struct Answer<'a> {
    name: String,
    service: &'static str,
    body: &'a [u8],
    /// Of the block that a file has the body in; where it is certificates in PEM, they have their own.
    label: &'static str,
    issuers: &'a str,
}

/// Writes those that the files of `vector` are.
pub(super) fn write(vector: &Vector, corpus: &Corpus) -> io::Result<()> {
    for Answer { name, service, body, label, issuers } in answers(vector) {
        let seed = vector.seed(&name.replace([':', '/'], "_").chars().take(32).collect::<String>());
        let header = issuers.replace('\n', "%0A");
        let answer = [format!("{name}\n{service}\n{header}\n").as_bytes(), body].concat();
        corpus.write("endorsement", &seed, &answer)?;
        let first = if label == CERTIFICATE { String::new() } else { pem::written(label, body) };
        let certificates = if label == CERTIFICATE { pem::blocks(body) } else { pem::blocks(issuers.as_bytes()) };
        let certificates = if label == CERTIFICATE && certificates.is_empty() { vec![body.to_vec()] } else { certificates };
        let rest = certificates.iter().map(|der| pem::written(CERTIFICATE, der)).collect::<String>();
        let head = format!("podseal endorsement 1\nendorsement: {name}\nsource: https://maker.example/\nfetched: 2026-06-01T00:00:00Z");
        corpus.write("endorsement", &format!("{seed}-file"), format!("{name}\n{service}\n\n{head}\n\n{first}{rest}").as_bytes())?;
    }
    thim(vector, corpus)
}

/// Azure's answer has both in one: the certificate of the machine's chip and what is above it.
fn thim(vector: &Vector, corpus: &Corpus) -> io::Result<()> {
    let Some(chain) = vector.text("chain_ask_ark_asvk.pem") else { return Ok(()) };
    let vcek = vector.file("vcek.der").map(|der| pem::written(CERTIFICATE, der)).unwrap_or_default();
    let [vcek, chain] = [&vcek, chain].map(|pem| pem.replace('\n', "\\n"));
    let answer = format!("amd-milan-chain\nazure-thim\n\n{{\"vcekCert\":\"{vcek}\",\"certificateChain\":\"{chain}\"}}");
    corpus.write("endorsement", &vector.seed("thim"), answer.as_bytes())
}

fn answers(vector: &Vector) -> Vec<Answer<'_>> {
    let mut all = amd(vector);
    let issuers = vector.text("tcb_signing_chain.pem").unwrap_or_default();
    if let Some(info) = vector.text("tcb_info.json") {
        let fmspc = info.split_once("\"fmspc\":\"").and_then(|(_, rest)| rest.get(..12)).unwrap_or_default();
        let name = format!("intel-tdx-tcb-{}", fmspc.to_ascii_lowercase());
        all.push(Answer { name, service: "intel-pcs", body: info.as_bytes(), label: "INTEL TCB INFO", issuers });
    }
    if let Some(body) = vector.file("qe_identity.json") {
        all.push(Answer { name: "intel-tdx-qe-identity".to_owned(), service: "intel-pccs", body, label: "INTEL QE IDENTITY", issuers });
    }
    if let Some(body) = vector.file("pck_crl.der") {
        all.push(Answer { name: "intel-pck-crl-platform".to_owned(), service: "intel-pcs", body, label: CRL, issuers });
        all.push(Answer { name: "http://maker.example/a.crl".to_owned(), service: "crl", body, label: CRL, issuers: "" });
    }
    if let Some(body) = vector.file("root_ca_crl.der") {
        all.push(Answer { name: "intel-root-crl".to_owned(), service: "intel-certificates", body, label: CRL, issuers: "" });
    }
    all
}

fn amd(vector: &Vector) -> Vec<Answer<'_>> {
    let mut all = Vec::new();
    let mut add = |name, body, label| all.push(Answer { name, service: "amd-kds", body, label, issuers: "" });
    for product in PRODUCTS {
        if let Some(chain) = vector.file("chain_ask_ark_asvk.pem") {
            add(format!("amd-{product}-chain"), chain, CERTIFICATE);
        }
        if let Some(list) = vector.file("ark_crl.der") {
            add(format!("amd-{product}-crl"), list, CRL);
        }
        if let (Some(certificate), Some(report)) = (vector.file("vcek.der"), vector.file("report.bin"))
            && let (Some(chip), Some(tcb)) = (report.get(0x1a0..0x1e0), report.get(0x180..0x188))
        {
            let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let chip = if product == "turin" { &chip[..8] } else { chip };
            add(format!("amd-{product}-vcek-{}-{}", digits(chip), digits(tcb)), certificate, CERTIFICATE);
        }
    }
    all
}
