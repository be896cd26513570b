use super::forge::{FMSPC, NOW, Scene, anchor, authority, copy, crl, given, makers, named, pck_params, signer_params};
use super::policy::platform;
use super::{Outcome, rejected_at, run, run_with};
use crate::tdx::{Floors, Part};
use crate::x509::Roots;
use rcgen::{CertifiedIssuer, KeyPair, KeyUsagePurpose};

fn with_lists(lists: [Vec<u8>; 2]) -> Outcome {
    run(&Scene { crls: lists.to_vec(), ..Scene::honest() })
}

#[test]
fn crl_missing() {
    for (left, part) in [(1, Part::PckCrl), (0, Part::RootCaCrl)] {
        let mut scene = Scene::honest();
        scene.crls = vec![scene.crls[left].clone()];
        let outcome = run(&scene);
        assert_eq!((outcome.failed, outcome.missing), (vec![], vec![part]));
        assert!(outcome.facts.is_none());
    }
}

#[test]
fn crl_stale() {
    let [maker, _] = makers();
    for months in [(4, 5), (7, 8)] {
        rejected_at("tdx.crl_current", "PCK's", &with_lists([crl(&maker.platforms, months, 7, &[]), crl(&maker.root, (1, 12), 3, &[])]));
        rejected_at("tdx.crl_current", "root's", &with_lists([crl(&maker.platforms, (5, 7), 7, &[]), crl(&maker.root, months, 3, &[])]));
    }
    // Beside a list that is in force, the stale one still counts.
    let mut scene = Scene::honest();
    scene.crls.push(crl(&maker.platforms, (4, 5), 6, &[]));
    rejected_at("tdx.crl_current", "two lists", &run(&scene));
}

#[test]
fn crl_number_went_back() {
    let scene = Scene::honest();
    let under = |floors: &Floors<'_>| run_with(&scene, &scene.roots(), NOW, floors, None);
    assert!(under(&Floors { pck_crl: Some(&[0, 7]), root_ca_crl: Some(&[3]), ..Floors::default() }).facts.is_some());
    for floor in [&[8][..], &[1, 0]] {
        rejected_at("tdx.crl_number", "PCK's", &under(&Floors { pck_crl: Some(floor), ..Floors::default() }));
        rejected_at("tdx.crl_number", "root's", &under(&Floors { root_ca_crl: Some(floor), ..Floors::default() }));
    }
}

#[test]
fn lists_of_somebody_else() {
    let [maker, other] = makers();
    rejected_at("tdx.pck_crl", "same name", &with_lists([crl(&other.platforms, (5, 7), 7, &[]), crl(&maker.root, (1, 12), 3, &[])]));
    rejected_at("tdx.root_ca_crl", "same name", &with_lists([crl(&maker.platforms, (5, 7), 7, &[]), crl(&other.root, (1, 12), 3, &[])]));
    for list in 0..2 {
        let mut scene = Scene::honest();
        let last = scene.crls[list].len() - 1;
        scene.crls[list][last] ^= 1;
        rejected_at(["tdx.pck_crl", "tdx.root_ca_crl"][list], "altered", &run(&scene));
    }
}

#[test]
fn platform_withdrawn() {
    let [maker, _] = makers();
    let list = crl(&maker.platforms, (5, 7), 7, &[9, 0xb6e8_4ed5]);
    rejected_at("tdx.pck_revoked", "PCK", &with_lists([list, crl(&maker.root, (1, 12), 3, &[])]));
}

#[test]
fn authority_withdrawn() {
    let [maker, _] = makers();
    for serial in [2, 4] {
        let list = crl(&maker.root, (1, 12), 3, &[serial]);
        rejected_at("tdx.authority_revoked", "PCK CA, TCB signer", &with_lists([crl(&maker.platforms, (5, 7), 7, &[]), list]));
    }
}

#[test]
fn tcb_signer_of_another_authority() {
    let mut scene = Scene::honest();
    scene.beside[0] = signer_params().signed_by(&scene.maker.signer, &scene.maker.platforms).unwrap().der().to_vec();
    rejected_at("tdx.tcb_signer", "issued by the platforms' authority", &run(&scene));
}

#[test]
fn platform_does_not_sign_collateral() {
    let mut scene = Scene::honest();
    scene.beside[0] = pck_params(&platform()).signed_by(&scene.maker.signer, &scene.maker.root).unwrap().der().to_vec();
    assert_eq!(run(&scene).missing, [Part::TcbSigningChain]);
}

#[test]
fn pck_certificate_that_lacks_a_value() {
    let [maker, _] = makers();
    for fmspc in [vec![], FMSPC[..5].to_vec()] {
        let mut other = platform();
        other.fmspc = fmspc;
        rejected_at("tdx.pck_certificate", "FMSPC", &run(&Scene::of(maker, &other)));
    }
    let mut scene = Scene::honest();
    scene.chain[0] = named("Intel SGX PCK Certificate", 5).signed_by(&scene.maker.pck, &scene.maker.platforms).unwrap().der().to_vec();
    assert!(run(&scene).facts.is_none());
}

