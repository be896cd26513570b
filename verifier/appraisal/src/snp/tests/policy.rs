use super::forge::{CHIP, TCB, authorities, certificates, certificates_under, chips, facts, spki, vcek};
use crate::check::{Checks, Verdict};
use crate::snp::{Distrust, Facts, Policy, Product, Tcb, TcbFloor, appraise_policy};
use aws_lc_rs::signature::KeyPair as _;
use podseal_protocol::Digest;

/// The rules at which `policy` refuses these facts.
fn refused(facts: &Facts, policy: &Policy) -> Vec<&'static str> {
    let mut checks = Checks::owing(&[]);
    let holds = appraise_policy(facts, policy, &mut checks);
    let failed = checks.finish().into_iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name);
    let failed = failed.collect::<Vec<_>>();
    assert_eq!(holds, failed.is_empty());
    failed
}

fn honest() -> Facts {
    facts(&[], &certificates())
}

fn with(fields: &[(usize, &[u8])]) -> Facts {
    facts(fields, &certificates())
}

#[test]
fn nothing_measured() {
    assert_eq!(refused(&with(&[(0x90, &[0; 48])]), &Policy::default()), ["snp.measured"]);
}

#[test]
fn snp_debug_bit() {
    let debug = with(&[(0x08, &[0, 0, 0x0b])]);
    assert_eq!(refused(&debug, &Policy::default()), ["snp.debug"]);
    assert_eq!(refused(&debug, &Policy { debug: true, ..Policy::default() }), [""; 0]);
    assert_eq!(refused(&honest(), &Policy::default()), [""; 0]);
}

#[test]
fn migration_agent() {
    let migratable = with(&[(0x08, &[0, 0, 0x07])]);
    assert_eq!(refused(&migratable, &Policy::default()), ["snp.migration_agent"]);
    assert_eq!(refused(&migratable, &Policy { migration_agent: true, ..Policy::default() }), [""; 0]);
}

#[test]
fn vmpl_without_the_privilege() {
    let azure = Policy { most_vmpl: 0, ..Policy::default() };
    assert_eq!(refused(&honest(), &azure), [""; 0]);
    assert_eq!(refused(&with(&[(0x30, &[1])]), &azure), ["snp.vmpl"]);
    assert_eq!(refused(&with(&[(0x30, &[1])]), &Policy::default()), [""; 0]);
    assert_eq!(refused(&with(&[(0x30, &[0xff; 4])]), &Policy::default()), ["snp.vmpl"], "the host asked");
}

#[test]
fn tcb_below_floor() {
    let exact = Tcb { fmc: None, bootloader: 4, tee: 0, snp: 24, microcode: 219 };
    let floors =
        |product, reported, committed, launch| Policy { tcb: vec![TcbFloor { product, reported, committed, launch }], ..Policy::default() };
    let none = Tcb::default();
    assert_eq!(refused(&honest(), &floors(Product::Milan, exact, exact, exact)), [""; 0]);
    let above = [
        Tcb { bootloader: 5, ..exact },
        Tcb { tee: 1, ..exact },
        Tcb { snp: 25, ..exact },
        Tcb { microcode: 220, ..exact },
        Tcb { fmc: Some(0), ..exact },
    ];
    for least in above {
        for floor in [(least, none, none), (none, least, none), (none, none, least)] {
            assert_eq!(refused(&honest(), &floors(Product::Milan, floor.0, floor.1, floor.2)), ["snp.tcb_floor"], "{least}");
        }
    }
    assert_eq!(refused(&honest(), &floors(Product::Genoa, none, none, none)), ["snp.tcb_floor"], "no floor for this one");
    for (what, at) in [("current", 0x38), ("committed", 0x1e0), ("launch", 0x1f0)] {
        let mut older = TCB;
        older[6] -= 1;
        let facts = with(&[(at, &older)]);
        assert_eq!(refused(&facts, &floors(Product::Milan, exact, exact, exact)), ["snp.tcb_floor"], "{what}");
    }
}

#[test]
fn guest_svn_below_floor() {
    assert_eq!(refused(&honest(), &Policy { guest_svn: 7, ..Policy::default() }), [""; 0]);
    assert_eq!(refused(&honest(), &Policy { guest_svn: 8, ..Policy::default() }), ["snp.guest_svn"]);
}

