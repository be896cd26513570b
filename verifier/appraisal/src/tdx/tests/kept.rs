//! Collateral that is kept decides nothing that it would not decide if it came anew.

use super::forge::{NOW, Scene, crl, given, makers, signer_params};
use crate::check::{Check, Checks, Verdict};
use crate::tdx::{
    Collateral, CollateralBytes, Floors, GenuineQuote, KeptCollateral, NoCollateral, Part, Policy, Quote, TdxEvidence, TdxFacts, appraise,
    appraise_policy, appraise_quote,
};
use crate::x509::Roots;
use rcgen::date_time_ymd;
use std::sync::Arc;

/// Behind the end of TCB info and QE identity, and of the short certificate below: 2026-07-02.
const LATER: u64 = 1_782_950_400;

fn genuine(scene: &Scene) -> GenuineQuote {
    let bytes = scene.quote();
    let quote = Quote::parse(&bytes).unwrap();
    let evidence = TdxEvidence { quote: &quote, chain: &quote.chain().unwrap(), certificates: &[], report_data: None };
    appraise_quote(&evidence, &scene.roots(), NOW, &mut Checks::owing(&[])).unwrap()
}

fn verify_for(
    quote: &GenuineQuote,
    kept: &KeptCollateral,
    scene: &Scene,
    roots: &Roots,
    now: u64,
) -> (Result<Arc<Collateral>, NoCollateral>, Vec<Check>) {
    let slices = |all: &'static [Vec<u8>]| all.iter().map(Vec::as_slice).collect::<Vec<_>>();
    let (certificates, crls) = (scene.beside.clone().leak(), scene.crls.clone().leak());
    let came = CollateralBytes {
        tcb_info: scene.tcb_info.as_ref().unwrap().as_bytes(),
        qe_identity: scene.qe_identity.as_ref().unwrap().as_bytes(),
        certificates: &slices(certificates),
        crls: &slices(crls),
    };
    let mut checks = Checks::owing(&[]);
    let collateral = kept.verify(&came, quote, roots, now, &mut checks);
    (collateral, checks.finish())
}

fn verify(kept: &KeptCollateral, scene: &Scene, now: u64) -> (Result<Arc<Collateral>, NoCollateral>, Vec<Check>) {
    verify_for(&genuine(scene), kept, scene, &scene.roots(), now)
}

fn failed(checks: &[Check]) -> Vec<&'static str> {
    checks.iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name).collect()
}

/// The honest scene, and what keeps its collateral.
fn warm() -> (Scene, KeptCollateral) {
    let (scene, kept) = (Scene::honest(), KeptCollateral::default());
    assert!(verify(&kept, &scene, NOW).0.is_ok());
    (scene, kept)
}

#[test]
fn kept_collateral_is_that_of_the_first_time() {
    let (scene, kept) = (Scene::honest(), KeptCollateral::default());
    let (first, second) = (verify(&kept, &scene, NOW), verify(&kept, &scene, NOW));
    assert!(Arc::ptr_eq(&first.0.unwrap(), &second.0.unwrap()));
    assert_eq!(first.1, second.1);
    assert_eq!(second.1.len(), 7);
}

