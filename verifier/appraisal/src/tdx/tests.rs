//! Each rule: the honest twin passes, the attack fails at that rule.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod authorities;
mod ccel;
mod collateral;
pub(crate) mod forge;
mod kept;
mod levels;
mod policy;
mod quote;

use crate::check::{Checks, Verdict};
use crate::tdx::{
    Collateral, CollateralEvidence, Floors, Part, Quote, SignedJson, TdxEvidence, TdxFacts, appraise, appraise_certificates,
    appraise_lists, appraise_quote,
};
use crate::x509::{Crl, Roots, parse};
use forge::{NOW, Scene};

/// What became of a scene: facts, names of the rules that failed, parts that are missing.
struct Outcome {
    facts: Option<TdxFacts>,
    failed: Vec<&'static str>,
    missing: Vec<Part>,
}

fn run(scene: &Scene) -> Outcome {
    run_with(scene, &scene.roots(), NOW, &Floors::default(), None)
}

/// The whole way from bytes to facts.
fn run_with(scene: &Scene, roots: &Roots, now: u64, floors: &Floors<'_>, report_data: Option<&[u8]>) -> Outcome {
    run_bytes(&scene.quote(), scene, roots, now, floors, report_data)
}

fn run_bytes(bytes: &[u8], scene: &Scene, roots: &Roots, now: u64, floors: &Floors<'_>, report_data: Option<&[u8]>) -> Outcome {
    let mut checks = Checks::owing(&[]);
    let mut missing = Vec::new();
    let quote = Quote::parse(bytes).unwrap();
    let chain = quote.chain().unwrap();
    let beside = scene.beside.iter().map(|der| parse(der).unwrap()).collect::<Vec<_>>();
    let evidence = TdxEvidence { quote: &quote, chain: &chain, certificates: &beside, report_data };
    let genuine = appraise_quote(&evidence, roots, now, &mut checks);
    let facts = genuine.and_then(|genuine| {
        let belong = appraise_certificates(&evidence, &genuine, &mut checks);
        let (info, identity) = (scene.tcb_info.as_ref().map(String::as_bytes), scene.qe_identity.as_ref().map(String::as_bytes));
        let crls = scene.crls.iter().map(|der| Crl::parse(der).unwrap()).collect::<Vec<_>>();
        let belong = appraise_lists(&crls, &genuine, &mut checks) && belong;
        let certificates = [beside.clone(), chain.clone()].concat();
        let collateral = CollateralEvidence {
            tcb_info: info.map(|json| SignedJson::tcb_info(json).unwrap()),
            qe_identity: identity.map(|json| SignedJson::qe_identity(json).unwrap()),
            certificates: &certificates,
            crls: &crls,
        };
        missing = collateral.missing(&genuine);
        let collateral = Collateral::verify(&collateral, &genuine, roots, now, &mut checks)?;
        appraise(&genuine, &collateral, floors, now, &mut checks).filter(|_| belong)
    });
    let failed = checks.finish().into_iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name).collect();
    Outcome { facts, failed, missing }
}

fn rejected_at(rule: &str, what: &str, outcome: &Outcome) {
    assert_eq!(outcome.failed, [rule], "{what}");
    assert!(outcome.facts.is_none(), "{what}");
}