#[test]
fn id_key_of_another_owner() {
    assert_eq!(refused(&honest(), &Policy { id_keys: vec![[0x1d; 48], [2; 48]], ..Policy::default() }), [""; 0]);
    assert_eq!(refused(&honest(), &Policy { id_keys: vec![[2; 48]], ..Policy::default() }), ["snp.id_key"]);
}

#[test]
fn alias_check_missing() {
    let demanding = Policy { alias_check: true, ..Policy::default() };
    assert_eq!(refused(&honest(), &demanding), [""; 0]);
    assert_eq!(refused(&with(&[(0x40, &[0x05])]), &demanding), ["snp.alias_check"]);
    assert_eq!(refused(&with(&[(0x40, &[0x05])]), &Policy::default()), [""; 0]);
}

#[test]
fn mitigation_missing() {
    let demanding = Policy { mitigations: 0x09, ..Policy::default() };
    assert_eq!(refused(&with(&[(0, &[5]), (0x1f8, &[0x0b]), (0x200, &[0x09])]), &demanding), [""; 0]);
    assert_eq!(refused(&with(&[(0, &[5]), (0x1f8, &[0x0b]), (0x200, &[0x0a])]), &demanding), ["snp.mitigations"], "now");
    assert_eq!(refused(&with(&[(0, &[5]), (0x1f8, &[0x02]), (0x200, &[0x0b])]), &demanding), ["snp.mitigations"], "at launch");
    assert_eq!(refused(&honest(), &demanding), ["snp.mitigations"], "a report that doesn't say");
}

fn distrusting(distrust: Distrust) -> Policy {
    Policy { distrust, ..Policy::default() }
}

#[test]
fn chip_distrusted() {
    let policy = distrusting(Distrust { chips: vec![CHIP.to_vec()], ..Distrust::default() });
    assert_eq!(refused(&honest(), &policy), ["snp.distrust_chip"]);
    assert_eq!(refused(&with(&[(0x1a0, &[0; 64])]), &policy), ["snp.distrust_chip"], "hidden, but the key tells");
    let other = certificates_under(&vcek(&chips()[0], "Milan-B0", &[0xc2; 64], TCB));
    assert_eq!(refused(&facts(&[(0x1a0, &[0xc2; 64])], &other), &policy), [""; 0]);
}

#[test]
fn chip_distrusted_as_written_anywhere() {
    let (tcb, chip) = ([1, 2, 3, 4, 0, 0, 0, 80], [0x70, 1, 2, 3, 4, 5, 6, 7]);
    let filled = [&chip[..], &[0; 56]].concat();
    let fields: &[(usize, &[u8])] = &[(0, &[5]), (0x180, &tcb), (0x188, &[0x1a, 2, 1]), (0x1a0, &filled), (0x1f8, &[0x0b])];
    let turin = facts(fields, &certificates_under(&vcek(&chips()[0], "Turin-B0", &chip, tcb)));
    for (listed, failed) in [(chip.to_vec(), &["snp.distrust_chip"][..]), (filled, &["snp.distrust_chip"]), (chip[..7].to_vec(), &[])] {
        assert_eq!(refused(&turin, &distrusting(Distrust { chips: vec![listed], ..Distrust::default() })), failed);
    }
}

#[test]
fn generation_distrusted() {
    let policy = distrusting(Distrust { products: vec![Product::Milan], ..Distrust::default() });
    assert_eq!(refused(&honest(), &policy), ["snp.distrust_generation"]);
    let genoa = certificates_under(&vcek(&chips()[0], "Genoa", &CHIP, TCB));
    assert_eq!(refused(&facts(&[(0x188, &[0x19, 0x11, 1])], &genoa), &policy), [""; 0]);
}

#[test]
fn signer_distrusted() {
    let keys = authorities();
    for key in [spki(chips()[0].public_key()), spki(keys.ask.public_key()), spki(keys.ark.public_key())] {
        let policy = distrusting(Distrust { signers: vec![Digest::of(&key)], ..Distrust::default() });
        assert_eq!(refused(&honest(), &policy), ["snp.distrust_signer"]);
    }
    let policy = distrusting(Distrust { signers: vec![Digest::of(&spki(keys.other.public_key()))], ..Distrust::default() });
    assert_eq!(refused(&honest(), &policy), [""; 0]);
}
