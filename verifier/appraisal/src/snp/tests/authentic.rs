use super::forge::{
    CHIP, TCB, appraise, appraise_with, authorities, certificates, certificates_under, chips, facts, refused_at, report, roots, sign, spki,
    vcek, vlek,
};
use crate::claims::RootKind;
use crate::snp::{Product, Revocation, Tcb};
use aws_lc_rs::signature::KeyPair as _;
use podseal_protocol::Digest;

#[test]
fn honest_report_gives_its_facts() {
    let facts = facts(&[], &certificates());
    assert_eq!((facts.product(), facts.chip(), facts.root()), (Product::Milan, Some(&CHIP[..]), ("test ARK", RootKind::Test)));
    assert_eq!(facts.tcb(facts.body().reported_tcb), Tcb { fmc: None, bootloader: 4, tee: 0, snp: 24, microcode: 219 });
    let (chip, keys) = (spki(chips()[0].public_key()), authorities());
    let signers = [chip, spki(keys.ask.public_key()), spki(keys.ark.public_key())].map(|key| Digest::of(&key));
    assert_eq!(facts.signers(), signers);
    assert_eq!((facts.body().guest_svn, facts.body().measurement), (7, [0x3e; 48]));
}

#[test]
fn one_flipped_bit_of_report() {
    let honest = report(&chips()[0], &[]);
    for at in 0..honest.len() {
        for bit in [1, 0x80] {
            let mut flipped = honest.clone();
            flipped[at] ^= bit;
            if at < 4 {
                continue;
            }
            let (outcome, failed) = appraise(&flipped, &certificates());
            assert!(outcome.is_err() && failed.iter().any(|rule| ["snp.signature", "snp.reserved"].contains(rule)), "{at:#x} {failed:?}");
        }
    }
}

#[test]
fn signature_of_another_key_or_none() {
    refused_at("snp.signature", "another chip's key", appraise(&report(&chips()[1], &[]), &certificates()));
    let mut empty = report(&chips()[0], &[]);
    empty[0x2a0..].fill(0);
    refused_at("snp.signature", "zero", appraise(&empty, &certificates()));
    let mut large = report(&chips()[0], &[]);
    large[0x2a0 + 60] = 1;
    refused_at("snp.signature", "r of more than 384 bits", appraise(&large, &certificates()));
    refused_at("snp.signature", "another algorithm", appraise(&report(&chips()[0], &[(0x34, &[2])]), &certificates()));
}

#[test]
fn version_of_a_prototype() {
    let fields: &[(usize, &[u8])] = &[(0, &[1]), (0x188, &[0; 3])];
    refused_at("snp.version", "1", appraise(&report(&chips()[0], fields), &certificates()));
}

#[test]
fn reserved_bytes_are_zero() {
    for (what, at) in
        [("KEY_INFO's word", 0x4c), ("model", 0x18b), ("firmware", 0x1eb), ("mitigations of version 3", 0x1f8), ("end", 0x29f)]
    {
        refused_at("snp.reserved", what, appraise(&report(&chips()[0], &[(at, &[1])]), &certificates()));
    }
    let mut behind = report(&chips()[0], &[]);
    behind[0x49f] = 1;
    refused_at("snp.reserved", "behind the signature", appraise(&behind, &certificates()));
}

#[test]
fn signing_key_is_the_certificates() {
    refused_at("snp.signing_key", "VLEK", appraise(&report(&chips()[0], &[(0x48, &[1 << 2])]), &certificates()));
    refused_at("snp.signing_key", "none", appraise(&report(&chips()[0], &[(0x48, &[7 << 2])]), &certificates()));
    refused_at("snp.signing_key", "reserved", appraise(&report(&chips()[0], &[(0x48, &[3 << 2])]), &certificates()));
    let vlek = certificates_under(&vlek(&chips()[0], "Milan", TCB));
    refused_at("snp.signing_key", "VCEK", appraise(&report(&chips()[0], &[]), &vlek));
}

#[test]
fn vlek_names_no_chip() {
    let vlek = certificates_under(&vlek(&chips()[0], "Milan", TCB));
    let hidden = facts(&[(0x48, &[1 << 2]), (0x1a0, &[0; 64])], &vlek);
    assert_eq!((hidden.chip(), hidden.vek().kind_name()), (None, "VLEK"));
    assert_eq!(facts(&[(0x48, &[1 << 2])], &vlek).chip(), Some(&CHIP[..]));
}

