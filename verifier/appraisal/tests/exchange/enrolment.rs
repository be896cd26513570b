//! Joining: the honest node becomes a candidate, and for each rule there is a request that fails at it.

use std::{collections::BTreeSet, sync::LazyLock};

use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use podseal_appraisal::{
    check::{Check, Verdict, first_obstacle, worst},
    claims::RootKind,
    enrolment::{Candidate, Context, TokenFound, appraise_join, is_node_name},
    machine::{Gathered, Hardware},
    tpm::{
        credential::{CredentialRandomness, make_credential},
        ek::{EkRoot, EkRoots},
    },
};
use podseal_protocol::{
    Challenge, Digest, Limits, MacKey, Purpose, ReceivedChallenge,
    binding::PodLogHead,
    evidence::{Evidence, Part},
    join::{Join, Proof, activation_secret, is_activation_secret},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_RSA_SHA256,
    PublicKeyData as _, RsaKeySize, date_time_ymd,
};

use super::world::{ECC, NOW, SHA256, SIGNING, ak_public, ecc_public, mac_key, modulus, rsa_public};

/// Restricted, decrypt, adminWithPolicy, sensitiveDataOrigin, fixedParent, fixedTPM (EK Credential Profile 2.5, template L-1).
const EK_ATTRIBUTES: u32 = 0x0003_00b2;
/// AES-128-CFB, no scheme.
const EK_SCHEME: &[u16] = &[6, 128, 0x43, 0x10];

/// A maker of TPMs, and the EK of one.
struct Maker {
    root: CertifiedIssuer<'static, KeyPair>,
    ek: KeyPair,
}

static MAKER: LazyLock<Maker> = LazyLock::new(maker);
static OTHER_MAKER: LazyLock<Maker> = LazyLock::new(maker);
static OTHER_EK: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

fn maker() -> Maker {
    let mut ca = CertificateParams::new([]).unwrap();
    ca.distinguished_name.push(rcgen::DnType::CommonName, "maker's root");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    Maker { root, ek: KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap() }
}

impl Maker {
    /// The EK's certificate, with a critical directoryName and the given extended key usage.
    fn certificate(&self, usage: Option<Vec<u64>>) -> Vec<u8> {
        let mut params = CertificateParams::new([]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2036, 1, 1));
        params.extended_key_usages.extend(usage.map(ExtendedKeyUsagePurpose::Other));
        let name = [&[0x30, 0x17, 0xa4, 0x15, 0x30, 0x13, 0x31, 0x11, 0x30, 0x0f][..], &[6, 5, 0x67, 0x81, 5, 2, 1, 0x0c, 6], b"id:001"];
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], name.concat());
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
        params.signed_by(&self.ek, &self.root).unwrap().der().to_vec()
    }

    fn ek_public(&self) -> Vec<u8> {
        rsa_public(EK_ATTRIBUTES, EK_SCHEME, &self.ek.der_bytes()[9..265])
    }
}

fn ek(certificate: Vec<u8>, public: Vec<u8>) -> Proof {
    Proof::Ek { certificate, intermediates: Vec::new(), public }
}

fn ek_usage() -> Option<Vec<u64>> {
    Some(vec![2, 23, 133, 8, 1])
}

/// One request to join, with what the registry says.
#[derive(Clone)]
struct Request {
    now: u64,
    mac: u8,
    challenge: Challenge,
    join: Join,
    root_kind: RootKind,
    cluster_known: bool,
    token: TokenFound,
    name_taken: bool,
    activated: Option<bool>,
}

fn verifier() -> Digest {
    Digest::of(b"the verifier's root")
}

fn honest() -> Request {
    let text = str::to_owned;
    Request {
        now: NOW,
        mac: 1,
        challenge: Challenge {
            verifier: verifier(),
            epoch: 0,
            purpose: Purpose::Join,
            node: text("node-a"),
            issued: NOW,
            expires: NOW + 60,
            random: [4; 32],
        },
        join: Join {
            challenge: Vec::new(),
            token: text("a token"),
            node: text("node-a"),
            cluster: text("prod-eu"),
            node_uid: text("2f0a7c1e"),
            profile: text("tpm"),
            key: ak_public(0, SIGNING),
            proof: Proof::Ek { certificate: MAKER.certificate(ek_usage()), intermediates: Vec::new(), public: MAKER.ek_public() },
        },
        root_kind: RootKind::Test,
        cluster_known: true,
        token: known(|_| ()),
        name_taken: false,
        activated: Some(true),
    }
}

/// The fields of [`TokenFound::Known`].
struct KnownToken {
    cluster: String,
    node: String,
    expires: u64,
    consumed: bool,
}

fn known(change: impl FnOnce(&mut KnownToken)) -> TokenFound {
    let mut token = KnownToken { cluster: "prod-eu".to_owned(), node: "node-a".to_owned(), expires: NOW + 1, consumed: false };
    change(&mut token);
    let KnownToken { cluster, node, expires, consumed } = token;
    TokenFound::Known { cluster, node, expires, consumed }
}

