//! Certificates of real EKs.

use super::manifest::{Vector, appraise, hex, pem, unknown};
use podseal_appraisal::claims::RootKind;
use podseal_appraisal::tpm::ek::{self, EkCertificate, EkRoot, EkRoots, appraise_certificate, appraise_ek};
use podseal_protocol::Digest;
use x509_parser::prelude::{FromDer, X509Certificate};

pub(crate) fn run(vector: &Vector) {
    match vector.name() {
        "google-gce-ecc" | "google-gce-rsa" | "infineon-rsa-2018" | "stmicro-rsa-2018" => maker_certified(vector),
        "neg-swtpm-local-ca-rsa" => swtpm_certified(vector),
        "manufacturer-root-bundle" => bundle(vector),
        _ => unknown(vector),
    }
}

/// Root and intermediates of the vector's own chain.
fn chain(vector: &Vector) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut chain = pem(&vector.file("chain.pem"));
    let root = chain.pop().unwrap();
    assert_eq!(Digest::of(&root).to_string(), *vector.claim("root_sha256"));
    (root, chain)
}

fn roots(certificate: &[u8], kind: RootKind) -> EkRoots {
    EkRoots::new(vec![EkRoot { name: "vector".into(), kind, certificate: certificate.to_vec() }]).unwrap()
}

fn certified(vector: &Vector, roots: &EkRoots, now: u64) -> (Option<EkCertificate>, Vec<&'static str>) {
    let intermediates = chain(vector).1;
    let intermediates = intermediates.iter().map(Vec::as_slice).collect::<Vec<_>>();
    appraise(&ek::CERTIFICATE_RULES, |checks| appraise_certificate(&vector.file("ek_cert.der"), &intermediates, roots, now, checks))
}

fn maker_certified(vector: &Vector) {
    assert_eq!(vector.verdict(), "valid");
    let (root, intermediates) = chain(vector);
    let intermediates = intermediates.iter().map(Vec::as_slice).collect::<Vec<_>>();
    let configured = roots(&root, RootKind::Production);
    let (certificate, failed) = certified(vector, &configured, vector.now());
    assert_eq!(failed, [""; 0], "{}", vector.name());
    let certificate = certificate.unwrap();
    assert_eq!((certificate.root(), certificate.kind()), ("vector", RootKind::Production));
    // Its root's name is not its root; before its time, and long after, there is no path.
    let stranger = chain_of_stranger();
    for (roots, now) in [(&EkRoots::default(), vector.now()), (&stranger, vector.now()), (&configured, 0), (&configured, 4_102_444_800_000)]
    {
        assert_eq!(certified(vector, roots, now).1, ["ek.chain"], "{}", vector.name());
    }
    let public = ek_public(vector, certificate.spki());
    let (identity, failed) =
        appraise(&ek::RULES, |checks| appraise_ek(&vector.file("ek_cert.der"), &public, &intermediates, &configured, vector.now(), checks));
    if vector.claim("key") == "rsa-2048" {
        assert_eq!((identity.unwrap().hash(), failed), (Digest::of(certificate.spki()), vec![]));
    } else {
        assert_eq!(failed, ["ek.template"]);
    }
}

fn swtpm_certified(vector: &Vector) {
    assert_eq!(vector.verdict(), "invalid");
    assert_eq!(certified(vector, &chain_of_stranger(), vector.now()).1, ["ek.chain"]);
    let (certificate, failed) = certified(vector, &roots(&chain(vector).0, RootKind::Test), vector.now());
    assert_eq!(failed, [""; 0]);
    assert_eq!(certificate.unwrap().kind(), RootKind::Test);
}

fn chain_of_stranger() -> EkRoots {
    let issuer = rcgen::CertifiedIssuer::self_signed(rcgen::CertificateParams::default(), rcgen::KeyPair::generate().unwrap()).unwrap();
    roots(issuer.der(), RootKind::Production)
}

/// The default template around the certified key, as a TPM would present it.
fn ek_public(vector: &Vector, spki: &[u8]) -> Vec<u8> {
    let head = |kind: u8| [&[0, kind, 0, 0x0b, 0, 3, 0, 0xb2, 0, 0][..], &[0, 6, 0, 128, 0, 0x43, 0, 0x10]].concat();
    if vector.claim("key") == "rsa-2048" {
        [&head(1)[..], &[8, 0, 0, 0, 0, 0, 1, 0], &spki[spki.len() - 261..spki.len() - 5]].concat()
    } else {
        let (x, y) = spki[spki.len() - 64..].split_at(32);
        [&head(0x23)[..], &[0, 3, 0, 0x10, 0, 32], x, &[0, 32], y].concat()
    }
}

fn bundle(vector: &Vector) {
    let (all, intermediates) = (pem(&vector.file("roots.pem")), pem(&vector.file("intermediates.pem")));
    assert_eq!((all.len(), intermediates.len()), (26, 143));
    let listed = vector.json("roots.json");
    let (mut self_signed, mut refused) = (0, 0);
    for (certificate, listed) in all.iter().zip(listed.as_array().unwrap()) {
        let parsed = X509Certificate::from_der(certificate);
        let same = parsed.is_ok_and(|(_, parsed)| parsed.subject().as_raw() == parsed.issuer().as_raw());
        self_signed += usize::from(same && listed["self_signed"] == true);
        let root = EkRoot { name: hex(&Digest::of(certificate).0), kind: RootKind::Production, certificate: certificate.clone() };
        refused += usize::from(EkRoots::new(vec![root]).is_err());
    }
    // Parsers stricter than path building refuse five of these; as anchors all serve.
    assert_eq!((self_signed, refused), (18, 0));
}
