use super::forge::{
    CHIP, Certificate, NOW, TCB, appraise, appraise_with, ark, ask, authorities, certificates, certificates_under, certified_roots, chips,
    facts, refused_at, report, roots, spki, vcek, vlek,
};
use crate::check::{Checks, Verdict};
use crate::claims::RootKind;
use crate::snp::{Facts, Part, Revocation, Unproven, appraise_set};
use crate::x509::{Anchor, Roots, parse};
use aws_lc_rs::signature::KeyPair as _;

#[test]
fn chain_to_nobody_known() {
    let honest = report(&chips()[0], &[]);
    let none = Roots::new(Vec::new()).unwrap();
    refused_at("snp.chain", "no root", appraise_with(&honest, &certificates(), &none, Revocation::default(), None));
    let production = Roots::shipped();
    refused_at("snp.chain", "other roots", appraise_with(&honest, &certificates(), &production, Revocation::default(), None));
    let mut forged = certificates();
    forged[0] = vcek(&chips()[0], "Milan-B0", &CHIP, TCB).issue(&authorities().other);
    refused_at("snp.chain", "VCEK of nobody's", appraise(&honest, &forged));
    let mut expired = vcek(&chips()[0], "Milan-B0", &CHIP, TCB);
    expired.until = "250101000000Z";
    refused_at("snp.chain", "expired", appraise(&honest, &certificates_under(&expired)));
}

#[test]
fn one_flipped_bit_of_a_certificate() {
    let honest = report(&chips()[0], &[]);
    for which in 0..3 {
        let certificates = certificates();
        for at in (0..certificates[which].len()).step_by(7) {
            let mut flipped = certificates.clone();
            flipped[which][at] ^= 4;
            if parse(&flipped[which]).is_some() {
                assert!(appraise(&honest, &flipped).0.is_err(), "{which} {at}");
            }
        }
    }
}

#[test]
fn root_as_certificate_needs_none_in_the_evidence() {
    let (honest, mut certificates) = (report(&chips()[0], &[]), certificates());
    let run = |certificates: &[Vec<u8>]| appraise_with(&honest, certificates, &certified_roots(), Revocation::default(), None);
    assert_eq!(run(&certificates).0.unwrap().signers().len(), 3);
    certificates.pop();
    assert_eq!(run(&certificates).0.unwrap().signers().len(), 3);
}

#[test]
fn what_is_not_there_is_named() {
    let honest = report(&chips()[0], &[]);
    let all = certificates();
    let lacks = |part| (Err(Unproven::Lacks(part)), Vec::new());
    assert_eq!(appraise(&honest, &[]), lacks(Part::Vcek));
    assert_eq!(appraise(&report(&chips()[0], &[(0x48, &[4])]), &all[1..]), lacks(Part::Vlek));
    assert_eq!(appraise(&honest, &all[..1]), lacks(Part::Ask));
    assert_eq!(appraise(&honest, &[all[0].clone(), all[2].clone()]), lacks(Part::Ask));
    assert_eq!(appraise(&honest, &all[..2]), lacks(Part::Ark));
    let mut genoa = ask();
    genoa.subject = "SEV-Genoa";
    let foreign = [all[0].clone(), genoa.issue(&authorities().ark)];
    refused_at("snp.chain", "certificates of another generation", appraise(&honest, &foreign));
}

/// Certificates with the right names and other keys: none is in the way, and none counts.
#[test]
fn certificate_decoys() {
    let keys = authorities();
    let mut decoy = ask();
    decoy.spki = spki(chips()[1].public_key());
    let (decoy_ask, decoy_ark) = (decoy.issue(&keys.other), ark().issue(&keys.other));
    let decoy_vcek = vcek(&chips()[1], "Milan-B0", &CHIP, TCB).issue(&keys.ask);
    let decoys = [decoy_ask, decoy_ark, decoy_vcek];
    let honest = report(&chips()[0], &[]);
    let among = [&decoys[..], &certificates()].concat();
    assert!(appraise(&honest, &among).0.is_ok());
    refused_at("snp.chain", "decoys alone", appraise(&honest, &[&certificates()[..1], &decoys[..2]].concat()));
    let many = vec![ask().issue(&keys.other); 20];
    refused_at("snp.chain", "too many", appraise(&honest, &[&certificates()[..], &many].concat()));
}

