//! Sets of other registers than the SHA-256 bank of a TPM.

use super::*;

/// Of a TD: RTMR0 to RTMR2.
const TD: &[(u8, &str)] = &[(1, "SecureBoot = 1"), (1, "boot order"), (2, "shim"), (2, "kernel"), (3, "quiet"), (3, "initrd")];

fn td() -> Boot0 {
    boot_in(Bank::Sha384, Layout::Td, 1..5, TD)
}

#[test]
fn files_of_a_td() {
    let header = "bank = \"sha384\"\nlayout = \"td\"";
    let set = Reference::parse(&file(header, TD)).unwrap();
    assert_eq!((set.bank(), set.layout(), set.registers()), (Bank::Sha384, Layout::Td, PcrSet::of(&[1, 2, 3]).unwrap()));
    let plain = golden();
    assert_eq!((plain.bank(), plain.layout()), (Bank::Sha256, Layout::Tpm));
    let wrong = |header: &str, events| Reference::parse(&file(header, events)).unwrap_err();
    let unlisted = |pcr: &str| ReferenceError::Register { found: pcr.to_owned(), layout: Layout::Td };
    assert_eq!(wrong(header, &[(0, "mrtd")]), unlisted("0"));
    assert_eq!(wrong(header, &[(4, "open")]), unlisted("4"));
    assert_eq!(wrong("layout = \"td\"", TD), ReferenceError::Bank { bank: Bank::Sha256, layout: Layout::Td });
    assert!(matches!(wrong("bank = \"sha1\"", GOLDEN), ReferenceError::Toml(_)));
    assert!(matches!(wrong("layout = \"td0\"", TD), ReferenceError::Toml(_)));
    for (bank, digits) in [("sha256", 96), ("sha384", 64)] {
        let found = "0".repeat(digits);
        let body = format!("bank = \"{bank}\"\n[[event]]\npcr = 8\ndigest = \"{found}\"");
        let bank = Bank::from_name(bank).unwrap();
        assert_eq!(wrong(&body, &[]), ReferenceError::NotADigest { found, pcr: 8, bank });
    }
}

#[test]
fn a_td_by_its_own_registers() {
    let set = |events: &[(u8, &str)]| Reference::parse(&file("bank = \"sha384\"\nlayout = \"td\"", events)).unwrap();
    assert_eq!(appraise(&[set(TD)], &td(), NOW).0, Claim::Appraised(Boot::Kernel));
    for (gone, claim) in [(1, None), (2, Some(Boot::Firmware)), (3, Some(Boot::Firmware))] {
        let some = TD.iter().copied().filter(|event| event.0 != gone).collect::<Vec<_>>();
        let wanted = claim.map_or(Claim::NotAppraised("the reference values do not cover MR 1 (RTMR0)"), Claim::Appraised);
        assert_eq!(appraise(&[set(&some)], &td(), NOW).0, wanted, "without register {gone}");
    }
    let changed = |at: usize| {
        let mut events = TD.to_vec();
        events[at].1 = "another";
        boot_in(Bank::Sha384, Layout::Td, 1..5, &events)
    };
    let (claim, check) = differs("reference.firmware", &[set(TD)], &changed(0));
    assert_eq!(claim, Claim::Appraised(Boot::None));
    assert!(check.found.starts_with("event 1 of the log, MR 1 (RTMR0), another with digest "), "{}", check.found);
    for at in [2, 4] {
        assert_eq!(differs("reference.kernel", &[set(TD)], &changed(at)).0, Claim::Appraised(Boot::Firmware));
    }
}

/// One of another bank or layout neither matches nor fails: it is as if it were not there.
#[test]
fn sets_of_other_registers() {
    let sha384 = Reference::parse(&file("bank = \"sha384\"", GOLDEN)).unwrap();
    let of_td = Reference::parse(&file("bank = \"sha384\"\nlayout = \"td\"", TD)).unwrap();
    let in_sha384 = boot_in(Bank::Sha384, Layout::Tpm, 0..10, GOLDEN);
    assert_eq!(appraise(std::slice::from_ref(&sha384), &in_sha384, NOW).0, Claim::Appraised(Boot::Kernel));
    let none = Claim::NotAppraised(
        "no reference values are of the bank and layout of the node's registers, and of a launch where its hardware measures that",
    );
    for (set, boot) in [(&sha384, boot(GOLDEN)), (&golden(), in_sha384), (&sha384, td()), (&of_td, boot(GOLDEN))] {
        let (claim, checks) = appraise(std::slice::from_ref(set), &boot, NOW);
        assert_eq!(claim, none);
        assert!(checks.is_empty(), "nothing is owed");
    }
    let (claim, checks) = appraise(&[sha384, golden(), of_td], &boot(GOLDEN), NOW);
    assert_eq!((claim, worst(&checks)), (Claim::Appraised(Boot::Kernel), Verdict::Pass));
}

#[test]
fn a_captured_file_of_a_td() {
    let toml = capture(&log(Bank::Sha384, TD), &wanted(Bank::Sha384, Layout::Td, &[1, 2, 3]), &Limits::DEFAULT).unwrap();
    assert!(toml.contains("bank = \"sha384\"\nlayout = \"td\"\n"), "{toml}");
    let captured = Reference::parse(&toml).unwrap();
    assert_eq!(appraise(&[captured], &td(), NOW).0, Claim::Appraised(Boot::Kernel));
}