#[test]
fn certificate_without_what_a_vek_has() {
    let honest = vcek(&chips()[0], "Milan-B0", &CHIP, TCB);
    for dropped in 1..honest.extensions.len() {
        let mut less = honest.clone();
        let (oid, _) = less.extensions.remove(dropped);
        // Of no use to anybody: a reserved part of the TCB.
        if oid.ends_with(&[3, 4]) {
            continue;
        }
        let (outcome, failed) = appraise(&report(&chips()[0], &[]), &certificates_under(&less));
        assert!(outcome.is_err(), "{oid:?}");
        assert_eq!(failed, ["snp.vek"], "{oid:?}");
        let mut twice = honest.clone();
        twice.extensions.push(honest.extensions[dropped].clone());
        refused_at("snp.vek", "twice", appraise(&report(&chips()[0], &[]), &certificates_under(&twice)));
    }
    let unknown = certificates_under(&vcek(&chips()[0], "Naples", &CHIP, TCB));
    refused_at("snp.vek", "product", appraise(&report(&chips()[0], &[]), &unknown));
}

#[test]
fn product_of_another_generation() {
    let genoa = certificates_under(&vcek(&chips()[0], "Genoa", &CHIP, TCB));
    refused_at("snp.product", "certificate", appraise(&report(&chips()[0], &[]), &genoa));
    refused_at("snp.product", "unknown", appraise(&report(&chips()[0], &[(0x188, &[0x17, 1])]), &certificates()));
    let facts = facts(&[(0, &[2]), (0x188, &[0; 3])], &genoa);
    assert_eq!(facts.product(), Product::Genoa);
}

#[test]
fn vcek_of_other_chip() {
    let other = certificates_under(&vcek(&chips()[0], "Milan-B0", &[0xc2; 64], TCB));
    refused_at("snp.chip_id", "HWID", appraise(&report(&chips()[0], &[]), &other));
    let hidden = facts(&[(0x1a0, &[0; 64])], &other);
    assert_eq!(hidden.chip(), Some(&[0xc2; 64][..]), "the key tells");
    let wrapped = [&[4, 64][..], &CHIP].concat();
    facts(&[], &certificates_under(&vcek(&chips()[0], "Milan-B0", &wrapped, TCB)));
}

#[test]
fn vcek_tcb_differs() {
    for part in [0, 1, 6, 7] {
        let mut tcb = TCB;
        tcb[part] ^= 1;
        let other = certificates_under(&vcek(&chips()[0], "Milan-B0", &CHIP, tcb));
        refused_at("snp.tcb", "certificate", appraise(&report(&chips()[0], &[]), &other));
        refused_at("snp.tcb", "report", appraise(&report(&chips()[0], &[(0x180, &tcb)]), &certificates()));
    }
}

#[test]
fn turin_has_other_places() {
    let (tcb, chip) = ([1, 2, 3, 4, 0, 0, 0, 80], [0x70, 1, 2, 3, 4, 5, 6, 7]);
    let certificates = certificates_under(&vcek(&chips()[0], "Turin-B0", &chip, tcb));
    let hidden = [&chip[..], &[0; 56]].concat();
    let fields: &[(usize, &[u8])] = &[(0, &[5]), (0x180, &tcb), (0x188, &[0x1a, 2, 1]), (0x1a0, &hidden), (0x1f8, &[0x0b])];
    let turin = facts(fields, &certificates);
    assert_eq!(turin.tcb(tcb), Tcb { fmc: Some(1), bootloader: 2, tee: 3, snp: 4, microcode: 80 });
    assert_eq!((turin.chip(), turin.body().mitigations), (Some(&chip[..]), Some([0x0b, 0])));
    let mut longer = fields.to_vec();
    longer.push((0x1a8, &[1]));
    refused_at("snp.chip_id", "more than the certificate", appraise(&report(&chips()[0], &longer), &certificates));
    let mut fmc = fields.to_vec();
    fmc.push((0x180, &[2]));
    refused_at("snp.tcb", "FMC", appraise(&report(&chips()[0], &fmc), &certificates));
}

#[test]
fn report_data_differs() {
    let with = |wanted: &[u8]| {
        let mut bytes = report(&chips()[0], &[(0x50, &[0; 64]), (0x50, &[0xaa; 32])]);
        sign(&chips()[0], &mut bytes);
        appraise_with(&bytes, &certificates(), &roots(), Revocation::default(), Some(wanted))
    };
    for (what, wanted) in [("other", &[0xab; 32][..]), ("shorter", &[0xaa; 31]), ("longer", &[0xaa; 33]), ("too long", &[0xaa; 65])] {
        refused_at("snp.report_data", what, with(wanted));
    }
    for exact in [&[0xaa; 32][..], &[&[0xaa; 32][..], &[0; 32]].concat()] {
        assert!(with(exact).0.is_ok());
    }
}