/// Whether nothing in the set is strange.
fn set_of(all: &[Vec<u8>], facts: &Facts, roots: &Roots) -> bool {
    let certificates = all.iter().map(|der| parse(der).unwrap()).collect::<Vec<_>>();
    let mut checks = Checks::owing(&[]);
    let holds = appraise_set(&certificates, facts, roots, NOW, &mut checks);
    let failed = checks.finish().into_iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name);
    assert_eq!(failed.collect::<Vec<_>>(), if holds { &[][..] } else { &["snp.certificates"] });
    holds
}

/// Whoever trusts an ASK trusts it without its ARK, which may come along.
#[test]
fn root_that_is_an_intermediate() {
    let (keys, all) = (authorities(), certificates());
    let roots = Roots::new(vec![Anchor::of_certificate("ASK".to_owned(), RootKind::Test, &all[1]).unwrap()]).unwrap();
    let honest = report(&chips()[0], &[]);
    for set in [&all[..1], &all[..2], &all[..], &[all[0].clone(), all[2].clone()]] {
        let facts = appraise_with(&honest, set, &roots, Revocation::default(), None).0.unwrap();
        assert!(set_of(set, &facts, &roots), "{}", set.len());
        let other = Certificate { spki: spki(keys.other.public_key()), ..ark() };
        let flipped = {
            let mut flipped = all[2].clone();
            *flipped.last_mut().unwrap() ^= 1;
            flipped
        };
        for strange in [other.issue(&keys.other), ask().issue(&keys.other), flipped] {
            let set = [set.iter().filter(|der| **der != all[2]).cloned().collect(), vec![strange]].concat();
            assert!(!set_of(&set, &facts, &roots));
        }
    }
}

#[test]
fn authority_of_other_keys() {
    let honest = report(&chips()[0], &[]);
    let mut genoa = vcek(&chips()[0], "Milan-B0", &CHIP, TCB);
    genoa.issuer = "SEV-Genoa";
    refused_at("snp.authority", "another generation's", appraise(&honest, &certificates_under(&genoa)));
    let mut of_vleks = vcek(&chips()[0], "Milan-B0", &CHIP, TCB);
    of_vleks.issuer = "SEV-VLEK-Milan";
    refused_at("snp.authority", "that of VLEKs", appraise(&honest, &certificates_under(&of_vleks)));
    let mut of_vceks = vlek(&chips()[0], "Milan", TCB);
    of_vceks.issuer = "SEV-Milan";
    let under_vlek = report(&chips()[0], &[(0x48, &[4])]);
    refused_at("snp.authority", "that of VCEKs", appraise(&under_vlek, &certificates_under(&of_vceks)));
    let mut elsewhere = ask();
    elsewhere.issuer = "ARK-Genoa";
    let root = Certificate { subject: "ARK-Genoa", issuer: "ARK-Genoa", ..ark() };
    let chain = [certificates()[0].clone(), elsewhere.issue(&authorities().ark), root.issue(&authorities().ark)];
    refused_at("snp.authority", "another generation's root", appraise(&honest, &chain));
    let mut unnamed = vcek(&chips()[0], "Milan-B0", &CHIP, TCB);
    unnamed.issuer = "test authority";
    assert!(appraise(&honest, &certificates_under(&unnamed)).0.is_ok());
}

#[test]
fn set_with_a_certificate_that_belongs_elsewhere() {
    let facts = facts(&[], &certificates());
    let set = |more: &[Vec<u8>]| set_of(&[&certificates()[..], more].concat(), &facts, &roots());
    assert!(set(&[]));
    let mut old = ask();
    old.until = "250101000000Z";
    assert!(set(&[old.issue(&authorities().ark)]), "out of date, and not used");
    assert!(set(&[vcek(&chips()[0], "Milan-B0", &CHIP, [1; 8]).issue(&authorities().ask)]), "of the same key");
    assert!(!set(&[ask().issue(&authorities().other)]), "forged");
    assert!(!set(&[vcek(&chips()[1], "Milan-B0", &CHIP, TCB).issue(&authorities().ask)]), "another key's");
    let mut other = ark();
    other.spki = spki(authorities().other.public_key());
    assert!(!set(&[other.issue(&authorities().other)]), "another root's");
}
