//! Sets of machines whose hardware measures them at their start.

use super::*;
use podseal_protocol::hex;

const MEASURED: Launch = Launch { measurement: [0x3e; 48], signer: Some(([0x1d; 48], 7)) };

fn section(lines: &str) -> String {
    format!("[launch]\n{lines}\n")
}

fn measurement(byte: u8) -> String {
    format!("measurement = [\"{}\"]", hex::encode(&[byte; 48]))
}

fn signer(byte: u8, svn: u32) -> String {
    format!("signer = \"{}\"\nguest_svn = {svn}", hex::encode(&[byte; 48]))
}

/// A set of a launch and of these registers.
fn set(lines: &str, events: &[(u8, &str)]) -> Reference {
    Reference::parse(&file(&section(lines), events)).unwrap()
}

/// A machine without registers.
fn launched(references: &[Reference], launch: Launch) -> (Claim<Boot>, Option<&'static str>) {
    let (boot, obstacle) = launched_at(references, launch, NOW);
    (boot.reach, obstacle)
}

fn launched_at(references: &[Reference], launch: Launch, now: u64) -> (AppraisedBoot, Option<&'static str>) {
    let describe = |_: &ReplayedEvent| None;
    let measured = Measured {
        launch: Some(launch),
        quoted: None,
        layout: None,
        proved: PcrSet::default(),
        events: Vec::new(),
        secure_boot: Claim::NotAppraised("no register"),
        describe: &describe,
    };
    let mut checks = Checks::owing(&[]);
    let boot = compare(references, &measured, now, &mut checks);
    (boot, first_obstacle(&checks.finish()).map(|check| check.rule.name))
}

#[test]
fn another_launch() {
    let rule = "reference.launch";
    let good = [measurement(0x3e), signer(0x1d, 7), format!("{}\n{}", measurement(0x3e), signer(0x1d, 0))];
    for lines in good {
        assert_eq!(launched(&[set(&lines, &[])], MEASURED), (Claim::Appraised(Boot::Firmware), None), "{lines}");
        let with_registers = appraise_launched(&[set(&lines, GOLDEN)], &boot(GOLDEN), Some(MEASURED), NOW);
        assert_eq!((with_registers.0, worst(&with_registers.1)), (Claim::Appraised(Boot::Kernel), Verdict::Pass), "{lines}");
    }
    let bad = [measurement(0x3f), signer(0x1e, 7), signer(0x1d, 8), format!("{}\n{}", measurement(0x3f), signer(0x1d, 0))];
    for lines in bad {
        assert_eq!(launched(&[set(&lines, &[])], MEASURED), (Claim::Appraised(Boot::None), Some(rule)), "{lines}");
        let (claim, checks) = appraise_launched(&[set(&lines, GOLDEN)], &boot(GOLDEN), Some(MEASURED), NOW);
        assert_eq!((claim, first_obstacle(&checks).map(|check| check.rule.name)), (Claim::Appraised(Boot::None), Some(rule)), "{lines}");
    }
    let unsigned = Launch { signer: None, ..MEASURED };
    assert_eq!(launched(&[set(&signer(0x1d, 0), &[])], unsigned).1, Some(rule));
}

/// What a guest says of itself is worth something only where a set in force has its launch.
#[test]
fn nobody_knows_what_was_launched() {
    let is_known = |references: &[Reference], now| launched_at(references, MEASURED, now).0.launched;
    let good = set(&measurement(0x3e), &[]);
    assert!(is_known(std::slice::from_ref(&good), NOW));
    assert!(!is_known(&[good], EXPIRES), "a set that is no longer in force");
    assert!(!is_known(&[set(&measurement(0x3f), &[])], NOW));
    assert!(!is_known(&[], NOW));
}

#[test]
fn a_measurement_that_has_the_kernel() {
    let lines = format!("{}\nkernel = true", measurement(0x3e));
    assert_eq!(launched(&[set(&lines, &[])], MEASURED), (Claim::Appraised(Boot::Kernel), None));
}

/// Whoever chose the firmware chose what that extends, so a set without a launch is none for such a machine, and one with it none for any other.
#[test]
fn sets_of_another_kind_of_machine() {
    let without =
        "no reference values are of the bank and layout of the node's registers, and of a launch where its hardware measures that";
    let launch = set(&measurement(0x3e), GOLDEN);
    assert_eq!(appraise(std::slice::from_ref(&launch), &boot(GOLDEN), NOW).0, Claim::NotAppraised(without));
    assert_eq!(appraise_launched(&[golden()], &boot(GOLDEN), Some(MEASURED), NOW).0, Claim::NotAppraised(without));
    assert_eq!(launched(&[launch], MEASURED).0, Claim::NotAppraised(without));
}

#[test]
fn files_of_a_launch() {
    let wrong = |lines: &str| Reference::parse(&file(&section(lines), &[])).unwrap_err();
    assert_eq!(wrong("measurement = [\"3e\"]"), ReferenceError::NotAMeasurement("3e".to_owned()));
    for lines in ["", "kernel = true", "guest_svn = 3", &format!("{}\nkernel = true", signer(1, 1))] {
        assert_eq!(wrong(lines), ReferenceError::Launch, "{lines}");
    }
    assert!(matches!(wrong("mrtd = \"\""), ReferenceError::Toml(_)));
    assert_eq!(Reference::parse(&file("", &[])), Err(ReferenceError::Nothing));
    // What such a set could not say, and what its registers say.
    let secure = format!("require_secure_boot = true\n{}", section(&measurement(1)));
    assert_eq!(Reference::parse(&file(&secure, &[])), Err(ReferenceError::SecureBoot));
    let kernel = section(&format!("{}\nkernel = true", measurement(1)));
    assert_eq!(Reference::parse(&file(&kernel, GOLDEN)), Err(ReferenceError::Kernel));
    let captured = capture_launch("golden", EXPIRES, MEASURED).unwrap();
    assert_eq!(launched(&[Reference::parse(&captured).unwrap()], MEASURED), (Claim::Appraised(Boot::Firmware), None));
}