/// Each part counts: none that is altered passes for the one that was kept.
#[test]
fn altered_part_is_verified() {
    let attacked = |rule: &str, alter: &dyn Fn(&mut Scene)| {
        let (mut scene, kept) = warm();
        let quote = genuine(&scene);
        alter(&mut scene);
        let (collateral, checks) = verify_for(&quote, &kept, &scene, &scene.roots(), NOW);
        assert_eq!((collateral.err(), failed(&checks)), (Some(NoCollateral::Failed), vec![rule]));
    };
    let flip = |der: &mut Vec<u8>| *der.last_mut().unwrap() ^= 1;
    attacked("tdx.tcb_info_signature", &|scene| scene.tcb_info = scene.tcb_info.take().map(|json| json.replacen("06-19", "07-19", 1)));
    attacked("tdx.qe_identity_signature", &|scene| {
        scene.qe_identity = scene.qe_identity.take().map(|json| json.replacen(r#""isvprodid":2"#, r#""isvprodid":3"#, 1));
    });
    attacked("tdx.pck_crl", &|scene| flip(&mut scene.crls[0]));
    attacked("tdx.root_ca_crl", &|scene| flip(&mut scene.crls[1]));
    attacked("tdx.tcb_signer", &|scene| flip(&mut scene.beside[0]));
}

/// Collateral is kept for the authorities of one quote: for another's it is verified, and fails.
#[test]
fn another_makers_quote_is_no_reason_to_believe_it() {
    let (scene, kept) = warm();
    let [_, other] = makers();
    let other = Scene::of(other, &super::policy::platform());
    let quote = genuine(&other);
    let (collateral, checks) = verify_for(&quote, &kept, &scene, &other.roots(), NOW);
    assert!(collateral.is_err());
    assert_eq!(failed(&checks), ["tdx.pck_crl", "tdx.root_ca_crl", "tdx.tcb_signer"]);
}

/// Nor is it for whoever passes it on without asking.
#[test]
fn another_makers_quote_is_not_appraised_by_it() {
    let (scene, kept) = warm();
    let collateral = verify(&kept, &scene, NOW).0.unwrap();
    let run = |scene: &Scene| {
        let mut checks = Checks::owing(&[]);
        let facts = appraise(&genuine(scene), &collateral, &Floors::default(), NOW, &mut checks);
        (facts.is_some(), failed(&checks.finish()))
    };
    assert_eq!(run(&scene), (true, vec![]));
    let [_, other] = makers();
    assert_eq!(run(&Scene::of(other, &super::policy::platform())), (false, vec!["tdx.pck_crl", "tdx.root_ca_crl"]));
}

#[test]
fn kept_collateral_ends_with_its_signers_certificate() {
    let (mut scene, kept) = (Scene::honest(), KeptCollateral::default());
    let mut short = signer_params();
    short.not_after = date_time_ymd(2026, 7, 1);
    scene.beside[0] = short.signed_by(&scene.maker.signer, &scene.maker.root).unwrap().der().to_vec();
    for _ in 0..2 {
        assert!(verify(&kept, &scene, NOW).0.is_ok());
        let (collateral, checks) = verify(&kept, &scene, LATER);
        assert_eq!((collateral.err(), failed(&checks)), (Some(NoCollateral::Failed), vec!["tdx.tcb_signer"]));
    }
}

#[test]
fn kept_collateral_needs_its_root() {
    let (scene, kept) = warm();
    let quote = genuine(&scene);
    let none = Roots::new(Vec::new()).unwrap();
    let (collateral, checks) = verify_for(&quote, &kept, &scene, &none, NOW);
    assert_eq!((collateral.err(), failed(&checks)), (Some(NoCollateral::Failed), vec!["tdx.tcb_signer"]));
    // The same key under another configuration is not the root that was asked before.
    let first = verify(&kept, &scene, NOW).0.unwrap();
    let other = verify_for(&quote, &kept, &scene, &given(scene.maker), NOW).0.unwrap();
    assert!(!Arc::ptr_eq(&first, &other));
}

#[test]
fn collateral_with_a_part_missing_is_none() {
    let (mut scene, kept) = warm();
    let quote = genuine(&scene);
    scene.crls.truncate(1);
    let (collateral, checks) = verify_for(&quote, &kept, &scene, &scene.roots(), NOW);
    assert_eq!((collateral.err(), checks.len()), (Some(NoCollateral::Lacks(vec![Part::RootCaCrl])), 0));
    let broken = |alter: fn(&mut Scene)| {
        let mut scene = Scene::honest();
        alter(&mut scene);
        verify_for(&quote, &kept, &scene, &scene.roots(), NOW).0.unwrap_err()
    };
    assert!(matches!(broken(|scene| scene.tcb_info = Some("{}".to_owned())), NoCollateral::Json(_)));
    assert!(matches!(broken(|scene| scene.crls[0].push(0)), NoCollateral::List(_)));
    assert_eq!(broken(|scene| scene.beside[0].push(0)), NoCollateral::Certificate);
}

/// What the verifier's operator, or Intel, decides meanwhile is in force at the next appraisal.
#[test]
fn what_is_decided_later_counts() {
    let (mut scene, kept) = warm();
    let quote = genuine(&scene);
    let run = |scene: &Scene, floors: &Floors<'_>, now: u64, policy: &Policy<'_>| {
        let collateral = verify_for(&quote, &kept, scene, &scene.roots(), now).0.unwrap();
        let mut checks = Checks::owing(&[]);
        let facts: Option<TdxFacts> = appraise(&quote, &collateral, floors, now, &mut checks);
        let released = facts.is_some_and(|facts| appraise_policy(&facts, policy, &mut checks));
        assert_eq!(released, failed(&checks.clone().finish()).is_empty());
        failed(&checks.finish())
    };
    let (floors, policy) = (Floors::default(), Policy::SHIPPED);
    assert_eq!(run(&scene, &floors, NOW, &policy), [""; 0]);
    assert_eq!(run(&scene, &Floors { evaluation: u32::MAX, ..floors }, NOW, &policy), ["tdx.evaluation_number"]);
    assert_eq!(run(&scene, &Floors { pck_crl: Some(&[8]), ..floors }, NOW, &policy), ["tdx.crl_number"]);
    let distrusting = Policy { distrusted_chips: &[super::forge::PPID], ..policy };
    assert_eq!(run(&scene, &floors, NOW, &distrusting), ["tdx.chip_distrusted"]);
    assert_eq!(run(&scene, &floors, LATER, &policy), ["tdx.tcb_info_current", "tdx.qe_identity_current", "tdx.crl_current"]);
    scene.crls[0] = crl(&scene.maker.platforms, (5, 7), 8, &[0xb6e8_4ed5]);
    assert_eq!(run(&scene, &floors, NOW, &policy), ["tdx.pck_revoked"]);
}
