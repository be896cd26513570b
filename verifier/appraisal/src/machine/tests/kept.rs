//! What is archived for deciding anew, and the policy of hardware.

use podseal_protocol::Limits;

use super::guest::list_of_amd;
use crate::{
    endorsement::Product,
    machine::{Gathered, Hardware, HardwareError},
    x509::Roots,
};

#[test]
fn hardware_and_endorsements_come_back_as_they_were() {
    let text = "[distrust]\ngenerations = [\"genoa\"]\n";
    let hardware = Hardware::shipped(text).unwrap();
    let again = Hardware::decode(&hardware.encode(), &Limits::DEFAULT).unwrap();
    assert_eq!(again.encode(), hardware.encode());
    assert_eq!(again.policy().snp.distrust.products, [Product::Genoa]);
    // Where nobody's hardware counts, that is what is decided anew.
    let none = Hardware::none().encode();
    assert_eq!(Hardware::decode(&none, &Limits::DEFAULT).unwrap().encode(), none);
    // What has no root in it is not archived, and what would be too much to archive is refused when it is configured.
    let [(name, file), ..] = &Roots::shipped_files()[..] else { unreachable!() };
    let with = |padding: usize| vec![("a.toml".to_owned(), [file, &b"#".repeat(padding)[..]].concat()), ("notes".to_owned(), vec![7; 9])];
    assert!(Hardware::decode(&Hardware::new(with(0), "").unwrap().encode(), &Limits::DEFAULT).is_ok(), "{name}");
    assert!(matches!(Hardware::new(with(1 << 20), ""), Err(HardwareError::TooMuch { files: 1, .. })));

    let gathered = Gathered::new(vec![list_of_amd(&[])], vec!["why".to_owned()]);
    assert_eq!(Gathered::decode(&gathered.encode(), &Limits::DEFAULT), Ok(gathered));
    let none = Gathered::new(Vec::new(), vec!["why".to_owned()]);
    assert_eq!(Gathered::decode(&none.encode(), &Limits::DEFAULT), Ok(none));
}

#[test]
fn policy_of_hardware() {
    let hardware = |text: &str| Hardware::none().under(text).map(|_| ()).map_err(|error| error.to_string());
    let floor = "bootloader = 3\ntee = 0\nsnp = 8\nmicrocode = 115";
    let sections = |fmc: &str| ["reported", "committed", "launch"].map(|name| format!("[snp.tcb.{name}]\n{floor}\n{fmc}\n")).concat();
    let tcb = |product: &str, fmc: &str| format!("[[snp.tcb]]\nproduct = \"{product}\"\n{}", sections(fmc));
    for good in [
        String::new(),
        "[snp]\nalias_check = true\nmitigations = 3\n[tdx]\nevaluation = 17\nstatuses = [\"UpToDate\", \"SWHardeningNeeded\"]\n".to_owned(),
        tcb("milan", ""),
        tcb("Turin", "fmc = 1"),
        format!("[distrust]\nchips = [\"{}\", \"{}\"]\nsigners = [\"{}\"]\n", "ab".repeat(64), "cd".repeat(16), "ef".repeat(32)),
        "[distrust]\ngenerations = [\"turin\", \"00806f050000\"]\n".to_owned(),
    ] {
        assert_eq!(hardware(&good), Ok(()), "{good}");
    }
    for (bad, told) in [
        ("[snp]\nfloor = 1\n".to_owned(), "unknown field"),
        ("[tdx]\nstatuses = [\"Revoked\"]\n".to_owned(), "tdx.statuses"),
        ("[tdx]\nstatuses = [\"Fine\"]\n".to_owned(), "tdx.statuses"),
        ("[distrust]\nchips = [\"ab\"]\n".to_owned(), "distrust.chips"),
        ("[distrust]\ngenerations = [\"rome\"]\n".to_owned(), "distrust.generations"),
        ("[distrust]\nsigners = [\"ab\"]\n".to_owned(), "distrust.signers"),
        (tcb("milan", "fmc = 1"), "snp.tcb"),
        (tcb("turin", ""), "snp.tcb"),
        (tcb("milan", "") + &tcb("genoa", "") + &tcb("milan", ""), "each product once"),
        (tcb("rome", ""), "snp.tcb.product"),
    ] {
        let error = hardware(&bad).unwrap_err();
        assert!(error.contains(told), "{bad}: {error}");
    }
}