fn run(request: &Request) -> (Vec<Check>, Option<Candidate>) {
    let root = EkRoot { name: "maker".to_owned(), kind: request.root_kind, certificate: MAKER.root.der().to_vec() };
    let challenge = ReceivedChallenge::parse(&request.challenge.issue(&mac_key(request.mac)), &Limits::DEFAULT).unwrap();
    let context = Context {
        verifier: verifier(),
        now: request.now,
        challenge_issued: challenge.issued_under(&mac_key(1)),
        roots: &EkRoots::new(vec![root]).unwrap(),
        hardware: &Hardware::none(),
        endorsements: &Gathered::default(),
        limits: Limits::DEFAULT,
        cluster_known: request.cluster_known,
        token: request.token.clone(),
        name_taken: request.name_taken,
        activated: request.activated,
    };
    appraise_join(&request.join, &challenge, &context)
}

#[track_caller]
fn candidate(request: &Request) -> Candidate {
    let (checks, candidate) = run(request);
    assert_eq!(worst(&checks), Verdict::Pass, "{:#?}", first_obstacle(&checks));
    candidate.unwrap()
}

#[track_caller]
fn refused(rules: &[&str], what: &str, change: impl FnOnce(&mut Request)) {
    let mut request = honest();
    candidate(&request);
    change(&mut request);
    let (checks, candidate) = run(&request);
    let failing: BTreeSet<_> = checks.iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name).collect();
    assert_eq!(failing, rules.iter().copied().collect(), "{what}");
    assert!(candidate.is_none(), "{what}");
}

#[test]
fn honest_node_joins() {
    let record = candidate(&honest()).record().clone();
    assert_eq!((record.node.as_str(), record.cluster.as_str(), record.node_uid.as_str()), ("node-a", "prod-eu", "2f0a7c1e"));
    assert_eq!(record.machine, Digest::of(&MAKER.ek.subject_public_key_info()));
    assert_eq!((record.key, record.root.as_str(), record.approved), (ak_public(0, SIGNING), "maker", true));
    let waiting = Request { token: TokenFound::NotGiven, ..honest() };
    assert!(!candidate(&waiting).record().approved, "without a token an administrator approves");
    candidate(&Request { token: known(|t| t.node.clear()), ..honest() });
}

#[test]
fn ecc_ak_joins() {
    let mut request = honest();
    request.join.key = ak_public(ECC, SIGNING);
    assert_eq!(candidate(&request).record().key, ak_public(ECC, SIGNING));
}

/// The attributes are asked of it one by one, as of an RSA key.
#[test]
fn ecc_ak_that_no_node_may_have() {
    for (bit, rule) in [
        (16, "ak.restricted"),
        (18, "ak.sign"),
        (17, "ak.not_decrypt"),
        (1, "ak.fixed_tpm"),
        (4, "ak.fixed_parent"),
        (5, "ak.sensitive_data_origin"),
    ] {
        refused(&[rule], rule, |r| r.join.key = ak_public(ECC, SIGNING ^ 1 << bit));
    }
    refused(&["ak.type"], "P-384", |r| r.join.key = ecc_public(SIGNING, SHA256, 4));
    refused(&["ak.type"], "SHA-1", |r| r.join.key = ecc_public(SIGNING, 4, 3));
}

#[test]
fn test_root_is_never_production() {
    assert_eq!(candidate(&honest()).record().root_kind, RootKind::Test);
    assert_eq!(candidate(&Request { root_kind: RootKind::Production, ..honest() }).record().root_kind, RootKind::Production);
}

#[test]
fn challenge_of_a_join_is_held_to_every_rule() {
    refused(&["challenge.issued"], "another key", |r| r.mac = 2);
    refused(&["challenge.verifier"], "another verifier", |r| r.challenge.verifier = Digest::of(b"another"));
    refused(&["challenge.purpose"], "a challenge for releases", |r| r.challenge.purpose = Purpose::Release);
    refused(&["challenge.expired"], "too late", |r| r.challenge.expires = NOW);
    refused(&["challenge.expired"], "too early", |r| r.challenge.issued = NOW + 1);
    refused(&["challenge.node"], "another node's", |r| r.challenge.node = "node-b".to_owned());
}

#[test]
fn names_that_nodes_cannot_have() {
    for name in ["", "Node-a", "-a", "a-", "a..b", ".a", "a.", "a_b", "a/b", "a b", "nöde", &"a".repeat(254)] {
        assert!(!is_node_name(name), "{name}");
        refused(&["join.node_name"], name, |r| {
            r.join.node = name.to_owned();
            r.challenge.node = name.to_owned();
            r.token = known(|t| t.node = name.to_owned());
        });
    }
    for name in ["a", "0", "node-a", "ip-10-0-0-1.eu-central-1.compute.internal", &"a".repeat(253)] {
        assert!(is_node_name(name), "{name}");
    }
}

