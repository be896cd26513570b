use super::forge::{
    appraise_with, authorities, certificates, certified_roots, chips, crl, crl_of, refused_at, report, roots, sequence, tlv,
};
use crate::snp::{CrlNumber, Facts, Revocation, Unproven};
use crate::x509::Roots;

const SOON: &str = "260201000000Z";

fn run(roots: &Roots, lists: &[Vec<u8>], demanded: bool, seen: &[CrlNumber]) -> (Result<Facts, Unproven>, Vec<&'static str>) {
    let lists = lists.iter().map(Vec::as_slice).collect::<Vec<_>>();
    let revocation = Revocation { lists: &lists, demanded, seen };
    appraise_with(&report(&chips()[0], &[]), &certificates(), roots, revocation, None)
}

fn list(number: Option<u8>, until: &str, revoked: &[u8]) -> Vec<u8> {
    crl(&authorities().ark, "ARK-Milan", number, until, revoked)
}

#[test]
fn current_list_counts() {
    for roots in [roots(), certified_roots()] {
        let facts = run(&roots, &[list(Some(9), SOON, &[77])], true, &[]).0.unwrap();
        assert_eq!(facts.crl_numbers().iter().map(|it| it.number.clone()).collect::<Vec<_>>(), [[9]]);
        assert!(run(&roots, facts_lists(), true, facts.crl_numbers()).0.is_ok());
    }
}

fn facts_lists() -> &'static [Vec<u8>] {
    static LISTS: std::sync::OnceLock<[Vec<u8>; 1]> = std::sync::OnceLock::new();
    LISTS.get_or_init(|| [list(Some(9), SOON, &[])])
}

#[test]
fn crl_stale() {
    refused_at("snp.crl", "yesterday's", run(&roots(), &[list(Some(9), "251231000000Z", &[])], false, &[]));
    refused_at("snp.crl", "no end", run(&roots(), &[list(Some(9), "", &[])], true, &[]));
}

#[test]
fn crl_missing() {
    refused_at("snp.crl", "demanded", run(&roots(), &[], true, &[]));
    let of_the_ask = crl(&authorities().ask, "SEV-Milan", Some(1), SOON, &[]);
    refused_at("snp.crl", "the root's demanded", run(&roots(), std::slice::from_ref(&of_the_ask), true, &[]));
    assert!(run(&roots(), &[of_the_ask], false, &[]).0.is_ok());
    assert!(run(&roots(), &[], false, &[]).0.is_ok());
}

#[test]
fn crl_of_nobody_on_the_way() {
    let other = crl(&authorities().other, "ARK-Genoa", Some(9), SOON, &[]);
    let forged = crl(&authorities().other, "ARK-Milan", Some(9), SOON, &[]);
    for (what, list) in [("other name", other), ("other key", forged), ("no list", vec![0x30, 0])] {
        refused_at("snp.crl", what, run(&roots(), &[list], false, &[]));
    }
    let mut flipped = list(Some(9), SOON, &[77]);
    let end = flipped.len() - 1;
    flipped[end] ^= 1;
    refused_at("snp.crl", "flipped", run(&roots(), &[flipped], false, &[]));
}

#[test]
fn crl_number_went_back() {
    let facts = run(&roots(), &[list(Some(9), SOON, &[])], true, &[]).0.unwrap();
    let seen = facts.crl_numbers();
    refused_at("snp.crl_number", "earlier", run(&roots(), &[list(Some(8), SOON, &[])], true, seen));
    refused_at("snp.crl_number", "none", run(&roots(), &[list(None, SOON, &[])], true, seen));
    assert!(run(&roots(), &[list(Some(10), SOON, &[])], true, seen).0.is_ok());
    let longer = [CrlNumber { authority: seen[0].authority, number: vec![1, 0] }];
    refused_at("snp.crl_number", "256", run(&roots(), &[list(Some(127), SOON, &[])], true, &longer));
}

#[test]
fn authority_revoked() {
    for roots in [roots(), certified_roots()] {
        refused_at("snp.revoked", "ASK", run(&roots, &[list(Some(9), SOON, &[2])], false, &[]));
        let of_the_ask = crl(&authorities().ask, "SEV-Milan", Some(1), SOON, &[0]);
        refused_at("snp.revoked", "VCEK", run(&roots, &[of_the_ask], false, &[]));
    }
}

/// RFC 5280, 5.2: a list of changes, of a part, or with anything else that has to be understood.
#[test]
fn crl_with_what_is_not_processed() {
    let of = |oid: &[u8], critical: bool| {
        let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
        sequence(&[&tlv(6, &[oid]), critical, &tlv(4, &[&[2, 1, 1]])])
    };
    let list = |extensions: &[u8]| crl_of(&authorities().ark, "ARK-Milan", SOON, &[], extensions);
    let (delta, part, unknown) = ([0x55, 0x1d, 0x1b], [0x55, 0x1d, 0x1c], [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 0x7f]);
    for warm in [roots(), certified_roots()] {
        for extension in [of(&delta, true), of(&delta, false), of(&part, true), of(&unknown, true)] {
            refused_at("snp.crl", "critical", run(&warm, &[list(&extension)], false, &[]));
        }
        assert!(run(&warm, &[list(&of(&unknown, false))], false, &[]).0.is_ok());
    }
    let entry = sequence(&[&[2, 1, 99], &tlv(0x17, &[b"250101000000Z"]), &sequence(&[&of(&unknown, true)])]);
    refused_at("snp.crl", "entry", run(&roots(), &[crl_of(&authorities().ark, "ARK-Milan", SOON, &entry, &[])], false, &[]));
}

/// One number, however it is written.
#[test]
fn serial_number_with_leading_zeros() {
    let entry = sequence(&[&[2, 3, 0, 0, 2], &tlv(0x17, &[b"250101000000Z"])]);
    let list = crl_of(&authorities().ark, "ARK-Milan", SOON, &entry, &[]);
    refused_at("snp.revoked", "ASK", run(&roots(), &[list], false, &[]));
}

/// A signature that held before is not verified again; everything else about a list is asked each time.
#[test]
fn list_seen_before_still_ends_and_still_counts() {
    let warm = roots();
    let honest = list(Some(9), SOON, &[]);
    for _ in 0..2 {
        assert!(run(&warm, std::slice::from_ref(&honest), true, &[]).0.is_ok());
    }
    let mut flipped = honest.clone();
    *flipped.last_mut().unwrap() ^= 1;
    refused_at("snp.crl", "altered", run(&warm, &[flipped], true, &[]));
    let forged = crl(&authorities().other, "ARK-Milan", Some(9), SOON, &[]);
    refused_at("snp.crl", "another key's", run(&warm, &[forged], true, &[]));
    let seen = CrlNumber {
        authority: run(&warm, std::slice::from_ref(&honest), true, &[]).0.unwrap().crl_numbers()[0].authority,
        number: vec![10],
    };
    refused_at("snp.crl_number", "an older one", run(&warm, &[honest], true, &[seen]));
    let withdrawn = list(Some(10), SOON, &[2]);
    refused_at("snp.revoked", "the authority withdrawn since", run(&warm, &[withdrawn], true, &[]));
}