#[test]
fn certificates_out_of_date() {
    let scene = Scene::honest();
    for now in [1_600_000_000, 1_900_000_000] {
        rejected_at("tdx.pck_chain", "now", &run_with(&scene, &scene.roots(), now, &Floors::default(), None));
    }
}

/// Authorities of the right names, with other keys: none is trusted, all together cost little, and one that came along is named.
#[test]
fn certificate_decoys() {
    let decoy = || CertifiedIssuer::self_signed(authority("Intel SGX Root CA", 1), KeyPair::generate().unwrap()).unwrap();
    let mut scene = Scene::honest();
    scene.beside.push(decoy().der().to_vec());
    rejected_at("tdx.certificates", "one root", &run(&scene));
    let platforms = CertifiedIssuer::signed_by(authority("Intel SGX PCK Platform CA", 2), KeyPair::generate().unwrap(), &decoy()).unwrap();
    let mut scene = Scene::honest();
    scene.beside.insert(0, platforms.der().to_vec());
    rejected_at("tdx.certificates", "one authority", &run(&scene));
    let mut scene = Scene::honest();
    scene.beside.splice(0..0, (0..20).map(|_| decoy().der().to_vec()));
    rejected_at("tdx.pck_chain", "many roots", &run(&scene));
    // A platform's key that a decoy certified, under the decoy's root.
    let mut scene = Scene::honest();
    let root = decoy();
    let platforms = CertifiedIssuer::signed_by(authority("Intel SGX PCK Platform CA", 2), KeyPair::generate().unwrap(), &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let pck = pck_params(&platform()).signed_by(&key, &platforms).unwrap();
    scene.chain = vec![pck.der().to_vec(), platforms.der().to_vec(), root.der().to_vec()];
    scene.qe_signer = copy(&key);
    rejected_at("tdx.pck_chain", "decoys throughout", &run(&scene));
    rejected_at("tdx.pck_chain", "decoys throughout", &run_with(&scene, &given(scene.maker), NOW, &Floors::default(), None));
}

#[test]
fn altered_certificate_that_nothing_rests_on() {
    let mut scene = Scene::honest();
    let last = scene.beside[1].len() - 1;
    scene.beside[1][last] ^= 1;
    rejected_at("tdx.certificates", "a second copy of the root", &run(&scene));
}

#[test]
fn tcb_signer_that_is_not_for_signatures() {
    for usages in [vec![], vec![KeyUsagePurpose::KeyAgreement]] {
        let mut scene = Scene::honest();
        let mut params = signer_params();
        params.key_usages = usages;
        scene.beside[0] = params.signed_by(&scene.maker.signer, &scene.maker.root).unwrap().der().to_vec();
        rejected_at("tdx.tcb_signer", "key usage", &run(&scene));
    }
}

#[test]
fn list_of_another_authority() {
    let mut scene = Scene::honest();
    let other = CertifiedIssuer::self_signed(authority("another CA", 1), KeyPair::generate().unwrap()).unwrap();
    scene.crls.push(crl(&other, (5, 7), 7, &[]));
    rejected_at("tdx.lists", "a stranger's", &run(&scene));
}

#[test]
fn platform_certificate_of_another_machine() {
    let mut scene = Scene::honest();
    let other = pck_params(&platform()).signed_by(&KeyPair::generate().unwrap(), &scene.maker.platforms).unwrap();
    scene.beside.push(other.der().to_vec());
    rejected_at("tdx.certificates", "two machines", &run(&scene));
}

/// An intermediate is a root where it is configured; what Intel says about platforms comes from the root above it, which has to be as well.
#[test]
fn root_that_is_an_intermediate() {
    let scene = Scene::honest();
    let roots = |anchors: Vec<_>| Roots::new(anchors).unwrap();
    let (platforms, root) = (|| anchor(&scene.maker.platforms, "platforms"), || anchor(&scene.maker.root, "root"));
    for all in [roots(vec![platforms(), root()]), roots(vec![root(), platforms()])] {
        assert!(run_with(&scene, &all, NOW, &Floors::default(), None).facts.is_some());
    }
    let outcome = run_with(&scene, &roots(vec![platforms()]), NOW, &Floors::default(), None);
    rejected_at("tdx.tcb_signer", "under a root that nobody configured", &outcome);
    let stranger = anchor(&makers()[1].root, "stranger");
    let outcome = run_with(&scene, &roots(vec![platforms(), stranger]), NOW, &Floors::default(), None);
    rejected_at("tdx.tcb_signer", "under another root", &outcome);
}