#[test]
fn join_of_unknown_cluster_or_profile() {
    refused(&["join.cluster"], "not configured", |r| r.cluster_known = false);
    refused(&["join.profile"], "not appraised", |r| r.join.profile = "snp".to_owned());
}

/// Evidence of a join is the request's own, and has no more than a join is judged by.
#[test]
fn evidence_of_another_join() {
    let verdict = |change: fn(&mut Evidence)| {
        let text = str::to_owned;
        let parts = vec![Part::NitroDocument(Vec::new())];
        let mut evidence =
            Evidence { node: text("node-a"), profile: text("nitro-tpm"), boot_id: text("boot"), pod_log: PodLogHead::NONE, parts };
        change(&mut evidence);
        let mut request = Request { activated: None, ..honest() };
        (request.join.profile, request.join.key) = (text("nitro-tpm"), b"i-1".to_vec());
        request.join.proof = Proof::Evidence(evidence.encode());
        let (checks, candidate) = run(&request);
        assert!(candidate.is_none(), "the document is none");
        checks.iter().find(|check| check.rule.name == "join.evidence").map(|check| check.verdict)
    };
    assert_eq!(verdict(|_| ()), Some(Verdict::Pass));
    let changes: [fn(&mut Evidence); 5] = [
        |evidence| evidence.node = "node-b".to_owned(),
        |evidence| evidence.profile = "tdx".to_owned(),
        |evidence| evidence.parts.insert(0, Part::BootLog(Vec::new())),
        |evidence| evidence.parts.insert(0, Part::PodLog { from: 0, records: Vec::new() }),
        |evidence| evidence.pod_log = PodLogHead { length: 1, head: Digest([1; 32]) },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_eq!(verdict(change), Some(Verdict::Fail), "{at}");
    }
}

#[test]
fn name_of_an_enrolled_node() {
    refused(&["join.node_new"], "taken", |r| r.name_taken = true);
}

#[test]
fn join_token_twice() {
    refused(&["join.token_unspent"], "used before", |r| r.token = known(|t| t.consumed = true));
}

#[test]
fn join_token_of_another() {
    refused(&["join.token_known"], "never made", |r| r.token = TokenFound::Unknown);
    refused(&["join.token_expired"], "its last second is over", |r| r.token = known(|t| t.expires = NOW));
    refused(&["join.token_cluster"], "another cluster's", |r| r.token = known(|t| t.cluster = "prod-us".to_owned()));
    refused(&["join.token_node"], "another node's", |r| r.token = known(|t| t.node = "node-b".to_owned()));
}

#[test]
fn ek_root_unknown() {
    refused(&["ek.chain"], "another maker of the same name", |r| {
        r.join.proof = ek(OTHER_MAKER.certificate(ek_usage()), OTHER_MAKER.ek_public());
    });
}

#[test]
fn certificate_of_no_ek() {
    for usage in [None, Some(vec![2, 23, 133, 8, 3])] {
        refused(&["ek.usage"], "another usage", |r| r.join.proof = ek(MAKER.certificate(usage), MAKER.ek_public()));
    }
    refused(&["ek.template"], "a key that signs", |r| r.join.proof = ek(MAKER.certificate(ek_usage()), ak_public(1, SIGNING)));
}

#[test]
fn ak_of_other_ek() {
    let other = rsa_public(EK_ATTRIBUTES, EK_SCHEME, modulus(&OTHER_EK));
    refused(&["ek.key_matches_certificate"], "an EK that the certificate is not of", |r| {
        r.join.proof = ek(MAKER.certificate(ek_usage()), other)
    });
    refused(&["join.activated"], "the TPM of that EK did not recover the secret", |r| r.activated = Some(false));
}

#[test]
fn ak_not_restricted() {
    refused(&["ak.restricted"], "it signs anything", |r| r.join.key = ak_public(0, SIGNING & !(1 << 16)));
    refused(&["ak.type"], "no public area", |r| r.join.key = Vec::new());
}

/// The secret is the request's own: that of another request, or of another key, does not activate this one.
#[test]
fn activation_secret_is_of_one_request() {
    let key = MacKey::new([7; 32].into());
    let request = honest().join.encode();
    let secret = activation_secret(&key, &request);
    assert!(is_activation_secret(&key, &request, &secret));
    let other = Join { key: ak_public(1, SIGNING), ..honest().join }.encode();
    assert!(!is_activation_secret(&key, &other, &secret));
    assert!(!is_activation_secret(&MacKey::new([8; 32].into()), &request, &secret));
    let candidate = candidate(&honest());
    let randomness = CredentialRandomness { seed: [1; 32], salt: [2; 32] };
    let (ek, ak) = candidate.tpm().unwrap();
    let credential = make_credential(ek.public(), ak.name(), &secret, &randomness).unwrap();
    assert!(!credential.id_object.windows(32).any(|window| window == secret), "the secret travels encrypted");
}
